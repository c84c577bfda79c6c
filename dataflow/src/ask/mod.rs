//! Questions to a pipeline that runs elsewhere, over its HTTP, and the answers as
//! people read them.

mod http;
mod text;

pub(crate) use text::text;

use crate::config::Question;
use crate::observe::{Why, format};
use serde::Deserialize;
use sinks::Value;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody is there.
    #[error(
        "nobody answers at {address}: {source}. Start a pipeline, or say where it serves with \
         --http ADDR or TIDEMARK_HTTP: it logs \"serving http://ADDR\" at its start"
    )]
    Away {
        /// Where it was asked.
        address: SocketAddr,
        /// Why there was no answer.
        source: io::Error,
    },
    /// Somebody else is there.
    #[error(
        "what answers at {address} is no pipeline, or another version of it (status {status}). \
         Say where yours serves with --http ADDR or TIDEMARK_HTTP: it logs \"serving \
         http://ADDR\" at its start"
    )]
    Stranger {
        /// Where it was asked.
        address: SocketAddr,
        /// The status that came back.
        status: u16,
    },
    /// The question is wrong: a view or a window that there is not.
    #[error("{0}")]
    Refused(String),
    /// There is no answer now.
    #[error("{address}: {reason}; ask again in a moment")]
    NotNow {
        /// Where it was asked.
        address: SocketAddr,
        /// Why not.
        reason: String,
    },
    /// The answer cannot be printed.
    #[error("printing the answer: {0}")]
    Print(io::Error),
}

impl AskError {
    /// 2 for a question that is wrong, 1 for everything else.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            AskError::Refused(_) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}

/// Asks why a window is still open, and prints the answer.
///
/// # Errors
/// When there is no answer.
pub fn why(question: &Question) -> Result<(), AskError> {
    let answer = text::text(&ask(question)?);
    io::stdout()
        .write_all(answer.as_bytes())
        .map_err(AskError::Print)
}

/// Asks why a window is still open.
pub(crate) fn ask(question: &Question) -> Result<Why, AskError> {
    let Question {
        view,
        window,
        address,
    } = question;
    let path = format!("/api/why/{}/{}", http::escape(view), http::escape(window));
    let answer = http::get(*address, &path);
    let (status, body) = answer.map_err(|source| AskError::Away {
        address: *address,
        source,
    })?;
    read(*address, status, &body)
}

/// What an answer says.
fn read(address: SocketAddr, status: u16, body: &[u8]) -> Result<Why, AskError> {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }

    let stranger = |_| AskError::Stranger { address, status };
    if status == 200 {
        return serde_json::from_slice(body).map_err(stranger);
    }
    let Refusal { error } = serde_json::from_slice(body).map_err(stranger)?;
    // Whoever answers, nothing of it may move the cursor.
    let reason = format::value(&Value::Text(error));
    Err(match status {
        400 | 404 => AskError::Refused(reason),
        _ => AskError::NotNow { address, reason },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, body: &str) -> AskError {
        read(([127, 0, 0, 1], 8080).into(), status, body.as_bytes()).unwrap_err()
    }

    #[test]
    fn an_answer_that_is_none_is_told_with_what_to_do() {
        let refused = error(404, "{\"error\": \"sale: no such view; there are sales\"}");
        assert_eq!(refused.to_string(), "sale: no such view; there are sales");
        assert_eq!(refused.exit_code(), ExitCode::from(2));
        let not_now = error(503, "{\"error\": \"Kafka is\\naway\"}");
        assert_eq!(
            not_now.to_string(),
            "127.0.0.1:8080: Kafka is\u{fffd}away; ask again in a moment"
        );
        assert_eq!(not_now.exit_code(), ExitCode::FAILURE);
        for (status, body) in [(200, "<html>"), (404, "not found"), (404, "{}")] {
            let stranger = error(status, body).to_string();
            assert!(stranger.contains("is no pipeline"), "{stranger}");
        }
    }

    #[test]
    fn nobody_there_is_told_with_what_to_do() {
        // A port that was free a moment ago.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let question = Question {
            view: "sales".to_owned(),
            window: "latest".to_owned(),
            address,
        };
        let away = ask(&question).unwrap_err();
        let said = away.to_string();
        assert!(
            said.starts_with(&format!("nobody answers at {address}: ")),
            "{said}"
        );
        assert!(said.contains("--http ADDR or TIDEMARK_HTTP"), "{said}");
        assert_eq!(away.exit_code(), ExitCode::FAILURE);
    }
}
