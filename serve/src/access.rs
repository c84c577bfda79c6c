//! Who may read.
//!
//! ```text
//!   /healthz, /readyz ─────────────────────────────▶ the status to everybody: probes know
//!                                                    no token; the reason as all others
//!   a token is asked for ─▶ the request has it? ───▶ answer, else 401
//!   this machine only ────▶ sent to this machine? ─▶ answer, else 421
//! ```
//!
//! Without a token, what is served on this machine's own address is for this machine. A
//! page from elsewhere cannot read it from inside a browser either: not by its own name
//! that it lets point here (DNS rebinding), which is then the request's `Host`.

use super::routes::Refusal;
use super::{Http, HttpAccess};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::Secret;
use std::net::IpAddr;
use std::sync::Arc;
use subtle::ConstantTimeEq as _;

/// What is asked of a request.
#[derive(Debug, Clone)]
pub(super) struct Access {
    token: Option<Secret>,
    only_local: bool,
}

impl Access {
    /// Of the settings.
    pub(super) fn new(http: Http, access: &HttpAccess) -> Arc<Access> {
        let token = access.token.clone();
        let asks_nobody = token.is_none() && access.tls.is_none();
        Arc::new(Access {
            only_local: http.is_local() && asks_nobody && !access.unauthenticated,
            token,
        })
    }

    fn refuses(&self, headers: &HeaderMap, authority: Option<&str>) -> Option<Response> {
        if let Some(token) = &self.token
            && !has_token(headers, token)
        {
            return Some(unauthorized());
        }
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let host = authority.or(host);
        if self.only_local && !host.is_some_and(is_this_machine) {
            let error = "this address answers to requests for localhost only; with \
                         --http-token-file or --http-unauthenticated it answers to others";
            let refusal = Refusal(StatusCode::MISDIRECTED_REQUEST, error.to_owned());
            return Some(refusal.into_response());
        }
        None
    }
}

/// Lets a request pass that may.
pub(super) async fn check(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Response {
    let is_probe = matches!(request.uri().path(), "/healthz" | "/readyz");
    let authority = request
        .uri()
        .authority()
        .map(|authority| authority.as_str());
    match access.refuses(request.headers(), authority) {
        None => next.run(request).await,
        // Whether, and not why: reasons name brokers and databases.
        Some(_) if is_probe => next.run(request).await.status().into_response(),
        Some(refusal) => refusal,
    }
}

/// As a bearer token (RFC 6750), or as the password of whatever user (RFC 7617), which is
/// what a browser asks people for.
fn has_token(headers: &HeaderMap, token: &Secret) -> bool {
    let given = headers.get(header::AUTHORIZATION);
    let Some((scheme, given)) = given
        .and_then(|given| given.to_str().ok())
        .and_then(|given| given.split_once(' '))
    else {
        return false;
    };
    let given = given.trim();
    let found = if scheme.eq_ignore_ascii_case("bearer") {
        given.as_bytes().to_vec()
    } else if scheme.eq_ignore_ascii_case("basic") {
        let Ok(pair) = STANDARD.decode(given) else {
            return false;
        };
        match pair.iter().position(|byte| *byte == b':') {
            Some(colon) => pair[colon + 1..].to_vec(),
            None => return false,
        }
    } else {
        return false;
    };
    // However much of it is right, it takes as long to say that it is not.
    found.ct_eq(token.expose().as_bytes()).into()
}

fn unauthorized() -> Response {
    let error = "this asks for the token that the pipeline was started with: as Authorization: \
                 Bearer TOKEN, or in a browser as the password of any user";
    let refusal = Refusal(StatusCode::UNAUTHORIZED, error.to_owned());
    // Of the two ways the one that a browser knows.
    let way = "Basic realm=\"Tidemark\", charset=\"UTF-8\"";
    ([(header::WWW_AUTHENTICATE, way)], refusal).into_response()
}

/// Whether a `Host` is this machine's own name or address, whatever its port.
fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let is_own = |address: IpAddr| address.is_loopback();
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(is_own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;

    fn access(token: Option<&str>, http: Http) -> Arc<Access> {
        let access = HttpAccess {
            token: token.map(Secret::new),
            tls: None,
            unauthenticated: false,
        };
        Access::new(http, &access)
    }

    fn status(access: &Access, headers: &[(HeaderName, &str)]) -> u16 {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect();
        let refused = access.refuses(&headers, None);
        refused.map_or(200, |refused| refused.status().as_u16())
    }

    #[test]
    fn only_who_knows_the_token_may_read() {
        let access = access(Some("correct-horse-battery"), Http::Default);
        let with = |text: &str| status(&access, &[(header::AUTHORIZATION, text)]);
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        assert_eq!(with("Bearer correct-horse-battery"), 200);
        assert_eq!(with("bearer correct-horse-battery"), 200);
        assert_eq!(with(&basic("anyone:correct-horse-battery")), 200);
        assert_eq!(with(&basic(":correct-horse-battery")), 200);
        for wrong in [
            "Bearer correct-horse-batterz",
            "Bearer correct-horse-batter",
            "Bearer correct-horse-battery2",
            "Bearer ",
            "Bearer",
            "",
            "Digest correct-horse-battery",
            "Basic correct-horse-battery",
            "Basic !!!",
            &basic("correct-horse-battery"),
            &basic("anyone:wrong"),
        ] {
            assert_eq!(with(wrong), 401, "{wrong:?}");
        }
        assert_eq!(status(&access, &[]), 401);
    }

    #[test]
    fn without_a_token_this_machine_is_asked_by_its_own_name() {
        let local = access(None, Http::Default);
        let at = |access: &Access, host: &str| status(access, &[(header::HOST, host)]);
        for own in [
            "localhost:8080",
            "LocalHost",
            "127.0.0.1:1",
            "127.1.2.3",
            "[::1]:8080",
        ] {
            assert_eq!(at(&local, own), 200, "{own}");
        }
        for other in [
            "shop.example:8080",
            "10.0.0.1",
            "[::2]",
            "localhost.example",
            "",
            "[",
        ] {
            assert_eq!(at(&local, other), 421, "{other}");
        }
        assert_eq!(status(&local, &[]), 421);
        let open = access(None, Http::At(([0, 0, 0, 0], 8080).into()));
        assert_eq!(at(&open, "shop.example"), 200);
        // Behind a proxy that keeps the name, if that is what was asked for.
        let everybody = HttpAccess {
            unauthenticated: true,
            ..HttpAccess::default()
        };
        assert_eq!(
            at(&Access::new(Http::Default, &everybody), "shop.example"),
            200
        );
    }
}
