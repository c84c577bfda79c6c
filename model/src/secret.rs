//! A text that must not be seen.

use std::fmt;

/// A password, or a text that may hold one. It can be used, not shown: `Debug`
/// and `Display` write `[redacted]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for whoever needs it to connect.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_used_but_not_shown() {
        let secret = Secret::new("mongodb://ann:hunter2@db");
        assert_eq!(secret.expose(), "mongodb://ann:hunter2@db");
        assert_eq!(format!("{secret} {secret:?}"), "[redacted] [redacted]");
    }
}
