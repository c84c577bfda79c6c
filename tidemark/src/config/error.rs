//! What is wrong with the command line, the environment or the file.

use crate::print;
use std::process::ExitCode;

/// Wrong usage or configuration: which setting, where it was given, and what it
/// takes.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The command line itself: an unknown flag, a missing value. Also the
    /// answers to `--help` and `--version`, which are no errors at all.
    #[error("{0}")]
    Usage(#[from] Box<clap::Error>),
    /// A setting, wherever it was given.
    #[error("{place}: {problem}")]
    Setting {
        /// Where: `--epoch`, `TIDEMARK_EPOCH`, or `tidemark.toml: epoch`.
        place: String,
        /// What is wrong and what it takes.
        problem: String,
    },
}

impl ConfigError {
    /// A setting at `place` that is wrong, and what it takes.
    pub fn setting(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Setting {
            place: place.into(),
            problem: problem.into(),
        }
    }

    /// Tells the user: on standard error with exit code 2, or, where help or
    /// the version were asked for, on standard output with exit code 0.
    pub fn report(&self) -> ExitCode {
        match self {
            Self::Usage(usage) => {
                // Nobody is left to tell if this cannot be printed.
                let _ = usage.print();
                match usage.exit_code() {
                    0 => ExitCode::SUCCESS,
                    _ => ExitCode::from(2),
                }
            }
            Self::Setting { .. } => {
                print::failure(self);
                ExitCode::from(2)
            }
        }
    }
}

/// ` (did you mean …?)` for the one of `valid` that is nearest to `wrong`, or
/// nothing where none is near.
pub(super) fn did_you_mean<'a>(wrong: &str, valid: impl IntoIterator<Item = &'a str>) -> String {
    nearest(wrong, valid)
        .map(|name| format!(", did you mean {name}?"))
        .unwrap_or_default()
}

/// The one of `valid` that `wrong` was probably meant to be.
pub(super) fn nearest<'a>(
    wrong: &str,
    valid: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    valid
        .into_iter()
        .map(|name| (strsim::jaro_winkler(wrong, name), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}
