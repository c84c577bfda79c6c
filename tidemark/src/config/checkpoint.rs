//! What is asked about a checkpoint.

/// A question about the newest checkpoint at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckpointQuestion {
    /// What is it?
    Inspect {
        /// The place, as it was given.
        url: String,
        /// Whether the answer is for a program.
        json: bool,
    },
    /// Is it whole?
    Verify {
        /// The place, as it was given.
        url: String,
    },
}
