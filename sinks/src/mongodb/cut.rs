//! A batch, cut into transactions.
//!
//! ```text
//!   batch ──▶ for each table: rows that are new, rows that were there, rows that go ──┐
//!             dead letters ───────────────────────────────────────────────────────────┤
//!                                                                                     ▼
//!   transactions of about the same size:  [a a a b]   [b b c]   [c c letters]   …
//! ```
//!
//! A transaction is bounded in operations and in bytes, and a batch of more than a few rows
//! has as many for each of the lanes that do them side by side, so that all have as much to
//! do. A small one is a single transaction: one commit instead of one for each collection,
//! which costs a server less, though its commands follow one another, each a round trip.
//! The cut depends on the batch alone: sent again, the same batch makes the same
//! transactions.
//!
//! The rows of a command stand side by side in the order of their ids, which is the order
//! of the index that finds them. Where a server looks for an id that is not there, it steps
//! over all that other transactions have inserted around it and not committed: with rows in
//! any order that is every row of every one of them. (Rows that are known to be new are
//! inserted without a look, see [`super::commands`].)
//!
//! Rows that are merged into the documents of one collection are cut by their ids, whatever
//! their views: those of one document come into one transaction, as two would conflict.

use std::collections::BTreeMap;

use super::commands::{Chunk, Merge, Tables};
use crate::{Batch, DeadLetter, Expect, IdValue, Row, Table, Value};

/// Operations in a transaction. The server keeps in memory what it has not committed yet,
/// about a kilobyte a row.
const MOST_OPERATIONS: usize = 1_000;

/// Bytes in a transaction, roughly, for the same reason; only a single larger document
/// exceeds it.
const MOST_BYTES: usize = 2 * 1024 * 1024;

/// Operations for which a second transaction is not worth while: they take the server no
/// longer than a commit.
const FEW_OPERATIONS: usize = 100;

/// Cuts `batch` for so many `lanes`; an error names a row of a table that there is not.
pub(super) fn cut<'a>(
    tables: &Tables,
    batch: &'a Batch,
    lanes: usize,
) -> Result<Vec<Vec<Chunk<'a>>>, String> {
    let there = tables.tables.len();
    let known = |number: usize| match number < there {
        true => Ok(number),
        false => Err(format!("a row of table {number}, and there are {there}")),
    };
    let mut new: Vec<Vec<&Row>> = vec![Vec::new(); there];
    let mut old = new.clone();
    let mut merges: BTreeMap<&str, Vec<Merge<'a>>> = BTreeMap::new();
    for row in &batch.puts {
        let number = known(row.id.table)?;
        let table = &tables.tables[number];
        if table.merged().is_some() {
            merges.entry(&table.name).or_default().push(Merge::Put(row));
            continue;
        }
        let rows = if row.expect == Expect::Absent {
            &mut new
        } else {
            &mut old
        };
        rows[number].push(row);
    }
    let mut deletes: Vec<Vec<&IdValue>> = vec![Vec::new(); there];
    for id in &batch.deletes {
        let number = known(id.table)?;
        let table = &tables.tables[number];
        match table.merged() {
            None => deletes[number].push(&id.id),
            Some(_) => merges
                .entry(&table.name)
                .or_default()
                .push(Merge::Delete(id, batch.deletes_before)),
        }
    }

    let operations = batch.puts.len()
        + batch.deletes.len()
        + batch.dead_letters.len()
        + batch.letter_deletes.len();
    let least = operations.div_ceil(MOST_OPERATIONS);
    let count = match least > lanes {
        true => least.next_multiple_of(lanes),
        false => operations.div_ceil(FEW_OPERATIONS).clamp(1, lanes),
    };
    let mut cutter = Cutter {
        share: operations.div_ceil(count),
        transactions: Vec::new(),
        operations: 0,
        bytes: 0,
    };
    for (number, table) in tables.tables.iter().enumerate() {
        let names = name_bytes(table);
        let bytes = |row: &&Row| 160 + names + row_bytes(row);
        for rows in [&mut new[number], &mut old[number]] {
            rows.sort_unstable_by(|one, other| one.id.id.cmp(&other.id.id));
        }
        cutter.add(&new[number], bytes, |rows| {
            Chunk::Inserts(number, rows.to_vec())
        });
        cutter.add(&old[number], bytes, |rows| {
            Chunk::Puts(number, rows.to_vec())
        });
        cutter.add(
            &deletes[number],
            |id| 64 + id.bytes(),
            |ids| Chunk::Deletes(number, ids.to_vec(), batch.deletes_before),
        );
    }
    for merges in merges.values_mut() {
        merges.sort_unstable_by(|one, other| {
            let (one, other) = (one.id(), other.id());
            one.id.cmp(&other.id).then(one.table.cmp(&other.table))
        });
        let bytes = |merge: &Merge<'a>| {
            let names = name_bytes(&tables.tables[merge.id().table]);
            match merge {
                Merge::Put(row) => 256 + names + row_bytes(row),
                Merge::Delete(id, _) => 256 + names + id.id.bytes(),
            }
        };
        cutter.add(merges, bytes, |merges| {
            let first = merges.first().map_or(0, |merge| merge.id().table);
            Chunk::Merges(first, merges.to_vec())
        });
    }
    let letters = match batch.letters_are_new {
        true => Chunk::NewLetters,
        false => Chunk::Letters,
    };
    cutter.add(&batch.dead_letters, letter_bytes, letters);
    cutter.add(
        &batch.letter_deletes,
        |id| 64 + id.len(),
        Chunk::LetterDeletes,
    );
    Ok(cutter.transactions)
}

/// Fills one transaction after another.
struct Cutter<'a> {
    /// Operations in each.
    share: usize,
    transactions: Vec<Vec<Chunk<'a>>>,
    /// In the last of them.
    operations: usize,
    bytes: usize,
}

impl<'a> Cutter<'a> {
    /// Adds operations, as one chunk in each transaction that they come into.
    fn add<'i, T>(
        &mut self,
        items: &'i [T],
        bytes: impl Fn(&T) -> usize,
        chunk: impl Fn(&'i [T]) -> Chunk<'a>,
    ) {
        let mut start = 0;
        for (place, item) in items.iter().enumerate() {
            let size = bytes(item);
            let has_room = self.operations < self.share && self.bytes + size <= MOST_BYTES;
            let is_empty = self.operations == 0;
            if self.transactions.is_empty() || !(has_room || is_empty) {
                self.push(&items[start..place], &chunk);
                start = place;
                self.transactions.push(Vec::new());
                (self.operations, self.bytes) = (0, 0);
            }
            self.operations += 1;
            self.bytes += size;
        }
        self.push(&items[start..], &chunk);
    }

    fn push<'i, T>(&mut self, items: &'i [T], chunk: &impl Fn(&'i [T]) -> Chunk<'a>) {
        if let Some(last) = self.transactions.last_mut()
            && !items.is_empty()
        {
            last.push(chunk(items));
        }
    }
}

fn row_bytes(row: &Row) -> usize {
    let values = row.values.iter().map(Value::nested_bytes);
    // The id stands in the document and in the filter that finds it.
    2 * row.id.id.bytes() + values.sum::<usize>()
}

/// Names count in every document.
fn name_bytes(table: &Table) -> usize {
    let columns = table.columns.iter();
    columns.map(|column| column.name.len() + 24).sum()
}

fn letter_bytes(letter: &DeadLetter) -> usize {
    let key = letter.key.as_ref().map_or(0, Vec::len);
    let view = letter.view.as_ref().map_or(0, String::len);
    512 + 3 * (letter.topic.len() + view) + letter.detail.len() + key + letter.value.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mongodb::commands::New;
    use crate::{Column, Kind, Reason, Role, RowId, Table, WriteMode};

    fn tables() -> Tables {
        let table = |name: &str| Table {
            name: name.into(),
            columns: vec![Column {
                name: "text".into(),
                kind: Kind::Text,
                role: Role::Group,
            }],
            ..Table::default()
        };
        let tables = vec![table("a"), table("b")];
        Tables::of(tables).unwrap()
    }

    fn row(table: usize, id: usize, text: usize) -> Row {
        Row {
            id: RowId {
                table,
                id: id.to_string().into(),
            },
            values: vec![Value::Text("x".repeat(text))],
            is_final: false,
            expect: Expect::Either,
            epoch: 0,
            updated_at: 0,
        }
    }

    fn letter(bytes: usize) -> DeadLetter {
        DeadLetter {
            topic: "t".into(),
            partition: 0,
            offset: 0,
            timestamp: Some(0),
            reason: Reason::Malformed,
            detail: String::new(),
            view: None,
            key: None,
            value: vec![0; bytes],
            epoch: 0,
        }
    }

    /// Collection and operations of each chunk of each transaction.
    fn shape<'t>(
        tables: &'t Tables,
        transactions: &[Vec<Chunk<'_>>],
    ) -> Vec<Vec<(&'t str, usize)>> {
        let shape = |chunk: &Chunk<'_>| (chunk.collection(tables), chunk.len());
        let shapes = transactions.iter();
        shapes
            .map(|chunks| chunks.iter().map(shape).collect())
            .collect()
    }

    #[test]
    fn large_batches_are_cut_at_the_bounds() {
        let mut batch = Batch::default();
        for id in 0..6_000 {
            batch.puts.push(row(id % 2, id, 10));
        }
        // The last by its id.
        batch.puts.push(row(0, 9_999, MOST_BYTES));
        batch.deletes = (0..10)
            .map(|id| RowId {
                table: 1,
                id: format!("d{id}").into(),
            })
            .collect();
        batch.dead_letters = vec![letter(1_500_000), letter(1_500_000), letter(1)];
        let tables = tables();
        let transactions = cut(&tables, &batch, 4).unwrap();
        assert_eq!(
            shape(&tables, &transactions),
            [
                vec![("a", 752)],
                vec![("a", 752)],
                vec![("a", 752)],
                vec![("a", 744)],
                // The one that fills a transaction by itself.
                vec![("a", 1)],
                vec![("b", 752)],
                vec![("b", 752)],
                vec![("b", 752)],
                vec![("b", 744), ("b", 8)],
                vec![("b", 2), ("dead_letters", 1)],
                vec![("dead_letters", 2)]
            ]
        );
        assert_eq!(transactions, cut(&tables, &batch, 4).unwrap());

        let ids = transactions
            .iter()
            .flatten()
            .filter_map(|chunk| match chunk {
                Chunk::Puts(0, rows) => Some(rows.iter().map(|row| &row.id.id)),
                _ => None,
            });
        assert!(ids.flatten().is_sorted(), "a chunk has a range of ids");
    }

    #[test]
    fn lanes_have_as_much_to_do() {
        let tables = tables();
        let mut batch = Batch {
            puts: (0..500).map(|id| row(id % 2, id, 1)).collect(),
            dead_letters: (0..20).map(|_| letter(1)).collect(),
            ..Batch::default()
        };
        for row in &mut batch.puts[..100] {
            row.expect = Expect::Absent;
        }
        assert_eq!(
            shape(&tables, &cut(&tables, &batch, 4).unwrap()),
            [
                vec![("a", 50), ("a", 80)],
                vec![("a", 120), ("b", 10)],
                vec![("b", 40), ("b", 90)],
                vec![("b", 110), ("dead_letters", 20)]
            ]
        );

        for (operations, transactions) in [(101, 2), (399, 4), (4_000, 4), (4_001, 8), (16_384, 20)]
        {
            let batch = Batch {
                puts: (0..operations).map(|id| row(id % 2, id, 1)).collect(),
                ..Batch::default()
            };
            let cut = cut(&tables, &batch, 4).unwrap();
            let sizes = cut
                .iter()
                .map(|chunks| chunks.iter().map(Chunk::len).sum::<usize>());
            let sizes: Vec<_> = sizes.collect();
            let whole = &sizes[..sizes.len() - 1];
            assert_eq!(sizes.len(), transactions, "of {operations}");
            assert!(whole.iter().all(|size| *size == sizes[0]), "{sizes:?}");
            assert!(sizes[0] <= MOST_OPERATIONS);
        }

        batch.puts.truncate(FEW_OPERATIONS - 20);
        assert_eq!(
            shape(&tables, &cut(&tables, &batch, 4).unwrap()),
            [[("a", 40), ("b", 40), ("dead_letters", 20)]],
            "one commit"
        );
    }

    #[test]
    fn rows_of_a_document_come_into_one_transaction() {
        let table = |view: &str| Table {
            name: "shared".into(),
            columns: vec![Column {
                name: format!("text_{view}"),
                kind: Kind::Text,
                role: Role::Group,
            }],
            write: WriteMode::Merge { view: view.into() },
            ..Table::default()
        };
        let tables = Tables::of(vec![table("a"), table("b")]).unwrap();
        let rows = (0..400).map(|number| row(number % 2, number / 2, 1));
        let (gone, puts): (Vec<Row>, Vec<Row>) =
            rows.partition(|row| row.id.id.to_string().ends_with('7'));
        let batch = Batch {
            puts,
            deletes: gone.into_iter().map(|row| row.id).collect(),
            ..Batch::default()
        };
        let transactions = cut(&tables, &batch, 4).unwrap();
        assert_eq!(shape(&tables, &transactions), [[("shared", 100)]; 4]);
        let ids = transactions.iter().flatten().map(|chunk| match chunk {
            Chunk::Merges(_, merges) => merges.iter().map(|merge| &merge.id().id),
            other => panic!("{other:?}"),
        });
        assert!(ids.flatten().is_sorted());
        for chunk in transactions.iter().flatten() {
            let command = chunk.command(&tables, New::Believed).unwrap();
            assert!(command.get_str("update").is_ok());
        }
    }

    #[test]
    fn commands_are_not_larger_than_estimated() {
        let tables = tables();
        let mut batch = Batch {
            puts: (0..100).map(|id| row(0, id, id)).collect(),
            dead_letters: (0..100).map(letter).collect(),
            letters_are_new: true,
            ..Batch::default()
        };
        for row in &mut batch.puts[..50] {
            row.expect = Expect::Absent;
        }
        let transactions = cut(&tables, &batch, 4).unwrap();
        for chunk in transactions.iter().flatten() {
            let estimate: usize = match chunk {
                Chunk::Inserts(_, rows) | Chunk::Puts(_, rows) => {
                    rows.iter().map(|row| 188 + row_bytes(row)).sum()
                }
                Chunk::NewLetters(letters) => letters.iter().map(letter_bytes).sum(),
                _ => unreachable!("there are no others"),
            };
            let is_new = !matches!(chunk, Chunk::Puts(..));
            for new in [New::Believed, New::Doubted] {
                let command = chunk.command(&tables, new).unwrap();
                let size = command.as_bytes().len();
                assert!(size < estimate + 100, "{size} {estimate}");
                let inserts = command.get_str("insert").is_ok();
                assert_eq!(inserts, is_new && new == New::Believed);
            }
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
            assert!(cut(&tables(), &batch, 4).is_err());
        }
    }
}
