//! The dataflow on one worker, from the log to the database.
//!
//! ```text
//!   clock ─▶ ingest ─▶ contributions ─▶ maintain ─▶ rows ──▶ write ─▶ publish
//!            ▲ ▲ ├───▶ dead letters ─────── ▲ ──────────────▶  │         ▲
//!            │ │ └───▶ marks ─▶ watermarks ─┤ ─────────────────┼─────────┘
//!            │ └◀── event time ◀────────────┘                  │
//!            └◀──── what is written (backpressure) ◀───────────┘
//! ```

use crate::Epoch;
use crate::ingest::clock::Clock;
use crate::ingest::operator::{Ingested, Setup, ingest};
use crate::ingest::source::{Source, SourceError};
use crate::observe::Board;
use crate::observe::Times;
use crate::sink::{self, Before, Changes, WriteError};
use crate::time::{Watermarks, watermarks};
use crate::views::maintain::maintain;
use crate::views::{Catalog, Gauge};
use sinks::Writer;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::vec::Broadcast;
use timely::dataflow::operators::vec::input::Handle;
use timely::dataflow::operators::{ConnectLoop, Feedback, Input, Operator, Probe, probe};
use timely::scheduling::SyncActivator;
use timely::worker::Worker;

/// What the dataflow of a worker is made of.
pub struct Parts<S> {
    /// All views.
    pub catalog: Arc<Catalog>,
    /// Full names of the topics, by number.
    pub topics: Arc<[String]>,
    /// Makes the worker's source, which wakes the dataflow by what it is given.
    pub source: S,
    /// Writes the worker's rows.
    pub writer: Box<dyn Writer>,
    /// Publishes progress.
    pub publisher: Box<dyn Writer>,
    /// Where counts are kept.
    pub board: Arc<Board>,
    /// The first epoch.
    pub first_epoch: Epoch,
    /// How often an epoch ends.
    pub tick: Duration,
    /// Events that this worker may have read that are not written yet.
    pub max_in_flight: u64,
    /// How far an event's time may be ahead of its message's, in milliseconds.
    pub max_ahead: i64,
    /// What an earlier run has left.
    pub before: Before,
    /// Told, once, when it cannot go on.
    pub failed: Arc<dyn Fn(PipelineError) + Send + Sync>,
}

/// Why the pipeline cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The log cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Rows cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// The dataflow of one worker, as its loop handles it.
pub struct Pipeline {
    clock: Clock,
    published: probe::Handle<Epoch>,
    stop: Stop,
    board: Arc<Board>,
}

impl Pipeline {
    /// Builds the dataflow on a worker; all workers must build the same.
    pub fn build<S>(worker: &mut Worker, parts: Parts<S>) -> Pipeline
    where
        S: FnOnce(SyncActivator) -> Box<dyn Source>,
    {
        let stop = Stop::build(worker);
        let Parts {
            catalog,
            topics,
            source,
            writer,
            publisher,
            board,
            failed,
            ..
        } = parts;
        let (failed_write, failed_publish) = (Arc::clone(&failed), Arc::clone(&failed));
        let final_until = catalog.definitions.iter().map(|view| {
            let before = parts.before.views.get(view.name);
            before.map(|before| before.final_until)
        });
        let final_until: Vec<_> = final_until.collect();
        let (clock, published) = worker.dataflow(|scope| {
            let (clock, ticks) = Clock::new(scope, parts.first_epoch, parts.tick);
            let written = probe::Handle::new();
            let setup = Setup {
                catalog: Arc::clone(&catalog),
                topics: Arc::clone(&topics),
                written: written.clone(),
                max_in_flight: parts.max_in_flight,
                max_ahead: parts.max_ahead,
                board: Arc::clone(&board),
            };
            let (heard, again) = scope.feedback(1);
            let Ingested {
                contributed,
                dead_letters,
                marks,
            } = ingest(ticks, again, setup, source, move |error| {
                failed(error.into());
            });
            let marks = marks.broadcast();
            let known = Arc::new(Mutex::new(Watermarks::new(&catalog)));
            board.watch(Times {
                catalog: Arc::clone(&catalog),
                topics: Arc::clone(&topics),
                known: Arc::clone(&known),
            });
            let advanced = watermarks(marks.clone(), known);
            advanced.clone().connect_loop(heard);

            let gauge = Gauge::new(Arc::clone(&board), scope.index());
            let changes = Changes {
                rows: maintain(contributed, advanced, &catalog, &gauge),
                dead_letters,
            };
            let sinking = Arc::clone(&board);
            let views = Arc::clone(&catalog);
            let done = sink::write(changes, views, final_until, writer, sinking, move |error| {
                failed_write(error.into());
            });
            let done = done.probe_with(&written);
            let publish_failed = move |error: WriteError| failed_publish(error.into());
            let (published, _) = sink::publish(
                done,
                marks,
                (catalog, topics),
                (parts.before, parts.first_epoch),
                publisher,
                Arc::clone(&board),
                publish_failed,
            )
            .probe();
            (clock, published)
        });
        Pipeline {
            clock,
            published,
            stop,
            board,
        }
    }

    /// Ends the epoch if it is time to. Returns how long the worker may sleep.
    pub fn tick(&mut self) -> Duration {
        if self.stop.is_asked() {
            self.clock.close();
        }
        if let Some(epoch) = self.clock.open_epoch() {
            self.board.epoch_open(epoch);
        }
        self.clock.tick()
    }

    /// Asks all workers of all processes to write what they have read, and stop.
    pub fn stop(&mut self) {
        self.stop.ask();
    }

    /// Whether everything that will ever be read is written and published.
    pub fn is_done(&self) -> bool {
        self.published.done()
    }

    /// Lets the worker end.
    pub fn close(mut self) {
        self.clock.close();
    }
}

/// A word from any worker to the one that owns the clock: stop.
struct Stop {
    input: Option<Handle<Epoch, ()>>,
    asked: Rc<Cell<bool>>,
}

impl Stop {
    fn build(worker: &mut Worker) -> Stop {
        let asked = Rc::new(Cell::new(false));
        let heard = Rc::clone(&asked);
        let input = worker.dataflow(|scope| {
            let (input, words) = scope.new_input();
            words.sink(Exchange::new(|()| 0), "Stop", move |(words, _)| {
                words.for_each(|_, _: &mut Vec<()>| heard.set(true));
            });
            input
        });
        Stop {
            input: Some(input),
            asked,
        }
    }

    fn ask(&mut self) {
        if let Some(mut input) = self.input.take() {
            input.send(());
        }
    }

    fn is_asked(&self) -> bool {
        self.asked.get()
    }
}
