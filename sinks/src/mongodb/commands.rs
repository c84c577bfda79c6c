//! What is sent to the server: one command for rows of one collection (servers before 8.0
//! know no other).
//!
//! A row that is new is inserted. Whoever makes a batch knows that of most of them, and the
//! server then neither looks for the document nor tells of each that it was not there. It
//! refuses the command where one is there after all: an earlier run has written it, or this
//! one, and has not heard of it. Then the same rows are sent as the others are: as
//! replacements, that make the document where there is none.
//!
//! Rows that are merged into documents are never inserted, since the document may be there
//! without the row. Where one must be there, it is asked for by what it has besides its
//! columns: the server then makes a document where there is none, and refuses to where there
//! is one without the row (see [`super::replies`]).

use ::mongodb::bson::RawDocumentBuf;

use super::bytes::{Bytes, Open};
use super::documents;
use super::layout::{Layout, path};
use crate::{DeadLetter, Expect, IdValue, Row, RowId, SinkError, Table};

/// What an operation takes, most often, in bytes.
const USUAL_BYTES: usize = 400;

/// The tables and how each is laid out in documents.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) tables: Vec<Table>,
    pub(super) layouts: Vec<Layout>,
}

impl Tables {
    /// Lays out tables; fails where a name or column of one cannot be.
    pub(super) fn of(tables: Vec<Table>) -> Result<Tables, SinkError> {
        let layouts = tables.iter().map(Layout::of);
        Ok(Tables {
            layouts: layouts.collect::<Result<_, _>>()?,
            tables,
        })
    }
}

/// The operations of one command.
#[derive(Debug, PartialEq)]
pub(super) enum Chunk<'a> {
    /// Rows to put into the table of this number, which are believed not to be there yet.
    Inserts(usize, Vec<&'a Row>),
    /// Rows to put into the table of this number.
    Puts(usize, Vec<&'a Row>),
    /// Ids to delete from the table of this number, and [`Batch::deletes_before`](crate::Batch).
    Deletes(usize, Vec<&'a IdValue>, u64),
    /// Rows of the table of this number, and others of the same name, to merge into documents.
    Merges(usize, Vec<Merge<'a>>),
    /// Dead letters to put, which are believed not to be there yet.
    NewLetters(&'a [DeadLetter]),
    /// Dead letters to put.
    Letters(&'a [DeadLetter]),
    /// Ids of dead letters to delete.
    LetterDeletes(&'a [String]),
}

/// What is done to a row that is merged into a document.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Merge<'a> {
    /// Its fields are set, in a new document if there is none.
    Put(&'a Row),
    /// Its fields are removed; see [`Batch::deletes_before`](crate::Batch).
    Delete(&'a RowId, u64),
}

impl Merge<'_> {
    pub(super) fn id(&self) -> &RowId {
        match self {
            Merge::Put(row) => &row.id,
            Merge::Delete(id, _) => id,
        }
    }
}

/// Whether what is said not to be there yet is believed not to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum New {
    /// It is inserted.
    Believed,
    /// It is put there whether it is or not.
    Doubted,
}

impl Chunk<'_> {
    /// The collection it goes to.
    pub(super) fn collection<'t>(&self, tables: &'t Tables) -> &'t str {
        match self {
            Chunk::Inserts(number, _)
            | Chunk::Puts(number, _)
            | Chunk::Deletes(number, ..)
            | Chunk::Merges(number, _) => &tables.tables[*number].name,
            Chunk::NewLetters(_) | Chunk::Letters(_) | Chunk::LetterDeletes(_) => "dead_letters",
        }
    }

    /// How many operations it has.
    pub(super) fn len(&self) -> usize {
        match self {
            Chunk::Inserts(_, rows) | Chunk::Puts(_, rows) => rows.len(),
            Chunk::Deletes(_, ids, _) => ids.len(),
            Chunk::Merges(_, merges) => merges.len(),
            Chunk::NewLetters(letters) | Chunk::Letters(letters) => letters.len(),
            Chunk::LetterDeletes(ids) => ids.len(),
        }
    }

    /// What operation number `place` is about, for error messages.
    pub(super) fn subject(&self, place: usize) -> String {
        let subject = match self {
            Chunk::Inserts(_, rows) | Chunk::Puts(_, rows) => {
                rows.get(place).map(|row| format!("row {:?}", row.id.id))
            }
            Chunk::Deletes(_, ids, _) => ids.get(place).map(|id| format!("row {id:?}")),
            Chunk::Merges(_, merges) => merges
                .get(place)
                .map(|merge| format!("row {:?}", merge.id().id)),
            Chunk::LetterDeletes(ids) => ids.get(place).map(|id| format!("dead letter {id:?}")),
            Chunk::NewLetters(letters) | Chunk::Letters(letters) => {
                letters.get(place).map(|letter| {
                    format!(
                        "dead letter of topic {}, partition {}, offset {}",
                        letter.topic, letter.partition, letter.offset
                    )
                })
            }
        };
        subject.unwrap_or_else(|| format!("operation {place}"))
    }

    /// The command, but for its write concern.
    pub(super) fn command(&self, tables: &Tables, new: New) -> Result<RawDocumentBuf, String> {
        let (verb, operations) = match (self, new) {
            (Chunk::Inserts(..) | Chunk::NewLetters(_), New::Believed) => ("insert", "documents"),
            (Chunk::Deletes(..) | Chunk::LetterDeletes(_), _) => ("delete", "deletes"),
            _ => ("update", "updates"),
        };
        let inserts = verb == "insert";
        let mut bytes = Bytes::with_capacity(self.len() * USUAL_BYTES);
        let command = bytes.begin();
        bytes.text(verb, self.collection(tables));
        bytes.bool("ordered", false);
        let operations = bytes.array(operations);
        match self {
            Chunk::Inserts(number, rows) | Chunk::Puts(number, rows) => {
                let (table, layout) = (&tables.tables[*number], &tables.layouts[*number]);
                for (place, row) in rows.iter().enumerate() {
                    if inserts {
                        let document = bytes.item(place);
                        documents::write_row(&mut bytes, document, table, layout, row)?;
                    } else {
                        let operation = find(&mut bytes, place, &row.id.id);
                        replace(&mut bytes, operation, |bytes| {
                            let document = bytes.document("u");
                            documents::write_row(bytes, document, table, layout, row)
                        })?;
                    }
                }
            }
            Chunk::NewLetters(letters) | Chunk::Letters(letters) => {
                for (place, letter) in letters.iter().enumerate() {
                    let document = documents::dead_letter(letter, documents::LARGEST);
                    if inserts {
                        bytes.raw_item(place, &document);
                    } else {
                        let operation = find_letter(&mut bytes, place, &letter.id());
                        replace(&mut bytes, operation, |bytes| {
                            bytes.raw("u", &document);
                            Ok(())
                        })?;
                    }
                }
            }
            Chunk::Deletes(number, ids, before) => {
                let epoch = path(&tables.tables[*number], "epoch");
                for (place, id) in ids.iter().enumerate() {
                    let operation = find_before(&mut bytes, place, id, &epoch, *before);
                    delete(&mut bytes, operation);
                }
            }
            Chunk::Merges(_, merges) => {
                for (place, merge) in merges.iter().enumerate() {
                    let number = merge.id().table;
                    let (table, layout) = (&tables.tables[number], &tables.layouts[number]);
                    match merge {
                        Merge::Put(row) => set(&mut bytes, place, table, layout, row)?,
                        Merge::Delete(id, before) => {
                            let epoch = path(table, "epoch");
                            let operation = match before {
                                0 => find_row(&mut bytes, place, layout, &id.id),
                                _ => find_before(&mut bytes, place, &id.id, &epoch, *before),
                            };
                            unset(&mut bytes, operation, layout);
                        }
                    }
                }
            }
            Chunk::LetterDeletes(ids) => {
                for (place, id) in ids.iter().enumerate() {
                    let operation = find_letter(&mut bytes, place, id);
                    delete(&mut bytes, operation);
                }
            }
        }
        bytes.end(operations);
        bytes.end(command);
        bytes.finish().map_err(|error| error.to_string())
    }
}

/// Ends the operation that makes what `write` writes as `u` the whole document that it finds,
/// whether there is one already or not.
fn replace(
    bytes: &mut Bytes,
    operation: Open,
    write: impl FnOnce(&mut Bytes) -> Result<(), String>,
) -> Result<(), String> {
    write(bytes)?;
    bytes.bool("upsert", true);
    bytes.end(operation);
    Ok(())
}

/// Ends the operation that deletes the document that it finds, if there is one.
fn delete(bytes: &mut Bytes, operation: Open) {
    bytes.long("limit", 1);
    bytes.end(operation);
}

/// The operation that sets the fields of a row in the document of its id, in a new one if there
/// is none.
fn set(
    bytes: &mut Bytes,
    place: usize,
    table: &Table,
    layout: &Layout,
    row: &Row,
) -> Result<(), String> {
    let operation = match row.expect {
        Expect::Present => find_row(bytes, place, layout, &row.id.id),
        _ => find(bytes, place, &row.id.id),
    };
    let update = bytes.document("u");
    let fields = bytes.document("$set");
    documents::write_merged(bytes, fields, table, layout, row)?;
    bytes.end(update);
    bytes.bool("upsert", true);
    bytes.end(operation);
    Ok(())
}

/// Ends the operation that removes the fields of a row from the document that it finds.
fn unset(bytes: &mut Bytes, operation: Open, layout: &Layout) {
    let update = bytes.document("u");
    let fields = bytes.document("$unset");
    let columns = layout.fields.iter().map(|field| field.name.as_str());
    for field in columns.chain(layout.mark.as_deref()) {
        bytes.bool(field, true);
    }
    bytes.end(fields);
    bytes.end(update);
    bytes.end(operation);
}

/// Begins an operation on the document of this id.
fn find(bytes: &mut Bytes, place: usize, id: &IdValue) -> Open {
    let operation = bytes.item(place);
    let filter = bytes.document("q");
    documents::write_id(bytes, id);
    bytes.end(filter);
    operation
}

/// The same, if the row was written in an epoch before this one, or in any where it is 0; `field`
/// is that of its epoch.
fn find_before(bytes: &mut Bytes, place: usize, id: &IdValue, field: &str, before: u64) -> Open {
    let operation = bytes.item(place);
    let filter = bytes.document("q");
    documents::write_id(bytes, id);
    if before > 0 {
        let condition = bytes.document(field);
        bytes.long("$lt", i64::try_from(before).unwrap_or(i64::MAX));
        bytes.end(condition);
    }
    bytes.end(filter);
    operation
}

/// The same as [`find`], if the document has the row of this layout.
fn find_row(bytes: &mut Bytes, place: usize, layout: &Layout, id: &IdValue) -> Open {
    let operation = bytes.item(place);
    let filter = bytes.document("q");
    documents::write_id(bytes, id);
    if let Some(mark) = &layout.mark {
        let condition = bytes.document(mark);
        bytes.bool("$exists", true);
        bytes.end(condition);
    }
    bytes.end(filter);
    operation
}

fn find_letter(bytes: &mut Bytes, place: usize, id: &str) -> Open {
    let operation = bytes.item(place);
    let filter = bytes.document("q");
    bytes.text("_id", id);
    bytes.end(filter);
    operation
}
