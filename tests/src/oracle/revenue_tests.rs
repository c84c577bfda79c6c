//! Each rule of the join by the smallest log that shows it.
//!
//! The window of interest is the one from ten to eleven. With a lateness of two
//! hours it closes when a partition's event time reaches one o'clock.

use super::super::expect::{Expected, expected, expected_behind};
use super::super::rules::{Ending, Rules};
use super::super::testing::{Shop, clock, quoted};
use super::super::views::REVENUE;
use super::*;

const TEN: &str = "10:00:00";

/// A row as `category gender status orders items revenue buyers`.
fn shown(row: &Row) -> String {
    let text = |(_, field): &(&str, Field)| match field {
        Field::Text(text) | Field::Decimal(text) => text.clone(),
        Field::Long(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let fields: Vec<_> = row.fields[2..].iter().map(text).collect();
    fields.join(" ")
}

/// The rows of the window that begins then.
fn rows_of(expected: &Expected, start: &str) -> Vec<String> {
    let of_window = expected.views[REVENUE]
        .iter()
        .filter(|((at, _), _)| *at == clock(start));
    of_window.map(|(_, row)| shown(row)).collect()
}

fn by_default(shop: &Shop) -> Expected {
    expected(shop.log(), "", &Rules::default())
}

/// The rows of the window from ten to eleven.
fn rows_at_ten(shop: &Shop) -> Vec<String> {
    rows_of(&by_default(shop), TEN)
}

/// Two books to a woman.
fn shop() -> Shop {
    let mut shop = Shop::default();
    shop.product(0, clock("09:00:00"), "p", "Books", "12.5");
    shop.customer(0, clock("09:00:00"), "c", "Female");
    shop.sale(0, clock(TEN), "s", "p", 2, clock("10:30:00"));
    shop
}

/// A sale of nothing, of this time, in a window that is not of interest.
fn tick(shop: &mut Shop, partition: i32, time: &str) {
    let id = format!("tick-{partition}-{time}");
    shop.sale(partition, clock(time), &id, "p", 0, clock(time));
}

#[test]
fn a_sale_is_joined_with_its_product_and_its_customer() {
    let rows = by_default(&shop()).views.remove(REVENUE).expect("rows");
    let group = ["Books", "Female", "completed"].map(ToOwned::to_owned);
    let text = |text: &str| Field::Text(text.to_owned());
    let fields = vec![
        ("window_start", Field::Date(clock(TEN))),
        ("window_end", Field::Date(clock("11:00:00"))),
        ("category", text("Books")),
        ("gender", text("Female")),
        ("status", text("completed")),
        ("orders", Field::Long(1)),
        ("items", Field::Long(2)),
        ("revenue", Field::Decimal("25.00".to_owned())),
        ("buyers", Field::Long(1)),
    ];
    let row = Row {
        fields,
        is_final: false,
    };
    let key = (clock(TEN), group.to_vec());
    assert_eq!(rows, Rows::from([(key, row)]));
}

#[test]
fn what_is_unknown_is_called_so() {
    let mut shop = Shop::default();
    shop.sale(0, clock(TEN), "s", "p", 2, clock(TEN));
    assert_eq!(rows_at_ten(&shop), ["unknown unknown completed 1 2 0.00 1"]);
    shop.customer(0, clock(TEN), "c", "Male");
    assert_eq!(rows_at_ten(&shop), ["unknown Male completed 1 2 0.00 1"]);
    // Also when it comes after the sale, as long as the window is open.
    shop.product(0, clock("12:00:00"), "p", "Toys", "3");
    assert_eq!(rows_at_ten(&shop), ["Toys Male completed 1 2 6.00 1"]);
    // What is said of others is no matter.
    shop.product(0, clock("12:00:00"), "q", "Other", "7");
    shop.customer(0, clock("12:00:00"), "d", "Other");
    assert_eq!(rows_at_ten(&shop), ["Toys Male completed 1 2 6.00 1"]);
}

#[test]
fn sums_orders_and_counts_buyers_once() {
    let mut shop = shop();
    shop.product(0, clock(TEN), "q", "Books", "0.125");
    shop.customer(0, clock(TEN), "d", "Female");
    shop.sale(0, clock(TEN), "s2", "q", 3, clock(TEN));
    let other = [("customer_id", quoted("d"))];
    shop.sale_with(0, clock(TEN), "s3", "q", 1, clock(TEN), &other);
    assert_eq!(
        rows_at_ten(&shop),
        ["Books Female completed 3 6 25.50 2"],
        "2 × 12.5 + 3 × 0.125 + 1 × 0.125"
    );
}

#[test]
fn a_status_has_a_row_and_canceled_has_one_spelling() {
    let mut shop = shop();
    for (id, status) in [("s2", "cancelled"), ("s3", "canceled")] {
        let status = [("customer_id", quoted("c")), ("status", quoted(status))];
        shop.sale_with(0, clock(TEN), id, "p", 1, clock(TEN), &status);
    }
    assert_eq!(
        rows_at_ten(&shop),
        [
            "Books Female canceled 2 2 25.00 1",
            "Books Female completed 1 2 25.00 1"
        ]
    );
}

#[test]
fn a_sale_that_is_sent_again_counts_once() {
    let mut shop = shop();
    for partition in [0, 1] {
        shop.sale(partition, clock(TEN), "s", "p", 2, clock("10:30:00"));
    }
    assert_eq!(rows_at_ten(&shop), ["Books Female completed 1 2 25.00 1"]);
}

#[test]
fn the_newest_version_of_a_sale_counts() {
    let mut shop = shop();
    // Whichever partition was read first.
    shop.sale(1, clock("09:59:00"), "t", "p", 1, clock("10:31:00"));
    shop.sale(1, clock("10:01:00"), "s", "p", 4, clock("10:31:00"));
    shop.sale(0, clock("10:01:00"), "t", "p", 7, clock("10:31:00"));
    assert_eq!(rows_at_ten(&shop), ["Books Female completed 2 11 137.50 1"]);
}

#[test]
fn a_sale_may_move_to_another_window() {
    let mut shop = shop();
    shop.sale(0, clock("10:01:00"), "s", "p", 3, clock("11:30:00"));
    let expected = by_default(&shop);
    assert!(
        rows_of(&expected, TEN).is_empty(),
        "a row without sales is none"
    );
    assert_eq!(
        rows_of(&expected, "11:00:00"),
        ["Books Female completed 1 3 37.50 1"]
    );
}

#[test]
fn a_version_that_is_refused_replaces_none() {
    let mut shop = shop();
    tick(&mut shop, 0, "12:30:00");
    shop.sale(0, clock("12:31:00"), "s", "p", 9, clock("08:00:00"));
    let next_week = clock(TEN) + 7 * 24 * 3_600_000;
    shop.sale(0, clock("12:31:00"), "s", "p", 9, next_week);
    assert_eq!(rows_at_ten(&shop), ["Books Female completed 1 2 25.00 1"]);
}

#[test]
fn what_is_no_product_replaces_none() {
    let mut shop = shop();
    shop.send("products", 0, clock(TEN), Some(r#"{"product_id":"p"}"#));
    shop.send("products", 0, clock(TEN), None);
    assert_eq!(rows_at_ten(&shop), ["Books Female completed 1 2 25.00 1"]);
}

#[test]
fn a_product_counts_even_where_its_own_view_refuses_it() {
    let mut shop = shop();
    shop.product(0, clock("20:00:00"), "other", "Other", "1");
    // Sent long before, and so late: but read after.
    shop.product(0, clock("09:00:00"), "p", "Books", "1");
    let expected = by_default(&shop);
    assert_eq!(
        rows_of(&expected, TEN),
        ["Books Female completed 1 2 2.00 1"]
    );
    let letter = &expected.dead_letters[0];
    assert_eq!(letter.view, Some("product_analysis"));
}

#[test]
fn of_equal_timestamps_partition_and_offset_decide() {
    let mut shop = shop();
    let price = |shop: &mut Shop, partition, price| {
        shop.product(partition, clock(TEN), "p", "Books", price);
    };
    // A partition has no clock before its second message.
    for (partition, of) in [(1, "6"), (1, "5"), (0, "3"), (0, "4")] {
        price(&mut shop, partition, of);
    }
    assert_eq!(rows_at_ten(&shop), ["Books Female completed 1 2 10.00 1"]);
    price(&mut shop, 1, "2");
    price(&mut shop, 1, "1");
    assert_eq!(rows_at_ten(&shop), ["Books Female completed 1 2 2.00 1"]);
}

#[test]
fn a_timestamp_that_steps_back_makes_no_message_older() {
    let mut shop = shop();
    shop.product(1, clock("10:40:00"), "p", "Books", "1");
    shop.product(2, clock("10:50:00"), "other", "Books", "1");
    shop.product(2, clock("10:30:00"), "p", "Books", "2");
    assert_eq!(rows_at_ten(&shop), ["Books Female completed 1 2 4.00 1"]);
}

#[test]
fn also_what_is_no_event_makes_what_follows_newer() {
    for value in [None, Some("no product")] {
        let mut shop = shop();
        shop.product(1, clock("10:40:00"), "p", "Books", "1");
        shop.send("products", 0, clock("10:50:00"), value);
        shop.product(0, clock("10:30:00"), "p", "Books", "2");
        assert_eq!(rows_at_ten(&shop), ["Books Female completed 1 2 4.00 1"]);
    }
}

#[test]
fn a_final_window_knows_what_there_was_when_it_closed() {
    let mut shop = shop();
    tick(&mut shop, 0, "12:59:59.999");
    let open = by_default(&shop);
    assert!(open.views[REVENUE].values().all(|row| !row.is_final));
    tick(&mut shop, 0, "13:00:00");
    shop.product(0, clock("13:00:00"), "p", "Books", "1");
    assert_eq!(
        rows_at_ten(&shop),
        ["Books Female completed 1 2 2.00 1"],
        "of the same moment"
    );
    shop.product(0, clock("13:00:00.001"), "p", "Games", "7");
    shop.customer(0, clock("13:00:00.001"), "c", "Other");
    let expected = by_default(&shop);
    assert_eq!(
        rows_of(&expected, TEN),
        ["Books Female completed 1 2 2.00 1"]
    );
    assert_eq!(
        rows_of(&expected, "13:00:00"),
        ["Games Other completed 1 0 0.00 1"],
        "the open one knows everything"
    );
    let finals = expected.views[REVENUE]
        .iter()
        .filter(|(_, row)| row.is_final);
    let starts: Vec<_> = finals.map(|((start, _), _)| *start).collect();
    assert_eq!(starts, [clock(TEN)]);
}

#[test]
fn a_product_that_came_after_is_unknown_for_ever() {
    let mut shop = Shop::default();
    shop.sale(0, clock(TEN), "s", "p", 2, clock(TEN));
    tick(&mut shop, 0, "13:00:00");
    shop.product(0, clock("13:00:00.001"), "p", "Games", "7");
    assert_eq!(rows_at_ten(&shop), ["unknown unknown completed 1 2 0.00 1"]);
}

#[test]
fn a_window_closes_with_the_last_partition() {
    let mut shop = shop();
    tick(&mut shop, 0, "13:00:00");
    tick(&mut shop, 1, "13:30:00");
    shop.product(0, clock("13:30:00"), "p", "Books", "2");
    shop.product(0, clock("13:30:00.001"), "p", "Books", "3");
    assert_eq!(rows_at_ten(&shop), ["Books Female completed 1 2 4.00 1"]);
}

#[test]
fn a_message_that_is_sent_late_closes_late() {
    // Its event time is one o'clock, its timestamp half past three.
    let mut shop = shop();
    shop.sale(0, clock("15:30:00"), "t", "p", 0, clock("13:00:00"));
    shop.product(0, clock("15:30:00"), "p", "Books", "2");
    shop.product(0, clock("15:30:00.001"), "p", "Books", "3");
    assert_eq!(rows_at_ten(&shop), ["Books Female completed 1 2 4.00 1"]);
}

#[test]
fn a_sale_that_moves_before_the_close_counts_once() {
    let mut shop = shop();
    shop.sale(0, clock("12:00:00"), "s", "p", 3, clock("12:30:00"));
    tick(&mut shop, 0, "13:00:00");
    let expected = by_default(&shop);
    assert!(rows_of(&expected, TEN).is_empty());
    assert_eq!(
        rows_of(&expected, "12:00:00"),
        ["Books Female completed 1 3 37.50 1"]
    );
}

#[test]
fn a_sale_that_moves_after_the_close_counts_twice() {
    let mut shop = shop();
    tick(&mut shop, 0, "13:00:00");
    shop.sale(0, clock("13:00:01"), "s", "p", 3, clock("12:30:00"));
    let expected = by_default(&shop);
    assert_eq!(
        rows_of(&expected, TEN),
        ["Books Female completed 1 2 25.00 1"]
    );
    assert_eq!(
        rows_of(&expected, "12:00:00"),
        ["Books Female completed 1 3 37.50 1"]
    );
}

#[test]
fn with_all_partitions_idle_the_close_leaves_out_no_sale() {
    let mut shop = shop();
    tick(&mut shop, 0, "13:00:00");
    // A partition that never passed eleven has one more sale, sent before that
    // moment, and one after it.
    shop.sale(1, clock("12:00:00"), "t", "p", 1, clock(TEN));
    shop.sale(1, clock("13:00:01"), "u", "p", 1, clock(TEN));
    shop.product(0, clock("13:00:02"), "p", "Books", "9");
    let rows = |ending| {
        let rules = Rules::default().with_ending(ending);
        let expected = expected(shop.log(), "", &rules);
        let is_final = expected.views[REVENUE].values().any(|row| row.is_final);
        (rows_of(&expected, TEN), is_final)
    };
    let newest = vec!["Books Female completed 3 4 36.00 1".to_owned()];
    assert_eq!(rows(Ending::CaughtUp), (newest.clone(), false));
    assert_eq!(rows(Ending::Running), (newest, false));
    let then = vec!["Books Female completed 3 4 50.00 1".to_owned()];
    assert_eq!(rows(Ending::AllIdle), (then, true));
}

#[test]
fn what_is_behind_is_not_final_yet() {
    let mut shop = shop();
    tick(&mut shop, 0, "13:00:00");
    shop.product(0, clock("13:30:00"), "p", "Books", "2");
    let rules = Rules::default().with_ending(Ending::Running);
    let price_at = |behind| {
        let expected = expected_behind(shop.log(), "", &rules, behind);
        let watermark = expected.watermarks.get(REVENUE).copied();
        (
            rows_of(&expected, TEN)[0].clone(),
            watermark.map(|watermark| watermark.watermark),
        )
    };
    let closed = "Books Female completed 1 2 25.00 1".to_owned();
    let open = "Books Female completed 1 2 4.00 1".to_owned();
    let eleven = clock("11:00:00");
    assert_eq!(price_at(Some(i64::MAX)), (closed.clone(), Some(eleven)));
    assert_eq!(price_at(Some(eleven)), (closed, Some(eleven)));
    assert_eq!(price_at(Some(eleven - 1)), (open.clone(), Some(eleven - 1)));
    assert_eq!(price_at(None), (open, None));
}

#[test]
fn sums_that_do_not_fit() {
    let mut shop = Shop::default();
    shop.product(0, clock(TEN), "p", "Gold", "9223372036.854775807");
    for id in ["s", "t", "u"] {
        shop.sale(0, clock(TEN), id, "p", i64::MAX, clock(TEN));
    }
    // 3 × (2^63 - 1)^2 - 2^128 billionths, and the largest long.
    assert_eq!(
        rows_at_ten(&shop),
        ["Gold unknown completed 3 9223372036854775807 \
             -85070591730234615921183884079.070707709 1"]
    );
}
