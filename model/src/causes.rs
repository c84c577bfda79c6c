//! Errors in full.

use std::error::Error;
use std::fmt::Write as _;

/// An error with what caused it, each said once: a library's own sentence often says
/// little without.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            // Writing to a String does not fail.
            let _ = write!(text, ": {said}");
        }
        source = cause.source();
    }
    text
}
