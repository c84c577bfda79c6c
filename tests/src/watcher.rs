//! A reader that follows everything in a database all the time, and holds against the
//! pipeline whatever it was promised would never be seen.
//!
//! ```text
//!   MongoDB ─▶ change stream, on a majority ─▶ Promises ─▶ complaints
//! ```
//!
//! What is right in the end may have been wrong on the way: the oracle compares the
//! end, this the way.

use crate::mongo::{Mongo, block_on};
use crate::oracle::{REVENUE, Store, VIEWS};
use crate::poll::eventually;
use mongodb::bson::{Bson, Document, doc};
use mongodb::change_stream::ChangeStream;
use mongodb::change_stream::event::{ChangeStreamEvent, OperationType};
use mongodb::options::FullDocumentType;
use std::collections::BTreeMap;
use std::thread::JoinHandle;
use std::time::Duration;

/// How long the database may be between two primaries.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where the end of the watch is marked.
const END: &str = "end_of_watch";

/// Follows a database until it is finished.
pub struct Watcher {
    mongo: Mongo,
    thread: JoinHandle<Promises>,
}

/// What has been seen, for a test to be sure that there was something to see.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Writes of rows.
    pub rows: usize,
    /// Rows that became final.
    pub finals: usize,
    /// Dead letters.
    pub letters: usize,
    /// Changes of `progress`.
    pub progress: usize,
    /// The greatest generation.
    pub generation: i64,
}

/// What is known of the documents, and what was wrong.
#[derive(Debug, Default)]
struct Promises {
    /// By collection and `_id`: the last state, also of what has been deleted.
    rows: BTreeMap<(String, String), Row>,
    letters: BTreeMap<String, Document>,
    progress: Document,
    seen: Seen,
    complaints: Vec<String>,
}

#[derive(Debug, Default)]
struct Row {
    document: Document,
    deleted: bool,
}

impl Watcher {
    /// Begins to follow, from what is there already. Nobody should write meanwhile.
    ///
    /// # Panics
    /// When the database cannot be followed.
    pub fn follow(mongo: &Mongo) -> Watcher {
        keep_what_progress_becomes(mongo);
        let stream = block_on(async {
            let watch = mongo.database().watch();
            let watch = watch.full_document(FullDocumentType::WhenAvailable);
            watch.await.expect("a change stream")
        });
        let mut promises = Promises::of(mongo);
        let follow = {
            let mongo = mongo.clone();
            move || {
                let mut stream = stream;
                loop {
                    match block_on(stream.next_if_any()) {
                        Ok(Some(event)) if promises.take_in(&event) => {}
                        Ok(Some(_)) => return promises,
                        Ok(None) => {}
                        // The driver goes on by itself once, and not for as long as it
                        // takes.
                        Err(_) => stream = again(&mongo, &stream),
                    }
                }
            }
        };
        Watcher {
            mongo: mongo.clone(),
            thread: std::thread::spawn(follow),
        }
    }

    /// Waits until all has been seen that is written by now.
    ///
    /// # Panics
    /// When something has been seen that never should be.
    pub fn finish(self) -> Seen {
        block_on(async {
            let end = self.mongo.database().collection(END);
            end.insert_one(doc! {}).await.expect("an answer");
        });
        let promises = self.thread.join().expect("the watch goes on");
        let complaints = &promises.complaints;
        let first: Vec<_> = complaints.iter().take(10).cloned().collect();
        assert!(
            complaints.is_empty(),
            "{} broken promises:\n{}",
            complaints.len(),
            first.join("\n")
        );
        promises.seen
    }
}

/// Has MongoDB keep what each change of `progress` made of it. Rows are replaced as a
/// whole, and come with it. Of a document that is looked up, a change says what it is by
/// then, which may be newer than what the next change says.
fn keep_what_progress_becomes(mongo: &Mongo) {
    let database = mongo.database();
    let images = doc! {"changeStreamPreAndPostImages": {"enabled": true}};
    let mut change = doc! {"collMod": "progress"};
    change.extend(images.clone());
    let mut create = doc! {"create": "progress"};
    create.extend(images);
    block_on(async {
        let changed = database.run_command(change).await;
        if changed.is_err() {
            let created = database.run_command(create).await;
            created.expect("a collection that keeps what it becomes");
        }
    });
}

type Changes = ChangeStream<ChangeStreamEvent<Document>>;

/// Follows a database on from where another stream of changes has failed.
fn again(mongo: &Mongo, failed: &Changes) -> Changes {
    let token = failed.resume_token();
    eventually("the changes can be followed on", PATIENCE, || {
        let watch = mongo.database().watch().resume_after(token.clone());
        let watch = watch.full_document(FullDocumentType::WhenAvailable);
        block_on(async { watch.await }).map_err(|fault| fault.to_string())
    })
}

impl Promises {
    /// What is known when a database is first looked at.
    fn of(mongo: &Mongo) -> Promises {
        let mut promises = Promises::default();
        for view in &VIEWS {
            for document in mongo.documents(view.name) {
                let id = document.get_str("_id").expect("a row's id").to_owned();
                promises.row(view.name, &id, Some(document));
            }
        }
        for letter in mongo.documents("dead_letters") {
            let id = letter.get_str("_id").expect("a letter's id").to_owned();
            promises.letter(&id, Some(letter));
        }
        for progress in mongo.documents("progress") {
            promises.progress(progress);
        }
        promises.seen = Seen::default();
        promises
    }

    /// Takes in a change; `false`: it was the last.
    fn take_in(&mut self, event: &ChangeStreamEvent<Document>) -> bool {
        let collection = event.ns.as_ref().and_then(|ns| ns.coll.clone());
        let collection = collection.unwrap_or_default();
        let key = event.document_key.as_ref();
        let id = key.and_then(|key| key.get_str("_id").ok()).unwrap_or("");
        let document = match event.operation_type {
            OperationType::Insert | OperationType::Replace | OperationType::Update => {
                event.full_document.clone()
            }
            OperationType::Delete => None,
            // Collections come, and go with the test.
            _ => return true,
        };
        let is_row = VIEWS.iter().any(|view| view.name == collection);
        match (collection.as_str(), document) {
            (END, _) => return false,
            ("progress", Some(document)) => self.progress(document),
            ("progress", None) => self.complain(format!("{event:?}")),
            // Where the fence stands. No reader is promised anything of it.
            ("tidemark_writers", _) => {}
            ("dead_letters", document) => self.letter(id, document),
            (_, document) if is_row => self.row(&collection, id, document),
            _ => self.complain(format!("nobody should write this: {event:?}")),
        }
        true
    }

    fn complain(&mut self, complaint: String) {
        self.complaints.push(complaint);
    }

    fn row(&mut self, view: &str, id: &str, document: Option<Document>) {
        self.seen.rows += 1;
        let row = self.rows.entry((view.to_owned(), id.to_owned()));
        let row = row.or_default();
        let before = std::mem::take(row);
        let Some(document) = document else {
            row.document = before.document.clone();
            row.deleted = true;
            if view != REVENUE || is_final(&before.document) {
                self.complain(format!("{view}: {} is deleted", before.document));
            }
            return;
        };
        row.document = document.clone();
        if is_final(&document) {
            self.seen.finals += 1;
        }
        for complaint in changed(view, &before.document, &document) {
            let before = &before.document;
            self.complain(format!("{view}: {complaint}: {before} becomes {document}"));
        }
    }

    fn letter(&mut self, id: &str, document: Option<Document>) {
        self.seen.letters += 1;
        let Some(mut document) = document else {
            if self.letters.remove(id).is_none() {
                self.complain(format!("no such letter is deleted: {id}"));
            }
            return;
        };
        document.remove("epoch");
        let before = self.letters.insert(id.to_owned(), document.clone());
        if let Some(before) = before.filter(|before| *before != document) {
            self.complain(format!("dead letter {before} becomes {document}"));
        }
    }

    fn progress(&mut self, document: Document) {
        self.seen.progress += 1;
        if let Ok(generation) = document.get_i64("generation") {
            self.seen.generation = self.seen.generation.max(generation);
        }
        let mut back = Vec::new();
        goes_back("progress", &self.progress, &document, &mut back);
        for place in back {
            let before = &self.progress;
            self.complain(format!("{place} goes back: {before} becomes {document}"));
        }
        self.progress = document;
    }
}

fn is_final(document: &Document) -> bool {
    document.get_bool("final").unwrap_or(false)
}

/// What a row must not become.
fn changed(view: &str, before: &Document, after: &Document) -> Vec<String> {
    let mut complaints = Vec::new();
    if is_final(before) {
        complaints.push("it was final".to_owned());
    }
    let epoch = |document: &Document| document.get_i64("epoch").unwrap_or(0);
    if epoch(after) < epoch(before) && !is_final(after) {
        complaints.push("an older epoch".to_owned());
    }
    // Only where events are joined do they leave rows again.
    if view != REVENUE {
        for (name, value) in after {
            if let (Bson::Int64(now), Ok(then)) = (value, before.get_i64(name))
                && name != "epoch"
                && *now < then
            {
                complaints.push(format!("less {name}"));
            }
        }
    }
    complaints
}

/// Adds the places of numbers and dates in `before` that are less in `after`, or gone.
fn goes_back(place: &str, before: &Document, after: &Document, back: &mut Vec<String>) {
    for (name, was) in before {
        // These are of the run, and not of how far it has come; or of the message that was
        // read last, which may have any time.
        if [
            "holder",
            "challenge",
            "answer",
            "ended",
            "writers",
            "updated_at",
            "dead_letters_counted",
            "timestamp",
            "hash",
        ]
        .contains(&name.as_str())
        {
            continue;
        }
        let place = format!("{place}.{name}");
        match (was, after.get(name)) {
            (Bson::Document(was), Some(Bson::Document(is))) => goes_back(&place, was, is, back),
            (Bson::Int64(was), Some(Bson::Int64(is))) if is >= was => {}
            (Bson::DateTime(was), Some(Bson::DateTime(is))) if is >= was => {}
            (was, Some(is)) if was == is => {}
            _ => back.push(place),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::DateTime;

    fn row(epoch: i64, total: i64, is_final: bool) -> Option<Document> {
        Some(doc! {"_id": "a", "total_logs": total, "final": is_final, "epoch": epoch})
    }

    fn complaints(view: &str, states: &[Option<Document>]) -> usize {
        let mut promises = Promises::default();
        for state in states {
            promises.row(view, "a", state.clone());
        }
        promises.complaints.len()
    }

    #[test]
    fn a_row_grows_until_it_is_final() {
        let (first, last) = (row(1, 1, false), row(2, 5, true));
        let good = [first.clone(), row(3, 5, false), last.clone()];
        assert_eq!(complaints("log_analysis", &good), 0);
        for bad in [row(1, 6, false), row(9, 5, true), None] {
            assert_ne!(complaints("log_analysis", &[last.clone(), bad]), 0);
        }
        let less = [row(1, 2, false), row(2, 1, false)];
        assert_eq!(complaints("log_analysis", &less), 1);
        assert_eq!(complaints(REVENUE, &less), 0);
        let older = [row(2, 1, false), None, row(1, 1, false)];
        assert_eq!(complaints(REVENUE, &older), 1);
        assert_eq!(complaints(REVENUE, &[first, None, row(2, 1, false)]), 0);
    }

    #[test]
    fn a_letter_stays_as_it_is() {
        let mut promises = Promises::default();
        for epoch in [1_i64, 2] {
            promises.letter("t/0/1", Some(doc! {"reason": "late", "epoch": epoch}));
        }
        promises.letter("t/0/1", None);
        assert!(promises.complaints.is_empty());
        promises.letter("t/0/1", Some(doc! {"reason": "late"}));
        promises.letter("t/0/1", Some(doc! {"reason": "malformed"}));
        promises.letter("t/0/2", None);
        assert_eq!(promises.complaints.len(), 2);
    }

    #[test]
    fn progress_never_goes_back() {
        let of = |epoch: i64, offset: i64, until: i64| {
            let view = doc! {"final_until": DateTime::from_millis(until)};
            doc! {
                "epoch": epoch, "offsets": {"a.b": {"0": offset}}, "views": {"log": view},
                "updated_at": DateTime::from_millis(-epoch),
            }
        };
        let back = |after: &Document| {
            let mut back = Vec::new();
            goes_back("progress", &of(5, 5, 5), after, &mut back);
            back
        };
        assert!(back(&of(5, 6, 7)).is_empty());
        assert_eq!(back(&of(4, 5, 6)), ["progress.epoch"]);
        assert_eq!(back(&of(5, 4, 6)), ["progress.offsets.a.b.0"]);
        assert_eq!(back(&of(5, 5, 4)), ["progress.views.log.final_until"]);
        assert_eq!(back(&doc! {}).len(), 3);
    }
}
