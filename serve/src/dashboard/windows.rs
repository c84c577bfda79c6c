//! How many windows of each view are open, and how many rows they have, which is what the
//! view's state follows. Asked of the database, where the rows are: not more often than every
//! few seconds, by however many pages, and only while one looks.

use crate::routes::App;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// How long an answer is good enough.
const EVERY: Duration = Duration::from_secs(10);

/// The open windows of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) windows: u64,
    pub(super) rows: u64,
}

/// The answers.
#[derive(Clone, Default)]
pub(super) struct OpenWindows(Arc<State>);

#[derive(Default)]
struct State {
    /// When they came, and what they are, by view; none where the database did not answer.
    known: Mutex<Option<(Instant, Vec<Option<Open>>)>>,
    is_asked: AtomicBool,
}

impl OpenWindows {
    /// By view, as last asked; empty before.
    pub(super) fn known(&self) -> Vec<Option<Open>> {
        let known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone().map(|(_, known)| known).unwrap_or_default()
    }

    /// Asks, on a task of its own: a database that is slow holds nothing up.
    pub(super) fn refresh(&self, app: &App) -> JoinHandle<()> {
        let (windows, app) = (self.clone(), app.clone());
        tokio::spawn(async move { windows.ask(&app).await })
    }

    /// Asks, unless somebody does, or has done so a moment ago.
    async fn ask(&self, app: &App) {
        let state = &self.0;
        let is_new = {
            let known = state.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.as_ref().is_some_and(|(at, _)| at.elapsed() < EVERY)
        };
        if is_new || state.is_asked.swap(true, Ordering::Relaxed) {
            return;
        }
        let app = app.clone();
        let asked = tokio::task::spawn_blocking(move || count(&app)).await;
        if let Ok(counted) = asked {
            let mut known = state.known.lock().unwrap_or_else(PoisonError::into_inner);
            *known = Some((Instant::now(), counted));
        }
        state.is_asked.store(false, Ordering::Relaxed);
    }
}

/// By view: those from the first on that is not final.
fn count(app: &App) -> Vec<Option<Open>> {
    let times = app.telemetry.times();
    let count = |view: usize| {
        let from = times.get(view).and_then(|time| time.final_until);
        let open = app.reader.windows(view, from).ok()?;
        Some(Open {
            windows: open.len() as u64,
            rows: open.iter().map(|(_, rows)| rows).sum(),
        })
    };
    (0..app.views.len()).map(count).collect()
}
