//! Measures decoding: `cargo run --release -p events --example decode`.
//!
//! Prints events per second of one core, and nanoseconds for the parts of an
//! event that are not plain JSON.

use std::hint::black_box;
use std::time::Instant;

use events::{
    Customers, Id, Money, ProductViews, Products, SystemLogs, Timestamp, Topic, Transactions,
    UserInteractions,
};

const TRANSACTION: &str = r#"{"transaction_id": "3f0e2a64-52d1-4c0e-9d8f-0b6a7c1e2d3f", "customer_id": "a1b2c3d4-e5f6-4789-8abc-def012345678", "product_id": "0c9b8a7f-6e5d-4c3b-a291-807f6e5d4c3b", "quantity": 3, "date_time": "2024-11-02T13:45:11.123456", "status": "completed", "payment_method": "bank transfer"}"#;
const CUSTOMER: &str = r#"{"customer_id": "a1b2c3d4-e5f6-4789-8abc-def012345678", "name": "Ada Lovelace", "email": "ada@example.com", "location": "London", "age": 36, "gender": "Female", "account_created": "2023-01-05", "last_login": "2024-11-02T13:45:11"}"#;
const PRODUCT: &str = r#"{"product_id": "0c9b8a7f-6e5d-4c3b-a291-807f6e5d4c3b", "name": "lamp", "category": "Home & Garden", "price": 129.95, "stock_quantity": 42, "supplier": "Lamps and Sons", "rating": 4.5}"#;
const VIEW: &str = r#"{"view_id": "3f0e2a64-52d1-4c0e-9d8f-0b6a7c1e2d3f", "customer_id": "a1b2c3d4-e5f6-4789-8abc-def012345678", "product_id": "0c9b8a7f-6e5d-4c3b-a291-807f6e5d4c3b", "timestamp": "2024-11-02T13:45:11", "view_duration": 210}"#;
const INTERACTION: &str = r#"{"interaction_id": "3f0e2a64-52d1-4c0e-9d8f-0b6a7c1e2d3f", "customer_id": "a1b2c3d4-e5f6-4789-8abc-def012345678", "product_id": "0c9b8a7f-6e5d-4c3b-a291-807f6e5d4c3b", "timestamp": "2024-11-02T13:45:11", "interaction_type": "review", "details": "Bright enough for the whole room."}"#;
const LOG: &str = r#"{"log_id": "3f0e2a64-52d1-4c0e-9d8f-0b6a7c1e2d3f", "timestamp": "2024-11-02T13:45:11", "level": "WARNING", "message": "The cache is nearly full."}"#;

/// Nanoseconds that one call takes: the best of a few rounds.
fn nanoseconds(mut call: impl FnMut()) -> f64 {
    const CALLS: u32 = 300_000;
    let mut best = f64::INFINITY;
    for _ in 0..7 {
        let start = Instant::now();
        for _ in 0..CALLS {
            call();
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS));
    }
    best
}

fn topic<T: Topic>(json: &str) {
    let cost = nanoseconds(|| {
        let _ = black_box(T::decode(black_box(json.as_bytes())));
    });
    println!(
        "{:18} {:4} bytes  {cost:6.0} ns  {:5.2} M events/s",
        T::NAME,
        json.len(),
        1000.0 / cost
    );
}

fn part(name: &str, call: impl FnMut()) {
    println!("{name:30} {:6.1} ns", nanoseconds(call));
}

fn main() {
    topic::<Transactions>(TRANSACTION);
    topic::<Customers>(CUSTOMER);
    topic::<Products>(PRODUCT);
    topic::<ProductViews>(VIEW);
    topic::<UserInteractions>(INTERACTION);
    topic::<SystemLogs>(LOG);

    part("id of a UUID", || {
        black_box(Id::new(black_box("3f0e2a64-52d1-4c0e-9d8f-0b6a7c1e2d3f")));
    });
    part("id of a short string", || {
        black_box(Id::new(black_box("customer-12345")));
    });
    part("id of a long string", || {
        black_box(Id::new(black_box("customer-1234567890")));
    });
    part("time", || {
        let _ = black_box(Timestamp::parse(black_box("2024-11-02T13:45:11")));
    });
    part("time, fraction and offset", || {
        let _ = black_box(Timestamp::parse(black_box(
            "2024-11-02T13:45:11.123456+01:00",
        )));
    });
    part("money", || {
        let _ = black_box(Money::parse(black_box("129.95")));
    });
}
