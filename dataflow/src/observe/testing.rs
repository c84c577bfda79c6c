//! A small view for tests.

use sinks::{Column, Kind, Role, Row, RowId, Table, Value};

/// Sales by product and hour.
pub(crate) fn table() -> Table {
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
    }
}

/// A row of it.
pub(crate) fn row(start: i64, product: &str, total: i64) -> Row {
    Row {
        id: RowId {
            table: 0,
            id: format!("{start}/{product}"),
        },
        values: vec![
            Value::Date(start),
            Value::Date(start + 3_600_000),
            Value::Text(product.to_owned()),
            Value::Long(total),
        ],
        is_final: false,
        epoch: 1,
    }
}

/// What is told of it.
pub(crate) fn view() -> super::ViewInfo {
    super::ViewInfo {
        name: "sales".to_owned(),
        about: "Sales of each product, by hour".to_owned(),
        topic: "transactions".to_owned(),
        window: "1h".to_owned(),
        time: "kafka".to_owned(),
        lateness: "2h".to_owned(),
        columns: table().columns,
    }
}
