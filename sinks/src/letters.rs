//! Which dead letters are asked for.

use crate::Reason;

/// A page of dead letters, those of the newest messages first.
#[derive(Debug, Clone, Default)]
pub struct LetterQuery {
    /// Of this reason alone.
    pub reason: Option<Reason>,
    /// Of this topic alone, by its full name.
    pub topic: Option<String>,
    /// The one with this id alone.
    pub id: Option<String>,
    /// Letters to return at the most.
    pub limit: u32,
    /// Letters to skip.
    pub offset: u32,
}

impl LetterQuery {
    /// The reasons that are asked for. There are indexes by reason and time: by naming
    /// all of them, all are read in order, too.
    pub(crate) fn reasons(&self) -> impl Iterator<Item = &'static str> {
        let asked = self.reason;
        Reason::ALL
            .into_iter()
            .filter(move |reason| asked.is_none_or(|asked| asked == *reason))
            .map(Reason::as_str)
    }
}
