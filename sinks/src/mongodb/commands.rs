//! What is sent to the server: one command for rows of one collection (servers before 8.0
//! know no other).
//!
//! A row that is new is inserted. Whoever makes a batch knows that of most of them, and the
//! server then neither looks for the document nor tells of each that it was not there. It
//! refuses the command where one is there after all: an earlier run has written it, or this
//! one, and has not heard of it. Then the same rows are sent as the others are: as
//! replacements, that make the document where there is none.

use ::mongodb::bson::RawDocumentBuf;

use super::bytes::{Bytes, Open};
use super::documents;
use super::layout::Layout;
use crate::{DeadLetter, Row, Table};

/// What an operation takes, most often, in bytes.
const USUAL_BYTES: usize = 400;

/// The tables and how each is laid out in documents.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) tables: Vec<Table>,
    pub(super) layouts: Vec<Layout>,
}

/// The operations of one command.
#[derive(Debug, PartialEq)]
pub(super) enum Chunk<'a> {
    /// Rows to put into the table of this number, which are believed not to be there yet.
    Inserts(usize, Vec<&'a Row>),
    /// Rows to put into the table of this number.
    Puts(usize, Vec<&'a Row>),
    /// Ids to delete from the table of this number.
    Deletes(usize, Vec<&'a str>),
    /// Dead letters to put, which are believed not to be there yet.
    NewLetters(&'a [DeadLetter]),
    /// Dead letters to put.
    Letters(&'a [DeadLetter]),
    /// Ids of dead letters to delete.
    LetterDeletes(&'a [String]),
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
            Chunk::Inserts(number, _) | Chunk::Puts(number, _) | Chunk::Deletes(number, _) => {
                &tables.tables[*number].name
            }
            Chunk::NewLetters(_) | Chunk::Letters(_) | Chunk::LetterDeletes(_) => "dead_letters",
        }
    }

    /// How many operations it has.
    pub(super) fn len(&self) -> usize {
        match self {
            Chunk::Inserts(_, rows) | Chunk::Puts(_, rows) => rows.len(),
            Chunk::Deletes(_, ids) => ids.len(),
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
            Chunk::Deletes(_, ids) => ids.get(place).map(|id| format!("row {id:?}")),
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
                        replace(&mut bytes, place, &row.id.id, |bytes| {
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
                        replace(&mut bytes, place, &letter.id(), |bytes| {
                            bytes.raw("u", &document);
                            Ok(())
                        })?;
                    }
                }
            }
            Chunk::Deletes(_, ids) => {
                for (place, id) in ids.iter().enumerate() {
                    delete(&mut bytes, place, id);
                }
            }
            Chunk::LetterDeletes(ids) => {
                for (place, id) in ids.iter().enumerate() {
                    delete(&mut bytes, place, id);
                }
            }
        }
        bytes.end(operations);
        bytes.end(command);
        bytes.finish().map_err(|error| error.to_string())
    }
}

/// The operation that makes what `write` writes as `u` the whole document of this id,
/// whether there is one already or not.
fn replace(
    bytes: &mut Bytes,
    place: usize,
    id: &str,
    write: impl FnOnce(&mut Bytes) -> Result<(), String>,
) -> Result<(), String> {
    let operation = find(bytes, place, id);
    write(bytes)?;
    bytes.bool("upsert", true);
    bytes.end(operation);
    Ok(())
}

/// The operation that deletes the document of this id, if there is one.
fn delete(bytes: &mut Bytes, place: usize, id: &str) {
    let operation = find(bytes, place, id);
    bytes.long("limit", 1);
    bytes.end(operation);
}

/// Begins an operation on the document of this id.
fn find(bytes: &mut Bytes, place: usize, id: &str) -> Open {
    let operation = bytes.item(place);
    let filter = bytes.document("q");
    bytes.text("_id", id);
    bytes.end(filter);
    operation
}
