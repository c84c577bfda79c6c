//! The oracle: what every view must say, recomputed from what lies in Kafka.
//!
//! It is written to be obviously right and nothing else: it holds all events in
//! memory, groups them with ordered maps and computes each row from the list of
//! its events. It shares no code with the pipeline, down to its own reading of
//! times and decimals, so that an error would have to be made twice.
//!
//! ```text
//!   Log ──▶ decode ──┬─▶ events ──▶ rows of each view ──▶ compare with MongoDB, SQLite
//!                    └─▶ rejects ──▶ compare with dead_letters
//! ```

mod average;
mod compare;
mod dead_letters;
mod decode;
mod json;
mod progress;
mod time;
mod views;

pub use compare::{Differences, compare_view};
pub use dead_letters::compare_dead_letters;
pub use decode::{Event, Judged, Reject, Value, judge};
pub use progress::{compare_progress, offsets};
pub use time::parse as parse_time;
pub use views::{Field, Key, Rows, VIEWS, View, expected};

use crate::kafka::Log;
use mongodb::bson::{Bson, Document};

/// A database that the pipeline has written.
pub trait Store {
    /// Everything in a collection, or in a table, as documents.
    fn documents(&self, collection: &str) -> Vec<Document>;
}

/// Whether a document says in which epoch it was written: epochs begin with 1.
fn has_epoch(document: &Document) -> bool {
    matches!(document.get("epoch"), Some(Bson::Int64(epoch)) if *epoch > 0)
}

/// Compares everything that the pipeline wrote with what `log` says.
///
/// # Errors
/// With what differs, for a person to read.
pub fn compare(log: &Log, prefix: &str, store: &dyn Store) -> Result<(), String> {
    let judged = judge(log, prefix);
    let mut complaints = Vec::new();
    for view in &VIEWS {
        let documents = store.documents(view.name);
        complaints.extend(compare_view(view, &expected(view, &judged.events), &documents).err());
    }
    let dead_letters = store.documents("dead_letters");
    complaints.extend(compare_dead_letters(&judged.rejects, &dead_letters).err());
    complaints.extend(compare_progress(log, &store.documents("progress")).err());
    if complaints.is_empty() {
        Ok(())
    } else {
        Err(complaints.join("\n"))
    }
}
