//! Measures the shop alone: `cargo run --release -p generator --example shop`.

use std::time::Instant;

use events::Timestamp;
use generator::{Profile, Shop};

fn main() {
    let mut profile = Profile::new(1, Timestamp::from_millis(1_730_555_111_000));
    for (name, late, duplicates, malformed) in
        [("good", 0.0, 0.0, 0.0), ("with faults", 0.05, 0.05, 0.05)]
    {
        (profile.late, profile.duplicates, profile.malformed) = (late, duplicates, malformed);
        let mut shop = Shop::new(&profile);
        let (mut events, mut bytes) = (0u32, 0);
        let start = Instant::now();
        for _ in 0..400_000 {
            shop.round(|record| {
                events += 1;
                bytes += record.value.len();
            });
        }
        let seconds = start.elapsed().as_secs_f64();
        let rate = f64::from(events) / seconds;
        println!("{name}: {events} events, {bytes} bytes in {seconds:.2} s, {rate:.0} events/s");
    }
}
