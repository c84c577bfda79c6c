//! What Tidemark wrote into an SQLite file, as the documents that it would be.

use super::documents::{Documents, Each, Fields, OWN, VIEWS, Value, keyed};
use mongodb::bson::Decimal128;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};
use std::error::Error;
use std::path::Path;

/// Whether a file holds just what is `expected`.
///
/// # Errors
/// The first row that differs; or that cannot be read.
pub fn compare(file: &Path, expected: &Documents) -> Result<usize, Box<dyn Error>> {
    expected.compare(&file.display().to_string(), &[], |each| read(file, each))
}

fn read(file: &Path, each: &mut Each<'_>) -> Result<(), Box<dyn Error>> {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    for (table, groups) in VIEWS {
        // Of the four original views alone there are no tables of the others.
        if !connection.table_exists(None, table)? {
            continue;
        }
        let mut statement = connection.prepare(&format!("SELECT * FROM {table}"))?;
        let columns = statement.column_names();
        let columns: Vec<String> = columns.map(ToOwned::to_owned).collect();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (key, fields) = parts(table, groups, &columns, row)?;
            each(key, fields)?;
        }
    }
    Ok(())
}

fn parts(
    table: &str,
    groups: &[&str],
    columns: &[String],
    row: &Row<'_>,
) -> Result<(Box<str>, Fields), Box<dyn Error>> {
    let mut fields = Vec::new();
    for (place, column) in columns.iter().enumerate() {
        if OWN.contains(&column.as_str()) {
            continue;
        }
        let name = match column.strip_prefix("window_") {
            // The one view whose documents nest; a column's name has `_` for the dot.
            Some(inner) if table == "customer_analysis" => format!("window.{inner}"),
            _ => column.clone(),
        };
        let value = match row.get_ref(place)? {
            ValueRef::Integer(value) => Value::Whole(value),
            ValueRef::Real(value) => Value::Double(value),
            ValueRef::Text(text) => of_text(column, std::str::from_utf8(text)?)?,
            other => return Err(format!("{table}.{column} is a {}", other.data_type()).into()),
        };
        fields.push((name.into(), value));
    }
    keyed(table, groups, fields)
}

/// Moments and decimals are texts there, by their columns.
fn of_text(column: &str, text: &str) -> Result<Value, Box<dyn Error>> {
    Ok(match column {
        "window_start" | "window_end" | "last_activity" => {
            Value::Date(text.parse::<jiff::Timestamp>()?.as_millisecond())
        }
        "revenue" => Value::Decimal(text.parse::<Decimal128>()?.bytes()),
        _ => Value::Text(text.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_differs_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rows.sqlite");
        let connection = Connection::open(&file).unwrap();
        let run = |sql: &str| connection.execute_batch(sql).unwrap();
        run("CREATE TABLE revenue_analysis (
                _id TEXT, window_start TEXT, window_end TEXT, category TEXT, gender TEXT,
                status TEXT, revenue TEXT, mean REAL, epoch INTEGER
            );
            INSERT INTO revenue_analysis VALUES
                ('a', '2026-10-01T00:00:00.000Z', '2026-10-01T01:00:00.000Z', 'c', 'g', 's',
                 '12.50', 0.5, 1),
                ('b', '2026-10-01T01:00:00.000Z', '2026-10-01T02:00:00.000Z', 'c', 'g', 's',
                 '7', 0.25, 1);");
        let expected = Documents::gather(|each| read(&file, each)).unwrap();
        run("UPDATE revenue_analysis SET epoch = 2");
        assert_eq!(compare(&file, &expected).unwrap(), 2);
        for change in [
            "UPDATE revenue_analysis SET revenue = '12.51' WHERE _id = 'a'",
            "UPDATE revenue_analysis SET revenue = '12.50', mean = 0.500001 WHERE _id = 'a'",
            "UPDATE revenue_analysis SET mean = 0.5, window_end = '2026-10-01T01:00:00.001Z'
                WHERE _id = 'a'",
            "DELETE FROM revenue_analysis WHERE _id = 'a'",
        ] {
            run(change);
            assert!(compare(&file, &expected).is_err(), "{change}");
        }
    }
}
