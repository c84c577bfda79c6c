//! Dead letters: what could not be used, why, and the message itself.

use super::layout;
use crate::routes::{App, Refusal};
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use maud::{Markup, html};
use model::shown;
use sinks::{DeadLetter, LetterQuery, Reason, SinkError};
use telemetry::format::count;

/// Letters of a page.
const PAGE: u32 = 50;
/// Bytes of a message that a page shows; the rest is in the file.
const SHOWN: usize = 4_096;

/// The page.
pub(super) async fn page(
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<Markup, Refusal> {
    let asked = read(query.as_deref(), &["reason", "topic", "offset"])?;
    let mut topics: Vec<String> = app
        .telemetry
        .snapshot()
        .topics
        .into_iter()
        .map(|topic| topic.name)
        .collect();
    topics.dedup();
    let letters = ask(&app, asked.clone()).await?;
    let rest = u32::try_from(letters.len()).unwrap_or(u32::MAX);
    let content = html! {
        form class="choice" action="/pipeline/dead-letters" method="get" {
            label { "reason " select name="reason" {
                option value="" { "any" }
                @for reason in Reason::ALL {
                    option value=(reason.as_str()) selected[asked.reason == Some(reason)] { (reason.as_str()) }
                }
            } }
            label { "topic " select name="topic" {
                option value="" { "any" }
                @for topic in &topics {
                    option value=(topic) selected[asked.topic.as_ref() == Some(topic)] { (topic) }
                }
            } }
            button { "Show" }
        }
        @if letters.is_empty() {
            p class="quiet" { @if asked.offset == 0 { "There are none." } @else { "There are no more." } }
        } @else {
            p class="quiet" { "Those of the newest messages first, from number " (count(u64::from(asked.offset) + 1)) "." }
            div class="wide" tabindex="0" role="region" aria-label="Dead letters" { table { thead { tr {
                @for title in ["Message (UTC)", "Place", "Reason", "Lost to", "Why", "Message"] { th scope="col" { (title) } }
            } } tbody { @for letter in &letters { (line(letter)) } } } }
        }
        nav class="choice" aria-label="More" {
            @if asked.offset > 0 { a href=(link(&asked, asked.offset.saturating_sub(PAGE))) { "Newer" } }
            @if rest == PAGE { a href=(link(&asked, asked.offset.saturating_add(PAGE))) { "Older" } }
        }
    };
    Ok(layout::page("Dead letters", None, &content))
}

/// A message as it came, as a file.
pub(super) async fn message(
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, Refusal> {
    let asked = read(query.as_deref(), &["id"])?;
    let Some(id) = asked.id.clone() else {
        let error = "id: which dead letter?".to_owned();
        return Err(Refusal(StatusCode::BAD_REQUEST, error));
    };
    let letter = ask(&app, asked).await?.pop().ok_or_else(|| {
        let error = format!("{id}: there is no such dead letter");
        Refusal(StatusCode::NOT_FOUND, error)
    })?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"message\"",
        ),
    ];
    Ok((headers, letter.value))
}

fn line(letter: &DeadLetter) -> Markup {
    let id = form_urlencoded::byte_serialize(letter.id().as_bytes()).collect::<String>();
    html! { tr {
        td { (letter.timestamp.map_or("–".to_owned(), |millis| shown(millis.saturating_mul(1_000)))) }
        th scope="row" { (letter.topic) " " (letter.partition) " @ " (letter.offset) }
        td { (letter.reason.as_str()) }
        td { @match &letter.view { Some(view) => (view), None => "all views" } }
        td class="text" { (letter.detail) }
        td class="text" { details {
            summary { (count(u64::try_from(letter.value.len()).unwrap_or(u64::MAX))) " bytes" }
            @if let Some(key) = &letter.key { p { "Key: " code { (text(key)) } } }
            pre { (text(&letter.value)) }
            a href={ "/pipeline/dead-letters/message?id=" (id) } download { "As it came" }
        } }
    } }
}

/// Bytes for people: as text, and what is none as `\xHH`.
fn text(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes[..bytes.len().min(SHOWN)].utf8_chunks() {
        text += chunk.valid();
        for byte in chunk.invalid() {
            text += &format!("\\x{byte:02x}");
        }
    }
    if bytes.len() > SHOWN {
        text += " …";
    }
    text
}

fn link(asked: &LetterQuery, offset: u32) -> String {
    let mut text = form_urlencoded::Serializer::new(String::new());
    if let Some(reason) = asked.reason {
        text.append_pair("reason", reason.as_str());
    }
    if let Some(topic) = &asked.topic {
        text.append_pair("topic", topic);
    }
    text.append_pair("offset", &offset.to_string());
    format!("/pipeline/dead-letters?{}", text.finish())
}

/// Reads those parameters that are `known`.
fn read(query: Option<&str>, known: &[&str]) -> Result<LetterQuery, Refusal> {
    let wrong =
        |name: &str, problem: &str| Refusal(StatusCode::BAD_REQUEST, format!("{name}: {problem}"));
    let mut asked = LetterQuery {
        limit: PAGE,
        ..LetterQuery::default()
    };
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        if !known.contains(&&*name) {
            let known = known.join(", ");
            return Err(wrong(
                &name,
                &format!("there is no such parameter; there are {known}"),
            ));
        }
        match &*name {
            // A form sends what was left empty, too.
            _ if value.is_empty() => {}
            "reason" => {
                let reason = Reason::of(&value);
                let known = "it is malformed, late, partly_late or from_the_future";
                let reason = reason.ok_or_else(|| wrong("reason", known))?;
                asked.reason = Some(reason);
            }
            "topic" => asked.topic = Some(value.into_owned()),
            "id" => asked.id = Some(value.into_owned()),
            _ => {
                asked.offset = value
                    .parse()
                    .map_err(|_| wrong("offset", "it takes a number of letters to skip"))?;
            }
        }
    }
    Ok(asked)
}

/// Asks the database, on a thread that may wait for it.
async fn ask(app: &App, query: LetterQuery) -> Result<Vec<DeadLetter>, Refusal> {
    let reader = app.reader.clone();
    let asking = move || -> Result<Vec<DeadLetter>, SinkError> { reader.letters(&query) };
    let found = tokio::task::spawn_blocking(asking).await;
    let found = found.map_err(|_| {
        let error = "the query was not finished".to_owned();
        Refusal(StatusCode::INTERNAL_SERVER_ERROR, error)
    })?;
    found.map_err(|error| crate::views::refusal(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_still_seen() {
        assert_eq!(text(b"{\"a\": \xff\xfe}"), "{\"a\": \\xff\\xfe}");
        assert_eq!(text("ä".as_bytes()), "ä");
        let long = "x".repeat(SHOWN + 1);
        assert!(text(long.as_bytes()).ends_with("x …"));
    }

    #[test]
    fn parameters_are_read() {
        let asked = read(
            Some("reason=late&topic=&offset=50"),
            &["reason", "topic", "offset"],
        );
        let asked = asked.unwrap_or_else(|refusal| panic!("{}", refusal.1));
        assert_eq!(
            (asked.reason, asked.topic.as_deref(), asked.offset),
            (Some(Reason::Late), None, 50)
        );
        for (query, expected) in [
            ("reason=lost", "reason: it is malformed"),
            ("offset=-1", "offset: it takes a number"),
            ("id=1", "id: there is no such parameter"),
        ] {
            let Err(Refusal(StatusCode::BAD_REQUEST, error)) =
                read(Some(query), &["reason", "topic", "offset"])
            else {
                panic!("{query} is taken");
            };
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
