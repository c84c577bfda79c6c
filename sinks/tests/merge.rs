//! Rows of several views in the same documents, in both databases.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::both::{Place, any_id, deletes, ids, pages, row};
use common::{HOUR, START, puts};
use mongodb::bson::{Bson, DateTime, doc};
use sinks::{
    Batch, Column, Expect, Kind, Query, Reader, Role, Row, RowId, SinkError, Table, Total, Totals,
    Value, WriteMode,
};
use std::sync::Barrier;

fn merged(view: &str, columns: &[(&str, Kind, Role)]) -> Table {
    let columns = columns.iter().map(|(name, kind, role)| Column {
        name: (*name).into(),
        kind: kind.clone(),
        role: *role,
    });
    Table {
        name: "orders".into(),
        id: Kind::Int,
        columns: columns.collect(),
        write: WriteMode::Merge { view: view.into() },
        ..Table::default()
    }
}

/// Sums by order, and how often each was seen.
fn tables() -> Vec<Table> {
    let sums = [
        ("customer", Kind::Text, Role::Group),
        ("lines.total", Kind::Decimal, Role::Aggregate),
        (
            "lines.skus",
            Kind::Array(Box::new(Kind::Text)),
            Role::Aggregate,
        ),
    ];
    let seen = [
        ("seen.from", Kind::Date, Role::WindowStart),
        ("seen.until", Kind::Date, Role::WindowEnd),
        ("lines.views", Kind::Long, Role::Aggregate),
    ];
    vec![merged("sums", &sums), merged("seen", &seen)]
}

fn of(table: usize, id: i32) -> RowId {
    any_id(table, Value::Int(id))
}

fn sums(id: i32, total: i128) -> Row {
    let total_of = Value::Decimal {
        unscaled: total,
        scale: 2,
    };
    let skus = Value::Array(vec!["a".into(), Value::Null]);
    row(of(0, id), vec!["c".into(), total_of, skus])
}

fn seen(id: i32, views: i64) -> Row {
    let values = vec![
        Value::Date(START),
        Value::Date(START + HOUR),
        Value::Long(views),
    ];
    Row {
        is_final: true,
        ..row(of(1, id), values)
    }
}

fn expecting(expect: Expect, row: Row) -> Row {
    Row { expect, ..row }
}

/// The ids of rows of a table that were written last before an epoch.
fn ids_before(reader: &dyn Reader, table: usize, epoch: u64) -> Vec<String> {
    let mut found = Vec::new();
    let each = &mut |id: sinks::IdValue| found.push(id.to_string());
    reader.ids_before(table, epoch, each).unwrap();
    found.sort();
    found
}

#[test]
fn rows_written_since_an_epoch_are_not_deleted_with_those_before() {
    for place in Place::both("before") {
        let plain = Table {
            name: "plain".into(),
            write: WriteMode::Replace,
            ..tables().remove(0)
        };
        let all = [tables(), vec![plain]].concat();
        let storage = place.open(all);
        let (mut writer, reader) = (storage.writer().unwrap(), storage.reader().unwrap());
        let at = |epoch: u64, row: Row| Row { epoch, ..row };
        let plain = |id, total| Row {
            id: of(2, id),
            ..sums(id, total)
        };
        writer
            .write(&puts(vec![
                at(5, sums(1, 100)),
                at(5, sums(2, 200)),
                at(5, seen(1, 10)),
                at(5, plain(1, 100)),
                at(5, plain(2, 200)),
            ]))
            .unwrap();
        for table in [0, 2] {
            assert_eq!(ids_before(&*reader, table, 5), [""; 0], "{}", place.name());
            assert_eq!(ids_before(&*reader, table, 6), ["1", "2"]);
        }
        // Of each pair, one is written once more before they are deleted.
        writer
            .write(&puts(vec![at(9, sums(2, 222)), at(9, plain(2, 222))]))
            .unwrap();
        let batch = Batch {
            deletes_before: 7,
            ..deletes(vec![of(0, 1), of(0, 2), of(2, 1), of(2, 2), of(2, 3)])
        };
        for _ in 0..2 {
            writer.write(&batch).unwrap();
            for table in [0, 2] {
                assert_eq!(ids(&pages(&*reader, table)), ["2"], "{}", place.name());
                assert_eq!(ids_before(&*reader, table, 100), ["2"]);
            }
            assert_eq!(ids(&pages(&*reader, 1)), ["1"], "{}", place.name());
        }
    }
}

#[test]
fn two_views_share_documents() {
    for place in Place::both("merge") {
        let storage = place.open(tables());
        let mut writer = storage.writer().unwrap();
        let rows = [sums(1, 100), sums(2, 200), seen(2, 20), seen(3, 30)];
        let first = puts(rows.map(|row| expecting(Expect::Absent, row)).into());
        let reader = storage.reader().unwrap();
        for _ in 0..2 {
            writer.write(&first).unwrap();
            assert_eq!(ids(&pages(&*reader, 0)), ["2", "1"], "{}", place.name());
            assert_eq!(ids(&pages(&*reader, 1)), ["3", "2"], "{}", place.name());
        }
        assert_eq!(pages(&*reader, 0)[0].values, sums(2, 200).values);
        assert!(!reader.has_finals(0).unwrap());
        assert!(reader.has_finals(1).unwrap());
        assert_eq!(reader.windows(1, None).unwrap(), [(START, 2)]);

        // One goes and comes back as it is written again; the other view's does not change.
        let second = Batch {
            puts: vec![
                expecting(Expect::Present, sums(1, 111)),
                expecting(Expect::Present, seen(2, 21)),
            ],
            ..deletes(vec![of(0, 2), of(1, 3), of(0, 9)])
        };
        for _ in 0..2 {
            writer.write(&second).unwrap();
            assert_eq!(ids(&pages(&*reader, 0)), ["1"], "{}", place.name());
            let of_seen = pages(&*reader, 1);
            assert_eq!(ids(&of_seen), ["2"], "{}", place.name());
            assert_eq!(of_seen[0].values, seen(2, 21).values);
        }

        // A run that takes over finds the same, and the old one writes nothing any more.
        let after = place.open(tables());
        let error = writer.write(&puts(vec![sums(2, 999)])).unwrap_err();
        assert!(matches!(error, SinkError::Replaced { .. }), "{error}");
        let reader = after.reader().unwrap();
        let mut listed = Vec::new();
        for table in [0, 1] {
            reader
                .ids(table, "", &mut |id| listed.push((table, id.to_string())))
                .unwrap();
            reader
                .written_after(table, 5, &mut |row| {
                    listed.push((table, row.id.to_string()))
                })
                .unwrap();
        }
        let expected = [(0, "1"), (0, "1"), (1, "2"), (1, "2")];
        assert_eq!(listed, expected.map(|(table, id)| (table, id.to_owned())));

        let mut writer = after.writer().unwrap();
        writer
            .write(&puts(vec![expecting(Expect::Absent, sums(2, 222))]))
            .unwrap();
        let found = pages(&*reader, 0);
        assert_eq!(ids(&found), ["2", "1"]);
        assert_eq!(found[0].values, sums(2, 222).values);
        let totals = Totals {
            by: vec!["customer".into()],
            sums: vec!["lines.total".into()],
            limit: 10,
            ..Totals::default()
        };
        let total = Total {
            by: vec!["c".into()],
            sums: vec![Value::Decimal {
                unscaled: 333,
                scale: 2,
            }],
            is_final: false,
        };
        assert_eq!(
            reader.totals(0, &totals).unwrap(),
            [total],
            "{}",
            place.name()
        );
        let query = Query {
            groups: vec![("customer".into(), "c".into())],
            limit: 1,
            ..Query::default()
        };
        assert_eq!(ids(&reader.page(0, &query).unwrap()), ["2"]);
    }
}

#[test]
fn a_row_that_should_be_there_is_missed_in_its_document() {
    for place in Place::both("missed") {
        let storage = place.open(tables());
        let mut writer = storage.writer().unwrap();
        let rows = [sums(1, 100), seen(2, 20), sums(3, 300), seen(3, 30)];
        writer.write(&puts(rows.into())).unwrap();
        // No document, a document without the row, and one whose row somebody deleted.
        writer.write(&deletes(vec![of(0, 3)])).unwrap();
        for missing in [7, 2, 3] {
            let batch = puts(vec![
                expecting(Expect::Present, seen(2, 22)),
                expecting(Expect::Present, sums(missing, 1)),
                expecting(Expect::Present, sums(1, 101)),
            ]);
            let error = writer.write(&batch).unwrap_err();
            let SinkError::Deleted {
                collection,
                rows: 1,
                row,
                ..
            } = &error
            else {
                panic!("{}: {error}", place.name());
            };
            assert_eq!((&**collection, &**row), ("orders", &*missing.to_string()));
            // All of it or nothing.
            let reader = storage.reader().unwrap();
            assert_eq!(ids(&pages(&*reader, 0)), ["1"], "{}", place.name());
            assert_eq!(pages(&*reader, 0)[0].values, sums(1, 100).values);
            let restored = puts(vec![expecting(Expect::Deleted, sums(missing, 1))]);
            writer.write(&restored).unwrap();
            assert_eq!(
                ids(&pages(&*reader, 0)),
                [missing.to_string(), "1".to_owned()]
            );
            writer.write(&deletes(vec![of(0, missing)])).unwrap();
        }
    }
}

#[test]
fn a_document_keeps_what_others_have_in_it() {
    let [place, _] = Place::both("others");
    let Place::MongoDb(database) = &place else {
        panic!()
    };
    let storage = place.open(tables());
    database.insert(
        "orders",
        doc! {"_id": 1, "note": "mine", "lines": {"mine": 7}},
    );
    let mut writer = storage.writer().unwrap();
    writer
        .write(&puts(vec![sums(1, 100), seen(1, 10)]))
        .unwrap();
    let state = |is_final: bool| {
        doc! {
            "final": is_final, "epoch": 6_i64, "updated_at": DateTime::from_millis(START + 77),
        }
    };
    let times = doc! {
        "from": DateTime::from_millis(START), "until": DateTime::from_millis(START + HOUR),
    };
    let total = Bson::Decimal128("1.00".parse().unwrap());
    let mut expected = doc! {
        "_id": 1,
        "note": "mine",
        "lines": {"mine": 7, "total": total, "skus": ["a", null], "views": 10_i64},
        "_tidemark": {"sums": state(false), "seen": state(true)},
        "customer": "c",
        "seen": times,
    };
    assert_eq!(database.documents("orders"), [expected.clone()]);

    writer.write(&deletes(vec![of(0, 1)])).unwrap();
    expected.remove("customer");
    let lines = expected.get_document_mut("lines").unwrap();
    lines.remove("total");
    lines.remove("skus");
    expected
        .get_document_mut("_tidemark")
        .unwrap()
        .remove("sums");
    assert_eq!(database.documents("orders"), [expected]);

    writer.write(&deletes(vec![of(1, 1), of(1, 2)])).unwrap();
    let left = doc! {
        "_id": 1, "note": "mine", "lines": {"mine": 7}, "_tidemark": {}, "seen": {},
    };
    assert_eq!(database.documents("orders"), [left]);
}

#[test]
fn a_table_has_the_columns_of_all_its_views() {
    let [_, place] = Place::both("columns");
    let of_table = |columns: &str| place.sql(&format!("SELECT {columns} FROM \"orders\""));
    let storage = place.open(vec![tables().remove(0)]);
    storage
        .writer()
        .unwrap()
        .write(&puts(vec![sums(1, 100)]))
        .unwrap();
    // A view that is new.
    let storage = place.open(tables());
    let mut writer = storage.writer().unwrap();
    writer.write(&puts(vec![seen(1, 10), seen(2, 20)])).unwrap();
    let text = |text: &str| rusqlite::types::Value::Text(text.into());
    let null = rusqlite::types::Value::Null;
    assert_eq!(
        of_table("\"_id\", \"lines_total\", \"lines_views\", \"_tidemark_seen_final\""),
        [
            [1.into(), text("1.00"), 10.into(), 1.into()],
            [2.into(), null.clone(), 20.into(), 1.into()],
        ]
    );
    writer.write(&deletes(vec![of(1, 1)])).unwrap();
    let epochs = "\"_id\", \"_tidemark_sums_epoch\", \"_tidemark_seen_epoch\"";
    assert_eq!(
        of_table(epochs),
        [
            [1.into(), 6.into(), null.clone()],
            [2.into(), null, 6.into()]
        ]
    );

    // Columns of another type: refused, or made anew without those of the other view.
    let mut others = tables();
    others[1].columns[2].kind = Kind::Double;
    let storage = place.try_open(others.clone()).unwrap();
    let error = storage.prepare().unwrap_err().to_string();
    assert!(
        error.contains("missing: lines_views REAL; surplus: lines_views INTEGER"),
        "{error}"
    );
    storage.will_remake(&[1].into());
    storage.prepare().unwrap();
    common::begin(&*storage);
    let mut writer = storage.writer().unwrap();
    writer.write(&deletes(vec![of(1, 2)])).unwrap();
    storage.remake(1).unwrap();
    let mut changed = seen(2, 0);
    changed.values[2] = Value::Double(0.5);
    writer.write(&puts(vec![changed.clone()])).unwrap();
    let reader = storage.reader().unwrap();
    assert_eq!(pages(&*reader, 1)[0].values, changed.values);
    assert_eq!(pages(&*reader, 0)[0].values, sums(1, 100).values);
    place.open(others);
}

#[test]
fn tables_that_cannot_be_merged_are_refused() {
    for place in Place::both("refused") {
        let mut shared = tables();
        shared[1].columns[2].name = "lines.total".into();
        let mut replaced = tables();
        replaced[1].write = WriteMode::Replace;
        for tables in [shared, replaced] {
            let error = place.try_open(tables).err().unwrap();
            assert!(matches!(error, SinkError::Misconfigured { .. }), "{error}");
        }
    }
}

/// Workers whose rows come into the same documents at the same time.
#[test]
fn writers_that_meet_in_a_document_both_get_there() {
    for place in Place::both("meet") {
        let storage = place.open(tables());
        let batches = 5;
        let all = 0..300;
        let start = Barrier::new(2);
        std::thread::scope(|scope| {
            for table in [0, 1] {
                let (storage, all, start) = (&*storage, all.clone(), &start);
                scope.spawn(move || {
                    let mut writer = storage.writer().unwrap();
                    start.wait();
                    for round in 0..batches {
                        let rows = all.clone().map(|id| match table {
                            0 => sums(id, round),
                            _ => seen(id, i64::try_from(round).unwrap()),
                        });
                        let mut batch = puts(rows.collect());
                        batch.made_at += i64::try_from(round).unwrap();
                        // As the pipeline does.
                        while let Err(error) = writer.write(&batch) {
                            assert!(error.is_temporary(), "{error}");
                        }
                    }
                });
            }
        });
        let reader = storage.reader().unwrap();
        let everything = Query {
            limit: 1_000,
            ..Query::default()
        };
        for (table, last) in [(0, sums(0, batches - 1)), (1, seen(0, 4))] {
            let rows = reader.page(table, &everything).unwrap();
            assert_eq!(rows.len(), all.len());
            assert!(rows.iter().all(|row| row.values == last.values));
        }
    }
}
