//! Values, groups and ids of every type, which come back from both databases as they were.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::both::{Place, any_id, deletes, ids, pages, row};
use common::{HOUR, START, puts};
use proptest::prelude::*;
use sinks::{
    Column, Expect, IdValue, Kind, Query, Role, Row, SinkError, StoredRow, Table, Total, Totals,
    Value, WriteMode,
};

fn column(name: &str, kind: Kind, role: Role) -> Column {
    Column {
        name: name.into(),
        kind,
        role,
    }
}

fn decimal(unscaled: i128, scale: u32) -> Value {
    Value::Decimal { unscaled, scale }
}

fn array(kind: Kind) -> Kind {
    Kind::Array(Box::new(kind))
}

fn line() -> Kind {
    Kind::Document(vec![
        ("sku".into(), Kind::Text),
        ("qty".into(), Kind::Int),
        ("a.b".into(), array(Kind::Decimal)),
        (
            "at".into(),
            Kind::Document(vec![("day".into(), Kind::Date)]),
        ),
    ])
}

/// A column of every kind, and no window.
fn every_kind() -> Table {
    let of = |name: &str, kind| column(name, kind, Role::Aggregate);
    Table {
        name: "kinds".into(),
        id: Kind::Long,
        columns: vec![
            column("bool", Kind::Boolean, Role::Group),
            column("int", Kind::Int, Role::Group),
            column("long", Kind::Long, Role::Group),
            column("double", Kind::Double, Role::Group),
            column("text", Kind::Text, Role::Group),
            column("date", Kind::Date, Role::Group),
            column("decimal", Kind::Decimal, Role::Group),
            column("lines", array(line()), Role::Group),
            of("deep.er.array", array(array(Kind::Boolean))),
            of("deep.er.still.document", line()),
            of("deep.long", Kind::Long),
        ],
        group_index: true,
        ..Table::default()
    }
}

fn of_line(qty: Value, prices: Value) -> Value {
    Value::Document(vec![
        ("sku".into(), "a \"1\"\0".into()),
        ("qty".into(), qty),
        ("a.b".into(), prices),
        (
            "at".into(),
            Value::Document(vec![("day".into(), Value::Date(START))]),
        ),
    ])
}

fn full(id: i64) -> Row {
    let prices = Value::Array(vec![decimal(-1_250, 2), Value::Null, decimal(7, 0)]);
    row(
        any_id(0, Value::Long(id)),
        vec![
            Value::Boolean(true),
            Value::Int(i32::MIN),
            Value::Long(i64::MAX),
            Value::Double(0.1),
            "Books \u{1F4DA}".into(),
            Value::Date(START + 1),
            decimal(10i128.pow(34) - 1, 9),
            Value::Array(vec![
                of_line(Value::Int(-1), prices),
                Value::Null,
                of_line(Value::Null, Value::Null),
            ]),
            Value::Array(vec![
                Value::Array(vec![Value::Boolean(false), Value::Boolean(true)]),
                Value::Array(Vec::new()),
            ]),
            of_line(Value::Int(2), Value::Array(Vec::new())),
            Value::Long(-7),
        ],
    )
}

fn empty(id: i64) -> Row {
    row(any_id(0, Value::Long(id)), vec![Value::Null; 11])
}

fn values(rows: &[StoredRow]) -> Vec<Vec<Value>> {
    rows.iter().map(|row| row.values.clone()).collect()
}

#[test]
fn every_kind_comes_back_with_and_without_nulls() {
    for place in Place::both("kinds") {
        let storage = place.open(vec![every_kind()]);
        let rows = vec![full(9), empty(10), full(-1)];
        let mut writer = storage.writer().unwrap();
        // The same write again.
        for _ in 0..2 {
            writer.write(&puts(rows.clone())).unwrap();
        }
        let reader = storage.reader().unwrap();
        let found = pages(&*reader, 0);
        let expected = [empty(10), full(9), full(-1)];
        assert_eq!(ids(&found), ["10", "9", "-1"], "{}", place.name());
        let expected: Vec<_> = expected.map(|row| row.values).into();
        assert_eq!(values(&found), expected, "{}", place.name());
        let mut again = Vec::new();
        reader
            .written_after(0, 5, &mut |row| again.push(row))
            .unwrap();
        assert_eq!(again.len(), 3);
        assert_eq!(reader.windows(0, None).unwrap(), []);

        let mut other = full(3);
        other.values[8] = Value::Array(vec![Value::Array(vec![Value::Int(1)])]);
        let error = writer.write(&puts(vec![other])).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("deep.er.array is a array and got an other array"),
            "{text}"
        );
        let other = row(any_id(0, "3"), full(3).values);
        let text = writer.write(&puts(vec![other])).unwrap_err().to_string();
        assert!(
            text.contains("row \"3\" of kinds: its _id is not of the type long"),
            "{text}"
        );
    }
}

#[test]
fn values_have_the_types_of_each_database() {
    use mongodb::bson::{Bson, DateTime, doc};
    let [mongodb, sqlite] = Place::both("typed");
    for place in [&mongodb, &sqlite] {
        let storage = place.open(vec![every_kind()]);
        let mut writer = storage.writer().unwrap();
        writer.write(&puts(vec![full(1), empty(2)])).unwrap();
    }
    let Place::MongoDb(database) = &mongodb else {
        panic!()
    };
    let decimal = |text: &str| Bson::Decimal128(text.parse().unwrap());
    let line = |qty: Bson, prices: Bson| {
        let day = DateTime::from_millis(START);
        doc! {"sku": "a \"1\"\0", "qty": qty, "a.b": prices, "at": {"day": day}}
    };
    let prices = vec![decimal("-12.50"), Bson::Null, decimal("7")];
    let nested = line(2.into(), Bson::Array(Vec::new()));
    let expected = doc! {
        "_id": 1_i64,
        "bool": true,
        "int": i32::MIN,
        "long": i64::MAX,
        "double": 0.1,
        "text": "Books \u{1F4DA}",
        "date": DateTime::from_millis(START + 1),
        "decimal": decimal("9999999999999999999999999.999999999"),
        "lines": [
            line((-1).into(), prices.into()), Bson::Null, line(Bson::Null, Bson::Null),
        ],
        "deep": {
            "er": {"array": [[false, true], []], "still": {"document": nested}},
            "long": -7_i64,
        },
        "final": false,
        "epoch": 6_i64,
        "updated_at": DateTime::from_millis(START + 77),
    };
    let found = database.documents("kinds");
    assert_eq!(found[0], expected);
    assert_eq!(found[0].to_string(), expected.to_string(), "in this order");
    assert_eq!(found[1].get("lines"), Some(&Bson::Null));
    let of_deep = found[1].get_document("deep").unwrap();
    let expected = doc! {
        "er": {"array": null, "still": {"document": null}}, "long": null,
    };
    assert_eq!(*of_deep, expected);
    // None by window, and none of an array.
    let by_group = doc! {
        "bool": 1, "int": 1, "long": 1, "double": 1, "text": 1, "date": 1, "decimal": 1,
    };
    assert_eq!(database.indexes("kinds"), [by_group]);

    let found = sqlite.sql(
        "SELECT typeof(\"_id\"), \"bool\", typeof(\"int\"), typeof(\"double\"), \"date\", \
         \"decimal\", \"lines\", \"deep_er_array\" FROM \"kinds\" ORDER BY \"_id\"",
    );
    let text = |text: &str| rusqlite::types::Value::Text(text.into());
    let lines = "[{\"sku\":\"a \\\"1\\\"\\u0000\",\"qty\":-1,\"a.b\":[\"-12.50\",null,\"7\"],\
        \"at\":{\"day\":\"2024-11-02T13:00:00.000Z\"}},null,\
        {\"sku\":\"a \\\"1\\\"\\u0000\",\"qty\":null,\"a.b\":null,\
        \"at\":{\"day\":\"2024-11-02T13:00:00.000Z\"}}]";
    let expected = [
        text("integer"),
        1.into(),
        text("integer"),
        text("real"),
        text("2024-11-02T13:00:00.001Z"),
        text("9999999999999999999999999.999999999"),
        text(lines),
        text("[[false,true],[]]"),
    ];
    assert_eq!(found[0], expected);
    assert!(
        found[1][5..]
            .iter()
            .all(|value| *value == rusqlite::types::Value::Null)
    );
}

#[test]
fn groups_of_every_kind_are_found() {
    for place in Place::both("groups") {
        let storage = place.open(vec![every_kind()]);
        let mut other = full(2);
        other.values = vec![
            Value::Boolean(false),
            Value::Int(0),
            Value::Long(0),
            Value::Double(1.5),
            "".into(),
            Value::Date(0),
            decimal(1_50, 2),
            Value::Null,
            Value::Null,
            Value::Null,
            Value::Null,
        ];
        let rows = vec![full(1), other.clone(), empty(3)];
        storage.writer().unwrap().write(&puts(rows)).unwrap();
        let reader = storage.reader().unwrap();
        let found = |name: &str, value: &Value| {
            let query = Query {
                groups: vec![(name.into(), value.clone())],
                limit: 10,
                ..Query::default()
            };
            reader.page(0, &query).map(|page| ids(&page))
        };
        for (number, column) in every_kind().columns.iter().take(7).enumerate() {
            let name = &column.name;
            assert_eq!(
                found(name, &full(1).values[number]).unwrap(),
                ["1"],
                "{name}"
            );
            assert_eq!(found(name, &other.values[number]).unwrap(), ["2"], "{name}");
            assert_eq!(found(name, &Value::Null).unwrap(), ["3"], "{name}");
        }
        for same in [decimal(15, 1), decimal(1_500, 3)] {
            assert_eq!(found("decimal", &same).unwrap(), ["2"], "{}", place.name());
        }
        for (name, value, problem) in [
            ("lines", Value::Null, "which nothing is compared with"),
            (
                "int",
                Value::Long(0),
                "is compared with one; not with a value of the type long",
            ),
            ("deep.long", Value::Long(0), "has no group column"),
        ] {
            let error = found(name, &value).unwrap_err();
            assert!(matches!(error, SinkError::BadQuery { .. }));
            assert!(error.to_string().contains(problem), "{error}");
        }
    }
}

#[test]
fn sums_take_null_for_nothing() {
    let table = Table {
        name: "sums".into(),
        columns: vec![
            column("group", Kind::Int, Role::Group),
            column("items", Kind::Long, Role::Aggregate),
            column("revenue", Kind::Decimal, Role::Aggregate),
        ],
        ..Table::default()
    };
    for place in Place::both("sums") {
        let storage = place.open(vec![table.clone()]);
        let rows = [
            (Value::Int(9), Value::Long(5), decimal(110, 2)),
            (Value::Int(9), Value::Null, Value::Null),
            (Value::Int(10), Value::Null, Value::Null),
            (Value::Null, Value::Null, Value::Null),
            (Value::Null, Value::Null, decimal(-1, 0)),
        ];
        let rows = rows
            .into_iter()
            .enumerate()
            .map(|(id, (group, items, revenue))| {
                row(any_id(0, &*id.to_string()), vec![group, items, revenue])
            });
        let rows = puts(rows.collect());
        storage.writer().unwrap().write(&rows).unwrap();
        let totals = Totals {
            by: vec!["group".into()],
            sums: vec!["items".into(), "revenue".into()],
            limit: 10,
            ..Totals::default()
        };
        let expected = [
            (Value::Int(9), 5, decimal(110, 2)),
            (Value::Null, 0, decimal(-1, 0)),
            (Value::Int(10), 0, decimal(0, 0)),
        ];
        let expected = expected.map(|(group, items, revenue)| Total {
            by: vec![group],
            sums: vec![Value::Long(items), revenue],
            is_final: false,
        });
        let reader = storage.reader().unwrap();
        assert_eq!(
            reader.totals(0, &totals).unwrap(),
            expected,
            "{}",
            place.name()
        );
    }
}

/// Ids of every kind, each in its order.
fn typed_ids() -> Vec<(Kind, Vec<Value>)> {
    vec![
        (
            Kind::Boolean,
            vec![Value::Boolean(false), Value::Boolean(true)],
        ),
        (Kind::Int, [i32::MIN, -1, 0, 9, 10].map(Value::Int).into()),
        (
            Kind::Long,
            [i64::MIN, 0, 42, i64::MAX].map(Value::Long).into(),
        ),
        (
            Kind::Double,
            [-1e300, -0.5, 0.0, 2.0, 10.5].map(Value::Double).into(),
        ),
        (Kind::Text, ["", "10", "9", "null"].map(Value::from).into()),
        (
            Kind::Date,
            [-1, 0, START, START + 1].map(Value::Date).into(),
        ),
        (
            Kind::Decimal,
            vec![
                decimal(-15, 1),
                decimal(125, 2),
                decimal(2, 0),
                decimal(25, 1),
            ],
        ),
    ]
}

#[test]
fn ids_keep_their_type() {
    for (number, (kind, ids)) in typed_ids().into_iter().enumerate() {
        for place in Place::both(&format!("ids{number}")) {
            let table = Table {
                name: "ids".into(),
                id: kind.clone(),
                columns: vec![column("n", Kind::Int, Role::Aggregate)],
                ..Table::default()
            };
            let storage = place.open(vec![table.clone()]);
            let mut writer = storage.writer().unwrap();
            let null = any_id(0, Value::Null);
            let mut all: Vec<_> = ids.iter().map(|id| any_id(0, id.clone())).collect();
            all.push(null.clone());
            let rows = |n: i32, expect: Expect| {
                let rows = all.iter().map(|id| Row {
                    expect,
                    ..row(id.clone(), vec![Value::Int(n)])
                });
                puts(rows.collect())
            };
            for expect in [Expect::Absent, Expect::Either, Expect::Present] {
                writer.write(&rows(1, expect)).unwrap();
            }
            writer.write(&rows(2, Expect::Present)).unwrap();

            let storage = place.open(vec![table]);
            let reader = storage.reader().unwrap();
            let found = pages(&*reader, 0);
            assert!(found.iter().all(|row| row.values == [Value::Int(2)]));
            let mut expected: Vec<IdValue> = all.iter().map(|id| id.id.clone()).collect();
            let without_null: Vec<_> = found
                .iter()
                .map(|row| row.id.clone())
                .filter(|id| *id != IdValue::Null)
                .rev()
                .collect();
            assert_eq!(found.len(), all.len(), "{} {kind:?}", place.name());
            assert_eq!(
                without_null,
                expected[..ids.len()],
                "{} {kind:?}",
                place.name()
            );
            let mut listed = Vec::new();
            reader.ids(0, "", &mut |id| listed.push(id)).unwrap();
            listed.sort();
            expected.sort();
            assert_eq!(listed, expected);

            let mut writer = storage.writer().unwrap();
            writer.write(&deletes(all[1..].to_vec())).unwrap();
            let left = pages(&*reader, 0);
            assert_eq!(left.len(), 1);
            assert_eq!(left[0].id, all[0].id);
            let error = writer.write(&rows(3, Expect::Present)).unwrap_err();
            assert!(matches!(error, SinkError::Deleted { .. }), "{error}");
        }
    }
}

/// Of windows whose rows have ids that do not say them.
#[test]
fn pages_by_window_go_on_after_any_id() {
    let table = Table {
        name: "own_ids".into(),
        id: Kind::Int,
        columns: vec![
            column("window.start", Kind::Date, Role::WindowStart),
            column("window.end", Kind::Date, Role::WindowEnd),
        ],
        ..Table::default()
    };
    for place in Place::both("own_ids") {
        let storage = place.open(vec![table.clone()]);
        let rows = [(1, 2), (2, 0), (3, 1), (4, 2), (5, 0)].map(|(id, window)| {
            let start = START + window * HOUR;
            let values = vec![Value::Date(start), Value::Date(start + HOUR)];
            row(any_id(0, Value::Int(id)), values)
        });
        storage.writer().unwrap().write(&puts(rows.into())).unwrap();
        let reader = storage.reader().unwrap();
        let found = ids(&pages(&*reader, 0));
        assert_eq!(found, ["4", "1", "3", "5", "2"], "{}", place.name());
        let gone = Query {
            after: Some(IdValue::Int(7)),
            limit: 1,
            ..Query::default()
        };
        let error = reader.page(0, &gone).unwrap_err();
        assert!(matches!(error, SinkError::BadQuery { .. }), "{error}");
    }
}

fn scalars() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![
        Kind::Boolean,
        Kind::Int,
        Kind::Long,
        Kind::Double,
        Kind::Text,
        Kind::Date,
        Kind::Decimal,
    ])
}

fn kinds() -> impl Strategy<Value = Kind> {
    scalars().prop_recursive(3, 12, 4, |inner| {
        let fields =
            prop::collection::btree_map("[a-zA-Zé._ \"\\\\-][$a-z]{0,4}", inner.clone(), 0..4);
        prop_oneof![
            inner.prop_map(array),
            fields.prop_map(|fields| Kind::Document(fields.into_iter().rev().collect())),
        ]
    })
}

/// Values of a kind that both databases hold exactly.
fn value_of(kind: &Kind) -> BoxedStrategy<Value> {
    let some = match kind {
        Kind::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        Kind::Int => any::<i32>().prop_map(Value::Int).boxed(),
        Kind::Long => any::<i64>().prop_map(Value::Long).boxed(),
        Kind::Double => {
            let any = prop::num::f64::ANY.prop_filter("a number", |double| !double.is_nan());
            any.prop_map(Value::Double).boxed()
        }
        Kind::Text => any::<String>().prop_map(Value::Text).boxed(),
        Kind::Date => (-62_135_596_800_000..253_402_300_800_000_i64)
            .prop_map(Value::Date)
            .boxed(),
        Kind::Decimal => (-(10i128.pow(34) - 1)..10i128.pow(34), 0..40_u32)
            .prop_map(|(unscaled, scale)| decimal(unscaled, scale))
            .boxed(),
        Kind::Array(kind) => prop::collection::vec(value_of(kind), 0..4)
            .prop_map(Value::Array)
            .boxed(),
        Kind::Document(fields) => {
            let fields = fields.iter().map(|(name, kind)| {
                let name = name.clone();
                value_of(kind).prop_map(move |value| (name.clone(), value))
            });
            fields.collect::<Vec<_>>().prop_map(Value::Document).boxed()
        }
    };
    prop_oneof![1 => Just(Value::Null), 5 => some].boxed()
}

/// A table with the values of its rows, by id.
fn filled() -> impl Strategy<Value = (Table, Vec<(Value, Vec<Value>)>)> {
    let columns = prop::collection::vec((kinds(), 0..3_usize), 0..6);
    let tables = (scalars(), columns, any::<bool>(), any::<bool>()).prop_map(
        |(id, columns, group_index, is_merged)| {
            let columns = columns.into_iter().enumerate();
            let columns = columns.map(|(number, (kind, depth))| {
                let role = match number % 2 {
                    0 => Role::Group,
                    _ => Role::Aggregate,
                };
                column(&format!("{}c{number}", "n.".repeat(depth)), kind, role)
            });
            Table {
                name: "filled".into(),
                id,
                columns: columns.collect(),
                group_index,
                ids_by_window: false,
                write: match is_merged {
                    true => WriteMode::Merge { view: "v".into() },
                    false => WriteMode::Replace,
                },
            }
        },
    );
    tables.prop_flat_map(|table| {
        let columns = table.columns.iter().map(|column| value_of(&column.kind));
        let row = (value_of(&table.id), columns.collect::<Vec<_>>());
        (Just(table), prop::collection::vec(row, 1..6))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_rows_of_any_table_come_back((table, rows) in filled()) {
        let mut expected = std::collections::BTreeMap::new();
        for (id, values) in rows {
            // The last of an id.
            expected.insert(IdValue::new(id).unwrap(), values);
        }
        for place in Place::both("any") {
            let storage = place.open(vec![table.clone()]);
            let mut writer = storage.writer().unwrap();
            let rows = expected.iter().map(|(id, values)| {
                row(sinks::RowId { table: 0, id: id.clone() }, values.clone())
            });
            let batch = puts(rows.collect());
            writer.write(&batch).unwrap();
            let mut again = batch.clone();
            for row in &mut again.puts {
                row.expect = Expect::Present;
            }
            writer.write(&again).unwrap();
            let reader = storage.reader().unwrap();
            let found: std::collections::BTreeMap<_, _> = pages(&*reader, 0)
                .into_iter()
                .map(|row| (row.id, row.values))
                .collect();
            prop_assert_eq!(&found, &expected, "{}", place.name());
        }
    }
}
