//! Sums over a collection, by the server; and the same for people to try.

use ::mongodb::bson::{Bson, Document, RawDocument, doc};

use super::documents;
use super::layout::path;
use crate::{SinkError, Table, Total, Totals, Value};

/// The pipeline that adds up `table`. What it is by is `k0`, `k1`, … of `_id`; the sums
/// are `s0`, `s1`, …
pub(super) fn pipeline(
    table: &Table,
    filter: Document,
    totals: &Totals,
) -> Result<Vec<Document>, SinkError> {
    let (by, sums) = totals.columns(table)?;
    let field = |place: &usize| format!("${}", table.columns[*place].name);
    let mut id = Document::new();
    for (number, place) in by.iter().enumerate() {
        id.insert(format!("k{number}"), field(place));
    }
    let is_final = format!("${}", path(table, "final"));
    let mut group = doc! {"_id": id, "final": {"$min": is_final}};
    for (number, place) in sums.iter().enumerate() {
        group.insert(format!("s{number}"), doc! {"$sum": field(place)});
    }
    let mut order = Document::new();
    if !sums.is_empty() {
        order.insert("s0", -1);
    }
    order.insert("_id", 1);
    Ok(vec![
        doc! {"$match": filter},
        doc! {"$group": group},
        doc! {"$sort": order},
        doc! {"$limit": i64::from(totals.limit.max(1))},
    ])
}

/// What the pipeline has found; an error says what is not as it should be.
pub(super) fn found(
    table: &Table,
    totals: &Totals,
    document: &RawDocument,
) -> Result<Total, String> {
    let (by, sums) = totals.columns(table).map_err(|error| error.to_string())?;
    let wrong = |error: ::mongodb::bson::error::Error| error.to_string();
    let id = document.get_document("_id").map_err(wrong)?;
    let value = |within: &RawDocument, name: String| {
        let found = within.get(&name).map_err(wrong)?;
        documents::value(found).ok_or_else(|| format!("{name} is {found:?}"))
    };
    Ok(Total {
        by: (0..by.len())
            .map(|number| value(id, format!("k{number}")))
            .collect::<Result<_, _>>()?,
        sums: (0..sums.len())
            .map(|number| match value(document, format!("s{number}"))? {
                // Of nulls alone.
                Value::Int(0) => Ok(table.columns[sums[number]].kind.zero()),
                sum => Ok(sum),
            })
            .collect::<Result<_, String>>()?,
        is_final: document.get_bool("final").map_err(wrong)?,
    })
}

/// The pipeline as `mongosh` takes it.
pub(super) fn shell(table: &Table, pipeline: Vec<Document>) -> String {
    let stages = pipeline.into_iter();
    let stages: Vec<String> = stages.map(|stage| text(&Bson::Document(stage))).collect();
    let stages = stages.join(",\n  ");
    // Views are called by words alone.
    format!("db.{}.aggregate([\n  {stages}\n])", table.name)
}

fn text(value: &Bson) -> String {
    let list =
        |parts: Vec<String>, open: char, close: char| format!("{open}{}{close}", parts.join(", "));
    match value {
        Bson::Document(document) => {
            let fields = document.iter();
            let fields = fields.map(|(name, value)| {
                let name = text(&Bson::String(name.clone()));
                format!("{name}: {}", text(value))
            });
            list(fields.collect(), '{', '}')
        }
        Bson::Array(values) => list(values.iter().map(text).collect(), '[', ']'),
        Bson::DateTime(time) => match time.try_to_rfc3339_string() {
            Ok(time) => format!("ISODate(\"{time}\")"),
            Err(_) => format!("new Date({})", time.timestamp_millis()),
        },
        Bson::String(text) => serde_json::Value::from(text.as_str()).to_string(),
        // Numbers, and whether.
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::mongodb::bson::DateTime;

    #[test]
    fn the_shell_takes_dates_and_texts() {
        let table = Table {
            name: "sales".to_owned(),
            ..Table::default()
        };
        let stage = doc! {"$match": {"a": {"$gte": DateTime::from_millis(0)}, "b": ["c\"", 1_i64]}};
        let expected = "db.sales.aggregate([\n  \
            {\"$match\": {\"a\": {\"$gte\": ISODate(\"1970-01-01T00:00:00Z\")}, \"b\": [\"c\\\"\", 1]}}\n])";
        assert_eq!(shell(&table, vec![stage]), expected);
    }
}
