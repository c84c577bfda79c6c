//! Everything that a run must have written, from what lay in the topics and from
//! its rules. A pure function: no services are needed for it.

use super::accept::accept;
use super::dead_letters::{DeadLetter, Reason};
use super::decode::judge;
use super::event::Event;
use super::revenue;
use super::rows::{Rows, rows};
use super::rules::{Lateness, Rules};
use super::views::{REVENUE, VIEWS, View};
use super::watermark::{Watermark, watermark};
use crate::kafka::Log;
use std::collections::BTreeMap;

/// What a run must have written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Expected {
    /// The rows of each view, by its name; every view is there.
    pub views: BTreeMap<&'static str, Rows>,
    /// By topic, partition, offset and view.
    pub dead_letters: Vec<DeadLetter>,
    /// Of the views that have one, by name.
    pub watermarks: BTreeMap<&'static str, Watermark>,
}

/// What a run by these rules must have written when it had read the whole log.
/// `prefix` stands before each topic's name.
///
/// # Panics
/// When the log holds a topic that is none of the shop's.
pub fn expected(log: &Log, prefix: &str, rules: &Rules) -> Expected {
    expected_behind(log, prefix, rules, Some(i64::MAX))
}

/// The products and customers that the view takes for none, since their messages are ahead of
/// the clock.
fn not_joined<'a>(
    view: &View,
    events: &'a [Event],
    rules: &Rules,
) -> impl Iterator<Item = (&'a Event, Reason)> {
    let is_bounded = rules.lateness[view.name] != Lateness::Forever;
    let is_joined = |event: &&Event| ["products", "customers"].contains(&event.topic);
    let ahead = events.iter().filter(is_joined);
    let ahead = ahead.filter(move |event| is_bounded && event.is_ahead());
    ahead.map(|event| (event, Reason::FromTheFuture { field: "timestamp" }))
}

/// The same, where `revenue_analysis` has come no further than to `revenue`.
///
/// It closes a window only when it also knows its products and customers of that
/// moment. Until these have been read so far, its watermark may be behind what
/// its sales alone would allow; how far is not to be seen in the log.
///
/// # Panics
/// When the log holds a topic that is none of the shop's.
pub fn expected_behind(log: &Log, prefix: &str, rules: &Rules, revenue: Option<i64>) -> Expected {
    let judged = judge(log, prefix, rules);
    let mut expected = Expected::default();
    for reject in &judged.rejects {
        expected.dead_letters.push(DeadLetter {
            message: reject.message.clone(),
            view: None,
            reason: Reason::Malformed {
                fields: reject.fields.clone(),
            },
        });
    }
    for view in &VIEWS {
        let accepted = accept(view, &judged, rules);
        let mut refused = accepted.refused.clone();
        if view.name == REVENUE {
            refused.extend(not_joined(view, &judged.events, rules));
        }
        for (event, reason) in &refused {
            expected.dead_letters.push(DeadLetter {
                message: log.messages[event.message].clone(),
                view: Some(view.name),
                reason: reason.clone(),
            });
        }
        let size = rules.windows[view.name];
        let mut until = watermark(&accepted.courses, rules.lateness[view.name], rules.ending);
        if view.name == REVENUE {
            // None is behind all others.
            until = until.min(revenue);
        }
        let rows = match view.aggregates {
            Some(aggregates) => rows(view, aggregates, size, &accepted.events, until),
            None => revenue::rows(view, &accepted, &judged, rules, until),
        };
        expected.views.insert(view.name, rows);
        if let Some(until) = until {
            let watermark = Watermark::of(until, size);
            expected.watermarks.insert(view.name, watermark);
        }
    }
    expected.dead_letters.sort_by_key(DeadLetter::place);
    expected
}

#[cfg(test)]
mod tests {
    use super::super::rules::{Ending, Lateness};
    use super::super::testing::{Shop, clock};
    use super::*;

    const LOGS: &str = "log_analysis";

    fn by_default(shop: &Shop) -> Expected {
        expected(shop.log(), "", &Rules::default())
    }

    /// The starts of the windows of log lines, and whether they are final.
    fn windows(shop: &Shop, rules: &Rules) -> Vec<(i64, bool)> {
        let rows = &expected(shop.log(), "", rules).views[LOGS];
        rows.iter()
            .map(|((start, _), row)| (*start, row.is_final))
            .collect()
    }

    /// Log lines in the windows from ten and from eleven to one, of which the last
    /// is at this time.
    fn lines(last: &str) -> Shop {
        let mut shop = Shop::default();
        for time in ["10:30:00", "11:30:00", last] {
            shop.line(0, clock(time), clock(time));
        }
        shop
    }

    #[test]
    fn a_window_is_final_when_the_watermark_has_reached_its_end() {
        let [ten, eleven, one] = ["10:00:00", "11:00:00", "13:00:00"].map(clock);
        let shop = lines("13:00:00");
        assert_eq!(
            windows(&shop, &Rules::default()),
            [(ten, true), (eleven, false), (one, false)]
        );
        let noon = clock("12:00:00");
        let shop = lines("12:59:59.999");
        assert_eq!(
            windows(&shop, &Rules::default()),
            [(ten, false), (eleven, false), (noon, false)]
        );
        let for_ever = Rules::default().with_lateness(LOGS, Lateness::Forever);
        let shop = lines("13:00:00");
        assert!(
            windows(&shop, &for_ever)
                .iter()
                .all(|(_, is_final)| !is_final)
        );
    }

    #[test]
    fn a_window_has_the_size_that_the_rules_say() {
        let rules = Rules::default().with_window(LOGS, 24 * 3_600_000);
        let shop = lines("13:00:00");
        assert_eq!(windows(&shop, &rules), [(clock("00:00:00"), false)]);
        let watermark = expected(shop.log(), "", &rules).watermarks[LOGS];
        assert_eq!(watermark.final_until, clock("00:00:00"));
    }

    #[test]
    fn a_quiet_partition_counts_as_the_ending_says() {
        let mut shop = lines("13:00:30");
        shop.partitions("system_logs", 2);
        let last = Watermark {
            watermark: clock("11:00:30"),
            final_until: clock("11:00:00"),
        };
        let until = |shop: &Shop, ending| {
            let rules = Rules::default().with_ending(ending);
            let expected = expected(shop.log(), "", &rules);
            let is_final = expected.views[LOGS].values().any(|row| row.is_final);
            let watermark = expected.watermarks.get(LOGS).copied();
            assert_eq!(is_final, watermark.is_some());
            watermark
        };
        assert_eq!(until(&shop, Ending::CaughtUp), Some(last));
        assert_eq!(until(&shop, Ending::Running), None);
        assert_eq!(until(&shop, Ending::AllIdle), Some(last));
        // Neither a tombstone nor what is malformed, nor what is from the future,
        // has an event time.
        shop.send("system_logs", 1, clock("09:00:00"), None);
        shop.send("system_logs", 1, clock("09:00:00"), Some("{}"));
        shop.line(1, clock("09:00:00"), clock("09:00:01") + 24 * 3_600_000);
        assert_eq!(until(&shop, Ending::CaughtUp), Some(last));
        assert_eq!(until(&shop, Ending::Running), None);
        assert_eq!(until(&shop, Ending::AllIdle), Some(last));
    }

    #[test]
    fn views_without_events_or_without_an_end_have_no_watermark() {
        let shop = lines("13:00:00");
        let named: Vec<_> = by_default(&shop).watermarks.into_keys().collect();
        assert_eq!(named, [LOGS]);
        let rules = Rules::default().with_lateness(LOGS, Lateness::Forever);
        assert!(expected(shop.log(), "", &rules).watermarks.is_empty());
    }

    #[test]
    fn the_default_lateness_is_that_of_each_view() {
        let mut shop = Shop::default();
        let at = clock("12:00:00");
        shop.line(0, at, at);
        shop.customer(0, at, "c", "Female");
        shop.product(0, at, "p", "Books", "1");
        shop.sale(0, at, "s", "p", 1, at);
        let of_topic = |topic, id, more| {
            let changes = [(id, "\"x\""), ("timestamp", "\"2024-11-02T12:00:00\"")];
            crate::samples::with(topic, &[&changes[..], more].concat())
        };
        let view = of_topic("product_views", "view_id", &[]);
        shop.send("product_views", 0, at, Some(&view));
        let interaction = of_topic("user_interactions", "interaction_id", &[]);
        shop.send("user_interactions", 0, at, Some(&interaction));
        let hour = 3_600_000;
        // A customer's last login is not the message's time.
        let login = clock("13:45:11.25");
        let watermarks = by_default(&shop).watermarks;
        let found: Vec<_> = watermarks
            .into_iter()
            .map(|(name, watermark)| (name, watermark.watermark))
            .collect();
        assert_eq!(
            found,
            [
                ("customer_analysis", login - 2 * hour),
                ("interaction_analysis", at - 2 * hour),
                ("log_analysis", at - 2 * hour),
                ("product_analysis", at - 2 * hour),
                ("product_views_analysis", at - hour),
                ("revenue_analysis", at - 2 * hour),
                ("sales_analysis", at - 2 * hour),
            ]
        );
    }

    #[test]
    fn each_refusal_is_a_dead_letter_of_its_own() {
        let mut shop = Shop::default();
        let sale = |shop: &mut Shop, sent, time| shop.sale(0, sent, "s", "p", 1, time);
        sale(&mut shop, clock("13:00:00"), clock("13:00:00"));
        sale(&mut shop, clock("10:00:00"), clock("09:00:00"));
        sale(&mut shop, clock("13:00:00"), clock("13:00:01") + 86_400_000);
        shop.send("products", 0, clock("13:00:00"), Some("{}"));
        shop.send("products", 0, clock("13:00:00"), None);
        let expected = by_default(&shop);
        let letters: Vec<_> = expected
            .dead_letters
            .iter()
            .map(|letter| (letter.id(), letter.reason.clone()))
            .collect();
        let late = |hour, end| Reason::Late {
            window: (clock(hour), clock(end)),
            watermark: clock("11:00:00"),
        };
        let missing = vec!["product_id", "category", "price", "stock_quantity"];
        let wanted = [
            ("products/0/0", Reason::Malformed { fields: missing }),
            (
                "transactions/0/1/revenue_analysis",
                late("09:00:00", "10:00:00"),
            ),
            (
                "transactions/0/1/sales_analysis",
                late("10:00:00", "11:00:00"),
            ),
            (
                "transactions/0/2/revenue_analysis",
                Reason::FromTheFuture { field: "date_time" },
            ),
        ];
        assert_eq!(letters, wanted.map(|(id, reason)| (id.to_owned(), reason)));
        let message = &expected.dead_letters[1].message;
        assert_eq!(message, &shop.log().messages[1], "whole");
        assert!(expected.views["revenue_analysis"].len() == 1);
        let sales = expected.views["sales_analysis"].values();
        let counts: Vec<_> = sales.map(|row| row.fields[3].clone()).collect();
        let two = super::super::rows::Field::Long(2);
        assert_eq!(counts, [("number_of_sales", two)]);
    }

    #[test]
    fn a_log_may_be_in_any_order() {
        let mut shop = lines("13:00:00");
        shop.line(0, clock("10:00:00"), clock("10:00:00"));
        let mut log = shop.log().clone();
        log.messages.reverse();
        log.bounds.clear();
        assert_eq!(expected(&log, "", &Rules::default()), by_default(&shop));
    }

    #[test]
    fn a_partition_is_known_by_its_messages_too() {
        let mut shop = lines("13:00:00");
        shop.send("system_logs", 1, clock("13:00:00"), Some("{}"));
        let mut log = shop.log().clone();
        log.bounds.clear();
        let running = Rules::default().with_ending(Ending::Running);
        assert!(expected(&log, "", &running).watermarks.is_empty());
    }

    #[test]
    fn a_prefix_stands_before_each_topic_and_stays_in_the_letters() {
        let mut shop = lines("13:00:00");
        shop.line(0, clock("10:00:00"), clock("10:00:00"));
        let plain = by_default(&shop);
        let mut log = shop.log().clone();
        for message in &mut log.messages {
            message.topic.insert_str(0, "p-");
        }
        log.bounds.clear();
        let prefixed = expected(&log, "p-", &Rules::default());
        assert_eq!(prefixed.views, plain.views);
        assert_eq!(
            prefixed.dead_letters[0].id(),
            "p-system_logs/0/3/log_analysis"
        );
    }

    #[test]
    fn where_everything_counts_nothing_is_refused() {
        let mut shop = lines("13:00:00");
        for year in ["0001", "1969", "9999", "2024"] {
            let time = format!("\"{year}-01-01T00:00:00\"");
            let line = crate::samples::with("system_logs", &[("timestamp", &time)]);
            shop.send("system_logs", 0, clock("13:00:00"), Some(&line));
        }
        let rules = Rules::everything_counts();
        assert_eq!(expected(shop.log(), "", &rules).dead_letters, []);
        let letters = by_default(&shop).dead_letters;
        let reasons: Vec<_> = letters.iter().map(|letter| letter.reason.name()).collect();
        assert_eq!(reasons, ["late", "late", "from_the_future", "late"]);
    }
}
