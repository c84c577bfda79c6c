//! Sums over the rows of a table, which are the same in both databases.

use sinks::{Query, SinkError, Storage, Total, Totals, Value};

use super::{HOUR, START, customers, interactions, puts};

const DAY: i64 = 24 * HOUR;

fn decimal(total: i64) -> Value {
    Value::Decimal {
        unscaled: -i128::from(total) * 1_000_000_007,
        scale: 9,
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

/// Writes rows, and compares sums over them with what they have to be.
pub fn check(storage: &dyn Storage) {
    let mut writer = storage.writer().unwrap();
    let reader = storage.reader().unwrap();
    let odd = "it's a \"kind\" of ?1";
    let rows = vec![
        customers(0, "Female", 3),
        customers(0, "Male", -4),
        customers(1, "Female", -10),
        interactions(0, "a", "rating", 5),
        interactions(0, "b", "rating", 7),
        interactions(1, "a", odd, 11),
        interactions(DAY / HOUR, "a", odd, 13),
    ];
    writer.write(&puts(rows)).unwrap();

    // Exact decimals, and final only where all are.
    let by_gender = Totals {
        by: vec!["gender".into()],
        sums: vec!["total".into(), "revenue".into()],
        limit: 10,
        ..Totals::default()
    };
    let expected =
        [("Male", -4, true), ("Female", -7, false)].map(|(gender, total, is_final)| Total {
            by: vec![text(gender)],
            sums: vec![Value::Long(total), decimal(total)],
            is_final,
        });
    assert_eq!(reader.totals(0, &by_gender).unwrap(), expected);

    // By window and group, the largest first; of some windows and of one group alone.
    let by_kind = Totals {
        from: Some(START),
        until: Some(START + DAY),
        by: vec!["window_start".into(), "interaction_type".into()],
        sums: vec!["total".into()],
        limit: 10,
        ..Totals::default()
    };
    let at = |window: i64, kind: &str, total: i64| Total {
        by: vec![Value::Date(START + window * HOUR), text(kind)],
        sums: vec![Value::Long(total)],
        is_final: false,
    };
    let all = [at(0, "rating", 12), at(1, odd, 11)];
    assert_eq!(reader.totals(1, &by_kind).unwrap(), all);
    let one = Totals {
        limit: 1,
        ..by_kind.clone()
    };
    assert_eq!(reader.totals(1, &one).unwrap(), all[..1]);
    let odd_ones = Totals {
        until: None,
        groups: vec![("interaction_type".into(), odd.into())],
        ..by_kind
    };
    let expected = [at(24, odd, 13), at(1, odd, 11)];
    assert_eq!(reader.totals(1, &odd_ones).unwrap(), expected);

    // As the sums of all pages come to.
    let page = reader.page(
        1,
        &Query {
            limit: 100,
            ..Query::default()
        },
    );
    let of_pages: i64 = page
        .unwrap()
        .iter()
        .map(|row| match row.values[4] {
            Value::Long(total) => total,
            ref other => panic!("{other:?}"),
        })
        .sum();
    let everything = Totals {
        sums: vec!["total".into()],
        limit: 1,
        ..Totals::default()
    };
    let total = &reader.totals(1, &everything).unwrap()[0];
    assert_eq!(total.sums, [Value::Long(of_pages)]);

    for (by, sum) in [
        ("total", "total"),
        ("nothing", "total"),
        ("gender", "average"),
    ] {
        let wrong = Totals {
            by: vec![by.into()],
            sums: vec![sum.into()],
            ..Totals::default()
        };
        let error = reader.totals(0, &wrong).unwrap_err();
        assert!(matches!(error, SinkError::BadQuery { .. }), "{error}");
    }
}
