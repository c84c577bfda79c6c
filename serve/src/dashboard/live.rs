//! What keeps pages up to date: server-sent events, one a second.
//!
//! A page that connects gets the history first, and then what changes. It is sampled
//! and rendered once, however many pages look; rendered only while one does.

use super::history::{History, Place, Point};
use super::pipeline;
use super::windows::OpenWindows;
use crate::routes::App;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use serde::Serialize;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::time::MissedTickBehavior;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;
use tokio_stream::{Stream, StreamExt as _};

/// Seconds that a page may be behind before it misses some.
const BEHIND: usize = 8;

/// The pipeline, as it is followed.
#[derive(Clone)]
pub(crate) struct Live {
    history: Arc<Mutex<History>>,
    changes: broadcast::Sender<(Kind, Arc<str>)>,
    windows: OpenWindows,
}

/// What an event is: its name.
type Kind = &'static str;

/// What a page is told each second.
#[derive(Serialize)]
struct Change<'a> {
    point: &'a Point,
    /// Parts of the page by their ids.
    parts: Vec<(&'static str, String)>,
}

/// What a page is told first, and again when there are other partitions.
#[derive(Serialize)]
struct Beginning<'a> {
    views: Vec<&'a str>,
    partitions: &'a [Place],
    points: Vec<&'a Point>,
}

impl Live {
    pub(crate) fn new() -> Live {
        Live {
            history: Arc::default(),
            changes: broadcast::Sender::new(BEHIND),
            windows: OpenWindows::default(),
        }
    }

    /// Samples and tells, for ever.
    pub(crate) async fn follow(self, app: App) {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            second.tick().await;
            let (now, times) = (app.telemetry.snapshot(), app.telemetry.times());
            let millis = jiff::Timestamp::now().as_millisecond();
            let (point, are_others) = {
                let mut history = self.lock();
                let before = history.places().to_vec();
                let point = history.note(&now, &times, millis);
                (point, history.places() != before)
            };
            if self.changes.receiver_count() == 0 {
                continue;
            }
            // It is in what is told once it is there.
            drop(self.windows.refresh(&app));
            // That nobody listens is no failure.
            if are_others {
                let _ = self
                    .changes
                    .send(("beginning", self.beginning(&app).into()));
                continue;
            }
            let parts = pipeline::parts(&app, &now, &times, &point);
            let parts = parts.into_iter();
            let change = Change {
                point: &point,
                parts: parts.map(|(id, part)| (id, part.into_string())).collect(),
            };
            // Numbers and texts: it has a form as JSON.
            if let Ok(text) = serde_json::to_string(&change) {
                let _ = self.changes.send(("change", text.into()));
            }
        }
    }

    fn beginning(&self, app: &App) -> String {
        let history = self.lock();
        let beginning = Beginning {
            views: app.views.iter().map(|view| view.name.as_str()).collect(),
            partitions: history.places(),
            points: history.points().collect(),
        };
        serde_json::to_string(&beginning).unwrap_or_default()
    }

    /// How many windows are open.
    pub(super) fn windows(&self) -> &OpenWindows {
        &self.windows
    }

    /// The newest point, if there is one.
    pub(super) fn newest(&self) -> Option<Point> {
        self.lock().points().last().cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The stream of a page.
pub(super) async fn events(
    State(app): State<App>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let changes = BroadcastStream::new(app.live.changes.subscribe());
    let beginning = Event::default()
        .event("beginning")
        .data(app.live.beginning(&app));
    let changes = changes.filter_map(|change| match change {
        Ok((kind, text)) => Some(Event::default().event(kind).data(&*text)),
        // It gets the next one.
        Err(BroadcastStreamRecvError::Lagged(_)) => None,
    });
    let all = tokio_stream::once(beginning).chain(changes).map(Ok);
    Sse::new(all).keep_alive(KeepAlive::default())
}
