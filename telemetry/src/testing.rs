//! A small view for the tests of this crate and of those above it.

use sinks::{Column, Kind, Role, Row, RowId, Table, Value};

use super::{PartitionTime, ViewTime};
use model::Holding;

/// Sales by product and hour.
pub fn table() -> Table {
    let column = |name: &str, kind, role| Column {
        name: name.to_owned(),
        kind,
        role,
    };
    Table {
        name: "sales".to_owned(),
        columns: vec![
            column("window.start", Kind::Date, Role::WindowStart),
            column("window.end", Kind::Date, Role::WindowEnd),
            column("product", Kind::Text, Role::Group),
            column("total", Kind::Long, Role::Aggregate),
        ],
        ..Table::default()
    }
}

/// A row of it.
pub fn row(start: i64, product: &str, total: i64) -> Row {
    Row {
        id: RowId {
            table: 0,
            id: format!("{start}|{product}").into(),
        },
        values: vec![
            Value::Date(start),
            Value::Date(start + 3_600_000),
            Value::Text(product.to_owned()),
            Value::Long(total),
        ],
        is_final: false,
        expect: sinks::Expect::Either,
        epoch: 1,
        updated_at: 0,
    }
}

/// What is told of it.
pub fn view() -> super::ViewInfo {
    super::ViewInfo {
        name: "sales".to_owned(),
        about: "Sales of each product, by hour".to_owned(),
        version: 1,
        topic: "transactions".to_owned(),
        window: "1h".to_owned(),
        time: "kafka".to_owned(),
        lateness: "2h".to_owned(),
        columns: table().columns,
        group_index: false,
    }
}

/// The event time of [`view`], whose watermark is what these partitions give it.
pub fn view_time(partitions: Vec<PartitionTime>) -> ViewTime {
    let holding = partitions.iter().filter(|p| p.holding == Holding::Yes);
    let passed = holding.map(|p| p.watermark).min().flatten();
    ViewTime {
        view: "sales".to_owned(),
        window: model::Window::HOUR,
        lateness: Some(2 * 3_600_000),
        time: "kafka".to_owned(),
        watermark: passed,
        final_until: passed.map(|at| at.div_euclid(3_600_000_000) * 3_600_000),
        passed,
        waits_for: None,
        behind_others: None,
        partitions,
    }
}

/// A partition of the topic of [`view`], read by the worker of the same number, whose
/// largest event time and Kafka timestamp are `at`, in milliseconds.
pub fn partition_time(number: i32, at: Option<i64>, holding: Holding) -> PartitionTime {
    PartitionTime {
        topic: "transactions".to_owned(),
        partition: number,
        worker: usize::try_from(number).unwrap_or_default(),
        offset: 10,
        holding,
        is_joined: false,
        event_time: at.map(|at| at * 1_000),
        watermark: at.map(|at| (at - 2 * 3_600_000) * 1_000),
        kafka: at,
    }
}

/// A dead letter of this reason and offset, with a message that is no text.
pub fn letter((reason, offset): (sinks::Reason, i64)) -> sinks::DeadLetter {
    sinks::DeadLetter {
        topic: "transactions".to_owned(),
        partition: 0,
        offset,
        timestamp: Some(0),
        reason,
        detail: "price: expected a number, found <null>".to_owned(),
        view: None,
        key: None,
        value: b"<b>\xff".to_vec(),
        epoch: 1,
    }
}
