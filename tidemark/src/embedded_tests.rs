//! What the generated shop writes before it is live.

use super::*;
use dataflow::ingest::in_process::{InProcessConfig, InProcessSource};
use dataflow::ingest::source::{Source as _, Taken, Turn};
use std::collections::BTreeMap;
use telemetry::Telemetry;

#[test]
fn the_history_is_two_days_in_order_and_ends_now() {
    let topics: Arc<[String]> = TOPICS.iter().map(|topic| format!("p-{topic}")).collect();
    let mut shop = Shop::open(&topics);
    let config = InProcessConfig {
        log: Arc::clone(shop.log()),
        idle_timeout: Duration::from_secs(30),
        telemetry: Arc::new(Telemetry::new(1, &topics, &[])),
    };
    let mut source = InProcessSource::new(config, 0, 1);
    let begun = now().as_micros() / 1_000;
    shop.fill(Rate::default(), 1, "p-", Names::default())
        .unwrap();

    let mut newest: BTreeMap<(usize, i32), i64> = BTreeMap::new();
    let mut hours: BTreeMap<(usize, i64), u32> = BTreeMap::new();
    let mut events = 0_u32;
    let live = |newest: &BTreeMap<(usize, i32), i64>| newest.values().any(|at| *at >= begun);
    while !live(&newest) {
        let turn = source.read(1_000, &mut |message| {
            let at = message.timestamp;
            let before = newest.insert((message.topic, message.partition), at);
            assert!(
                before.is_none_or(|before| before <= at),
                "{before:?} before {at}"
            );
            assert!(at <= now().as_micros() / 1_000, "{at} is ahead");
            *hours
                .entry((message.topic, (at - begun).div_euclid(3_600_000)))
                .or_default() += 1;
            events += 1;
            Taken::Accepted { cost: 1 }
        });
        if turn == Ok(Turn::Idle) {
            std::thread::yield_now();
        }
    }
    shop.close();
    for topic in 0..topics.len() {
        for hour in -HISTORY_HOURS..0 {
            let count = hours.get(&(topic, hour)).copied().unwrap_or(0);
            // Of products there are few once the catalogue is full.
            let least = if topics[topic] == "p-products" { 1 } else { 50 };
            assert!(
                count >= least,
                "{count} of {} in hour {hour}",
                topics[topic]
            );
        }
    }
    let first = hours.keys().map(|(_, hour)| *hour).min();
    // It begins some seconds before, since it ends some seconds before now.
    assert_eq!(first, Some(-HISTORY_HOURS - 1));
    let expected = HISTORY_EVENTS * 0.95..HISTORY_EVENTS * 1.2;
    assert!(expected.contains(&f64::from(events)), "{events}");
}

#[test]
fn evenings_are_busier_than_nights() {
    let at = |hour: i64| rate_at(Timestamp(1_000 * 24 * HOUR + hour * HOUR));
    assert!(at(19) > 3.0 * at(7));
    let day: f64 = (0..24).map(|hour| at(hour) * 3_600.0).sum();
    assert!((day - HISTORY_EVENTS / 2.0).abs() < 1.0, "{day}");
}
