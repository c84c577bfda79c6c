//! What is told of event time: `/api/watermarks` and `/api/why`.

use super::*;
use dataflow::time::{Mark, PartitionTime, Trust, WallClock};
use dataflow::times::Times;
use dataflow::views::Catalog;
use model::Holding;
use std::sync::Mutex;
use telemetry::Offsets;
use telemetry::ViewTime;

const LOGS: &str = "system_logs";

/// All views as they are without any configuration.
fn catalog() -> Arc<Catalog> {
    Arc::new(shop::catalog(&Default::default()).unwrap())
}

/// What is known of event time after these marks of partitions.
fn times(
    catalog: &Arc<Catalog>,
    marks: Vec<Mark>,
) -> impl Fn() -> Vec<ViewTime> + Send + Sync + use<> {
    let mut known = catalog.watermarks();
    known.update(marks, |_| {});
    let names = catalog.routes.iter().map(|route| route.topic().to_owned());
    let times = Times {
        catalog: Arc::clone(catalog),
        topics: names.collect(),
        known: Arc::new(Mutex::new(known)),
    };
    move || times.views()
}

/// The mark of a partition, read by the worker of the same number up to offset 10,
/// that has seen one message: all its times are `at`, in milliseconds. `None`: it
/// has seen nothing.
fn mark(catalog: &Catalog, topic: &str, partition: i32, at: Option<i64>, holding: Holding) -> Mark {
    let number = catalog.routes.iter().position(|r| r.topic() == topic);
    let number = number.unwrap();
    let rules = catalog.routes[number].rules();
    let trust = Trust {
        clock: WallClock::of(|| i64::MAX),
        max_ahead: std::time::Duration::ZERO,
    };
    let mut time = PartitionTime::new(rules, trust);
    if let Some(at) = at {
        // Twice, so that its clock has got there.
        time.message(0, at);
        time.message(1, at);
        for place in 0..rules.len() {
            time.judge(place, Some(at * 1_000)).unwrap();
        }
    }
    let worker = usize::try_from(partition).unwrap();
    time.mark(number, partition, worker, 10, holding)
}

/// All views, of partitions that stand where `marks` say.
fn fixture(
    marks: impl FnOnce(&dyn Fn(&str, i32, Option<i64>, Holding) -> Mark) -> Vec<Mark>,
) -> Fixture {
    let catalog = catalog();
    let mark =
        |topic: &str, partition, at, holding| self::mark(&catalog, topic, partition, at, holding);
    let topics: Vec<_> = catalog
        .routes
        .iter()
        .map(|r| r.topic().to_owned())
        .collect();
    let tables: Vec<_> = catalog
        .definitions
        .iter()
        .map(|v| v.table.clone())
        .collect();
    let views = catalog.definitions.iter().map(|view| view.info(""));
    let telemetry = Telemetry::new(1, &topics, &tables);
    telemetry.watch(times(&catalog, marks(&mark)));
    Fixture {
        telemetry: Arc::new(telemetry),
        views: Arc::new(views.collect()),
        ..Fixture::new()
    }
}

/// Three partitions of logs: at 12:00, at 9:30, and idle at 1:00.
fn logs() -> Fixture {
    fixture(|mark| {
        vec![
            mark(LOGS, 0, Some(12 * HOUR), Holding::Yes),
            mark(LOGS, 1, Some(9 * HOUR + HOUR / 2), Holding::Yes),
            mark(LOGS, 2, Some(HOUR), Holding::Idle),
        ]
    })
}

#[test]
fn watermarks_are_told_by_view_and_partition() {
    let fixture = logs();
    let (status, answer) = fixture.json("/api/watermarks?view=log_analysis");
    assert_eq!(status, 200);
    let partition =
        |number: i32, state: &str, times: [&str; 2], holds: bool, behind: &str, ms: i64| {
            json!({
                "topic": LOGS, "partition": number, "worker": number, "offset": 10,
                "state": state, "joined": false,
                "event_time": times[0], "watermark": times[1], "kafka_time": times[0],
                "holds": holds, "behind": behind, "behind_ms": ms,
            })
        };
    let noon = ["1970-01-01T12:00:00Z", "1970-01-01T10:00:00Z"];
    let half = ["1970-01-01T09:30:00Z", "1970-01-01T07:30:00Z"];
    let idle = ["1970-01-01T01:00:00Z", "1969-12-31T23:00:00Z"];
    let log_analysis = json!({
        "name": "log_analysis",
        "time": "timestamp",
        "window": "1h",
        "lateness": "2h",
        "watermark": "1970-01-01T07:30:00Z",
        "final_until": "1970-01-01T07:00:00Z",
        "behind_others": null,
        "partitions": [
            partition(0, "reading", noon, false, "0s", 0),
            partition(1, "reading", half, true, "2h 30m", 9_000_000),
            partition(2, "idle", idle, false, "11h", 39_600_000),
        ],
    });
    assert_eq!(answer, json!({ "views": [log_analysis] }));
    let (_, all) = fixture.json("/api/watermarks");
    assert_eq!(all["views"].as_array().unwrap().len(), fixture.views.len());
    let nothing = &all["views"][0];
    assert_eq!(nothing["name"], "customer_analysis");
    assert_eq!(
        (&nothing["watermark"], &nothing["partitions"]),
        (&json!(null), &json!([]))
    );
}

#[test]
fn before_the_workers_have_started_nothing_is_known() {
    let fixture = Fixture::new();
    let (status, answer) = fixture.json("/api/watermarks");
    assert_eq!(
        (status, &answer["views"][0]["partitions"]),
        (200, &json!([]))
    );
    fixture.telemetry.set_waiting("Kafka is away");
    let error = json!({ "error": "nothing is known of any window yet: Kafka is away" });
    assert_eq!(fixture.json("/api/why/sales/latest"), (503, error));
}

#[test]
fn an_open_transaction_that_blocks_a_partition_is_named() {
    let fixture = logs();
    let blocked = Offsets {
        position: 10,
        stable: 10,
        end: 14,
    };
    fixture.telemetry.partition(LOGS, 1, 1, blocked, false);
    // Not one of the view's topics.
    fixture
        .telemetry
        .partition("products", 0, 0, blocked, false);
    fixture.telemetry.transaction_began(LOGS, 1, 10, 7_000);
    let (status, why) = fixture.json("/api/why/log_analysis/1970-01-01T08:00:00Z");
    assert_eq!(status, 200);
    let since = "1970-01-01T00:00:07Z";
    let named = json!({
        "topic": LOGS, "partition": 1, "offset": 10, "behind": 4, "since": since,
    });
    assert_eq!(why["blocked"], json!([named]));
    assert_eq!(why["partitions"][0]["lag"], 0);
    let (_, page) = fixture.get("/pipeline/why/log_analysis/1970-01-01T08:00:00Z");
    for said in [
        "short, and it is read up to an open transaction, which blocks it.",
        "topic system_logs partition 1 is blocked by an open transaction at offset 10 since \
         1970-01-01T00:00:07Z: 4 offsets from there on are not delivered.",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }

    // Also where no window has begun, since what would begin one is not delivered.
    let fixture = fixture_of_nothing();
    fixture.telemetry.partition(LOGS, 0, 0, blocked, false);
    let (status, answer) = fixture.json("/api/why/log_analysis/latest");
    let said = answer["error"].as_str().unwrap();
    assert_eq!(status, 503);
    assert!(
        said.contains("partition 0 is blocked by an open transaction at offset 10"),
        "{said}"
    );
}

/// One partition of logs, of which nothing has been read.
fn fixture_of_nothing() -> Fixture {
    fixture(|mark| vec![mark(LOGS, 0, None, Holding::Yes)])
}

#[test]
fn a_window_is_open_because_of_a_partition() {
    let fixture = logs();
    fixture
        .telemetry
        .partition(LOGS, 1, 1, Offsets::stable(10, 14), false);
    let (status, why) = fixture.json("/api/why/log_analysis/1970-01-01T08:00:00Z");
    assert_eq!(status, 200);
    assert_eq!(
        why,
        json!({
            "view": "log_analysis", "time": "timestamp", "window": "1h", "lateness": "2h",
            "start": "1970-01-01T08:00:00Z", "end": "1970-01-01T09:00:00Z",
            "state": "open", "forever": false,
            "watermark_needed": "1970-01-01T09:00:00Z",
            "event_time_needed": "1970-01-01T11:00:00Z",
            "watermark": "1970-01-01T07:30:00Z",
            "final_until": "1970-01-01T07:00:00Z",
            "missing": "1h 30m", "missing_ms": 5_400_000,
            "partitions": [{
                "topic": LOGS, "partition": 1, "worker": 1, "offset": 10, "lag": 4,
                "state": "reading",
                "event_time": "1970-01-01T09:30:00Z",
                "event_time_needed": "1970-01-01T11:00:00Z",
                "behind": "1h 30m", "behind_ms": 5_400_000,
            }],
            "waits_for": null,
            "blocked": [],
        })
    );
    for (window, state) in [
        ("1970-01-01T06:00:00Z", "final"),
        // As parameters are: without an offset it is UTC.
        ("1970-01-01%2012:00", "open"),
        ("latest", "open"),
        ("1970-01-02", "not_begun"),
    ] {
        let (status, why) = fixture.json(&format!("/api/why/log_analysis/{window}"));
        assert_eq!(
            (status, &why["state"]),
            (200, &json!(state)),
            "{window}: {why}"
        );
    }
    let (_, latest) = fixture.json("/api/why/log_analysis/latest");
    assert_eq!(latest["start"], "1970-01-01T12:00:00Z");
}

#[test]
fn a_window_that_is_joined_waits_for_what_it_is_joined_with() {
    let fixture = fixture(|mark| {
        vec![
            mark("transactions", 0, Some(12 * HOUR), Holding::Yes),
            mark("products", 0, Some(11 * HOUR), Holding::Yes),
            mark("products", 1, Some(13 * HOUR), Holding::Yes),
            mark("customers", 0, None, Holding::Yes),
        ]
    });
    let (_, why) = fixture.json("/api/why/revenue_analysis/1970-01-01T09:00:00Z");
    assert_eq!(
        (&why["state"], &why["missing_ms"]),
        (&json!("open"), &json!(0))
    );
    assert_eq!(why["partitions"], json!([]));
    let waits_for = &why["waits_for"];
    assert_eq!(waits_for["kafka_time"], "1970-01-01T12:00:00Z");
    assert_eq!(
        waits_for["topics"],
        json!(["customers", "products", "transactions"])
    );
    assert_eq!(waits_for["partitions"][0]["topic"], "customers");
    assert_eq!(waits_for["partitions"][0]["behind"], json!(null));
    assert_eq!(waits_for["partitions"][1]["behind_ms"], HOUR + 1);
    // A window that its own topic has not passed waits for nothing that is joined.
    let (_, why) = fixture.json("/api/why/revenue_analysis/1970-01-01T10:00:00Z");
    assert_eq!(why["waits_for"], json!(null));
    assert_eq!(why["missing"], "1h");

    let (_, answer) = fixture.json("/api/watermarks?view=revenue_analysis");
    let partitions = answer["views"][0]["partitions"].as_array().unwrap();
    let told: Vec<_> = partitions
        .iter()
        .map(|p| {
            (
                p["topic"].as_str().unwrap(),
                p["joined"] == true,
                p["holds"] == true,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("customers", true, true),
            ("products", true, false),
            ("products", true, false),
            ("transactions", false, false),
        ]
    );
}

#[test]
fn a_question_that_is_wrong_is_answered_by_what_it_takes() {
    let fixture = logs();
    for (path, status, expected) in [
        (
            "/api/watermarks?view=logs",
            404,
            "logs: no such view; there are customer_analysis, ",
        ),
        (
            "/api/watermarks?topic=x",
            400,
            "topic: /api/watermarks takes no such parameter",
        ),
        (
            "/api/watermarks?view=log_analysis&view=log_analysis",
            400,
            "view: it is given twice",
        ),
        (
            "/api/why/logs/latest",
            404,
            "logs: no such view; there are customer_analysis, ",
        ),
        (
            "/api/why/log_analysis/soon",
            400,
            "window: \"soon\": it takes a time such as",
        ),
        (
            "/api/why/log_analysis/1970-01-01T08:15:00Z",
            400,
            "window: no window of log_analysis starts at 1970-01-01T08:15:00Z: they are 1h long, and \
             the nearest start at 1970-01-01T08:00:00Z and 1970-01-01T09:00:00Z",
        ),
        (
            "/api/why/sales_analysis/latest",
            503,
            "no window has begun: no event of transactions",
        ),
        ("/api/why/log_analysis", 404, "no such path"),
    ] {
        let (found, answer) = fixture.json(path);
        let error = answer["error"].as_str().unwrap();
        assert_eq!(found, status, "{path}");
        assert!(error.starts_with(expected), "{path}: {error}");
    }
}
