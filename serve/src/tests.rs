//! Every path, over a reader whose rows lie in memory.

mod times;

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use serde_json::{Value as Json, json};
use sinks::{
    DeadLetter, LetterQuery, Query, Reader, Reason, SinkError, Standing, StoredLetter, StoredRow,
    Total, Totals, Value,
};
use tower::ServiceExt;

use super::*;
use cluster::Place;
use model::Secret;
use telemetry::testing;

const HOUR: i64 = 3_600_000;

/// Three products in each of two hours, newest first.
#[derive(Default)]
struct Memory {
    away: bool,
}

impl Reader for Memory {
    fn page(&self, table: usize, query: &Query) -> Result<Vec<StoredRow>, SinkError> {
        assert_eq!(table, 0);
        self.ping()?;
        let rows = [HOUR, 0].into_iter().flat_map(|start| {
            ["a", "b", "c d&e"].map(|product| testing::row(start, product, start + 1))
        });
        let matching = rows.filter(|row| {
            let [Value::Date(start), _, Value::Text(product), _] = &row.values[..] else {
                panic!("{row:?}")
            };
            query.from.is_none_or(|from| *start >= from)
                && query.until.is_none_or(|until| *start < until)
                && query
                    .groups
                    .iter()
                    .all(|(_, value)| *value == Value::from(&**product))
        });
        // As long as none is passed over: after the row of this id.
        let mut passed = query.after.is_none();
        let further = matching.filter(move |row| {
            let is_after = passed;
            passed |= query.after.as_ref() == Some(&row.id.id);
            is_after
        });
        let page = further
            .skip(usize::try_from(query.offset).unwrap())
            .take(usize::try_from(query.limit).unwrap());
        let stored = page.map(|row| StoredRow {
            id: row.id.id,
            values: row.values,
            is_final: false,
            epoch: 1,
            updated_at: 0,
        });
        Ok(stored.collect())
    }

    fn totals(&self, _table: usize, _totals: &Totals) -> Result<Vec<Total>, SinkError> {
        self.ping()?;
        Ok(Vec::new())
    }

    fn totals_query(&self, _table: usize, _totals: &Totals) -> Result<String, SinkError> {
        Ok("all of it".to_owned())
    }

    fn windows(&self, _table: usize, from: Option<i64>) -> Result<Vec<(i64, u64)>, SinkError> {
        self.ping()?;
        let starts = [0, HOUR].into_iter();
        let starts = starts.filter(|start| Some(*start) >= from);
        Ok(starts.map(|start| (start, 3)).collect())
    }

    fn letters(&self, query: &LetterQuery) -> Result<Vec<DeadLetter>, SinkError> {
        self.ping()?;
        let all = Reason::ALL.into_iter().zip(0..).map(testing::letter);
        let wanted = all.filter(|letter| {
            query.reason.is_none_or(|reason| letter.reason == reason)
                && query.id.as_ref().is_none_or(|id| letter.id() == *id)
        });
        let page = wanted.skip(usize::try_from(query.offset).unwrap());
        Ok(page.take(usize::try_from(query.limit).unwrap()).collect())
    }

    fn standing(&self) -> Result<Standing, SinkError> {
        Ok(Standing::default())
    }

    fn written_after(
        &self,
        table: usize,
        _epoch: u64,
        each: &mut dyn FnMut(StoredRow),
    ) -> Result<(), SinkError> {
        let all = Query {
            limit: u32::MAX,
            ..Query::default()
        };
        self.page(table, &all)?.into_iter().for_each(each);
        Ok(())
    }

    fn ids_before(
        &self,
        _: usize,
        _: u64,
        _: &mut dyn FnMut(sinks::IdValue),
    ) -> Result<(), SinkError> {
        unreachable!("only rebuilds ask for them")
    }

    fn ids(
        &self,
        table: usize,
        _from: &str,
        each: &mut dyn FnMut(sinks::IdValue),
    ) -> Result<(), SinkError> {
        self.written_after(table, 0, &mut |row| each(row.id))
    }

    fn has_finals(&self, _table: usize) -> Result<bool, SinkError> {
        Ok(false)
    }

    fn letters_after(
        &self,
        _epoch: u64,
        _each: &mut dyn FnMut(StoredLetter),
    ) -> Result<(), SinkError> {
        Ok(())
    }

    fn ping(&self) -> Result<(), SinkError> {
        match self.away {
            false => Ok(()),
            true => Err(SinkError::Unavailable {
                database: "memory".to_owned(),
                detail: "it is away".to_owned(),
            }),
        }
    }
}

/// Of no product.
struct NoNames;

impl ProductNames for NoNames {
    fn name_of(&self, _: &str) -> Option<String> {
        None
    }
}

struct Fixture {
    telemetry: Arc<Telemetry>,
    reader: Arc<dyn Reader>,
    views: Arc<Vec<ViewInfo>>,
}

impl Fixture {
    fn new() -> Self {
        let topics = ["transactions".to_owned()];
        Self {
            telemetry: Arc::new(Telemetry::new(1, &topics, &[testing::table()])),
            reader: Arc::new(Memory::default()),
            views: Arc::new(vec![testing::view()]),
        }
    }

    fn router(&self, access: &HttpAccess) -> Router {
        let app = routes::App {
            telemetry: self.telemetry.clone(),
            reader: self.reader.clone(),
            views: self.views.clone(),
            live: super::dashboard::Live::new(),
            names: Arc::new(NoNames),
            place: place(),
        };
        routes::router(app, access::Access::new(Http::Default, access))
    }

    fn get(&self, path: &str) -> (StatusCode, String) {
        self.get_as(path, &HttpAccess::default(), &[("host", "localhost:8080")])
    }

    fn get_as(
        &self,
        path: &str,
        access: &HttpAccess,
        headers: &[(&str, &str)],
    ) -> (StatusCode, String) {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            let response = self.router(access).oneshot(request).await.unwrap();
            let status = response.status();
            assert_eq!(response.headers()["x-content-type-options"], "nosniff");
            let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
            (status, String::from_utf8(body.to_vec()).unwrap())
        })
    }

    fn json(&self, path: &str) -> (u16, Json) {
        let (status, body) = self.get(path);
        (status.as_u16(), serde_json::from_str(&body).unwrap())
    }
}

/// The second of two processes.
fn place() -> Place {
    Place {
        process: 1,
        addresses: vec!["one:2101".to_owned(), "two:2101".to_owned()],
        workers: 2,
    }
}

fn ids(page: &Json) -> Vec<&str> {
    let rows = page["rows"].as_array().unwrap();
    rows.iter()
        .map(|row| row["_id"].as_str().unwrap())
        .collect()
}

#[test]
fn every_path_asks_for_the_token_but_those_of_probes() {
    let fixture = Fixture::new();
    fixture.telemetry.set_ready();
    let access = HttpAccess {
        token: Some(Secret::new("correct-horse-battery")),
        ..HttpAccess::default()
    };
    let host = ("host", "shop.example");
    let token = ("authorization", "Bearer correct-horse-battery");
    let paths = [
        "/",
        "/live/shop",
        "/shop/revenue.csv",
        "/pipeline",
        "/pipeline/dead-letters",
        "/pipeline/dataflow",
        "/api/dataflow",
        "/assets/dashboard.css",
        "/metrics",
        "/api",
        "/api/views",
        "/no-such-path",
    ];
    for path in paths {
        let (status, body) = fixture.get_as(path, &access, &[host]);
        assert_eq!(status, 401, "{path}");
        assert!(!body.contains("correct"), "{body}");
        let (status, _) = fixture.get_as(path, &HttpAccess::default(), &[host]);
        assert_eq!(status, 421, "{path}");
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(fixture.get_as(path, &access, &[host]).0, 200, "{path}");
    }
    fixture.telemetry.set_failed("secret-broker:9092 is gone");
    for path in ["/healthz", "/readyz"] {
        let (status, body) = fixture.get_as(path, &access, &[host]);
        assert_eq!((status.as_u16(), body.as_str()), (503, ""), "{path}");
        let (_, body) = fixture.get_as(path, &access, &[host, token]);
        assert!(body.contains("secret-broker"), "{body}");
    }
    for path in ["/metrics", "/api", "/api/views"] {
        let (status, _) = fixture.get_as(path, &access, &[host, token]);
        assert_eq!(status, 200, "{path}");
    }
}

#[test]
fn health_and_readiness_follow_the_stage() {
    let fixture = Fixture::new();
    fixture.telemetry.set_waiting("Kafka is away");
    assert_eq!(fixture.json("/healthz").0, 200);
    let not_ready = json!({ "error": "not ready: Kafka is away" });
    assert_eq!(fixture.json("/readyz"), (503, not_ready));
    fixture.telemetry.set_ready();
    assert_eq!(fixture.json("/readyz"), (200, json!({ "status": "ready" })));
    fixture.telemetry.set_stopping();
    assert_eq!(
        (fixture.json("/healthz").0, fixture.json("/readyz").0),
        (200, 503)
    );
    fixture.telemetry.set_failed("the disk is full");
    let failed = json!({ "error": "it failed: the disk is full" });
    assert_eq!(fixture.json("/healthz"), (503, failed));
}

#[test]
fn metrics_are_those_of_the_board() {
    let fixture = Fixture::new();
    fixture.telemetry.events_read(0, 5, 50);
    let (status, text) = fixture.get("/metrics");
    assert_eq!(status, 200);
    assert!(text.contains("tidemark_events_read_total{topic=\"transactions\"} 5\n"));
}

#[test]
fn views_are_listed_with_what_they_are() {
    let (status, list) = Fixture::new().json("/api/views");
    assert_eq!(status, 200);
    assert_eq!(
        list["views"][0],
        json!({
            "name": "sales",
            "about": "Sales of each product, by hour",
            "version": 1,
            "topic": "transactions",
            "window": "1h",
            "time": "kafka",
            "lateness": "2h",
            "groups": ["product"], "indexes": [["window.start"]],
            "fields": [
                {"name": "window.start", "type": "date"},
                {"name": "window.end", "type": "date"},
                {"name": "product", "type": "string"},
                {"name": "total", "type": "long"},
            ],
            "rows": "/api/views/sales",
        })
    );
}

#[test]
fn rows_are_filtered_by_window_and_group() {
    let fixture = Fixture::new();
    let (status, page) = fixture.json("/api/views/sales?window=1970-01-01T01:00:00Z&product=a");
    assert_eq!(status, 200);
    let row = json!({
        "_id": "3600000|a",
        "window": {"start": "1970-01-01T01:00:00Z", "end": "1970-01-01T02:00:00Z"},
        "product": "a",
        "total": 3_600_001,
        "final": false,
        "epoch": 1,
        "updated_at": "1970-01-01T00:00:00Z",
    });
    assert_eq!(
        page,
        json!({ "view": "sales", "rows": [row], "next": null })
    );
    // Of no span, and without an index by group: the answer says that this may be slow.
    let (_, page) = fixture.json("/api/views/sales?product=a");
    let note = page["note"].as_str().unwrap();
    assert!(note.contains("views.sales.group_index = true"), "{note}");
    let (_, page) = fixture.json("/api/views/sales?until=1970-01-01T01:00:00Z");
    assert_eq!(ids(&page), ["0|a", "0|b", "0|c d&e"]);
}

#[test]
fn following_next_gives_every_row_once() {
    let fixture = Fixture::new();
    let mut path = "/api/views/sales?limit=4".to_owned();
    let mut seen = Vec::new();
    loop {
        let (status, page) = fixture.json(&path);
        assert_eq!(status, 200);
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        match page["next"].as_str() {
            Some(next) => path = next.to_owned(),
            None => break,
        }
    }
    let all = [
        "3600000|a",
        "3600000|b",
        "3600000|c d&e",
        "0|a",
        "0|b",
        "0|c d&e",
    ];
    assert_eq!(seen, all);
    // What is filtered stays filtered, whatever its letters.
    let (_, page) = fixture.json("/api/views/sales?product=c%20d%26e&limit=1");
    let (_, page) = fixture.json(page["next"].as_str().unwrap());
    assert_eq!(ids(&page), ["0|c d&e"]);
}

#[test]
fn what_is_wrong_is_said_as_json() {
    let away = Memory { away: true };
    let fixture = Fixture {
        reader: Arc::new(away),
        ..Fixture::new()
    };
    for (path, status, expected) in [
        (
            "/api/views/sale",
            404,
            "sale: no such view; there are sales",
        ),
        (
            "/api/views/sales?product_id=1",
            400,
            "product_id: sales takes no such parameter",
        ),
        (
            "/api/views/sales?limit=many",
            400,
            "limit: \"many\": it takes 1 to 1000",
        ),
        (
            "/api/views/sales",
            503,
            "memory is not available: it is away",
        ),
        ("/apis", 404, "no such path; /api lists those there are"),
    ] {
        let (found, answer) = fixture.json(path);
        let error = answer["error"].as_str().unwrap();
        assert_eq!(found, status, "{path}");
        assert!(error.starts_with(expected), "{path}: {error}");
    }
}

#[test]
fn dead_letters_are_shown_with_their_messages() {
    let fixture = Fixture::new();
    let (status, page) = fixture.get("/pipeline/dead-letters?reason=late");
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("transactions 0 @ 1"), "{page}");
    assert!(
        page.contains("found &lt;null&gt;") && page.contains("&lt;b&gt;\\xff"),
        "{page}"
    );
    assert!(!page.contains("transactions 0 @ 0"), "{page}");
    let (status, page) = fixture.get("/pipeline/dead-letters?offset=5");
    assert!(
        status == StatusCode::OK && page.contains("There are no more"),
        "{page}"
    );
    let path = "/pipeline/dead-letters/message?id=transactions/0/7";
    assert_eq!(fixture.get(path).0, StatusCode::NOT_FOUND);
    let (status, answer) = fixture.get("/pipeline/dead-letters?reason=lost");
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
}

#[test]
fn rows_of_a_real_store_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.sqlite");
    let storage = sinks::embedded::open(&path, vec![testing::table()]).unwrap();
    let storage: &dyn sinks::Storage = &storage;
    storage.prepare().unwrap();
    let claim = sinks::Claim {
        host: "here".to_owned(),
        process: std::process::id(),
        started_at: 0,
        take_over: false,
        patience: std::time::Duration::ZERO,
    };
    storage.claim(&claim).unwrap();
    let batch = sinks::Batch {
        epoch: 1,
        puts: ["a", "b"]
            .map(|product| testing::row(HOUR, product, 7))
            .into(),
        ..Default::default()
    };
    storage.writer().unwrap().write(&batch).unwrap();
    let fixture = Fixture::new();
    let reader = storage.reader().unwrap();
    let fixture = Fixture { reader, ..fixture };
    let (status, page) = fixture.json("/api/views/sales?product=b&limit=1");
    assert_eq!((status, ids(&page)), (200, vec!["3600000|b"]), "{page}");
    assert_eq!(page["rows"][0]["window"]["start"], "1970-01-01T01:00:00Z");
    let (_, first) = fixture.json("/api/views/sales?limit=1");
    let (_, second) = fixture.json(first["next"].as_str().unwrap());
    let mut both = [ids(&first), ids(&second)].concat();
    both.sort_unstable();
    assert_eq!(both, ["3600000|a", "3600000|b"]);
}

#[test]
fn a_server_listens_until_it_is_stopped() {
    use std::{
        io::{Read, Write},
        net::TcpStream,
    };
    let fixture = Fixture::new();
    let server = start(
        Http::At(([127, 0, 0, 1], 0).into()),
        &HttpAccess::default(),
        fixture.telemetry,
        fixture.reader,
        fixture.views,
        Arc::new(NoNames),
        place(),
    );
    let server = server.unwrap().unwrap();
    let address = server.address();
    // A client that never asks must not keep it from stopping.
    let _silent = TcpStream::connect(address).unwrap();
    let mut client = TcpStream::connect(address).unwrap();
    client
        .write_all(b"GET /api HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains("/api/views/NAME"), "{answer}");
    server.stop();
    assert!(TcpStream::connect(address).is_err());
}
