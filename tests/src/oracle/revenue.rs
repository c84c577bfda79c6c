//! `revenue_analysis`: sales joined with their products and customers.
//!
//! Of each sale, product and customer the newest version counts. An open window is
//! computed from all versions that there are; a final one from those that there
//! were when it closed, so that what came later does not change it any more:
//!
//! ```text
//!   k ─────────────────────▶
//!   v1     v2   X     v3        the window that closed at X has v2, an open one v3
//! ```

use super::accept::Accepted;
use super::decimal::decimal;
use super::decode::Judged;
use super::event::{Event, Stamp};
use super::rows::{Field, Key, Row, Rows, long, of_window, saturated};
use super::rules::{Lateness, Rules};
use super::views::View;
use super::watermark::{Moment, closing};
use std::collections::{BTreeMap, BTreeSet};

/// A category or a gender that nothing is known of.
const UNKNOWN: &str = "unknown";

/// All versions of each thing, by its id, from the oldest to the newest.
struct Versions<'a>(BTreeMap<&'a str, Vec<&'a Event>>);

impl<'a> Versions<'a> {
    fn of(events: impl Iterator<Item = &'a Event>, id: &str) -> Versions<'a> {
        let mut versions: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for event in events {
            versions.entry(event.text(id)).or_default().push(event);
        }
        for versions in versions.values_mut() {
            versions.sort_by_key(|event| event.stamp);
        }
        Versions(versions)
    }

    /// The newest of those that count.
    fn newest(&self, id: &str, counts: impl Fn(&Event) -> bool) -> Option<&'a Event> {
        let versions = self.0.get(id)?;
        versions.iter().rev().find(|event| counts(event)).copied()
    }
}

/// A sale, with what is known of its product and of its customer.
struct Joined<'a> {
    sale: &'a Event,
    product: Option<&'a Event>,
    customer: Option<&'a Event>,
}

impl Joined<'_> {
    fn group(&self) -> Vec<String> {
        let category = self.product.map_or(UNKNOWN, |event| event.text("category"));
        let gender = self.customer.map_or(UNKNOWN, |event| event.text("gender"));
        let status = self.sale.text("status");
        [category, gender, status].map(ToOwned::to_owned).to_vec()
    }

    /// In billionths. Less than 2^126.
    fn revenue(&self) -> i128 {
        let price = self.product.map_or(0, |event| event.price("price"));
        i128::from(self.sale.count("quantity")) * price
    }
}

/// The rows of the view over the sales that it accepted. Windows that end at
/// `watermark` or before are final.
pub(super) fn rows(
    view: &View,
    accepted: &Accepted<'_>,
    judged: &Judged,
    rules: &Rules,
    watermark: Option<i64>,
) -> Rows {
    let size = rules.windows[view.name];
    // What is ahead of the clock is no version, where windows close.
    let is_forever = rules.lateness[view.name] == Lateness::Forever;
    let of_topic = |topic| {
        let events = judged.events.iter();
        events.filter(move |event| event.topic == topic && (is_forever || !event.is_ahead()))
    };
    let products = Versions::of(of_topic("products"), "product_id");
    let customers = Versions::of(of_topic("customers"), "customer_id");
    let sales = Versions::of(accepted.events.iter().copied(), "transaction_id");

    // Every sale that was ever in a window may still be there.
    let mut windows: BTreeMap<(i64, i64), BTreeSet<&str>> = BTreeMap::new();
    for event in &accepted.events {
        let window = view.window_of(event, size);
        let ids = windows.entry(window).or_default();
        ids.insert(event.text("transaction_id"));
    }

    let mut groups: BTreeMap<Key, (bool, Vec<Joined<'_>>)> = BTreeMap::new();
    for (of_ids, ids) in windows {
        let is_final = Some(of_ids.1) <= watermark;
        let lateness = rules.lateness[view.name];
        let moment = is_final.then(|| closing(&accepted.courses, lateness, of_ids.1));
        let sent_by_then = |event: &Event| match &moment {
            Some(Moment { at: Some(at), .. }) => event.reading.seen <= Some(*at),
            Some(Moment { at: None, .. }) | None => true,
        };
        let read_by_then = |event: &Event| {
            let Stamp {
                partition, offset, ..
            } = event.stamp;
            let moment = moment.as_ref();
            let below = moment.and_then(|moment| moment.own.get(&partition));
            below.is_some_and(|below| offset < *below)
        };
        for id in ids {
            let newest = sales.newest(id, |event| sent_by_then(event) || read_by_then(event));
            let Some(sale) = newest.filter(|sale| view.window_of(sale, size) == of_ids) else {
                continue;
            };
            let joined = Joined {
                sale,
                product: products.newest(sale.text("product_id"), sent_by_then),
                customer: customers.newest(sale.text("customer_id"), sent_by_then),
            };
            let key = (of_ids.0, joined.group());
            let (_, row) = groups.entry(key).or_insert((is_final, Vec::new()));
            row.push(joined);
        }
    }

    let row = |(key, (is_final, joined)): (Key, (bool, Vec<Joined<'_>>))| {
        let mut fields = of_window(view, size, &key);
        fields.extend(aggregates(&joined));
        (key, Row { fields, is_final })
    };
    groups.into_iter().map(row).collect()
}

fn aggregates(joined: &[Joined<'_>]) -> [(&'static str, Field); 4] {
    let quantities = joined
        .iter()
        .map(|joined| i128::from(joined.sale.count("quantity")));
    let revenue = joined
        .iter()
        .fold(0i128, |sum, joined| sum.wrapping_add(joined.revenue()));
    let buyers: BTreeSet<_> = joined
        .iter()
        .map(|joined| joined.sale.text("customer_id"))
        .collect();
    [
        ("orders", long(joined.len())),
        ("items", Field::Long(saturated(quantities.sum()))),
        ("revenue", Field::Decimal(decimal(revenue))),
        ("buyers", long(buyers.len())),
    ]
}

#[cfg(test)]
#[path = "revenue_tests.rs"]
mod tests;
