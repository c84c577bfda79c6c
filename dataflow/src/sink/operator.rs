//! The operator that writes rows, one complete epoch at a time.
//!
//! ```text
//!   rows, dead letters ─▶ Pending ─▶ Batch ─▶ (thread) Writer ─▶ acknowledged
//!                        by epoch    once the      │
//!                                    frontier      └─▶ the capabilities go on:
//!                                    has passed        everything before them is
//!                                                      in the database
//! ```
//!
//! One batch is under way at a time. When the database is slower than the
//! dataflow, the epochs that become complete meanwhile are taken together, as
//! one write a row.

use super::pending::{Due, Pending, PriorRunState, Through};
use super::progress::Reached;
use super::restored::Restored;
use super::{Gates, WriteError};
use crate::Epoch;
use crate::background::{Background, Held, State};
use crate::observe::Telemetry;
use crate::time::Mark;
use crate::views::Catalog;
use crate::views::parts::Final;
use crate::views::rows::RowChange;
use model::fail_point;
use sinks::{Batch, DeadLetter, Writer};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Exchange as _;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::frontier::MutableAntichain;

/// What goes into the database.
pub struct Changes<'scope> {
    /// Rows that may change again, as they became.
    pub rows: StreamVec<'scope, Epoch, RowChange>,
    /// Rows that are final.
    pub finals: StreamVec<'scope, Epoch, Final>,
    /// Events that could not be used.
    pub dead_letters: StreamVec<'scope, Epoch, DeadLetter>,
    /// Where partitions stand, told to every worker.
    pub marks: StreamVec<'scope, Epoch, Mark>,
}

impl Changes<'_> {
    /// All of it on worker 0, for a database that takes an epoch as a whole.
    pub fn together(self) -> Self {
        Changes {
            rows: self.rows.exchange(|_| 0),
            finals: self.finals.exchange(|_| 0),
            dead_letters: self.dead_letters.exchange(|_| 0),
            marks: self.marks,
        }
    }
}

/// Streams without data: what their frontiers have passed is in the database.
#[derive(Clone)]
pub struct Written<'scope> {
    /// Rows that may change again, and dead letters.
    pub open: StreamVec<'scope, Epoch, ()>,
    /// Rows that are final.
    pub finals: StreamVec<'scope, Epoch, ()>,
}

/// How a worker writes.
pub struct Writing {
    /// Its way into the database.
    pub writer: Box<dyn Writer>,
    /// What an earlier run has left.
    pub left: PriorRunState,
    /// Where rows are counted that were missing at the start.
    pub restored: Option<Arc<Restored>>,
    /// What each batch brings along of progress, where it is to.
    pub progress: Option<Reached>,
}

/// What is to be written, and how far everything is with it.
struct Work {
    due: Due,
    through: Through,
    /// Whether it is all that was missing at the start, and perhaps more.
    restores: bool,
}

/// Rows that are made and written at a time, where the database need not take an epoch as
/// a whole: enough for all that it does at the same time.
const ROWS: usize = 16_384;

/// Writes `changes` on each worker, as far as `gates` let it.
///
/// When the database refuses, `failed` is called, once, and the frontiers stay.
pub fn write<'scope>(
    changes: Changes<'scope>,
    gates: Gates<'scope>,
    catalog: Arc<Catalog>,
    writing: Writing,
    telemetry: Arc<Telemetry>,
    failed: impl Fn(WriteError) + Clone + 'static,
) -> Written<'scope> {
    let Writing {
        mut writer,
        left,
        restored,
        mut progress,
    } = writing;
    let scope = changes.rows.scope();
    let mut builder = OperatorBuilder::new("Write".to_owned(), scope);
    let mut rows = builder.new_input(changes.rows, Pipeline);
    let mut finals = builder.new_input(changes.finals, Pipeline);
    let mut letters = builder.new_input(changes.dead_letters, Pipeline);
    let mut marks = builder.new_input(changes.marks, Pipeline);
    let Gates {
        recorded,
        committed,
    } = gates;
    let _recorded = builder.new_input(recorded, Pipeline);
    let waits = committed.is_some();
    let _committed = committed.map(|gate| builder.new_input(gate, Pipeline));
    // Not connected to the inputs: what holds them back are the capabilities alone.
    // (What is committed waits for them.)
    let (_open, open_stream) = builder.new_output_connection::<Vec<()>, _>([]);
    let (_finals, finals_stream) = builder.new_output_connection::<Vec<()>, _>([]);
    let address = builder.operator_info().address;
    let wake = scope.worker().sync_activator_for(address.to_vec());

    builder.build(move |mut capabilities| {
        let mut written_finals = Held::new(capabilities.pop());
        let mut written_open = Held::new(capabilities.pop());
        let mut pending = Pending::new(left);
        let whole = progress.is_some();
        let (definitions, written) = (Arc::clone(&catalog), Arc::clone(&telemetry));
        let counting = restored.clone();
        let background = Background::start("writer", wake, move |work: Work| {
            let Work {
                mut due,
                through,
                restores,
            } = work;
            let closes = due.rows.iter().any(|put| put.became.is_final);
            if closes {
                fail_point("close.write");
            }
            let most = if whole { usize::MAX } else { ROWS };
            let mut more = true;
            while more {
                more = due.fill(most, &definitions.definitions);
                let started = Instant::now();
                writer.write(&due.batch)?;
                report(&written, &due.batch, started.elapsed());
                if let Some(restored) = &counting {
                    restored.written(&due.batch.puts);
                }
                due.batch = Batch {
                    epoch: due.batch.epoch,
                    made_at: due.batch.made_at,
                    ..Batch::default()
                };
            }
            if closes {
                fail_point("close.written");
            }
            if let Some(restored) = counting.as_ref().filter(|_| restores) {
                restored.caught_up();
            }
            Ok::<_, WriteError>(through)
        });
        let mut background = background.map_err(&failed).ok();

        move |frontiers: &[MutableAntichain<Epoch>]| {
            rows.for_each(|_, changes| pending.rows(std::mem::take(changes)));
            finals.for_each(|capability, rows| {
                if let Some(epoch) = capability.least() {
                    pending.finals(*epoch, rows.drain(..));
                }
            });
            letters.for_each(|_, letters| pending.letters(letters.drain(..)));
            marks.for_each(|capability, marks| {
                if let Some(epoch) = capability.least() {
                    pending.marks(*epoch, marks);
                    if let Some(progress) = &mut progress {
                        progress.hear(*epoch, marks.drain(..));
                    }
                }
            });
            let Some(thread) = &mut background else {
                return;
            };
            let mut write_complete = || {
                match thread.state()? {
                    State::Busy => return Ok(()),
                    State::Free => {}
                    State::Done(through) => {
                        written_open.release(through.complete);
                        written_finals.release(through.all());
                    }
                }
                let (complete, durable) = frontiers.split_at(5);
                let complete = earliest(complete);
                let through = Through {
                    complete,
                    // What is said of an epoch comes back with the next one.
                    durable: match waits {
                        true => earliest(durable).map(|next| next.saturating_sub(1)),
                        false => complete,
                    },
                };
                let now = jiff::Timestamp::now().as_millisecond();
                let mut due = pending.take(through, &catalog.definitions, now);
                if let Some(progress) = &mut progress
                    && let Some(reached) = progress.advance(through, now)
                {
                    due.get_or_insert_default().batch.progress = Some(reached);
                }
                let restores = pending.has_just_caught_up();
                match due {
                    Some(due) => thread.give(Work {
                        due,
                        through,
                        restores,
                    }),
                    None => {
                        if let Some(restored) = restored.as_ref().filter(|_| restores) {
                            restored.caught_up();
                        }
                        written_open.release(through.complete);
                        written_finals.release(through.all());
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
    Written {
        open: open_stream,
        finals: finals_stream,
    }
}

/// The epoch that no input has passed yet; `None` at the end of time.
pub(crate) fn earliest(frontiers: &[MutableAntichain<Epoch>]) -> Option<Epoch> {
    frontiers
        .iter()
        .filter_map(|frontier| frontier.frontier().first().copied())
        .min()
}

/// Reports to the telemetry what has been written.
fn report(telemetry: &Telemetry, batch: &Batch, took: Duration) {
    let mut tables: BTreeMap<usize, (u64, u64)> = BTreeMap::new();
    for row in &batch.puts {
        tables.entry(row.id.table).or_default().0 += 1;
        telemetry.busiest(row.id.table, row);
    }
    for row in &batch.deletes {
        telemetry.forget(row);
        tables.entry(row.table).or_default().1 += 1;
    }
    for (table, (puts, deletes)) in tables {
        telemetry.rows_written(table, puts, deletes);
    }
    telemetry.dead_letters_written(batch.dead_letters.len() as u64);
    telemetry.batch_written(
        took.as_secs_f64(),
        (batch.puts.len() + batch.deletes.len()) as u64,
    );
}
