//! What a checkpoint is, and whether it is whole: `tidemark checkpoint`.

mod inspect;
mod verify;

use crate::config::CheckpointQuestion;
use checkpoint::CheckpointError;

/// Answers a question about a checkpoint, on standard output.
///
/// # Errors
/// When there is no checkpoint, it cannot be read, or it is not whole.
pub(crate) fn answer(question: &CheckpointQuestion) -> Result<(), CheckpointError> {
    match question {
        CheckpointQuestion::Inspect { url, json } => inspect::inspect(url, *json),
        CheckpointQuestion::Verify { url } => verify::verify(url),
    }
}
