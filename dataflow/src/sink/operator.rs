//! The operator that writes rows, one complete epoch at a time.
//!
//! ```text
//!   rows, dead letters ─▶ Pending ─▶ Batch ─▶ (thread) Writer ─▶ acknowledged
//!                        by epoch    once the      │
//!                                    frontier      └─▶ the capability goes on:
//!                                    has passed        everything before it is
//!                                                      in the database
//! ```
//!
//! One batch is under way at a time. When the database is slower than the
//! dataflow, the epochs that become complete meanwhile are taken together, as
//! one write a row.

use super::WriteError;
use super::background::Background;
use super::pending::Pending;
use crate::Epoch;
use crate::observe::Board;
use crate::views::Catalog;
use crate::views::rows::Became;
use sinks::{Batch, DeadLetter, Writer};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::frontier::MutableAntichain;

/// What goes into the database.
pub struct Changes<'scope> {
    /// Rows as they become.
    pub rows: StreamVec<'scope, Epoch, Became>,
    /// Events that could not be used.
    pub dead_letters: StreamVec<'scope, Epoch, DeadLetter>,
}

/// Writes `changes` on each worker with its own `writer`, and returns a stream
/// without data: what its frontier has passed is in the database.
///
/// Windows that an earlier run has closed, by view those that end at or before
/// `final_until`, are left alone.
///
/// When the database refuses, `failed` is called, once, and the frontier stays.
pub fn write<'scope>(
    changes: Changes<'scope>,
    catalog: Arc<Catalog>,
    final_until: Vec<Option<i64>>,
    mut writer: Box<dyn Writer>,
    board: Arc<Board>,
    failed: impl Fn(WriteError) + Clone + 'static,
) -> StreamVec<'scope, Epoch, ()> {
    let scope = changes.rows.scope();
    let mut builder = OperatorBuilder::new("Write".to_owned(), scope);
    let mut rows = builder.new_input(changes.rows, Pipeline);
    let mut letters = builder.new_input(changes.dead_letters, Pipeline);
    let (_output, written) = builder.new_output::<Vec<()>>();
    let address = builder.operator_info().address;
    let wake = scope.worker().sync_activator_for(address.to_vec());

    builder.build(move |mut capabilities| {
        let mut pending = Pending::new(final_until);
        let background = Background::start("writer", wake, capabilities.pop(), move |batch| {
            let started = Instant::now();
            writer.write(&batch)?;
            Ok((batch, started.elapsed()))
        });
        let mut background = background.map_err(&failed).ok();

        move |frontiers: &[MutableAntichain<Epoch>]| {
            rows.for_each(|_, changes| pending.rows(changes.drain(..)));
            letters.for_each(|_, letters| pending.letters(letters.drain(..)));
            let Some(thread) = &mut background else {
                return;
            };
            let mut write_complete = || {
                if !thread.is_free(|(batch, took)| report(&board, &batch, took))? {
                    return Ok(());
                }
                let frontier = earliest(frontiers);
                let now = jiff::Timestamp::now().as_millisecond();
                match pending.take_before(frontier, &catalog.definitions, now) {
                    Some(batch) => thread.give(batch, frontier),
                    None => {
                        thread.release(frontier);
                        Ok(())
                    }
                }
            };
            if let Err(error) = write_complete() {
                background = None;
                failed(error);
            }
        }
    });
    written
}

/// The epoch that no input has passed yet; `None` at the end of time.
pub(super) fn earliest(frontiers: &[MutableAntichain<Epoch>]) -> Option<Epoch> {
    frontiers
        .iter()
        .filter_map(|frontier| frontier.frontier().first().copied())
        .min()
}

/// Tells the board what has been written.
fn report(board: &Board, batch: &Batch, took: Duration) {
    let mut tables: BTreeMap<usize, (u64, u64)> = BTreeMap::new();
    for row in &batch.puts {
        tables.entry(row.id.table).or_default().0 += 1;
        board.busiest(row.id.table, row);
    }
    for row in &batch.deletes {
        board.forget(row);
        tables.entry(row.table).or_default().1 += 1;
    }
    for (table, (puts, deletes)) in tables {
        board.rows_written(table, puts, deletes);
    }
    board.dead_letters_written(batch.dead_letters.len() as u64);
    board.batch_written(
        took.as_secs_f64(),
        (batch.puts.len() + batch.deletes.len()) as u64,
    );
}
