//! Starts the processes of a run, and starts them again when one fails.
//!
//! ```text
//!   start all ──▶ watch ──▶ all ended with 0 ─────────────▶ 0
//!      ▲            ├─────▶ one ended with 2 ─────────────▶ 2: starting again helps nothing
//!      │            └─────▶ one ended otherwise ─▶ end all
//!      │                                             │
//!      └── wait, longer each time ◀── fewer than ────┴─▶ too many in a row ─▶ 1
//! ```
//!
//! The processes find out by themselves when one of them is lost, and end. One that
//! does not is told to, and killed in the end: a process that was stopped hears
//! nothing else.
//!
//! Nothing survives the supervisor. It holds the other end of each process's standard
//! input, which the system closes however it dies, and then they stop.

mod backoff;
mod group;
mod hosts;

use crate::config::{Status, Supervision};
use crate::signal::StopSignals;
use group::{Ended, Group};
use hosts::Hosts;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use telemetry::{Screen, logging};

/// How soon an end or a signal is noticed.
const LOOK_UP: Duration = Duration::from_millis(50);

/// After so long without a failure, what was before counts no more.
const HEALTHY: Duration = Duration::from_secs(60);

/// How long the others may take to end by themselves, beyond the time after which they
/// notice that one is lost.
const LET_END: Duration = Duration::from_secs(3);

/// How long they may take when they have been told to.
const GRACE: Duration = Duration::from_secs(5);

/// Why supervising came to an end.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    /// They fail again and again.
    #[error("given up after {failures} failures in a row; the last one: {last}")]
    GaveUp {
        /// How many.
        failures: u64,
        /// How the last one began.
        last: String,
    },
    /// A process does not take its arguments.
    #[error("{0}: it says above what is wrong; starting it again would not help")]
    Usage(String),
    /// One failed while all were to stop.
    #[error("{0} while all were stopping")]
    Stopping(String),
    /// The system does not give what is needed.
    #[error("{what}: {source}")]
    System {
        /// What was wanted.
        what: &'static str,
        /// Why it was not had.
        source: io::Error,
    },
}

impl SuperviseError {
    /// 2 for wrong usage or configuration, 1 for everything else.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            SuperviseError::Usage(_) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}

/// Starts the processes and watches over them until all have ended well, also because
/// they were told to.
///
/// # Errors
/// When they fail too often, or in a way that starting them again cannot change.
pub fn supervise(plan: &Supervision) -> Result<(), SuperviseError> {
    let settings = &plan.settings;
    let screen = Screen::new(Status::Off);
    logging::init(settings.log_format, &settings.log, &screen);
    let signals = Signals::listen().map_err(system("listening to signals"))?;
    let (mut failures, mut restarted) = (0, false);
    loop {
        let hosts = Hosts::of(plan).map_err(system("naming addresses for the processes"))?;
        let begun = Instant::now();
        let group = Group::start(plan, hosts.path(), restarted);
        let mut group = group.map_err(system("starting a process"))?;
        let Some(failed) = watch(&mut group, &signals, settings.peer_timeout)
            .map_err(system("watching the processes"))?
        else {
            return Ok(());
        };
        if failed.is_usage() {
            return Err(SuperviseError::Usage(failed.to_string()));
        }
        if signals.heard() > 0 {
            return Err(SuperviseError::Stopping(failed.to_string()));
        }
        if begun.elapsed() >= HEALTHY {
            failures = 0;
        }
        failures += 1;
        restarted = true;
        if failures >= plan.max_failures {
            let last = failed.to_string();
            return Err(SuperviseError::GaveUp { failures, last });
        }
        let wait = backoff::wait(failures);
        tracing::warn!(
            "{failed}: failure {failures} of {}; starting all processes again in {:.1} s",
            plan.max_failures,
            wait.as_secs_f64()
        );
        let until = Instant::now() + wait;
        while Instant::now() < until {
            if signals.heard() > 0 {
                // Nothing runs, and what was read is written.
                return Ok(());
            }
            thread::sleep(LOOK_UP);
        }
    }
}

/// Watches until all have ended; gives the one that did not end well by itself, and is
/// the likeliest reason why others did not.
fn watch(
    group: &mut Group,
    signals: &Signals,
    peer_timeout: Duration,
) -> io::Result<Option<Ended>> {
    let mut passed_on = 0;
    let mut failed: Option<Ended> = None;
    // When the next thing is to be done to those that do not end, and which.
    let mut next = None;
    // Whether what they end with from now on is of our making.
    let mut told = false;
    loop {
        for ended in group.look()? {
            tracing::info!("{ended}");
            if ended.is_well() || told {
                continue;
            }
            // Others may wait for one that never was there, and notice nothing.
            let let_end = match ended.is_usage() {
                true => Duration::ZERO,
                false => peer_timeout + LET_END,
            };
            next = next.or(Some((Instant::now() + let_end, Next::Tell)));
            // They are looked at one after the other, and not in the order in which they
            // ended.
            if failed
                .as_ref()
                .is_none_or(|failed| failed.cause() < ended.cause())
            {
                failed = Some(ended);
            }
        }
        if group.is_over() {
            return Ok(failed);
        }
        // One for each that was heard: the second makes them stop at once.
        while passed_on < signals.heard() {
            tracing::info!("stopping all processes");
            group.terminate();
            passed_on += 1;
        }
        match next {
            Some((when, Next::Tell)) if Instant::now() >= when => {
                tracing::warn!("telling the processes that still run to stop");
                group.terminate();
                told = true;
                next = Some((Instant::now() + GRACE, Next::Kill));
            }
            Some((when, Next::Kill)) if Instant::now() >= when => {
                tracing::warn!("killing the processes that still run");
                group.kill()?;
                next = None;
            }
            _ => {}
        }
        thread::sleep(LOOK_UP);
    }
}

/// What is done to those that do not end by themselves.
#[derive(Clone, Copy)]
enum Next {
    Tell,
    Kill,
}

/// Counts how often it was told to stop.
struct Signals(Arc<AtomicUsize>);

impl Signals {
    fn listen() -> io::Result<Signals> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let heard = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&heard);
        let mut signals = {
            let _within = runtime.enter();
            StopSignals::listen()?
        };
        let listen = async move {
            loop {
                signals.next().await;
                count.fetch_add(1, Ordering::Relaxed);
            }
        };
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || runtime.block_on(listen))?;
        Ok(Signals(heard))
    }

    fn heard(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> SuperviseError {
    move |source| SuperviseError::System { what, source }
}
