//! Who may write, and what is said under that right: conditional changes of the one
//! document of `progress`.
//!
//! Each of them names the generation that it is made under, so that the server does it
//! only while that is the current one, however late it comes. What is said of epochs
//! names the epoch as well: a change that was given up and made again, and then comes
//! once more, finds the document as far as itself, or further, and does nothing.

use std::collections::BTreeMap;

use ::mongodb::bson::raw::{RawArrayBuf, RawDocumentBuf, cstr};
use ::mongodb::bson::{DateTime, RawBsonRef, doc, rawdoc};
use ::mongodb::options::{CollectionOptions, ReadConcern};

use super::connection::{Connection, Failure};
use super::documents::long;
use super::standing::{self, COLLECTION, ID, Stored};
use super::{errors, eviction, replies};
use crate::alive::Place;
use crate::claim::{Register, Seen};
use crate::{Holder, LetterCount, Progress, SinkError, WriteIntent};
use model::fail_point;

/// The document as a majority has it, if it is there.
pub(super) async fn look(connection: &Connection) -> Result<Option<Stored>, SinkError> {
    let options = CollectionOptions::builder()
        .read_concern(ReadConcern::majority())
        .build();
    let collection = connection
        .database()
        .collection_with_options::<RawDocumentBuf>(COLLECTION, options);
    let find = collection.find_one(doc! {"_id": ID});
    let found = connection.within(find).await?;
    found
        .map(|document| standing::stored(&document))
        .transpose()
        .map_err(|problem| {
            SinkError::refused(
                connection.describe(),
                format!("a document of {COLLECTION} is not one of ours: {problem}"),
            )
        })
}

/// Fails unless this generation is the current one.
pub(super) async fn check(connection: &Connection, generation: u64) -> Result<Stored, SinkError> {
    let stored = look(connection).await?;
    let holder = stored
        .as_ref()
        .and_then(|stored| stored.standing.holder.clone());
    match (stored, holder) {
        (Some(stored), Some(holder)) if holder.generation == generation => Ok(stored),
        (_, Some(by)) => Err(SinkError::Replaced {
            database: connection.describe().to_owned(),
            generation,
            by,
        }),
        _ => Err(SinkError::refused(
            connection.describe(),
            format!("the document of {COLLECTION}, which says who may write, is gone"),
        )),
    }
}

/// Looks whether this generation is the current one and, if it is told to, answers
/// whoever asks.
pub(super) async fn watch(
    connection: &Connection,
    generation: u64,
    answer: bool,
) -> Result<(), SinkError> {
    let stored = check(connection, generation).await?;
    if let Some(question) = stored.open_question().filter(|_| answer) {
        let filter = rawdoc! {
            "_id": ID, "generation": long(generation), "challenge": question,
        };
        // Where there is another question by now, it is answered the next time.
        change(connection, filter, rawdoc! {"answer": question}).await?;
    }
    Ok(())
}

/// Says that this generation has ended.
pub(super) async fn release(connection: &Connection, generation: u64) -> Result<(), SinkError> {
    let filter = rawdoc! {"_id": ID, "generation": long(generation)};
    let ended = rawdoc! {"$set": {"ended": true}, "$unset": {"dead_letters_counted": ""}};
    match update(connection, filter, ended).await? {
        true => Ok(()),
        false => check(connection, generation).await.map(drop),
    }
}

/// Keeps what a run of this generation has counted.
pub(super) async fn keep_count(
    connection: &Connection,
    generation: u64,
    counted: LetterCount,
) -> Result<(), SinkError> {
    let filter = rawdoc! {"_id": ID, "generation": long(generation)};
    match change(connection, filter, standing::counted(counted)).await? {
        true => Ok(()),
        false => check(connection, generation).await.map(drop),
    }
}

/// Counts one more lane; fails unless this generation is the current one. That it is,
/// is on a majority then, and not only read somewhere.
pub(super) async fn count_writer(
    connection: &Connection,
    generation: u64,
) -> Result<(), SinkError> {
    let filter = rawdoc! {"_id": ID, "generation": long(generation)};
    if update(connection, filter, rawdoc! {"$inc": {"writers": 1_i64}}).await? {
        return Ok(());
    }
    check(connection, generation).await?;
    Err(SinkError::unavailable(
        connection.describe(),
        "who may write changed while it was looked up",
    ))
}

/// Says how far everything is complete.
pub(super) async fn publish(
    connection: &Connection,
    generation: u64,
    progress: &Progress,
) -> Result<(), SinkError> {
    let fields = standing::progress(progress)
        .map_err(|problem| SinkError::refused(connection.describe(), problem))?;
    let epoch = long(progress.epoch);
    let updated_at = DateTime::from_millis(progress.updated_at);
    let filter = rawdoc! {"_id": ID, "generation": long(generation), "$or": [
        {"epoch": null},
        {"epoch": {"$lt": epoch}},
        {"epoch": epoch, "updated_at": {"$lte": updated_at}},
    ]};
    // In front of the others, and in their order, as readers know them.
    let update = rawdoc! {"q": filter, "u": [
        {"$unset": ["epoch", "offsets", "views", "updated_at", "log"]},
        {"$replaceWith": {"$mergeObjects": [{"$literal": fields}, "$$ROOT"]}},
    ]};
    let published = update_one(connection, update).await;
    if published.map_err(|failure| failure.error)? {
        return Ok(());
    }
    let stands = check(connection, generation).await?.standing.progress;
    Err(SinkError::refused(
        connection.describe(),
        format!(
            "{COLLECTION} says that epoch {} is complete, so epoch {} cannot be published",
            stands.map_or(0, |stands| stands.epoch),
            progress.epoch
        ),
    ))
}

/// Says what may be in the database from now on.
pub(super) async fn reach(
    connection: &Connection,
    generation: u64,
    reaching: &WriteIntent,
) -> Result<(), SinkError> {
    let field = standing::reaching(reaching)
        .map_err(|problem| SinkError::refused(connection.describe(), problem))?;
    let filter = rawdoc! {"_id": ID, "generation": long(generation), "$or": [
        {"reaching": null},
        {"reaching.epoch": {"$lt": long(reaching.epoch)}},
    ]};
    if change(connection, filter, field).await? {
        return Ok(());
    }
    // It may have passed before, without its answer.
    let stands = check(connection, generation).await?.standing.reaching;
    reaching.check_said(&stands, connection.describe())
}

/// Records the definitions of the views whose rows are written from now on.
pub(super) async fn define(
    connection: &Connection,
    generation: u64,
    definitions: &BTreeMap<String, String>,
) -> Result<(), SinkError> {
    let field = standing::definitions(definitions)
        .map_err(|problem| SinkError::refused(connection.describe(), problem))?;
    let filter = rawdoc! {"_id": ID, "generation": long(generation)};
    match change(connection, filter, field).await? {
        true => Ok(()),
        false => check(connection, generation).await.map(drop),
    }
}

/// Sets fields of the document if it fits `filter`, and says whether it did; returns
/// when a majority has it.
async fn change(
    connection: &Connection,
    filter: RawDocumentBuf,
    fields: RawDocumentBuf,
) -> Result<bool, SinkError> {
    update(connection, filter, rawdoc! {"$set": fields}).await
}

async fn update(
    connection: &Connection,
    filter: RawDocumentBuf,
    update: RawDocumentBuf,
) -> Result<bool, SinkError> {
    let updated = update_one(connection, rawdoc! {"q": filter, "u": update}).await;
    updated.map_err(|failure| failure.error)
}

async fn update_one(connection: &Connection, update: RawDocumentBuf) -> Result<bool, Failure> {
    let replicated = connection.is_replicated().await?;
    let mut updates = RawArrayBuf::new();
    updates.push(update);
    let mut command = rawdoc! {"update": COLLECTION};
    command.append(cstr!("updates"), updates);
    command.append(cstr!("writeConcern"), connection.write_concern(replicated));
    let reply = connection.run_code(command).await?;
    replies::count(connection.describe(), COLLECTION, &reply).map(|count| count > 0)
}

/// A claim that goes to this connection.
impl Register for Connection {
    fn look(&self) -> Result<Option<Seen>, SinkError> {
        let stored = self.block_on(look(self))?;
        Ok(stored.and_then(|stored| stored.seen()))
    }

    fn take(
        &self,
        last: Option<u64>,
        holder: &Holder,
        place: Option<&Place>,
    ) -> Result<bool, SinkError> {
        let mut filter = rawdoc! {"_id": ID};
        match last {
            Some(last) => filter.append(cstr!("generation"), long(last)),
            // None at all: also where there is a document of a version that had none.
            None => filter.append(cstr!("generation"), RawBsonRef::Null),
        }
        let update = rawdoc! {
            "q": filter,
            "u": {
                "$set": standing::holder(holder, place),
                "$unset": {"challenge": "", "answer": ""},
            },
            "upsert": last.is_none(),
        };
        self.block_on(async {
            match update_one(self, update).await {
                Ok(false) => return Ok(false),
                Ok(true) => {}
                // Whoever was quicker has made the document.
                Err(failure) if failure.code == Some(errors::DUPLICATE_KEY) => return Ok(false),
                Err(failure) => return Err(failure.error),
            }
            fail_point("claim.raised");
            eviction::evict(self, holder.generation)
                .await
                .map(|()| true)
        })
    }

    fn ask(&self, generation: u64, question: i64) -> Result<(), SinkError> {
        let filter = rawdoc! {"_id": ID, "generation": long(generation)};
        let asked = change(self, filter, rawdoc! {"challenge": question});
        self.block_on(asked).map(drop)
    }

    fn describe(&self) -> &str {
        Connection::describe(self)
    }
}
