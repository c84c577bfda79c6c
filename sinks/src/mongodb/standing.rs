//! The one document of `progress` as BSON: how far everything is complete, what may be
//! there beyond that, and who may write.
//!
//! ```text
//!   {_id: "tidemark",
//!    epoch: long, offsets: {topic: {"0": long}},
//!    views: {view: {watermark: date, final_until: date} | {rebuilding: true}}, updated_at: date, log: {…},
//!    reaching: {epoch: long, offsets: {topic: {"0": long}}, log: {…},
//!               limits: {topic: {"0": [{offset: long, until: long}]}}},
//!    generation: long, ended: bool,
//!    holder: {host: string, process: long, started_at: date, place: string|null},
//!    definitions: {view: string},
//!    challenge: long, answer: long, writers: long,
//!    dead_letters_counted: {messages: long, letters: long}}
//! ```
//!
//! What is in `log`, says [`stored_log`]. Each part is set as a whole, and apart from the others; the first comes first. Before anything has been
//! published, there are no fields of the first part; a document of a version before
//! there were generations has only those.

use std::collections::{BTreeMap, BTreeSet};

use ::mongodb::bson::raw::{CString, RawArrayBuf, RawBson, RawDocument, RawDocumentBuf, cstr};
use ::mongodb::bson::{DateTime, RawBsonRef, rawdoc};

use super::documents::long;
use super::stored_log;
use crate::alive::Place;
use crate::claim::Seen;
use crate::{Holder, LetterCount, Limit, Limits, Progress, Standing, ViewProgress, WriteIntent};

/// The collection.
pub(super) const COLLECTION: &str = "progress";

/// `_id` of its one document.
pub(super) const ID: &str = "tidemark";

type Offsets = BTreeMap<String, BTreeMap<i32, i64>>;

/// The document with the fields of `progress` alone; an error names the topic or view that cannot be one.
pub(super) fn progress(progress: &Progress) -> Result<RawDocumentBuf, String> {
    let mut views = RawDocumentBuf::new();
    for (view, reached) in &progress.views {
        let ViewProgress {
            watermark,
            final_until,
        } = *reached;
        let of_view = rawdoc! {
            "watermark": DateTime::from_millis(watermark),
            "final_until": DateTime::from_millis(final_until),
        };
        views.append(view_name(view)?, of_view);
    }
    let built = progress.rebuilding.iter();
    for view in built.filter(|view| !progress.views.contains_key(*view)) {
        views.append(view_name(view)?, rawdoc! {"rebuilding": true});
    }
    let mut fields = rawdoc! {"_id": ID};
    fields.append(cstr!("epoch"), long(progress.epoch));
    fields.append(cstr!("offsets"), offsets(&progress.offsets)?);
    fields.append(cstr!("views"), views);
    fields.append(
        cstr!("updated_at"),
        DateTime::from_millis(progress.updated_at),
    );
    fields.append(cstr!("log"), stored_log::document(&progress.log)?);
    Ok(fields)
}

/// The field of `reaching`; an error names the topic that cannot be one.
pub(super) fn reaching(reaching: &WriteIntent) -> Result<RawDocumentBuf, String> {
    let offsets = offsets(&reaching.offsets)?;
    let log = stored_log::document(&reaching.log)?;
    let mut inner = rawdoc! {"epoch": long(reaching.epoch), "offsets": offsets, "log": log};
    if let Some(limits) = &reaching.limits {
        inner.append(
            cstr!("limits"),
            by_place(limits, |limits| limits_of(limits))?,
        );
    }
    Ok(rawdoc! {"reaching": inner})
}

/// The limits of a partition, in milliseconds and not as dates: they may lie beyond those.
fn limits_of(limits: &[Limit]) -> RawArrayBuf {
    let limit = |Limit { offset, until }: &Limit| rawdoc! {"offset": *offset, "until": *until};
    limits.iter().map(limit).collect()
}

/// The field of the definitions of views; an error names the view that cannot be one.
pub(super) fn definitions(
    definitions: &BTreeMap<String, String>,
) -> Result<RawDocumentBuf, String> {
    let mut of_views = RawDocumentBuf::new();
    for (view, definition) in definitions {
        of_views.append(view_name(view)?, definition.as_str());
    }
    Ok(rawdoc! {"definitions": of_views})
}

fn view_name(view: &str) -> Result<CString, String> {
    CString::try_from(view).map_err(|error| format!("view {view:?}: {error}"))
}

/// The field of what a run has counted.
pub(super) fn counted(counted: LetterCount) -> RawDocumentBuf {
    let LetterCount { messages, letters } = counted;
    let counted = rawdoc! {"messages": long(messages), "letters": long(letters)};
    rawdoc! {"dead_letters_counted": counted}
}

/// The fields of a holder that has just claimed.
pub(super) fn holder(holder: &Holder, place: Option<&Place>) -> RawDocumentBuf {
    let mut inner = rawdoc! {
        "host": holder.host.as_str(),
        "process": i64::from(holder.process),
        "started_at": DateTime::from_millis(holder.started_at),
    };
    match place.map(Place::text) {
        Some(place) => inner.append(cstr!("place"), place.as_str()),
        None => inner.append(cstr!("place"), RawBsonRef::Null),
    }
    rawdoc! {"generation": long(holder.generation), "ended": false, "holder": inner}
}

fn offsets(offsets: &Offsets) -> Result<RawDocumentBuf, String> {
    by_place(offsets, |offset| *offset)
}

/// What is known of each partition, as `value` says, under the names of the topics.
fn by_place<T, V: Into<RawBson>>(
    known: &BTreeMap<String, BTreeMap<i32, T>>,
    value: impl Fn(&T) -> V,
) -> Result<RawDocumentBuf, String> {
    let mut document = RawDocumentBuf::new();
    for (topic, partitions) in known {
        let mut of_topic = RawDocumentBuf::new();
        for (partition, of_partition) in partitions {
            let partition = CString::try_from(partition.to_string())
                .map_err(|error| format!("partition {partition}: {error}"))?;
            let value: RawBson = value(of_partition).into();
            of_topic.append(&partition, value);
        }
        // Dots in a topic's name stay dots: within a value they are part of the
        // field's name, not a path.
        let topic = CString::try_from(topic.as_str())
            .map_err(|error| format!("topic {topic:?}: {error}"))?;
        document.append(&topic, of_topic);
    }
    Ok(document)
}

/// The document, understood.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) standing: Standing,
    place: Option<Place>,
    challenge: Option<i64>,
    answer: Option<i64>,
}

impl Stored {
    /// Who may write, if anybody has ever claimed it.
    pub(super) fn seen(&self) -> Option<Seen> {
        let holder = self.standing.holder.clone()?;
        Some(Seen {
            holder,
            place: self.place.clone(),
            ended: self.standing.ended,
            answer: self.answer,
        })
    }

    /// The question that nobody has answered yet.
    pub(super) fn open_question(&self) -> Option<i64> {
        self.challenge
            .filter(|challenge| self.answer != Some(*challenge))
    }
}

/// Understands the document; an error says what is not as it was written.
pub(super) fn stored(document: &RawDocument) -> Result<Stored, String> {
    let wrong = |error: ::mongodb::bson::error::Error| error.to_string();
    let mut standing = Standing::default();
    if document.get("epoch").map_err(wrong)?.is_some() {
        standing.progress = Some(stored_progress(document)?);
    }
    if let Some(reaching) = document.get("reaching").map_err(wrong)? {
        let reaching = reaching.as_document().ok_or("reaching is no document")?;
        standing.reaching = WriteIntent {
            epoch: number(reaching, "epoch")?,
            offsets: stored_offsets(reaching)?,
            limits: stored_limits(reaching)?,
            log: stored_log::stored(reaching)?,
        };
    }
    standing.definitions = stored_definitions(document)?;
    if let Some(counted) = document.get("dead_letters_counted").map_err(wrong)? {
        let counted = counted
            .as_document()
            .ok_or("dead_letters_counted is no document")?;
        standing.counted = Some(LetterCount {
            messages: number(counted, "messages")?,
            letters: number(counted, "letters")?,
        });
    }
    let mut place = None;
    if document.get("generation").map_err(wrong)?.is_some() {
        let holder = document.get_document("holder").map_err(wrong)?;
        standing.ended = document.get_bool("ended").map_err(wrong)?;
        standing.holder = Some(Holder {
            generation: number(document, "generation")?,
            host: holder.get_str("host").map_err(wrong)?.to_owned(),
            process: u32::try_from(number(holder, "process")?)
                .map_err(|error| format!("process: {error}"))?,
            started_at: holder
                .get_datetime("started_at")
                .map_err(wrong)?
                .timestamp_millis(),
        });
        place = holder.get_str("place").ok().and_then(Place::parse);
    }
    let long = |name| match document.get(name) {
        Ok(Some(RawBsonRef::Int64(long))) => Some(long),
        _ => None,
    };
    Ok(Stored {
        standing,
        place,
        challenge: long("challenge"),
        answer: long("answer"),
    })
}

fn number(document: &RawDocument, name: &str) -> Result<u64, String> {
    let number = document.get_i64(name).map_err(|error| error.to_string())?;
    u64::try_from(number).map_err(|_| format!("{name} {number} is below zero"))
}

fn stored_progress(document: &RawDocument) -> Result<Progress, String> {
    let (views, rebuilding) = stored_views(document)?;
    Ok(Progress {
        epoch: number(document, "epoch")?,
        offsets: stored_offsets(document)?,
        views,
        rebuilding,
        limits: None,
        updated_at: document
            .get_datetime("updated_at")
            .map_err(|error| error.to_string())?
            .timestamp_millis(),
        log: stored_log::stored(document)?,
    })
}

fn stored_offsets(document: &RawDocument) -> Result<Offsets, String> {
    let offsets = document.get_document("offsets");
    stored_by_place(offsets.map_err(|error| error.to_string())?, |offset| {
        offset.as_i64().ok_or_else(|| "is no long".to_owned())
    })
}

/// None where it was written before there were limits.
fn stored_limits(document: &RawDocument) -> Result<Option<Limits>, String> {
    let Some(limits) = document.get("limits").map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    let limits = limits.as_document().ok_or("limits are no document")?;
    stored_by_place(limits, |limits| {
        let limits = limits.as_array().ok_or("has limits that are no array")?;
        let limit = |limit: Result<RawBsonRef<'_>, _>| {
            let limit = limit.ok()?;
            let limit = limit.as_document()?;
            Some(Limit {
                offset: limit.get_i64("offset").ok()?,
                until: limit.get_i64("until").ok()?,
            })
        };
        let all: Option<Vec<Limit>> = limits.into_iter().map(limit).collect();
        all.ok_or_else(|| "has a limit without offset or until".to_owned())
    })
    .map(Some)
}

/// The other way of [`by_place`].
fn stored_by_place<T>(
    document: &RawDocument,
    value: impl Fn(RawBsonRef<'_>) -> Result<T, String>,
) -> Result<BTreeMap<String, BTreeMap<i32, T>>, String> {
    let wrong = |error: ::mongodb::bson::error::Error| error.to_string();
    let mut known = BTreeMap::new();
    for entry in document {
        let (topic, partitions) = entry.map_err(wrong)?;
        let partitions = partitions
            .as_document()
            .ok_or_else(|| format!("what is said of {} is no document", topic.as_str()))?;
        let mut of_topic = BTreeMap::new();
        for entry in partitions {
            let (partition, found) = entry.map_err(wrong)?;
            let place = || format!("{}/{}", topic.as_str(), partition.as_str());
            let number = partition.as_str().parse();
            of_topic.insert(
                number.map_err(|error| format!("{}: {error}", place()))?,
                value(found).map_err(|problem| format!("{} {problem}", place()))?,
            );
        }
        known.insert(topic.as_str().to_owned(), of_topic);
    }
    Ok(known)
}

/// How far the views of a progress document have come, and which are being built: none where it was
/// written before there were watermarks.
#[allow(clippy::type_complexity, reason = "two fields of `Progress`")]
fn stored_views(
    document: &RawDocument,
) -> Result<(BTreeMap<String, ViewProgress>, BTreeSet<String>), String> {
    let wrong = |error: ::mongodb::bson::error::Error| error.to_string();
    let (mut views, mut rebuilding) = (BTreeMap::new(), BTreeSet::new());
    let Some(found) = document.get("views").map_err(wrong)? else {
        return Ok((views, rebuilding));
    };
    for entry in found.as_document().ok_or("views are no document")? {
        let (view, reached) = entry.map_err(wrong)?;
        let is_built = reached
            .as_document()
            .map(|reached| reached.get_bool("rebuilding"));
        if let Some(Ok(true)) = is_built {
            rebuilding.insert(view.as_str().to_owned());
            continue;
        }
        let millis = |name| {
            let date = reached
                .as_document()
                .and_then(|reached| reached.get_datetime(name).ok());
            date.map(DateTime::timestamp_millis)
                .ok_or_else(|| format!("{name} of {} is no date", view.as_str()))
        };
        let reached = ViewProgress {
            watermark: millis("watermark")?,
            final_until: millis("final_until")?,
        };
        views.insert(view.as_str().to_owned(), reached);
    }
    Ok((views, rebuilding))
}

/// The definitions of views: none where the document was written before they were recorded.
fn stored_definitions(document: &RawDocument) -> Result<BTreeMap<String, String>, String> {
    let wrong = |error: ::mongodb::bson::error::Error| error.to_string();
    let mut definitions = BTreeMap::new();
    let Some(found) = document.get("definitions").map_err(wrong)? else {
        return Ok(definitions);
    };
    for entry in found.as_document().ok_or("definitions are no document")? {
        let (view, definition) = entry.map_err(wrong)?;
        let view = view.as_str();
        let definition = definition
            .as_str()
            .ok_or_else(|| format!("the definition of {view} is no string"))?;
        definitions.insert(view.to_owned(), definition.to_owned());
    }
    Ok(definitions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Log, LogIdentity};
    use ::mongodb::bson::{Document, doc};

    fn some_progress() -> Progress {
        Progress {
            epoch: 12,
            offsets: BTreeMap::from([
                ("shop.orders.v1".into(), BTreeMap::from([(0, 5), (11, 7)])),
                ("empty".into(), BTreeMap::new()),
            ]),
            views: BTreeMap::from([(
                "sales".into(),
                ViewProgress {
                    watermark: 1_699_999_999_999,
                    final_until: -1,
                },
            )]),
            rebuilding: BTreeSet::from(["stock".into()]),
            limits: None,
            updated_at: 1_700_000_000_000,
            log: some_log(),
        }
    }

    fn some_log() -> Log {
        Log {
            identity: LogIdentity {
                cluster_id: Some("c".into()),
                ..LogIdentity::default()
            },
            ..Log::default()
        }
    }

    fn merged(parts: &[RawDocumentBuf]) -> (Document, Stored) {
        let mut whole = doc! {"_id": ID};
        for part in parts {
            whole.extend(Document::try_from(part.clone()).unwrap());
        }
        let stored = stored(&RawDocumentBuf::try_from(&whole).unwrap()).unwrap();
        (whole, stored)
    }

    #[test]
    fn progress_comes_back_with_dots_in_topics() {
        let before = some_progress();
        let (document, stored) = merged(&[progress(&before).unwrap()]);
        assert_eq!(
            document,
            doc! {
                "_id": "tidemark",
                "epoch": 12_i64,
                "offsets": {"empty": {}, "shop.orders.v1": {"0": 5_i64, "11": 7_i64}},
                "views": {"sales": {
                    "watermark": DateTime::from_millis(1_699_999_999_999),
                    "final_until": DateTime::from_millis(-1),
                }, "stock": {"rebuilding": true}},
                "updated_at": DateTime::from_millis(1_700_000_000_000),
                "log": {"cluster_id": "c", "topic_ids": {}, "last_read": {}},
            }
        );
        assert_eq!(stored.standing.progress, Some(before));
        assert!(stored.seen().is_none(), "nobody has claimed it");

        // As it was before there were watermarks.
        let old = rawdoc! {
            "epoch": 1_i64, "offsets": {}, "updated_at": DateTime::from_millis(0),
        };
        let (_, old) = merged(&[old]);
        let old = old.standing.progress.unwrap();
        assert_eq!((old.views, old.log), (BTreeMap::new(), Log::default()));
    }

    #[test]
    fn all_parts_come_back_together() {
        let claimed = Holder {
            generation: 7,
            host: "shop-1".into(),
            process: u32::MAX,
            started_at: 1_700_000_000_123,
        };
        let place = Place::parse("boot pid:[1] 99").unwrap();
        let reach = WriteIntent {
            epoch: 14,
            offsets: some_progress().offsets,
            limits: Some(Limits::from([(
                "shop.orders.v1".into(),
                BTreeMap::from([(
                    11,
                    vec![
                        Limit {
                            offset: 3,
                            until: i64::MAX
                        };
                        2
                    ],
                )]),
            )])),
            log: some_log(),
        };
        let of_views = [("sales", "windows of 1h"), ("views", "windows of 1d")];
        let of_views = of_views.map(|(view, text)| (view.to_owned(), text.to_owned()));
        let of_views = BTreeMap::from(of_views);
        let count = LetterCount {
            messages: 1_000,
            letters: 11,
        };
        let (_, stored) = merged(&[
            progress(&some_progress()).unwrap(),
            reaching(&reach).unwrap(),
            holder(&claimed, Some(&place)),
            definitions(&of_views).unwrap(),
            rawdoc! {"challenge": 5_i64, "answer": 4_i64},
            super::counted(count),
        ]);
        let seen = stored.seen().unwrap();
        assert_eq!(
            (&seen.holder, seen.place, seen.answer),
            (&claimed, Some(place), Some(4))
        );
        assert_eq!(stored.open_question(), Some(5));
        assert_eq!(
            stored.standing,
            Standing {
                progress: Some(some_progress()),
                reaching: reach,
                definitions: of_views,
                holder: Some(claimed.clone()),
                ended: false,
                counted: Some(count),
            }
        );

        let (_, answered) = merged(&[
            holder(&claimed, None),
            rawdoc! {"challenge": 5_i64, "answer": 5_i64},
        ]);
        assert_eq!(answered.open_question(), None);
        assert_eq!(answered.standing.progress, None);
    }
}
