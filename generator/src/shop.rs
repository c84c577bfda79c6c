//! A shop that makes up its own customers.
//!
//! A round is what the shop does at a time: somebody new or something new, then a
//! sale, a look and an interaction between those known by now, and a line of the
//! log. Everything is drawn from one seeded source in one order, and each record
//! is written into buffers that are used again.

use events::{
    Customer, Id, Money, Product, ProductView, SystemLog, Text, Timestamp, Transaction,
    UserInteraction,
};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use serde::Serialize;

use crate::clock::Clock;
use crate::damage::damage;
use crate::known::Known;
use crate::options::{Profile, Times};
use crate::phrases::{Phrases, any};

const GENDERS: &[&str] = &["Male", "Female", "Other"];
const CATEGORIES: &[&str] = &["Electronics", "Books", "Clothing", "Home & Garden"];
const STATUSES: &[&str] = &["completed", "pending", "canceled"];
const PAYMENTS: &[&str] = &["credit card", "PayPal", "bank transfer"];
const INTERACTIONS: &[&str] = &["wishlist_addition", "review", "rating"];
const LEVELS: &[&str] = &["INFO", "WARNING", "ERROR"];

/// Of the products that would be new in a catalogue that is full, how many are sent again; in
/// place of the others there are new customers.
const SENT_AGAIN: f64 = 0.1;

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3600 * SECOND;
const DAY: i64 = 24 * HOUR;

/// What is sent as one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Which topic: its place in [`events::TOPICS`].
    pub number: usize,
    /// The name of the topic.
    pub topic: &'static str,
    /// The event's own id, so that all messages about it are in one partition.
    pub key: Option<&'a [u8]>,
    /// JSON, unless it was damaged.
    pub value: &'a [u8],
    /// The Kafka timestamp: milliseconds since the UNIX epoch.
    pub timestamp_ms: i64,
}

/// A deterministic source of records: see the module.
#[derive(Debug)]
pub struct Shop {
    profile: Profile,
    rng: Xoshiro256PlusPlus,
    clock: Clock,
    phrases: Phrases,
    customers: Known,
    products: Known,
    /// From when on spread times are: this month's and this year's begin.
    month: Timestamp,
    year: Timestamp,
    /// The record that is being made.
    key: String,
    value: Vec<u8>,
    recent: Recent,
}

/// Places in [`events::TOPICS`].
const CUSTOMERS: usize = 0;
const PRODUCTS: usize = 1;
const TRANSACTIONS: usize = 2;
const PRODUCT_VIEWS: usize = 3;
const USER_INTERACTIONS: usize = 4;
const SYSTEM_LOGS: usize = 5;

impl Shop {
    /// A shop that opens at `profile.start`.
    pub fn new(profile: &Profile) -> Shop {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(profile.seed);
        let (month, year) = calendar(profile.start);
        Shop {
            phrases: Phrases::new(&mut rng),
            clock: Clock::new(profile.start, profile.rate),
            profile: profile.clone(),
            rng,
            customers: Known::default(),
            products: Known::default(),
            month,
            year,
            key: String::new(),
            value: Vec::new(),
            recent: Recent::default(),
        }
    }

    /// Sets the shop's clock, as from one day's batch to the next.
    pub fn set_clock(&mut self, time: Timestamp) {
        self.clock.set(time);
        (self.month, self.year) = calendar(time);
    }

    /// Sets the shop's clock, and how many events there are a second of it from then on, as
    /// [`Profile::rate`] does at the start.
    pub fn set_pace(&mut self, time: Timestamp, rate: Option<f64>) {
        self.set_clock(time);
        self.clock.set_pace(time, rate);
    }

    /// The time of the next event.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Makes one round and hands its records over, in order.
    pub fn round(&mut self, mut each: impl FnMut(Record<'_>)) {
        let is_full = (self.profile.catalogue).is_some_and(|most| self.products.len() >= most);
        if self.rng.random() || (is_full && !self.rng.random_bool(SENT_AGAIN)) {
            self.customer(&mut each);
        } else {
            let known = match is_full {
                true => self.products.any(&mut self.rng),
                false => None,
            };
            self.product(known.as_ref(), &mut each);
        }
        if let (Some(customer), Some(product)) = (
            self.customers.any(&mut self.rng),
            self.products.any(&mut self.rng),
        ) {
            self.transaction(customer.clone(), product.clone(), &mut each);
            self.view(customer.clone(), product.clone(), &mut each);
            self.interaction(customer, product, &mut each);
        }
        self.log(&mut each);
    }

    fn customer(&mut self, each: &mut impl FnMut(Record<'_>)) {
        let id = self.new_id();
        let last_login = self.time(self.month);
        let created = self.day();
        let (rng, phrases) = (&mut self.rng, &self.phrases);
        let event = Customer {
            customer_id: id.clone(),
            name: Some(text(any(&phrases.names, rng))),
            email: Some(text(any(&phrases.emails, rng))),
            location: Some(text(any(&phrases.cities, rng))),
            age: Some(rng.random_range(18..=70)),
            gender: text(any(GENDERS, rng)),
            account_created: Some(created.into()),
            last_login,
        };
        encode(&mut self.value, &event);
        if self.send(CUSTOMERS, each) {
            self.customers.add(id);
        }
    }

    /// A new product, or one that is `known` with another price and stock.
    fn product(&mut self, known: Option<&Id>, each: &mut impl FnMut(Record<'_>)) {
        let id = match known {
            None => self.new_id(),
            Some(id) => {
                self.key.clear();
                id.push_to(&mut self.key);
                id.clone()
            }
        };
        // Of one that may be sent again, what stays the same follows from its id.
        let mut own = (self.profile.catalogue.is_some()).then(|| chance_of(&self.key));
        let (rng, phrases) = (&mut self.rng, &self.phrases);
        let words = &phrases.words;
        let name = match &mut own {
            None => any(words, rng).clone(),
            Some(own) => format!("{} {}", any(words, own), any(words, own)),
        };
        let category = any(CATEGORIES, own.as_mut().unwrap_or(rng));
        // Whole cents, from 10 to 500.
        let cents = match &mut own {
            None => rng.random_range(1000..=50_000),
            Some(own) => own.random_range(1100..=45_000) * rng.random_range(91..=110) / 100,
        };
        let stock_quantity = rng.random_range(0..=100);
        let supplier = any(&phrases.companies, own.as_mut().unwrap_or(rng));
        let event = Product {
            product_id: id.clone(),
            name: Some(text(&name)),
            category: text(category),
            price: Money(cents * 10_000_000),
            stock_quantity,
            supplier: Some(text(supplier)),
            rating: Some(f64::from(rng.random_range(10..=50)) / 10.0),
        };
        encode(&mut self.value, &event);
        if self.send(PRODUCTS, each) && known.is_none() {
            self.products.add(id);
        }
    }

    fn transaction(&mut self, customer: Id, product: Id, each: &mut impl FnMut(Record<'_>)) {
        let event = Transaction {
            transaction_id: self.new_id(),
            customer_id: customer,
            product_id: product,
            quantity: self.rng.random_range(1..=5),
            date_time: self.time(self.year),
            status: text(any(STATUSES, &mut self.rng)),
            payment_method: Some(text(any(PAYMENTS, &mut self.rng))),
        };
        encode(&mut self.value, &event);
        self.send(TRANSACTIONS, each);
    }

    fn view(&mut self, customer: Id, product: Id, each: &mut impl FnMut(Record<'_>)) {
        let event = ProductView {
            view_id: self.new_id(),
            customer_id: customer,
            product_id: product,
            timestamp: self.time(self.year),
            view_duration: self.rng.random_range(10..=300),
        };
        encode(&mut self.value, &event);
        self.send(PRODUCT_VIEWS, each);
    }

    fn interaction(&mut self, customer: Id, product: Id, each: &mut impl FnMut(Record<'_>)) {
        let id = self.new_id();
        let timestamp = self.time(self.year);
        let kind = *any(INTERACTIONS, &mut self.rng);
        let event = UserInteraction {
            interaction_id: id,
            customer_id: customer,
            product_id: product,
            timestamp,
            interaction_type: kind.into(),
            details: (kind == "review").then(|| text(any(&self.phrases.sentences, &mut self.rng))),
        };
        encode(&mut self.value, &event);
        self.send(USER_INTERACTIONS, each);
    }

    fn log(&mut self, each: &mut impl FnMut(Record<'_>)) {
        let id = self.new_id();
        let timestamp = self.time(self.year);
        let event = SystemLog {
            log_id: id,
            timestamp,
            level: text(any(LEVELS, &mut self.rng)),
            message: Some(text(any(&self.phrases.sentences, &mut self.rng))),
        };
        encode(&mut self.value, &event);
        self.send(SYSTEM_LOGS, each);
    }

    /// A random UUID (version 4), which becomes the key of the record.
    fn new_id(&mut self) -> Id {
        const VERSION: u128 = 0xf << 76;
        const VARIANT: u128 = 0b11 << 62;
        let random: u128 = self.rng.random();
        let id = Id::from_uuid(random & !VERSION & !VARIANT | 4 << 76 | 0b10 << 62);
        self.key.clear();
        id.push_to(&mut self.key);
        id
    }

    /// A time for an event; where times are spread, `since` then.
    fn time(&mut self, since: Timestamp) -> Timestamp {
        let now = self.clock.now().as_micros();
        if self.profile.late > 0.0 && self.rng.random_bool(self.profile.late) {
            return Timestamp(now - self.rng.random_range(3 * HOUR..=24 * HOUR));
        }
        match self.profile.times {
            Times::Live => Timestamp(now - self.rng.random_range(0..3 * SECOND)),
            Times::Spread => Timestamp(now - self.rng.random_range(0..=now - since.as_micros())),
        }
    }

    /// A day in the year before now, or in this year where times are spread.
    fn day(&mut self) -> String {
        let now = self.clock.now().as_micros();
        let since = match self.profile.times {
            Times::Live => now - 365 * DAY,
            Times::Spread => self.year.as_micros(),
        };
        let mut day = Timestamp(self.rng.random_range(since..=now)).to_string();
        day.truncate("2024-11-02".len());
        day
    }

    /// Hands over the record in the buffers, damaged or doubled as it may be. True
    /// if it was a good one.
    fn send(&mut self, number: usize, each: &mut impl FnMut(Record<'_>)) -> bool {
        let good = self.profile.malformed == 0.0 || !self.rng.random_bool(self.profile.malformed);
        if !good {
            damage(&mut self.value, &mut self.rng);
        }
        if !self.profile.fills[number] {
            return good;
        }
        each(Record {
            number,
            topic: events::TOPICS[number],
            key: Some(self.key.as_bytes()),
            value: &self.value,
            timestamp_ms: self.clock.now().as_millis(),
        });
        self.clock.tick();
        if self.profile.duplicates > 0.0 {
            if good {
                self.recent.keep(number, &self.key, &self.value);
            }
            if self.rng.random_bool(self.profile.duplicates) {
                self.repeat(each);
            }
        }
        good
    }

    /// Hands over one of the last records again.
    fn repeat(&mut self, each: &mut impl FnMut(Record<'_>)) {
        if self.recent.records.is_empty() {
            return;
        }
        let (number, key, value) = any(&self.recent.records, &mut self.rng);
        each(Record {
            number: *number,
            topic: events::TOPICS[*number],
            key: Some(key.as_bytes()),
            value,
            timestamp_ms: self.clock.now().as_millis(),
        });
        self.clock.tick();
    }
}

/// The last good records, for those that are sent twice: some at once, some after
/// others.
#[derive(Debug, Default)]
struct Recent {
    records: Vec<(usize, String, Vec<u8>)>,
    oldest: usize,
}

impl Recent {
    const CAPACITY: usize = 256;

    fn keep(&mut self, number: usize, key: &str, value: &[u8]) {
        if self.records.len() < Self::CAPACITY {
            self.records.push((number, key.to_owned(), value.to_vec()));
            return;
        }
        let (old_number, old_key, old_value) = &mut self.records[self.oldest];
        *old_number = number;
        key.clone_into(old_key);
        value.clone_into(old_value);
        self.oldest = (self.oldest + 1) % Self::CAPACITY;
    }
}

/// A source of chance that is the same for the same key.
fn chance_of(key: &str) -> Xoshiro256PlusPlus {
    let fold = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    Xoshiro256PlusPlus::seed_from_u64(key.bytes().fold(0xcbf2_9ce4_8422_2325, fold))
}

fn text<'a>(text: &'a (impl AsRef<str> + ?Sized)) -> Text<'a> {
    Text::from(text.as_ref())
}

fn encode(value: &mut Vec<u8>, event: &impl Serialize) {
    value.clear();
    events::encode(event, value);
}

/// When the month and the year of `time` began, in UTC.
fn calendar(time: Timestamp) -> (Timestamp, Timestamp) {
    let text = time.to_string();
    let begin = |kept: usize| {
        let first = format!("{}{}", &text[..kept], &"0000-01-01T00:00:00"[kept..]);
        Timestamp::parse(&first).unwrap_or(time)
    };
    (begin("0000-01".len()), begin("0000".len()))
}
