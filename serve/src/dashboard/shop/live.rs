//! What keeps the shop's page up to date: it is asked again while rows are written.

use super::asked::Asked;
use super::blocking;
use super::parts::Moment;
use crate::routes::{App, Refusal};
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_stream::wrappers::IntervalStream;
use tokio_stream::{Stream, StreamExt as _};

/// How often the database is asked for each page that is open: people do not read faster,
/// and sums over a year take a second.
const EVERY: Duration = Duration::from_secs(2);

/// The stream of a page.
pub(in crate::dashboard) async fn events(
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    let asked =
        Asked::read(query.as_deref()).map_err(|error| Refusal(StatusCode::BAD_REQUEST, error))?;
    let mut interval = tokio::time::interval(EVERY);
    // A slow database is not asked more often than it answers.
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let turns = IntervalStream::new(interval);
    let asking = turns.then(move |_| {
        let (app, asked) = (app.clone(), asked.clone());
        async move {
            match blocking(&app, &asked, Moment::of).await {
                Ok(Ok(moment)) => {
                    let text = serde_json::to_string(&moment.told()).unwrap_or_default();
                    Event::default().event("shop").data(text)
                }
                Ok(Err(error)) => Event::default().event("away").data(error.to_string()),
                Err(Refusal(_, error)) => Event::default().event("away").data(error),
            }
        }
    });
    Ok(Sse::new(asking.map(Ok)).keep_alive(KeepAlive::default()))
}
