//! What the tests of both databases share: a view with a column of each kind,
//! rows of it, and MongoDB servers, the services' and ones of a test's own.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary takes it in as a module, and uses a part of it"
)]

pub mod both;
pub mod letters;
pub mod proxy;
pub mod server;
pub mod totals;
pub mod windows;

use std::collections::BTreeMap;
use std::path::Path;

use std::time::Duration;

use sinks::{
    Batch, Claim, Column, DeadLetter, Holder, Kind, Reason, Role, Row, RowId, Storage, Table, Value,
};

/// 2024-11-02T13:00:00Z.
pub const START: i64 = 1_730_552_400_000;
pub const HOUR: i64 = 3_600_000;

fn column(name: &str, kind: Kind, role: Role) -> Column {
    Column {
        name: name.into(),
        kind,
        role,
    }
}

/// Table 0 has nested windows, a column of each kind and an index by group; table 1 flat
/// windows, two groups, and ids that sort as windows do.
pub fn tables() -> Vec<Table> {
    vec![
        Table {
            name: "customer_analysis".into(),
            columns: vec![
                column("window.start", Kind::Date, Role::WindowStart),
                column("window.end", Kind::Date, Role::WindowEnd),
                column("gender", Kind::Text, Role::Group),
                column("total", Kind::Long, Role::Aggregate),
                column("average", Kind::Double, Role::Aggregate),
                column("revenue", Kind::Decimal, Role::Aggregate),
                column("last_activity", Kind::Date, Role::Aggregate),
            ],
            group_index: true,
            ..Table::default()
        },
        Table {
            name: "interaction_analysis".into(),
            columns: vec![
                column("window_start", Kind::Date, Role::WindowStart),
                column("window_end", Kind::Date, Role::WindowEnd),
                column("product_id", Kind::Text, Role::Group),
                column("interaction_type", Kind::Text, Role::Group),
                column("total", Kind::Long, Role::Aggregate),
            ],
            ids_by_window: true,
            ..Table::default()
        },
    ]
}

pub fn id(table: usize, id: &str) -> RowId {
    RowId {
        table,
        id: id.into(),
    }
}

/// A row of table 0.
pub fn customers(window: i64, gender: &str, total: i64) -> Row {
    let start = START + window * HOUR;
    Row {
        id: id(0, &format!("{start}|{gender}")),
        values: vec![
            Value::Date(start),
            Value::Date(start + HOUR),
            Value::Text(gender.into()),
            Value::Long(total),
            Value::Double(total as f64 / 3.0),
            Value::Decimal {
                unscaled: -i128::from(total) * 1_000_000_007,
                scale: 9,
            },
            Value::Date(start + 1),
        ],
        is_final: total < 0,
        expect: sinks::Expect::Either,
        epoch: 5,
        updated_at: START + 77,
    }
}

/// `2024-11-02T13:00:00Z`.
pub fn moment(millis: i64) -> String {
    let moment = mongodb::bson::DateTime::from_millis(millis);
    moment.try_to_rfc3339_string().unwrap()
}

/// A row of table 1.
pub fn interactions(window: i64, product: &str, kind: &str, total: i64) -> Row {
    let start = START + window * HOUR;
    Row {
        id: id(1, &format!("{}|{product}|{kind}", moment(start))),
        values: vec![
            Value::Date(start),
            Value::Date(start + HOUR),
            Value::Text(product.into()),
            Value::Text(kind.into()),
            Value::Long(total),
        ],
        is_final: false,
        expect: sinks::Expect::Either,
        epoch: 6,
        updated_at: START + 77,
    }
}

pub fn puts(puts: Vec<Row>) -> Batch {
    Batch {
        epoch: 6,
        made_at: START + 77,
        puts,
        ..Batch::default()
    }
}

/// Every byte that there is.
pub fn letter(offset: i64) -> DeadLetter {
    DeadLetter {
        topic: "shop.orders".into(),
        partition: 3,
        offset,
        timestamp: Some(START),
        reason: Reason::Malformed,
        detail: "price: expected a number, found null".into(),
        view: (offset % 2 == 1).then(|| "sales_analysis".into()),
        key: (offset % 2 == 1).then(|| vec![0, 159, 146, 150]),
        value: (0..=255).collect(),
        epoch: 6,
    }
}

pub fn offsets() -> BTreeMap<String, BTreeMap<i32, i64>> {
    BTreeMap::from([
        (
            "shop.orders.v1".into(),
            BTreeMap::from([(0, 12), (17, 1 << 50)]),
        ),
        ("empty".into(), BTreeMap::new()),
    ])
}

/// A setting of the tests' services: from the environment, or else from what
/// `scripts/services start` left.
pub fn service(name: &str) -> String {
    if let Ok(value) = std::env::var(name) {
        return value;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/services/env");
    std::fs::read_to_string(&file)
        .unwrap_or_default()
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('=').map(String::from))
        .unwrap_or_else(|| {
            panic!(
                "this test needs a real MongoDB: run `scripts/services start`, or set {name} \
                 (it is not in the environment and not in {})",
                file.display()
            )
        })
}

/// A claim of a run on another machine, as far as anybody can tell: whoever finds its
/// mark later has to ask.
pub fn claim(host: &str) -> Claim {
    Claim {
        host: host.into(),
        process: 17,
        started_at: START,
        take_over: false,
        patience: Duration::from_secs(30),
    }
}

/// Claims a database, whoever holds it.
pub fn begin(storage: &dyn Storage) -> Holder {
    let claim = Claim {
        take_over: true,
        ..claim("here")
    };
    storage.claim(&claim).unwrap()
}

/// How far the event time of a view has come.
pub fn views() -> BTreeMap<String, sinks::ViewProgress> {
    let reached = sinks::ViewProgress {
        watermark: START + 1,
        final_until: START,
    };
    BTreeMap::from([("interaction_analysis".into(), reached)])
}

/// A log that offsets belong to.
pub fn log() -> sinks::Log {
    let last = sinks::LastRead {
        offset: (1 << 50) - 1,
        timestamp: START,
        leader_epoch: Some(3),
        hash: None,
    };
    sinks::Log {
        identity: sinks::LogIdentity {
            cluster_id: Some("a-cluster".into()),
            topic_ids: BTreeMap::from([("shop.orders.v1".into(), "a-topic".into())]),
        },
        last_read: BTreeMap::from([("shop.orders.v1".into(), BTreeMap::from([(17, last)]))]),
    }
}
