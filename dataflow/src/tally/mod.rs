//! What became of the messages of a run: which of them could not be used, and whether
//! so few could that the run is no success.
//!
//! ```text
//!   each worker    Counting: messages, malformed ones, late ones, dead letters
//!       │ Tally, at the end of each epoch, to worker 0 of process 0
//!       ▼
//!   Verdicts       over all workers of all processes, in the order in which they read:
//!       ├─▶ a line in the log: a topic is mostly malformed, a view gets mostly late events
//!       └─▶ --max-dead-letters: the epoch that passes it is not written, nor any later one
//! ```
//!
//! Counts travel as data on timely's streams, so that they belong to an epoch as everything
//! else does: when an epoch is complete, it is known what all workers have made of it,
//! before anything of it is written.

mod count;
mod limit;
mod malformed;
mod operator;
mod record;
mod verdicts;
mod views;
mod window;

pub use count::Counting;
pub use limit::{Limit, OverLimit};
pub use operator::judge;
pub use record::{Kind, LetterTally, Run, Sample, Tally, TopicTally, ViewTally};
pub use verdicts::Verdicts;

use sinks::LetterCount;
use std::sync::Arc;

/// By what a run is judged.
#[derive(Clone, Debug, Default)]
pub struct Judging {
    /// How many dead letters it may have.
    pub limit: Option<Limit>,
    /// What a run before it had counted, that had too many and has committed these.
    pub before: LetterCount,
    /// Whether it ends by itself when it has read what there is.
    pub ends_by_itself: bool,
}

/// What verdicts call topics and views.
#[derive(Clone, Debug)]
pub struct Names {
    /// Full names of the topics, by number.
    pub topics: Arc<[String]>,
    /// Name, time and lateness of the views, by number.
    pub views: Vec<(String, String, String)>,
}

impl Names {
    /// Those of the views of `catalog`, which read `topics`.
    pub fn of(catalog: &crate::views::Catalog, topics: &Arc<[String]>) -> Names {
        let views = catalog.definitions.iter().map(|view| {
            let time = view.time.to_string();
            (view.name.to_owned(), time, view.lateness.to_string())
        });
        Names {
            topics: Arc::clone(topics),
            views: views.collect(),
        }
    }
}
