//! What all Kafka clients of this workspace share: which properties they take, and what is
//! wrong with those that a user gave.
//!
//! ```text
//!   properties ─▶ check ─▶ PropertyError, which names what would be right
//!              ─▶ secret: may it stand on a command line?
//!              ─▶ trust: whose certificates are believed where none are named
//!   what a client reports of a broker ─▶ reason: which broker, and why
//! ```

mod java;
mod properties;
mod reason;
mod secret;
mod trust;

pub use properties::{PropertyError, check};
pub use reason::Reason;
pub use secret::{file_instead, is_secret};
pub use trust::trust;
