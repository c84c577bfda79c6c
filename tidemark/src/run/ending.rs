//! How a run ends, and who may end it.
//!
//! ```text
//!   first Ctrl-C (or SIGTERM) ─▶ stopping: workers write what they have read ─▶ done
//!   second Ctrl-C ─────────────────────────────────────────────────────────▶ abandoned
//!   an operator that cannot go on, a panic ─────────────────────────────────▶ failed
//! ```
//!
//! Whatever comes first is how the run ends.

use super::RunError;
use crate::print;
use crate::signal::StopSignals;
use cluster::DataConnections;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use telemetry::Screen;
use tokio::sync::oneshot;

/// Signals that come within this time of the first are the same one.
const ONE_SIGNAL: Duration = Duration::from_millis(300);

/// How long a run has to write what it has read when whoever started it is gone.
const ORPHANED: Duration = Duration::from_secs(10);

/// How long a run that was abandoned has to tidy up.
const LAST_CHANCE: Duration = Duration::from_secs(1);

/// Why a step of a run does not lead to the next one.
pub(super) enum Halt {
    /// The run is stopped, and has nothing to finish.
    Stopped,
    /// It has failed.
    Failed(RunError),
}

impl<E: Into<RunError>> From<E> for Halt {
    fn from(error: E) -> Halt {
        Halt::Failed(error.into())
    }
}

/// Ends the run; each part of it holds one.
#[derive(Clone)]
pub(super) struct Ending {
    stopping: Arc<AtomicBool>,
    abandoned: Arc<AtomicBool>,
    /// Whether workers may have something to finish.
    begun: Arc<AtomicBool>,
    outcome: Sender<Result<(), RunError>>,
}

impl Ending {
    /// A new run's ending, and where its outcome will arrive.
    pub(super) fn new() -> (Ending, Receiver<Result<(), RunError>>) {
        let (outcome, outcomes) = channel();
        let ending = Ending {
            stopping: Arc::default(),
            abandoned: Arc::default(),
            begun: Arc::default(),
            outcome,
        };
        (ending, outcomes)
    }

    /// Whether workers shall write what they have read, and stop.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// From now on workers may have something to finish before the run ends. Returns
    /// false when it has been stopped before: then there shall be none.
    pub(super) fn begin(&self) -> bool {
        // Whoever stops it looks the other way round: one of the two sees the other.
        self.begun.store(true, Ordering::SeqCst);
        !self.is_stopping()
    }

    /// Set when workers shall write what they have read, and stop.
    pub(super) fn stopping(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stopping)
    }

    /// Set when nothing shall be waited for any more.
    pub(super) fn abandoned(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.abandoned)
    }

    /// What failed at the start, unless it failed because nobody wants it any
    /// more.
    pub(super) fn unless_stopping(&self, error: RunError) -> Halt {
        if self.is_stopping() {
            Halt::Stopped
        } else {
            Halt::Failed(error)
        }
    }

    /// Ends the run, unless it has ended.
    pub(super) fn end(&self, outcome: Result<(), RunError>) {
        // Nobody waits any more: it has ended otherwise.
        let _ = self.outcome.send(outcome);
    }

    /// The first Ctrl-C or SIGTERM lets the workers drain, after telling
    /// `stopping`; the second ends the run at once. The end of standard input counts as
    /// a signal where the run is `supervised`.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub(super) fn listen(
        &self,
        supervised: bool,
        stopping: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<()> {
        let supervisor = match supervised {
            true => Some(supervisor()?),
            false => None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        // Here, and not in the thread: whoever is told something by this process may
        // signal it from then on.
        let mut signals = {
            let _within = runtime.enter();
            StopSignals::listen()?
        };
        let ending = self.clone();
        let listen = async move {
            let orphaned = tokio::select! {
                () = signals.next() => false,
                () = gone(supervisor) => true,
            };
            if orphaned {
                tracing::warn!("the supervisor is gone; stopping: what has been read is written");
            } else {
                tracing::info!(
                    "stopping: what has been read is written; Ctrl-C again stops at once"
                );
            }
            ending.stopping.store(true, Ordering::SeqCst);
            stopping();
            if !ending.begun.load(Ordering::SeqCst) {
                // Nothing has been read, and nobody would notice: the start waits
                // for something, or for the other processes.
                ending.end(Ok(()));
            }
            // Whoever signals a process and its group means it once.
            tokio::time::sleep(ONE_SIGNAL).await;
            tokio::select! {
                () = signals.next() => {}
                () = tokio::time::sleep(ORPHANED), if orphaned => {}
            }
            ending.abandoned.store(true, Ordering::Relaxed);
            ending.end(Err(RunError::Abandoned));
            // Whoever runs may be waiting for an answer, and not for the end.
            tokio::time::sleep(LAST_CHANCE).await;
            print::failure(&RunError::Abandoned);
            std::process::exit(1);
        };
        let run = move || runtime.block_on(listen);
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(run)
            .map(drop)
    }

    /// Ends the run when any thread panics, since whatever that thread did will
    /// now never be done. What panics because another process is lost is no reason
    /// of its own, and is not shown.
    pub(super) fn on_panic(&self, screen: Arc<Screen>, connections: DataConnections) {
        let ending = self.clone();
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            connections.hold(panic);
            screen.leave();
            report(panic);
            let thread = std::thread::current();
            let name = thread.name().unwrap_or("unnamed");
            ending.end(Err(RunError::Workers(format!(
                "thread {name} panicked, as told above"
            ))));
        }));
    }
}

/// Whoever supervises this process holds the other end of its standard input, and
/// lets go of it however it ends. The channel closes then.
fn supervisor() -> std::io::Result<oneshot::Receiver<()>> {
    let (held, let_go) = oneshot::channel();
    let listen = move || {
        // Nothing is ever written to it; if it cannot be read, nobody is there either.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        drop(held);
    };
    std::thread::Builder::new()
        .name("supervisor".to_owned())
        .spawn(listen)?;
    Ok(let_go)
}

async fn gone(supervisor: Option<oneshot::Receiver<()>>) {
    match supervisor {
        None => std::future::pending().await,
        // It is dropped, never used.
        Some(supervisor) => drop(supervisor.await),
    }
}
