//! Tells people how it goes: on a terminal a status that is redrawn in place,
//! elsewhere a log line from time to time.

use std::{
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use console::Term;
use tracing::{info, warn};

use super::{
    Screen, Snapshot, StoreState, Telemetry,
    rates::{Meter, Rates},
    status,
};

/// Between two drawings of the status.
const REDRAW: Duration = Duration::from_millis(500);
/// Between two log lines while something happens.
const BUSY: Duration = Duration::from_secs(10);
/// Between two log lines while nothing happens.
const IDLE: Duration = Duration::from_secs(60);

/// A thread that tells, until it is stopped or dropped.
#[derive(Debug)]
pub struct Console {
    thread: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Console {
    /// Starts telling what is on `telemetry`.
    pub fn start(telemetry: Arc<Telemetry>, screen: Arc<Screen>) -> Self {
        let (stop, stopped) = mpsc::channel();
        let telling = move || {
            if screen.is_live() {
                draw(&telemetry, &screen, &stopped);
            } else {
                log(&telemetry, &stopped);
            }
        };
        let thread = thread::Builder::new().name("console".to_owned());
        match thread.spawn(telling) {
            Ok(thread) => Self {
                thread: Some((stop, thread)),
            },
            Err(error) => {
                warn!(%error, "no status: its thread cannot be started");
                Self { thread: None }
            }
        }
    }

    /// Tells a last time and stops. On a terminal the last status stays.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.thread.take() {
            drop(stop);
            // If it panicked, that has been said, and there is nothing to save.
            let _ = thread.join();
        }
    }
}

/// True when told to stop, after at most `time`.
fn wait(stopped: &mpsc::Receiver<()>, time: Duration) -> bool {
    stopped.recv_timeout(time) != Err(RecvTimeoutError::Timeout)
}

fn draw(telemetry: &Telemetry, screen: &Screen, stopped: &mpsc::Receiver<()>) {
    let mut meter = Meter::default();
    loop {
        let last = wait(stopped, REDRAW);
        let now = telemetry.snapshot();
        let rates = meter.rates(&now);
        let (height, width) = Term::stdout().size();
        // The last column and line stay free, since a terminal scrolls when
        // they are filled.
        let (width, height) = (usize::from(width), usize::from(height));
        let lines = status::lines(
            &now,
            rates,
            width.saturating_sub(1),
            height.saturating_sub(1),
        );
        // A terminal that is gone must not stop the pipeline.
        let _ = screen.draw(lines);
        if last {
            screen.leave();
            return;
        }
    }
}

fn log(telemetry: &Telemetry, stopped: &mpsc::Receiver<()>) {
    let mut meter = Meter::default();
    let mut said = telemetry.snapshot();
    let mut said_at = Instant::now();
    meter.rates(&said);
    loop {
        let last = wait(stopped, BUSY);
        let now = telemetry.snapshot();
        let rates = meter.rates(&now);
        if last || happened(&said, &now) || said_at.elapsed() >= IDLE {
            say(&now, rates);
            said = now;
            said_at = Instant::now();
        }
        if last {
            return;
        }
    }
}

fn happened(then: &Snapshot, now: &Snapshot) -> bool {
    let counts = |s: &Snapshot| (s.events(), s.rows(), s.dead_letters, s.write_retries);
    counts(then) != counts(now)
}

fn say(now: &Snapshot, rates: Rates) {
    let late = Some(now.late()).filter(|late| *late > 0);
    let blocked = Some(now.behind_transactions()).filter(|blocked| *blocked > 0);
    info!(
        events = now.events(),
        events_per_second = rates.events,
        lag = now.lag(),
        behind_open_transactions = blocked,
        epoch_open = now.epoch_open,
        epoch_written = now.epoch_written,
        rows = now.rows(),
        rows_per_second = rates.rows,
        dead_letters = now.dead_letters,
        late,
        in_flight = now.in_flight(),
        store_away = now.store == StoreState::Retrying,
        "progress"
    );
}

#[cfg(test)]
mod tests {
    use super::super::{screen::tests::screen, testing};
    use super::*;

    #[test]
    fn the_last_status_is_drawn_and_stays() {
        let telemetry = Arc::new(Telemetry::new(
            1,
            &["sales".to_owned()],
            &[testing::table()],
        ));
        let (screen, kept) = screen(true);
        let console = Console::start(Arc::clone(&telemetry), screen);
        telemetry.rows_written(0, 1_234, 0);
        console.stop();
        assert!(kept.text().contains("rows 1,234 "), "{}", kept.text());
    }

    #[test]
    fn something_happens_when_a_count_changes() {
        let telemetry = Telemetry::new(1, &["sales".to_owned()], &[testing::table()]);
        let then = telemetry.snapshot();
        telemetry.epoch_open(9);
        assert!(!happened(&then, &telemetry.snapshot()));
        telemetry.write_failed();
        assert!(happened(&then, &telemetry.snapshot()));
    }
}
