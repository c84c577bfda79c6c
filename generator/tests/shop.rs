//! What the shop makes, without Kafka.

use std::collections::{HashMap, HashSet};

use events::*;
use generator::{Profile, Shop, Times};
use proptest::prelude::*;

const START: Timestamp = Timestamp(1_730_555_111_000_000); // 2024-11-02T13:45:11
const HOUR: i64 = 3_600_000_000;
const MONTH: Timestamp = Timestamp(1_730_419_200_000_000); // 2024-11-01T00:00:00
const YEAR: Timestamp = Timestamp(1_704_067_200_000_000); // 2024-01-01T00:00:00

#[derive(Clone, Debug, PartialEq)]
struct Made {
    topic: &'static str,
    key: Vec<u8>,
    value: Vec<u8>,
    timestamp_ms: i64,
}

fn make(profile: &Profile, rounds: usize) -> Vec<Made> {
    let mut shop = Shop::new(profile);
    let mut made = Vec::new();
    for _ in 0..rounds {
        shop.round(|record| {
            assert_eq!(TOPICS[record.number], record.topic);
            made.push(Made {
                topic: record.topic,
                key: record.key.unwrap_or_default().to_vec(),
                value: record.value.to_vec(),
                timestamp_ms: record.timestamp_ms,
            });
        });
    }
    made
}

/// What all events have in common.
struct Seen {
    id: Id,
    customer: Option<Id>,
    product: Option<Id>,
    times: Vec<Timestamp>,
}

fn times<T: Topic>(event: &T::Event<'_>) -> Vec<Timestamp> {
    T::TIMES.iter().map(|time| (time.get)(event)).collect()
}

fn read(made: &Made) -> Result<Seen, Malformed> {
    let json = &made.value;
    Ok(match made.topic {
        "customers" => {
            let event = Customers::decode(json)?;
            let id = event.customer_id.clone();
            Seen {
                id,
                customer: None,
                product: None,
                times: times::<Customers>(&event),
            }
        }
        "products" => {
            let event = Products::decode(json)?;
            Seen {
                id: event.product_id,
                customer: None,
                product: None,
                times: Vec::new(),
            }
        }
        "transactions" => {
            let event = Transactions::decode(json)?;
            let times = times::<Transactions>(&event);
            let (customer, product) = (Some(event.customer_id), Some(event.product_id));
            Seen {
                id: event.transaction_id,
                customer,
                product,
                times,
            }
        }
        "product_views" => {
            let event = ProductViews::decode(json)?;
            let times = times::<ProductViews>(&event);
            let (customer, product) = (Some(event.customer_id), Some(event.product_id));
            Seen {
                id: event.view_id,
                customer,
                product,
                times,
            }
        }
        "user_interactions" => {
            let event = UserInteractions::decode(json)?;
            let times = times::<UserInteractions>(&event);
            let (customer, product) = (Some(event.customer_id), Some(event.product_id));
            assert_eq!(event.details.is_some(), event.interaction_type == "review");
            Seen {
                id: event.interaction_id,
                customer,
                product,
                times,
            }
        }
        "system_logs" => {
            let event = SystemLogs::decode(json)?;
            let id = event.log_id.clone();
            Seen {
                id,
                customer: None,
                product: None,
                times: times::<SystemLogs>(&event),
            }
        }
        other => panic!("topic {other}"),
    })
}

fn profiles() -> impl Strategy<Value = Profile> {
    let share = || prop_oneof![Just(0.0), 0.0..=1.0];
    let times = prop_oneof![Just(Times::Live), Just(Times::Spread)];
    let rate = prop::option::of(0.001..1e9);
    (
        any::<u64>(),
        0..250_000_000_000_000_000i64,
        rate,
        times,
        share(),
        share(),
        share(),
    )
        .prop_map(
            |(seed, start, rate, times, late, duplicates, malformed)| Profile {
                seed,
                start: Timestamp(start),
                rate,
                times,
                late,
                duplicates,
                malformed,
                fills: [true; events::TOPICS.len()],
                catalogue: None,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_same_profile_makes_the_same_bytes(profile in profiles()) {
        prop_assert_eq!(make(&profile, 200), make(&profile, 200));
    }

    #[test]
    fn another_seed_makes_other_events(profile in profiles(), seed in any::<u64>()) {
        prop_assume!(seed != profile.seed);
        let made = make(&profile, 20);
        prop_assert_ne!(made, make(&Profile { seed, ..profile }, 20));
    }

    /// Of some topics alone, with the clock that the others do not move.
    #[test]
    fn only_some_topics_are_filled(profile in profiles(), fills in any::<[bool; 6]>()) {
        let step = profile.rate.map_or(5.0, |rate| 1e6 / rate);
        let profile = Profile { fills, ..profile };
        for (place, made) in make(&profile, 50).into_iter().enumerate() {
            let number = TOPICS.iter().position(|topic| *topic == made.topic).unwrap();
            prop_assert!(fills[number]);
            let since = (made.timestamp_ms - profile.start.as_millis()) as f64;
            prop_assert!((since - place as f64 * step / 1e3).abs() <= 2.0, "{since} {place}");
        }
    }

    #[test]
    fn good_events_are_read_and_refer_to_what_was_sent(profile in profiles()) {
        let profile = Profile { malformed: 0.0, ..profile };
        let (mut customers, mut products) = (HashSet::new(), HashSet::new());
        let mut last = i64::MIN;
        for made in make(&profile, 300) {
            let seen = read(&made)?;
            prop_assert_eq!(seen.id.to_string().into_bytes(), made.key);
            prop_assert!(made.timestamp_ms >= last);
            last = made.timestamp_ms;
            prop_assert!(seen.customer.is_none_or(|id| customers.contains(&id)));
            prop_assert!(seen.product.is_none_or(|id| products.contains(&id)));
            match made.topic {
                "customers" => drop(customers.insert(seen.id)),
                "products" => drop(products.insert(seen.id)),
                _ => {}
            }
        }
        prop_assert!(!customers.is_empty() && !products.is_empty());
    }

    /// Also among malformed ones nobody refers to an id that could not be read.
    #[test]
    fn malformed_events_are_known_to_nobody(profile in profiles()) {
        let (mut customers, mut products) = (HashSet::new(), HashSet::new());
        for made in make(&profile, 300) {
            let Ok(seen) = read(&made) else { continue };
            prop_assert!(seen.customer.is_none_or(|id| customers.contains(&id)));
            prop_assert!(seen.product.is_none_or(|id| products.contains(&id)));
            match made.topic {
                "customers" => drop(customers.insert(seen.id)),
                "products" => drop(products.insert(seen.id)),
                _ => {}
            }
        }
    }
}

fn count(made: &[Made], topic: &str) -> usize {
    made.iter().filter(|made| made.topic == topic).count()
}

fn near(part: usize, whole: usize, share: f64) -> bool {
    let found = part as f64 / whole as f64;
    (found - share).abs() < 0.015
}

#[test]
fn a_round_is_the_original_one() {
    let made = make(&Profile::new(7, START), 20_000);
    let new = [count(&made, "customers"), count(&made, "products")];
    assert_eq!(new[0] + new[1], 20_000);
    assert!(near(new[0], 20_000, 0.5), "{new:?}");
    assert_eq!(count(&made, "system_logs"), 20_000);
    let sales = count(&made, "transactions");
    assert!((19_900..20_000).contains(&sales), "{sales}");
    assert_eq!(count(&made, "product_views"), sales);
    assert_eq!(count(&made, "user_interactions"), sales);
}

#[test]
fn values_are_the_original_ones() {
    let mut groups: HashMap<(&str, String), usize> = HashMap::new();
    let mut add = |name, text: &str| *groups.entry((name, text.to_owned())).or_default() += 1;
    let made = make(&Profile::new(7, START), 5000);
    for made in &made {
        match made.topic {
            "customers" => {
                let event = Customers::decode(&made.value).unwrap();
                assert!((18..=70).contains(&event.age.unwrap()));
                assert!(event.email.unwrap().contains('@'));
                assert_eq!(event.account_created.unwrap().len(), 10);
                assert!(!event.name.unwrap().is_empty() && !event.location.unwrap().is_empty());
                add("gender", &event.gender);
            }
            "products" => {
                let event = Products::decode(&made.value).unwrap();
                assert!((10_000_000_000..=500_000_000_000).contains(&event.price.nanos()));
                assert!((0..=100).contains(&event.stock_quantity));
                assert!((1.0..=5.0).contains(&event.rating.unwrap()));
                assert!(!event.name.unwrap().is_empty() && !event.supplier.unwrap().is_empty());
                add("category", &event.category);
            }
            "transactions" => {
                let event = Transactions::decode(&made.value).unwrap();
                add("quantity", &event.quantity.to_string());
                add("status", &event.status);
                add("payment", &event.payment_method.unwrap());
            }
            "product_views" => {
                let event = ProductViews::decode(&made.value).unwrap();
                assert!((10..=300).contains(&event.view_duration));
            }
            "user_interactions" => add(
                "kind",
                &UserInteractions::decode(&made.value)
                    .unwrap()
                    .interaction_type,
            ),
            _ => add("level", &SystemLogs::decode(&made.value).unwrap().level),
        }
    }
    for (name, values) in [
        ("gender", &["Male", "Female", "Other"][..]),
        (
            "category",
            &["Electronics", "Books", "Clothing", "Home & Garden"],
        ),
        ("quantity", &["1", "2", "3", "4", "5"]),
        ("status", &["completed", "pending", "canceled"]),
        ("payment", &["credit card", "PayPal", "bank transfer"]),
        ("kind", &["wishlist_addition", "review", "rating"]),
        ("level", &["INFO", "WARNING", "ERROR"]),
    ] {
        let found: HashSet<&str> = groups
            .keys()
            .filter(|(group, _)| *group == name)
            .map(|(_, value)| value.as_str())
            .collect();
        assert_eq!(found, values.iter().copied().collect(), "{name}");
    }
}

#[test]
fn live_times_are_near_the_clock_and_out_of_order() {
    let profile = Profile {
        rate: Some(1000.0),
        ..Profile::new(3, START)
    };
    let made = make(&profile, 2000);
    assert_eq!(made[0].timestamp_ms, START.as_millis());
    assert_eq!(made[1000].timestamp_ms, START.as_millis() + 1000);
    let mut all = Vec::new();
    for made in &made {
        for time in read(made).unwrap().times {
            let behind = made.timestamp_ms - time.as_millis();
            assert!((0..=3001).contains(&behind), "{behind}");
            all.push(time);
        }
    }
    assert!(!all.is_sorted());
}

#[test]
fn spread_times_fill_the_month_and_the_year() {
    let profile = Profile {
        times: Times::Spread,
        ..Profile::new(3, START)
    };
    let mut span: HashMap<&str, (Timestamp, Timestamp)> = HashMap::new();
    for made in make(&profile, 5000) {
        for time in read(&made).unwrap().times {
            let span = span.entry(made.topic).or_insert((time, time));
            *span = (span.0.min(time), span.1.max(time));
        }
    }
    assert_eq!(span.len(), 5);
    for (topic, (first, last)) in span {
        let since = if topic == "customers" { MONTH } else { YEAR };
        let whole = START.as_micros() - since.as_micros();
        assert!(first >= since, "{topic} {first}");
        assert!(
            last.as_micros() <= START.as_micros() + 1_000_000,
            "{topic} {last}"
        );
        assert!(
            (last.as_micros() - first.as_micros()) * 100 > whole * 98,
            "{topic}"
        );
    }
}

#[test]
fn late_events_are_hours_late() {
    let profile = Profile {
        late: 0.1,
        ..Profile::new(3, START)
    };
    let (mut late, mut all) = (0, 0);
    for made in make(&profile, 5000) {
        for time in read(&made).unwrap().times {
            let behind = made.timestamp_ms * 1000 - time.as_micros();
            assert!(
                behind < 3_001_000 || (3 * HOUR - 1000..=24 * HOUR + 1000).contains(&behind),
                "{behind}"
            );
            all += 1;
            late += usize::from(behind >= 3 * HOUR - 1000);
        }
    }
    assert!(near(late, all, 0.1), "{late} of {all}");
}

#[test]
fn duplicates_are_the_same_message_again() {
    let profile = Profile {
        duplicates: 0.2,
        ..Profile::new(3, START)
    };
    let made = make(&profile, 5000);
    let mut seen = HashSet::new();
    let doubles = made
        .iter()
        .filter(|made| !seen.insert((made.topic, &made.key, &made.value)))
        .count();
    assert!(
        near(doubles, made.len() - doubles, 0.2),
        "{doubles} of {}",
        made.len()
    );
    let keys: HashSet<_> = made.iter().map(|made| &made.key).collect();
    assert_eq!(keys.len(), made.len() - doubles);
}

#[test]
fn malformed_events_are_malformed_in_every_way() {
    let profile = Profile {
        malformed: 0.3,
        ..Profile::new(3, START)
    };
    let made = make(&profile, 5000);
    let mut kinds = HashSet::new();
    let mut bad = 0;
    for made in &made {
        if let Err(reason) = read(made) {
            bad += 1;
            kinds.insert(std::mem::discriminant(&reason));
        }
    }
    assert!(near(bad, made.len(), 0.3), "{bad} of {}", made.len());
    // All but numbers of too many decimals.
    assert_eq!(kinds.len(), 10);

    let all = make(
        &Profile {
            malformed: 1.0,
            ..profile
        },
        5000,
    );
    assert!(all.iter().all(|made| read(made).is_err()));
}

#[test]
fn a_later_batch_has_a_later_clock() {
    let mut shop = Shop::new(&Profile::new(1, START));
    let day = Timestamp(START.as_micros() + 24 * HOUR);
    shop.round(|_| {});
    shop.set_clock(day);
    let mut first = None;
    shop.round(|record| {
        first.get_or_insert(record.timestamp_ms);
    });
    assert_eq!(first, Some(day.as_millis()));
}

#[test]
fn a_catalogue_that_is_full_only_has_other_prices_and_stocks() {
    let profile = Profile {
        catalogue: Some(50),
        ..Profile::new(1, START)
    };
    let made = make(&profile, 5_000);
    assert_eq!(made, make(&profile, 5_000));
    let mut known: HashMap<String, (String, String, Money)> = HashMap::new();
    let mut sent_again = 0;
    let of_products = made.iter().filter(|made| made.topic == "products");
    for product in of_products {
        let event = Products::decode(&product.value).unwrap();
        let id = event.product_id.to_string();
        assert_eq!(id.as_bytes(), product.key);
        let name = event.name.as_deref().unwrap().to_owned();
        let category = event.category.to_string();
        assert!((10_000_000_000..=500_000_000_000).contains(&event.price.0));
        if let Some((was, of, price)) = known.get(&id) {
            assert_eq!((was, of), (&name, &category));
            sent_again += u32::from(*price != event.price);
        }
        known.insert(id, (name, category, event.price));
    }
    assert_eq!(known.len(), 50);
    assert!((100..500).contains(&sent_again), "{sent_again}");
    let customers = made.iter().filter(|made| made.topic == "customers");
    assert!(customers.count() > 4_300);
}

#[test]
fn the_pace_of_a_shop_can_change() {
    let mut shop = Shop::new(&Profile::new(1, START));
    let later = Timestamp(START.as_micros() + HOUR);
    shop.set_pace(later, Some(2.0));
    assert_eq!(shop.now(), later);
    let mut events = 0;
    shop.round(|record| {
        assert_eq!(record.timestamp_ms, later.as_millis() + events * 500);
        events += 1;
    });
    assert_eq!(shop.now().as_millis(), later.as_millis() + events * 500);
}
