//! Rows as JSON: the documents that the database holds, field by field in their
//! order, in plain JSON types.
//!
//! A date is a text in ISO 8601, UTC; a decimal is a text with all its digits; a
//! long is a number, of which a reader in JavaScript loses digits beyond 2^53.

use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};
use sinks::{Column, StoredRow, Value};

use telemetry::format::decimal;

/// A row as a document; a dotted column nests as it does in MongoDB.
pub(super) fn document(columns: &[Column], row: StoredRow) -> Json {
    // Destructured, so that nothing of a row is left out.
    let StoredRow {
        id,
        values,
        is_final,
        epoch,
        updated_at,
    } = row;
    let mut document = Map::new();
    document.insert("_id".to_owned(), value(id.to_value()));
    for (column, of_column) in columns.iter().zip(values) {
        insert(&mut document, &column.name, value(of_column));
    }
    document.insert("final".to_owned(), Json::from(is_final));
    document.insert("epoch".to_owned(), Json::from(epoch));
    document.insert("updated_at".to_owned(), date(updated_at));
    Json::from(document)
}

fn insert(document: &mut Map<String, Json>, name: &str, value: Json) {
    match name.split_once('.') {
        None => drop(document.insert(name.to_owned(), value)),
        Some((outer, inner)) => {
            let nested = document.entry(outer).or_insert_with(|| json!({}));
            if let Json::Object(nested) = nested {
                insert(nested, inner, value);
            }
        }
    }
}

/// A value of a row.
pub(super) fn value(value: Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Boolean(boolean) => Json::from(boolean),
        Value::Int(int) => Json::from(int),
        Value::Long(long) => Json::from(long),
        // JSON has no word for what is not a number: null.
        Value::Double(double) => Json::from(double),
        Value::Text(text) => Json::from(text),
        Value::Date(millis) => date(millis),
        Value::Decimal { unscaled, scale } => Json::from(decimal(unscaled, scale)),
        Value::Array(values) => values.into_iter().map(self::value).collect(),
        Value::Document(fields) => {
            let fields = fields.into_iter();
            let fields = fields.map(|(name, inner)| (name, self::value(inner)));
            Json::Object(fields.collect())
        }
    }
}

/// Milliseconds since the UNIX epoch as ISO 8601; as a number where no calendar
/// has them.
pub(super) fn date(millis: i64) -> Json {
    match Timestamp::from_millisecond(millis) {
        Ok(time) => Json::from(time.to_string()),
        Err(_) => Json::from(millis),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sinks::{Kind, Role};

    #[test]
    fn a_row_is_the_document_it_is_in_the_database() {
        let column = |name: &str, kind, role| Column {
            name: name.to_owned(),
            kind,
            role,
        };
        let columns = [
            column("window.start", Kind::Date, Role::WindowStart),
            column("window.end", Kind::Date, Role::WindowEnd),
            column("gender", Kind::Text, Role::Group),
            column("total", Kind::Long, Role::Aggregate),
            column("average", Kind::Double, Role::Aggregate),
            column("revenue", Kind::Decimal, Role::Aggregate),
        ];
        let row = StoredRow {
            id: "x".into(),
            values: vec![
                Value::Date(1_730_505_600_000),
                Value::Date(1_730_592_000_000),
                Value::Text("Other".to_owned()),
                Value::Long(i64::MAX),
                Value::Double(0.1),
                Value::Decimal {
                    unscaled: 1_999,
                    scale: 2,
                },
            ],
            is_final: true,
            epoch: 7,
            updated_at: 1_730_592_000_123,
        };
        assert_eq!(
            document(&columns, row),
            json!({
                "_id": "x",
                "window": {"start": "2024-11-02T00:00:00Z", "end": "2024-11-03T00:00:00Z"},
                "gender": "Other",
                "total": i64::MAX,
                "average": 0.1,
                "revenue": "19.99",
                "final": true,
                "epoch": 7,
                "updated_at": "2024-11-03T00:00:00.123Z",
            })
        );
    }
}
