//! What is in an SQLite file after a write, looked at with SQLite alone.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{
    HOUR, START, begin, customers, id, interactions, letter, log, offsets, puts, tables, views,
};
use rusqlite::Connection;
use rusqlite::types::Value as Sql;
use sinks::embedded::Embedded;
use sinks::{Batch, Limit, Log, Progress, Query, SinkError, Storage, Totals, Value, WriteIntent};
use std::collections::BTreeMap;

struct File {
    directory: tempfile::TempDir,
}

impl File {
    fn new() -> File {
        File {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("tidemark.db")
    }

    fn open(&self) -> Embedded {
        let storage = sinks::embedded::open(&self.path(), tables()).unwrap();
        storage.prepare().unwrap();
        begin(&storage);
        storage
    }

    /// As another process of the same run does.
    fn enter(&self) -> Embedded {
        let storage = sinks::embedded::open(&self.path(), tables()).unwrap();
        let standing = storage.reader().unwrap().standing().unwrap();
        storage.enter(&standing.holder.unwrap()).unwrap();
        storage
    }

    fn query(&self, sql: &str) -> Vec<Vec<Sql>> {
        let connection = Connection::open(self.path()).unwrap();
        let mut statement = connection.prepare(sql).unwrap();
        let columns = statement.column_count();
        let rows = statement
            .query_map([], |row| (0..columns).map(|n| row.get(n)).collect())
            .unwrap();
        rows.map(Result::unwrap).collect()
    }
}

fn text(text: &str) -> Sql {
    Sql::Text(text.into())
}

fn all() -> Query {
    Query {
        limit: 1_000,
        ..Query::default()
    }
}

#[test]
fn a_row_has_typed_columns_that_any_tool_reads() {
    let file = File::new();
    let mut writer = file.open().writer().unwrap();
    writer
        .write(&puts(vec![customers(0, "Female", 3)]))
        .unwrap();
    let found = file.query(
        "SELECT _id, window_start, window_end, gender, total, average, revenue, last_activity, \
         final, epoch, updated_at FROM customer_analysis",
    );
    let expected = vec![
        text(&format!("{START}|Female")),
        text("2024-11-02T13:00:00.000Z"),
        text("2024-11-02T14:00:00.000Z"),
        text("Female"),
        Sql::Integer(3),
        Sql::Real(1.0),
        text("-3.000000021"),
        text("2024-11-02T13:00:00.001Z"),
        Sql::Integer(0),
        Sql::Integer(5),
        text("2024-11-02T13:00:00.077Z"),
    ];
    assert_eq!(found, [expected]);
}

#[test]
fn put_replace_delete_and_the_same_again() {
    let file = File::new();
    let storage = file.open();
    let mut writer = storage.writer().unwrap();
    let mut batch = puts(vec![customers(0, "Male", 1), customers(0, "Other", 2)]);
    batch.dead_letters = vec![letter(1), letter(2)];
    writer.write(&batch).unwrap();
    let mut second = puts(vec![customers(0, "Male", -9)]);
    second.deletes = vec![id(0, &format!("{START}|Other")), id(1, "never there")];
    second.dead_letters = vec![letter(2)];
    for _ in 0..2 {
        writer.write(&second).unwrap();
        assert_eq!(
            file.query("SELECT gender, total, final FROM customer_analysis"),
            [[text("Male"), Sql::Integer(-9), Sql::Integer(1)]]
        );
        let letters = file.query(
            "SELECT _id, topic, partition, offset, timestamp, reason, detail, view, key, value, \
             epoch FROM dead_letters ORDER BY _id",
        );
        let letter = |id: &str, offset, view, key| {
            vec![
                text(id),
                text("shop.orders"),
                Sql::Integer(3),
                Sql::Integer(offset),
                text("2024-11-02T13:00:00.000Z"),
                text("malformed"),
                text("price: expected a number, found null"),
                view,
                key,
                Sql::Blob((0..=255).collect()),
                Sql::Integer(6),
            ]
        };
        let key = Sql::Blob(vec![0, 159, 146, 150]);
        let view = text("sales_analysis");
        let first = letter("shop.orders/3/1/sales_analysis", 1, view, key);
        let second = letter("shop.orders/3/2", 2, Sql::Null, Sql::Null);
        assert_eq!(letters, [first, second]);
    }
}

#[test]
fn rows_move_from_group_to_group_and_back() {
    let file = File::new();
    let storage = file.open();
    let row = |group: &str, total| customers(0, group, total);
    let moved = |from: &str, to: &str| Batch {
        deletes: vec![row(from, 0).id, row("never there", 0).id],
        ..puts(vec![row(to, 1)])
    };
    let there = moved("a", "b");
    let back = moved("b", "a");
    let mut writers = [storage.writer().unwrap(), storage.writer().unwrap()];
    writers[0]
        .write(&puts(vec![row("a", 1), row("c", 2)]))
        .unwrap();
    for (batch, group) in [(&there, "b"), (&back, "a"), (&there, "b")] {
        // Again by the same writer, and by that of a process that starts again.
        for number in [0, 0, 1] {
            writers[number].write(batch).unwrap();
            assert_eq!(
                file.query("SELECT gender, total FROM customer_analysis ORDER BY gender"),
                [[text(group), Sql::Integer(1)], [text("c"), Sql::Integer(2)]]
            );
        }
    }
}

/// All that there is of an `i128`: SQLite has no limit of its own here.
#[test]
fn a_decimal_has_all_its_digits() {
    let file = File::new();
    let storage = file.open();
    let mut row = customers(0, "x", 1);
    row.values[5] = Value::Decimal {
        unscaled: i128::MIN,
        scale: 9,
    };
    storage
        .writer()
        .unwrap()
        .write(&puts(vec![row.clone()]))
        .unwrap();
    assert_eq!(
        file.query("SELECT revenue FROM customer_analysis"),
        [[text("-170141183460469231731687303715.884105728")]]
    );
    let page = storage.reader().unwrap().page(0, &all()).unwrap();
    assert_eq!(page[0].values, row.values);
}

#[test]
fn a_batch_is_written_as_a_whole_or_not_at_all() {
    let file = File::new();
    let mut writer = file.open().writer().unwrap();
    let mut bad = customers(1, "x", 1);
    bad.values.pop();
    let error = writer
        .write(&puts(vec![customers(0, "x", 1), bad]))
        .unwrap_err();
    assert!(error.to_string().contains("6 values for 7"), "{error}");
    assert!(file.query("SELECT * FROM customer_analysis").is_empty());
    let mut bad = puts(vec![customers(0, "x", 1)]);
    bad.deletes = vec![id(2, "of a table that there is not")];
    assert!(!writer.write(&bad).unwrap_err().is_temporary());
    assert!(file.query("SELECT * FROM customer_analysis").is_empty());
    writer.write(&puts(vec![customers(0, "x", 1)])).unwrap();
    assert_eq!(file.query("SELECT 1 FROM customer_analysis").len(), 1);
}

#[test]
fn writers_take_turns_and_readers_do_not_wait() {
    let file = File::new();
    // Two storages, as two processes would have.
    let storages = [file.open(), file.enter()];
    std::thread::scope(|scope| {
        for (n, storage) in storages.iter().enumerate() {
            for part in 0..2 {
                let mut writer = storage.writer().unwrap();
                scope.spawn(move || {
                    for round in 0..20 {
                        let rows = (0..50).map(|w| customers(w, &format!("{n}{part}"), round));
                        writer.write(&puts(rows.collect())).unwrap();
                    }
                });
            }
        }
        let reader = storages[0].reader().unwrap();
        for _ in 0..50 {
            reader.page(0, &all()).unwrap();
        }
    });
    let found = file.query("SELECT total FROM customer_analysis");
    assert_eq!(found, vec![vec![Sql::Integer(19)]; 200]);

    // A write that is going on does not stop a reader.
    let reader = storages[0].reader().unwrap();
    let other = Connection::open(file.path()).unwrap();
    other
        .execute_batch("BEGIN IMMEDIATE; DELETE FROM customer_analysis")
        .unwrap();
    assert_eq!(reader.page(0, &all()).unwrap().len(), 200);
}

#[test]
fn a_fresh_file_is_opened_by_several_at_once() {
    for _ in 0..20 {
        let file = File::new();
        let all_there = std::sync::Barrier::new(6);
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    all_there.wait();
                    file.open();
                });
            }
        });
    }
}

#[test]
fn somebody_else_writing_for_long_is_temporary() {
    let file = File::new();
    let mut writer = file.open().writer().unwrap();
    let other = Connection::open(file.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let batch = puts(vec![customers(0, "x", 1)]);
    let error = writer.write(&batch).unwrap_err();
    assert!(error.is_temporary(), "{error}");
    other.execute_batch("COMMIT").unwrap();
    writer.write(&batch).unwrap();
}

#[test]
fn letters_are_read_whole() {
    common::letters::check(&File::new().open());
}

#[test]
fn windows_of_rows() {
    common::windows::check(&File::new().open());
}

#[test]
fn sums_of_rows() {
    common::totals::check(&File::new().open());
}

#[test]
fn the_statement_for_a_sum_can_be_tried_as_it_is() {
    let file = File::new();
    let storage = file.open();
    let mut writer = storage.writer().unwrap();
    let odd = "it's ?1";
    let rows = [2, 3].map(|window| interactions(window, "a", odd, window));
    writer.write(&puts(rows.to_vec())).unwrap();
    let totals = Totals {
        from: Some(START),
        groups: vec![("interaction_type".into(), odd.into())],
        by: vec!["product_id".into()],
        sums: vec!["total".into()],
        ..Totals::default()
    };
    let statement = storage.reader().unwrap().totals_query(1, &totals).unwrap();
    let expected = [text("a"), Sql::Integer(5), Sql::Integer(0)];
    assert_eq!(file.query(&statement), [expected], "{statement}");
}

#[test]
fn a_file_of_an_earlier_version_gets_the_columns_that_it_lacks() {
    let file = File::new();
    let storage = file.open();
    let progress = Progress {
        epoch: 7,
        offsets: offsets(),
        views: views(),
        rebuilding: ["stock".to_owned()].into(),
        updated_at: START,
        limits: None,
        log: log(),
    };
    storage.writer().unwrap().publish(&progress).unwrap();
    drop(storage);
    let connection = Connection::open(file.path()).unwrap();
    for (table, column) in [
        ("progress", "views"),
        ("progress", "log"),
        ("progress", "limits"),
        ("holder", "reaching_log"),
        ("holder", "reaching_limits"),
        ("holder", "definitions"),
        ("holder", "counted"),
    ] {
        connection
            .execute_batch(&format!("ALTER TABLE {table} DROP COLUMN {column}"))
            .unwrap();
    }
    drop(connection);
    let storage = file.open();
    let standing = storage.reader().unwrap().standing().unwrap();
    let bare = Progress {
        views: Default::default(),
        rebuilding: Default::default(),
        log: Log::default(),
        ..progress.clone()
    };
    assert_eq!(standing.progress, Some(bare));
    assert_eq!(standing.reaching, WriteIntent::default());
    storage.writer().unwrap().publish(&progress).unwrap();
    let stored = storage.reader().unwrap().progress().unwrap();
    assert_eq!(stored, Some(progress));
    assert_eq!(standing.definitions, BTreeMap::new());
    let definitions = BTreeMap::from([("a \"view\"".to_owned(), "windows of 1h".to_owned())]);
    storage.define(&definitions).unwrap();
    let standing = storage.reader().unwrap().standing().unwrap();
    assert_eq!(standing.definitions, definitions);
}

#[test]
fn pages_and_progress_come_back() {
    let file = File::new();
    let storage = file.open();
    let (mut writer, reader) = (storage.writer().unwrap(), storage.reader().unwrap());
    assert_eq!(reader.progress().unwrap(), None);
    let progress = Progress {
        epoch: 7,
        offsets: offsets(),
        views: views(),
        rebuilding: ["stock".to_owned()].into(),
        updated_at: START,
        limits: Some(BTreeMap::from([(
            "shop.orders.v1".into(),
            BTreeMap::from([(
                17,
                vec![Limit {
                    offset: 3,
                    until: START,
                }],
            )]),
        )])),
        log: log(),
    };
    writer.publish(&progress).unwrap();
    writer.publish(&progress).unwrap();
    assert_eq!(reader.progress().unwrap(), Some(progress));
    let stored =
        file.query("SELECT json_extract(offsets, '$.\"shop.orders.v1\".\"17\"') FROM progress");
    assert_eq!(stored, [[Sql::Integer(1 << 50)]]);

    let mut rows = Vec::new();
    for window in [2, 1, 0] {
        for product in ["b", "a"] {
            rows.push(interactions(window, product, "review", window));
        }
    }
    writer
        .write(&puts(rows.iter().rev().cloned().collect()))
        .unwrap();
    let page = reader.page(1, &all()).unwrap();
    assert_eq!(page.len(), 6);
    for (stored, row) in page.iter().zip(&rows) {
        assert_eq!((&stored.id, &stored.values), (&row.id.id, &row.values));
        assert_eq!((stored.epoch, stored.is_final), (6, false));
        assert_eq!(stored.updated_at, START + 77);
    }
    let query = Query {
        from: Some(START),
        until: Some(START + 2 * HOUR),
        groups: vec![("product_id".into(), "b".into())],
        offset: 1,
        limit: 1,
        ..Query::default()
    };
    let page = reader.page(1, &query).unwrap();
    assert_eq!(page.len(), 1);
    assert_eq!(page[0].id, rows[4].id.id);
    // Page after page, by ids that sort as windows do and by those of the other table.
    let customers = [2, 1, 0].map(|window| customers(window, "x", 1));
    writer.write(&puts(customers.to_vec())).unwrap();
    for (table, rows) in [(1, &rows[..]), (0, &customers[..])] {
        for (row, next) in rows.iter().zip(&rows[1..]) {
            let query = Query {
                after: Some(row.id.id.clone()),
                limit: 1,
                ..Query::default()
            };
            let page = reader.page(table, &query).unwrap();
            assert_eq!(page[0].id, next.id.id);
        }
    }

    let unknown = Query {
        groups: vec![("total".into(), "1".into())],
        ..all()
    };
    let error = reader.page(1, &unknown).unwrap_err();
    assert!(matches!(error, SinkError::BadQuery { .. }), "{error}");
}

#[test]
fn indexes_serve_the_obvious_queries() {
    let file = File::new();
    file.open();
    file.open();
    let plan = |sql: &str| format!("{:?}", file.query(&format!("EXPLAIN QUERY PLAN {sql}")));
    let newest = plan("SELECT * FROM customer_analysis ORDER BY window_start DESC LIMIT 9");
    assert!(
        newest.contains("by window") && !newest.contains("TEMP"),
        "{newest}"
    );
    let group =
        plan("SELECT * FROM customer_analysis WHERE gender = 'a' ORDER BY window_start DESC");
    assert!(
        group.contains("by group") && !group.contains("TEMP"),
        "{group}"
    );
    let page = plan("SELECT * FROM interaction_analysis WHERE _id < 'x' ORDER BY _id DESC");
    assert!(
        page.contains("autoindex") && !page.contains("TEMP"),
        "{page}"
    );
    let by_default = file.query(
        "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL \
         AND tbl_name = 'interaction_analysis'",
    );
    let window = Sql::Text("interaction_analysis by window".into());
    assert_eq!(
        by_default,
        [[window]],
        "by group only where it is asked for"
    );
}

#[test]
fn a_table_of_another_shape_is_refused_and_named() {
    let file = File::new();
    let connection = Connection::open(file.path()).unwrap();
    connection
        .execute_batch("CREATE TABLE customer_analysis (_id TEXT, colour TEXT)")
        .unwrap();
    let storage = sinks::embedded::open(&file.path(), tables()).unwrap();
    let error = storage.prepare().unwrap_err();
    assert!(matches!(error, SinkError::Refused { .. }));
    let error = error.to_string();
    for part in [
        "customer_analysis",
        "gender TEXT",
        "surplus: colour TEXT",
        "--reset-view customer_analysis",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_path_that_cannot_be_is_a_configuration_error() {
    let file = File::new();
    let path = file.directory.path().join("missing").join("x.db");
    let error = sinks::embedded::open(&path, tables()).unwrap_err();
    assert!(matches!(error, SinkError::Misconfigured { .. }), "{error}");

    let path = file.directory.path().join("text");
    std::fs::write(&path, "this is no database, by any means".repeat(100)).unwrap();
    let error = sinks::embedded::open(&path, tables()).unwrap_err();
    assert!(error.to_string().contains("choose another path"), "{error}");
}

#[test]
fn everything_is_on_disk_when_a_write_returns() {
    let file = File::new();
    let mut writer = file.open().writer().unwrap();
    let batch = Batch {
        dead_letters: vec![letter(1)],
        ..puts(vec![customers(0, "x", 1)])
    };
    writer.write(&batch).unwrap();
    // A copy made now, log included, is what a crash would leave.
    let copy = File::new();
    for suffix in ["", "-wal"] {
        let name = |file: &File| format!("{}{suffix}", file.path().display());
        std::fs::copy(name(&file), name(&copy)).unwrap();
    }
    assert_eq!(copy.query("SELECT 1 FROM customer_analysis").len(), 1);
    assert_eq!(copy.query("SELECT 1 FROM dead_letters").len(), 1);
}
