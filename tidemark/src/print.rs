//! What commands print. Whoever reads it may have read enough and close it, as `head` does:
//! that is no error of the command.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

/// Prints an answer on standard output.
///
/// # Errors
/// When it cannot be written although somebody reads: a full disk.
pub(crate) fn answer(text: &[u8]) -> io::Result<()> {
    whole(&mut io::stdout().lock(), text)
}

/// Prints the line on standard error that says why a command failed.
pub(crate) fn failure(error: &dyn Display) {
    // If nobody reads it, there is nobody else to tell.
    let _ = writeln!(io::stderr(), "tidemark: {error}");
}

fn whole(out: &mut impl Write, text: &[u8]) -> io::Result<()> {
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Closed(ErrorKind);

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_has_read_enough_is_no_error() {
        assert!(whole(&mut Closed(ErrorKind::BrokenPipe), b"text").is_ok());
        assert!(whole(&mut Closed(ErrorKind::StorageFull), b"text").is_err());
    }
}
