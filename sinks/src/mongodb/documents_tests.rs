//! What is in the bytes, field by field.

use ::mongodb::bson::{Bson, Document, doc};

use super::*;
use crate::{Kind, Reason, Role, RowId};

fn column(name: &str, kind: Kind, role: Role) -> Column {
    Column {
        name: name.into(),
        kind,
        role,
    }
}

fn table() -> Table {
    Table {
        name: "revenue".into(),
        columns: vec![
            column("window.start", Kind::Date, Role::WindowStart),
            column("window.end", Kind::Date, Role::WindowEnd),
            column("category", Kind::Text, Role::Group),
            column("orders", Kind::Long, Role::Aggregate),
            column("average", Kind::Double, Role::Aggregate),
            column("revenue", Kind::Decimal, Role::Aggregate),
        ],
        ..Table::default()
    }
}

fn a_row() -> Row {
    Row {
        id: RowId {
            table: 0,
            id: "r/1".into(),
        },
        values: vec![
            Value::Date(1_700_000_000_000),
            Value::Date(1_700_003_600_000),
            Value::Text("Books \u{1F4DA}\0".into()),
            Value::Long(-7),
            Value::Double(0.1),
            Value::Decimal {
                unscaled: -1_250,
                scale: 2,
            },
        ],
        is_final: true,
        expect: crate::Expect::Either,
        epoch: 42,
        updated_at: 1_700_000_001_234,
    }
}

fn encode(row: &Row) -> Result<RawDocumentBuf, String> {
    let table = table();
    let mut bytes = Bytes::default();
    let document = bytes.begin();
    write_row(
        &mut bytes,
        document,
        &table,
        &Layout::of(&table).unwrap(),
        row,
    )?;
    Ok(bytes.finish().unwrap())
}

fn document(raw: &RawDocument) -> Document {
    Document::try_from(raw).unwrap()
}

#[test]
fn a_row_has_its_fields_in_order_and_type() {
    let raw = encode(&a_row()).unwrap();
    let expected = doc! {
        "_id": "r/1",
        "window": {
            "start": DateTime::from_millis(1_700_000_000_000),
            "end": DateTime::from_millis(1_700_003_600_000),
        },
        "category": "Books \u{1F4DA}\0",
        "orders": Bson::Int64(-7),
        "average": 0.1,
        "revenue": Bson::Decimal128("-12.50".parse().unwrap()),
        "final": true,
        "epoch": Bson::Int64(42),
        "updated_at": DateTime::from_millis(1_700_000_001_234),
    };
    // Bytes: `Document`'s equality does not look at the order of fields.
    let expected = RawDocumentBuf::try_from(&expected).unwrap();
    assert_eq!(raw.as_bytes(), expected.as_bytes());
}

#[test]
fn a_row_comes_back() {
    let row = a_row();
    let table = table();
    let layout = Layout::of(&table).unwrap();
    let stored = stored_row(&table, &layout, &encode(&row).unwrap()).unwrap();
    assert_eq!(stored.values, row.values);
    assert_eq!((stored.id, stored.is_final), (row.id.id, row.is_final));
    assert_eq!((stored.epoch, stored.updated_at), (42, 1_700_000_001_234));
}

#[test]
fn a_sum_beyond_34_digits_is_a_row_all_the_same() {
    let mut large = a_row();
    large.values[5] = Value::Decimal {
        unscaled: i128::MAX,
        scale: 9,
    };
    let nearest = "170141183460469231731687303715.8841".parse().unwrap();
    let found = document(&encode(&large).unwrap());
    assert_eq!(found.get("revenue"), Some(&Bson::Decimal128(nearest)));
}

#[test]
fn a_row_that_does_not_fit_its_table_is_an_error_that_says_where() {
    let mut short = a_row();
    short.values.pop();
    assert!(encode(&short).unwrap_err().contains("5 values for 6"));

    let mut other = a_row();
    other.values[3] = Value::Double(1.0);
    let error = encode(&other).unwrap_err();
    assert!(error.contains("column orders is a long and got a double"));

    let mut huge = a_row();
    huge.values[2] = Value::Text("x".repeat(LARGEST));
    assert!(encode(&huge).unwrap_err().contains("a document holds"));
}

#[test]
fn an_id_is_not_rounded() {
    let mut of_decimals = table();
    of_decimals.id = Kind::Decimal;
    let layout = Layout::of(&of_decimals).unwrap();
    let write = |unscaled, scale| {
        let mut row = a_row();
        row.id.id = IdValue::new(Value::Decimal { unscaled, scale }).unwrap();
        let mut bytes = Bytes::default();
        let document = bytes.begin();
        write_row(&mut bytes, document, &of_decimals, &layout, &row)
    };
    for (unscaled, scale) in [(15, 1), (10i128.pow(34) - 1, 9), (10i128.pow(36), 0)] {
        assert_eq!(write(unscaled, scale), Ok(()));
    }
    let error = write(10i128.pow(35) + 1, 2).unwrap_err();
    assert!(error.contains("its _id has more digits"), "{error}");
}

fn letter() -> DeadLetter {
    DeadLetter {
        topic: "shop.orders".into(),
        partition: 3,
        offset: 1 << 40,
        timestamp: Some(1_700_000_000_001),
        reason: Reason::Malformed,
        detail: "price: expected a number, found \"x\"".into(),
        view: None,
        key: None,
        value: vec![0, 255, 7],
        epoch: 9,
    }
}

#[test]
fn a_dead_letter_has_its_fields_in_order_and_type() {
    let binary = |bytes: &[u8]| ::mongodb::bson::Binary {
        subtype: BinarySubtype::Generic,
        bytes: bytes.to_vec(),
    };
    let expected = |view: Bson, key: Bson, id: &str| {
        let expected = doc! {
            "_id": id,
            "topic": "shop.orders",
            "partition": 3,
            "offset": 1_i64 << 40,
            "timestamp": DateTime::from_millis(1_700_000_000_001),
            "reason": "malformed",
            "detail": "price: expected a number, found \"x\"",
            "view": view,
            "key": key,
            "value": binary(&[0, 255, 7]),
            "epoch": 9_i64,
        };
        RawDocumentBuf::try_from(&expected).unwrap().into_bytes()
    };
    let id = "shop.orders/3/1099511627776";
    let mut letter = letter();
    assert_eq!(
        dead_letter(&letter, LARGEST).as_bytes(),
        expected(Bson::Null, Bson::Null, id)
    );
    letter.view = Some("v".into());
    letter.key = Some(b"k".to_vec());
    assert_eq!(
        dead_letter(&letter, LARGEST).as_bytes(),
        expected("v".into(), binary(b"k").into(), &format!("{id}/v"))
    );
}

#[test]
fn a_dead_letter_is_whole_up_to_the_last_byte_that_fits() {
    let mut letter = letter();
    letter.value = vec![7; 1_000];
    let size = dead_letter(&letter, LARGEST).as_bytes().len();
    let fits = dead_letter(&letter, size);
    assert_eq!(fits.get_binary("value").unwrap().bytes.len(), 1_000);

    let cut = dead_letter(&letter, size - 1);
    assert!(cut.as_bytes().len() < size);
    let kept = cut.get_binary("value").unwrap().bytes.len();
    assert!((500..1_000).contains(&kept), "{kept}");
    let detail = cut.get_str("detail").unwrap();
    assert!(detail.contains("a value of 1000 bytes"), "{detail}");
}

#[test]
fn a_key_too_large_for_a_document_is_cut_as_well() {
    let mut letter = letter();
    letter.key = Some(vec![1; 10_000]);
    letter.value = vec![2; 100];
    let cut = dead_letter(&letter, 5_000);
    assert!(cut.as_bytes().len() <= 5_000);
    assert_eq!(cut.get_binary("value").unwrap().bytes.len(), 0);
    assert!(cut.get_binary("key").unwrap().bytes.len() > 3_000);
}
