//! Questions to a pipeline that runs elsewhere, over its HTTP, and the answers as
//! people read them.

mod http;

use crate::config::Question;
use crate::print;
use serde::Deserialize;
use sinks::Value;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use telemetry::{Why, format, why_text};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody is there.
    #[error(
        "nobody answers at {url}: {reason}. Start a pipeline, or say where it serves with \
         --http ADDR or TIDEMARK_HTTP: it logs \"serving http://ADDR\" at its start"
    )]
    Away {
        /// Where it was asked.
        url: String,
        /// Why there was no answer.
        reason: String,
    },
    /// A certificate cannot be used.
    #[error("{}: {reason}", file.display())]
    Certificate {
        /// The file it is in.
        file: PathBuf,
        /// Why not.
        reason: String,
    },
    /// One of the two does not trust the other.
    #[error(
        "no trust between this and {url}: {reason}. Name who has signed its certificate with \
         --http-ca FILE, and if it asks for one of yours, show that with --http-client-cert FILE \
         and --http-client-key FILE"
    )]
    Untrusted {
        /// Where it was asked.
        url: String,
        /// Why not.
        reason: String,
    },
    /// It does not answer to everybody.
    #[error(
        "{url} asks who is there{}: give the token that it was started with, as \
         --http-token-file FILE or TIDEMARK_HTTP_TOKEN_FILE",
        if *is_given { ", and the token that was given is not its own" } else { "" }
    )]
    Unauthorized {
        /// Where it was asked.
        url: String,
        /// Whether a token was given.
        is_given: bool,
    },
    /// Somebody else is there.
    #[error(
        "what answers at {url} is no pipeline, or another version of it (status {status}). \
         Say where yours serves with --http ADDR or TIDEMARK_HTTP: it logs \"serving \
         http://ADDR\" at its start"
    )]
    Stranger {
        /// Where it was asked.
        url: String,
        /// The status that came back.
        status: u16,
    },
    /// The question is wrong: a view or a window that there is not.
    #[error("{0}")]
    Refused(String),
    /// There is no answer now.
    #[error("{url}: {reason}; ask again in a moment")]
    NotNow {
        /// Where it was asked.
        url: String,
        /// Why not.
        reason: String,
    },
    /// The answer cannot be printed.
    #[error("printing the answer: {0}")]
    Print(io::Error),
}

impl AskError {
    /// 2 for a question that is wrong, or that does not come from somebody who may ask; 1 for
    /// everything else.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            AskError::Refused(_)
            | AskError::Certificate { .. }
            | AskError::Untrusted { .. }
            | AskError::Unauthorized { .. } => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}

/// Asks why a window is still open, and prints the answer.
///
/// # Errors
/// When there is no answer.
pub fn why(question: &Question) -> Result<(), AskError> {
    let answer = why_text(&ask(question)?);
    print::answer(answer.as_bytes()).map_err(AskError::Print)
}

/// Asks why a window is still open.
pub(crate) fn ask(question: &Question) -> Result<Why, AskError> {
    let Question { view, window, at } = question;
    let path = format!("/api/why/{}/{}", http::escape(view), http::escape(window));
    let (status, body) = http::get(at, &path)?;
    match read(&at.url, status, &body) {
        Err(AskError::Unauthorized { url, .. }) => {
            let is_given = at.token.is_some();
            Err(AskError::Unauthorized { url, is_given })
        }
        answer => answer,
    }
}

/// What an answer says.
fn read(url: &str, status: u16, body: &[u8]) -> Result<Why, AskError> {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }

    let url = url.to_owned();
    let stranger = |_| AskError::Stranger {
        url: url.clone(),
        status,
    };
    if status == 401 {
        let is_given = false;
        return Err(AskError::Unauthorized { url, is_given });
    }
    if status == 200 {
        return serde_json::from_slice(body).map_err(stranger);
    }
    let Refusal { error } = serde_json::from_slice(body).map_err(stranger)?;
    // Whoever answers, nothing of it may move the cursor.
    let reason = format::value(&Value::Text(error));
    Err(match status {
        400 | 404 | 421 => AskError::Refused(reason),
        _ => AskError::NotNow { url, reason },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Endpoint, Http, HttpAccess};
    use crate::names::Names;
    use model::Holding;
    use sinks::Storage;
    use std::sync::Arc;
    use telemetry::{Telemetry, testing};

    fn error(status: u16, body: &str) -> AskError {
        read("http://127.0.0.1:8080", status, body.as_bytes()).unwrap_err()
    }

    #[test]
    fn an_answer_that_is_none_is_told_with_what_to_do() {
        let refused = error(404, "{\"error\": \"sale: no such view; there are sales\"}");
        assert_eq!(refused.to_string(), "sale: no such view; there are sales");
        assert_eq!(refused.exit_code(), ExitCode::from(2));
        let not_now = error(503, "{\"error\": \"Kafka is\\naway\"}");
        assert_eq!(
            not_now.to_string(),
            "http://127.0.0.1:8080: Kafka is\u{fffd}away; ask again in a moment"
        );
        assert_eq!(not_now.exit_code(), ExitCode::FAILURE);
        for (status, body) in [(200, "<html>"), (404, "not found"), (404, "{}")] {
            let stranger = error(status, body).to_string();
            assert!(stranger.contains("is no pipeline"), "{stranger}");
        }
    }

    #[test]
    fn nobody_there_is_told_with_what_to_do() {
        // A port that was free a moment ago.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let question = Question {
            view: "sales".to_owned(),
            window: "latest".to_owned(),
            at: Endpoint::open(format!("http://{address}")),
        };
        let away = ask(&question).unwrap_err();
        let said = away.to_string();
        assert!(
            said.starts_with(&format!("nobody answers at http://{address}: ")),
            "{said}"
        );
        assert!(said.contains("--http ADDR or TIDEMARK_HTTP"), "{said}");
        assert_eq!(away.exit_code(), ExitCode::FAILURE);
    }

    #[test]
    fn a_pipeline_answers() {
        const HOUR: i64 = 3_600_000;
        let folder = tempfile::tempdir().unwrap();
        let rows =
            sinks::embedded::open(&folder.path().join("rows.sqlite"), vec![testing::table()]);
        let rows: &dyn Storage = &rows.unwrap();
        rows.prepare().unwrap();
        let telemetry = Arc::new(Telemetry::new(1, &[], &[testing::table()]));
        let server = serve::start(
            Http::At(([127, 0, 0, 1], 0).into()),
            &HttpAccess::default(),
            Arc::clone(&telemetry),
            rows.reader().unwrap(),
            Arc::new(vec![testing::view()]),
            Arc::new(Names::default()),
            cluster::Place {
                process: 0,
                addresses: vec!["here:2101".to_owned()],
                workers: 1,
            },
        );
        let server = server.unwrap().unwrap();
        let ask = |view: &str, window: &str| {
            ask(&Question {
                view: view.to_owned(),
                window: window.to_owned(),
                at: Endpoint::open(format!("http://{}", server.address())),
            })
        };
        let early = ask("sales", "latest");
        assert!(matches!(early, Err(AskError::NotNow { .. })), "{early:?}");

        let noon = testing::partition_time(0, Some(12 * HOUR), Holding::Yes);
        let morning = testing::partition_time(1, Some(9 * HOUR + HOUR / 2), Holding::Yes);
        let sales = testing::view_time(vec![noon, morning]);
        telemetry.watch(move || vec![sales.clone()]);
        let why = ask("sales", "1970-01-01 08:00").unwrap();
        assert_eq!(why.start, "1970-01-01T08:00:00Z");
        assert_eq!(why.partitions.len(), 1);
        for (view, window) in [("sa/les", "latest"), ("sales", "1970-01-01T08:15Z")] {
            let refused = ask(view, window);
            assert!(matches!(refused, Err(AskError::Refused(_))), "{refused:?}");
        }
    }
}
