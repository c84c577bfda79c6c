//! The log: lines on standard error, for people or for machines.

use std::sync::Arc;

use tracing::Dispatch;
use tracing_subscriber::EnvFilter;

use super::{Screen, screen::LogWriter};

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged, in the words of `tracing_subscriber::EnvFilter`. Valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// The filter that a text describes, or `None` if it describes none.
    pub fn parse(text: &str) -> Option<LogFilter> {
        EnvFilter::try_new(text)
            .ok()
            .map(|_| LogFilter(text.to_owned()))
    }

    /// The directives, such as `info,dataflow=debug`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for LogFilter {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

/// Sends what the whole process logs to the screen's standard error from now on.
/// Where the process already has a log, that one stays.
pub fn init(format: LogFormat, filter: &LogFilter, screen: &Arc<Screen>) {
    let colours = console::colors_enabled_stderr();
    // Refused only where there is a log already.
    let _ = tracing::dispatcher::set_global_default(log(format, filter, screen, colours));
}

fn log(format: LogFormat, filter: &LogFilter, screen: &Arc<Screen>, colours: bool) -> Dispatch {
    let log = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter.as_str()))
        .with_writer(LogWriter(Arc::clone(screen)))
        .with_ansi(colours)
        // That nobody reads the log, or that its disk is full, is no reason to end: by default
        // it is printed to where nothing can be printed, which panics.
        .log_internal_errors(false);
    match format {
        LogFormat::Text => log.compact().with_target(false).into(),
        LogFormat::Json => log.json().flatten_event(true).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::screen::tests::screen;
    use super::*;

    fn logged(format: LogFormat) -> String {
        let (screen, kept) = screen(false);
        let log = log(format, &LogFilter::default(), &screen, false);
        tracing::dispatcher::with_default(&log, || {
            tracing::debug!("not seen");
            tracing::warn!(topic = "sales", "it is away");
        });
        kept.text()
    }

    #[test]
    fn text_is_one_line() {
        let text = logged(LogFormat::Text);
        assert!(
            text.ends_with("WARN it is away topic=\"sales\"\n"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn json_is_one_object_a_line() {
        let text = logged(LogFormat::Json);
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["message"], "it is away");
        assert_eq!(line["topic"], "sales");
    }
}
