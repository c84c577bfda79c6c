//! The terminal, shared by the live status and the log.
//!
//! The status is a block of lines below everything else. Before a log line is
//! written the block is taken away, and after it drawn again, so that neither
//! tears the other.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use console::Term;
use tracing_subscriber::fmt::MakeWriter;

/// Whether the live status is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Status {
    /// On a terminal.
    #[default]
    Auto,
    /// Never; a line is logged from time to time instead.
    Off,
}

/// Where the status and the log are written.
pub struct Screen {
    live: bool,
    parts: Mutex<Parts>,
}

struct Parts {
    /// Where the status is drawn: a terminal.
    status: Box<dyn Write + Send>,
    /// Where log lines go, perhaps the same terminal.
    log: Box<dyn Write + Send>,
    /// The status as it stands on the terminal.
    drawn: Vec<String>,
    /// True when nothing is drawn any more.
    left: bool,
}

impl Screen {
    /// The status on standard output, where that is a terminal and `status`
    /// allows it; the log on standard error.
    pub fn new(status: Status) -> Arc<Self> {
        let able = Term::stdout().features().is_attended() && !console::is_dumb();
        let live = able && status == Status::Auto;
        Self::with(live, Box::new(io::stdout()), Box::new(io::stderr()))
    }

    fn with(live: bool, status: Box<dyn Write + Send>, log: Box<dyn Write + Send>) -> Arc<Self> {
        let parts = Parts {
            status,
            log,
            drawn: Vec::new(),
            left: false,
        };
        Arc::new(Self {
            live,
            parts: Mutex::new(parts),
        })
    }

    /// Whether the status is drawn at all.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Draws `lines` in place of the block that stands there. None may be wider
    /// than the terminal, nor may there be more of them than it has.
    pub(super) fn draw(&self, lines: Vec<String>) -> io::Result<()> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.live || parts.left {
            return Ok(());
        }
        let up = parts.up();
        parts.drawn = lines;
        let block = up + &parts.block();
        parts.status.write_all(block.as_bytes())?;
        parts.status.flush()
    }

    /// Leaves the block where it is and draws no more: what comes next is written
    /// below it. Also for whoever is about to write to the terminal past this
    /// screen, as a panic does.
    pub fn leave(&self) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.drawn.clear();
        parts.left = true;
    }

    fn log(&self, line: &[u8]) -> io::Result<()> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if parts.drawn.is_empty() {
            return parts.log.write_all(line);
        }
        let away = parts.up() + "\x1b[J";
        let block = parts.block();
        parts.status.write_all(away.as_bytes())?;
        parts.status.flush()?;
        parts.log.write_all(line)?;
        parts.log.flush()?;
        parts.status.write_all(block.as_bytes())?;
        parts.status.flush()
    }
}

impl Parts {
    /// To the block's first line.
    fn up(&self) -> String {
        match self.drawn.len() {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\r"),
        }
    }

    /// The block. Each line clears what it does not cover and the last one what
    /// is below: clearing first would flicker.
    fn block(&self) -> String {
        let lines = self.drawn.iter();
        let lines: String = lines.map(|line| format!("{line}\x1b[K\n")).collect();
        lines + "\x1b[J"
    }
}

/// The log's way to the screen.
#[derive(Clone)]
pub(super) struct LogWriter(pub(super) Arc<Screen>);

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.log(line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Keeps what is written.
    #[derive(Clone, Default)]
    pub(crate) struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Kept {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A screen whose status and log go to the same terminal.
    pub(crate) fn screen(live: bool) -> (Arc<Screen>, Kept) {
        let kept = Kept::default();
        let screen = Screen::with(live, Box::new(kept.clone()), Box::new(kept.clone()));
        (screen, kept)
    }

    #[test]
    fn a_log_line_goes_above_the_status() {
        let (screen, kept) = screen(true);
        screen.draw(vec!["one".into(), "two".into()]).unwrap();
        screen.log(b"log\n").unwrap();
        screen.draw(vec!["three".into()]).unwrap();
        screen.leave();
        screen.draw(vec!["four".into()]).unwrap();
        screen.log(b"end\n").unwrap();
        assert_eq!(
            kept.text(),
            "one\x1b[K\ntwo\x1b[K\n\x1b[J\
             \x1b[2A\r\x1b[Jlog\none\x1b[K\ntwo\x1b[K\n\x1b[J\
             \x1b[2A\rthree\x1b[K\n\x1b[J\
             end\n"
        );
    }

    #[test]
    fn without_a_terminal_there_is_only_the_log() {
        let (screen, kept) = screen(false);
        screen.draw(vec!["one".into()]).unwrap();
        screen.log(b"log\n").unwrap();
        assert_eq!(kept.text(), "log\n");
    }
}
