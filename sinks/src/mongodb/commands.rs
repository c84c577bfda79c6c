//! A batch, cut into commands.
//!
//! Every command goes to one collection (servers before 8.0 know no other) and
//! is bounded in operations and in bytes. The cut depends on the batch alone:
//! sent again, the same batch makes the same commands.
//!
//! The rows of a command stand side by side in the order of their ids. Commands are
//! transactions, of which several are under way at once, and where a server looks for an
//! id that is not there yet it steps over all that others have inserted around it and
//! not committed. With rows in any order that is every row of every other transaction;
//! with ranges of their own it is none.

use ::mongodb::bson::RawDocumentBuf;

use super::bytes::{Bytes, Open};
use super::documents;
use super::layout::Layout;
use crate::{Batch, DeadLetter, Row, Table, Value};

/// Operations in one command. The server allows 100,000. A command is a transaction, and
/// the server keeps in memory what it has not committed yet, about a kilobyte a row.
pub(super) const MOST_OPERATIONS: usize = 1_000;

/// Bytes in one command, roughly, for the same reason; only a single larger document
/// exceeds it.
pub(super) const MOST_BYTES: usize = 2 * 1024 * 1024;

/// What an operation takes, most often.
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
    /// Rows to put into the table of this number.
    Puts(usize, Vec<&'a Row>),
    /// Ids to delete from the table of this number.
    Deletes(usize, Vec<&'a str>),
    /// Dead letters to put.
    Letters(&'a [DeadLetter]),
    /// Ids of dead letters to delete.
    LetterDeletes(&'a [String]),
}

/// Cuts `batch`; an error names a row of a table that there is not.
pub(super) fn cut<'a>(tables: &Tables, batch: &'a Batch) -> Result<Vec<Chunk<'a>>, String> {
    let count = tables.tables.len();
    let known = |number: usize| match number < count {
        true => Ok(number),
        false => Err(format!("a row of table {number}, and there are {count}")),
    };
    let mut chunks = Vec::new();

    let mut puts: Vec<Vec<&Row>> = vec![Vec::new(); count];
    for row in &batch.puts {
        puts[known(row.id.table)?].push(row);
    }
    for (number, rows) in puts.iter_mut().enumerate() {
        rows.sort_by(|one, other| one.id.id.cmp(&other.id.id));
        // Names count in every document.
        let names: usize = tables.tables[number]
            .columns
            .iter()
            .map(|column| column.name.len() + 24)
            .sum();
        for rows in groups(rows, |row| 160 + names + row_bytes(row)) {
            chunks.push(Chunk::Puts(number, rows.to_vec()));
        }
    }

    let mut deletes: Vec<Vec<&str>> = vec![Vec::new(); count];
    for id in &batch.deletes {
        deletes[known(id.table)?].push(&id.id);
    }
    for (number, ids) in deletes.iter().enumerate() {
        for ids in groups(ids, |id| 64 + id.len()) {
            chunks.push(Chunk::Deletes(number, ids.to_vec()));
        }
    }

    for letters in groups(&batch.dead_letters, letter_bytes) {
        chunks.push(Chunk::Letters(letters));
    }
    for ids in groups(&batch.letter_deletes, |id| 64 + id.len()) {
        chunks.push(Chunk::LetterDeletes(ids));
    }
    Ok(chunks)
}

/// Consecutive pieces of `items`, each within both bounds.
fn groups<T>(items: &[T], bytes: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let mut groups = Vec::new();
    let (mut start, mut sum) = (0, 0);
    for (place, item) in items.iter().enumerate() {
        let size = bytes(item);
        if place > start && (place - start >= MOST_OPERATIONS || sum + size > MOST_BYTES) {
            groups.push(&items[start..place]);
            (start, sum) = (place, 0);
        }
        sum += size;
    }
    if start < items.len() {
        groups.push(&items[start..]);
    }
    groups
}

fn row_bytes(row: &Row) -> usize {
    let texts = row.values.iter().map(|value| match value {
        Value::Text(text) => text.len(),
        _ => 0,
    });
    // The id stands in the document and in the filter that finds it.
    2 * row.id.id.len() + texts.sum::<usize>()
}

fn letter_bytes(letter: &DeadLetter) -> usize {
    let key = letter.key.as_ref().map_or(0, Vec::len);
    let view = letter.view.as_ref().map_or(0, String::len);
    512 + 3 * (letter.topic.len() + view) + letter.detail.len() + key + letter.value.len()
}

impl Chunk<'_> {
    /// The collection it goes to.
    pub(super) fn collection<'t>(&self, tables: &'t Tables) -> &'t str {
        match self {
            Chunk::Puts(number, _) | Chunk::Deletes(number, _) => &tables.tables[*number].name,
            Chunk::Letters(_) | Chunk::LetterDeletes(_) => "dead_letters",
        }
    }

    /// How many operations it has.
    pub(super) fn len(&self) -> usize {
        match self {
            Chunk::Puts(_, rows) => rows.len(),
            Chunk::Deletes(_, ids) => ids.len(),
            Chunk::Letters(letters) => letters.len(),
            Chunk::LetterDeletes(ids) => ids.len(),
        }
    }

    /// What operation number `place` is about, for error messages.
    pub(super) fn subject(&self, place: usize) -> String {
        let subject = match self {
            Chunk::Puts(_, rows) => rows.get(place).map(|row| format!("row {:?}", row.id.id)),
            Chunk::Deletes(_, ids) => ids.get(place).map(|id| format!("row {id:?}")),
            Chunk::LetterDeletes(ids) => ids.get(place).map(|id| format!("dead letter {id:?}")),
            Chunk::Letters(letters) => letters.get(place).map(|letter| {
                format!(
                    "dead letter of topic {}, partition {}, offset {}",
                    letter.topic, letter.partition, letter.offset
                )
            }),
        };
        subject.unwrap_or_else(|| format!("operation {place}"))
    }

    /// The command, but for its write concern.
    pub(super) fn command(&self, tables: &Tables) -> Result<RawDocumentBuf, String> {
        let mut bytes = Bytes::with_capacity(self.len() * USUAL_BYTES);
        let (verb, operations) = match self {
            Chunk::Puts(..) | Chunk::Letters(_) => ("update", "updates"),
            Chunk::Deletes(..) | Chunk::LetterDeletes(_) => ("delete", "deletes"),
        };
        let command = bytes.begin();
        bytes.text(verb, self.collection(tables));
        bytes.bool("ordered", false);
        let operations = bytes.array(operations);
        match self {
            Chunk::Puts(number, rows) => {
                let (table, layout) = (&tables.tables[*number], &tables.layouts[*number]);
                for (place, row) in rows.iter().enumerate() {
                    replace(&mut bytes, place, &row.id.id, |bytes| {
                        let document = bytes.document("u");
                        documents::write_row(bytes, document, table, layout, row)
                    })?;
                }
            }
            Chunk::Letters(letters) => {
                for (place, letter) in letters.iter().enumerate() {
                    let document = documents::dead_letter(letter, documents::LARGEST);
                    replace(&mut bytes, place, &letter.id(), |bytes| {
                        bytes.raw("u", &document);
                        Ok(())
                    })?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Column, Kind, Reason, Role, RowId};

    fn tables() -> Tables {
        let table = |name: &str| Table {
            name: name.into(),
            columns: vec![Column {
                name: "text".into(),
                kind: Kind::Text,
                role: Role::Group,
            }],
        };
        let tables = vec![table("a"), table("b")];
        Tables {
            layouts: tables.iter().map(|t| Layout::of(t).unwrap()).collect(),
            tables,
        }
    }

    fn row(table: usize, id: usize, text: usize) -> Row {
        Row {
            id: RowId {
                table,
                id: id.to_string(),
            },
            values: vec![Value::Text("x".repeat(text))],
            is_final: false,
            epoch: 0,
            updated_at: 0,
        }
    }

    fn letter(bytes: usize) -> DeadLetter {
        DeadLetter {
            topic: "t".into(),
            partition: 0,
            offset: 0,
            timestamp: 0,
            reason: Reason::Malformed,
            detail: String::new(),
            view: None,
            key: None,
            value: vec![0; bytes],
            epoch: 0,
        }
    }

    #[test]
    fn everything_is_in_one_chunk_of_its_collection_and_within_bounds() {
        let mut batch = Batch::default();
        for id in 0..6_000 {
            batch.puts.push(row(id % 2, id, 10));
        }
        // The last by its id.
        batch.puts.push(row(0, 9_999, MOST_BYTES));
        batch.deletes = (0..10)
            .map(|id| RowId {
                table: 1,
                id: format!("d{id}"),
            })
            .collect();
        batch.dead_letters = vec![letter(1_500_000), letter(1_500_000), letter(1)];
        let tables = tables();
        let chunks = cut(&tables, &batch).unwrap();
        let shape: Vec<(&str, usize)> = chunks
            .iter()
            .map(|chunk| (chunk.collection(&tables), chunk.len()))
            .collect();
        assert_eq!(
            shape,
            [
                ("a", 1_000),
                ("a", 1_000),
                ("a", 1_000),
                ("a", 1),
                ("b", 1_000),
                ("b", 1_000),
                ("b", 1_000),
                ("b", 10),
                ("dead_letters", 1),
                ("dead_letters", 2)
            ]
        );
        assert_eq!(chunks, cut(&tables, &batch).unwrap());

        let ids = chunks.iter().filter_map(|chunk| match chunk {
            Chunk::Puts(0, rows) => Some(rows.iter().map(|row| &row.id.id)),
            _ => None,
        });
        assert!(ids.flatten().is_sorted(), "a chunk has a range of ids");
    }

    #[test]
    fn commands_are_not_larger_than_estimated() {
        let tables = tables();
        let batch = Batch {
            puts: (0..100).map(|id| row(0, id, id)).collect(),
            dead_letters: (0..100).map(letter).collect(),
            ..Batch::default()
        };
        for chunk in cut(&tables, &batch).unwrap() {
            let estimate: usize = match &chunk {
                Chunk::Puts(_, rows) => rows.iter().map(|row| 188 + row_bytes(row)).sum(),
                Chunk::Letters(letters) => letters.iter().map(letter_bytes).sum(),
                Chunk::Deletes(..) | Chunk::LetterDeletes(_) => unreachable!(),
            };
            let size = chunk.command(&tables).unwrap().as_bytes().len();
            assert!(size < estimate + 100, "{size} {estimate}");
        }
    }

    #[test]
    fn a_row_of_no_table_is_an_error() {
        let put = Batch {
            puts: vec![row(2, 0, 0)],
            ..Batch::default()
        };
        let delete = Batch {
            deletes: vec![row(2, 0, 0).id],
            ..Batch::default()
        };
        for batch in [put, delete] {
            assert!(cut(&tables(), &batch).is_err());
        }
    }
}
