//! The inner pieces, each by itself: what an event or a row costs there.
//!
//! ```text
//! cargo bench --workspace --bench pieces
//! ```

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use dataflow::views::changes::SumsChange;
use dataflow::views::key::Key;
use dataflow::views::row::row;
use dataflow::views::rows::RowChange;
use dataflow::views::sums::Sums;
use differential_dataflow::consolidation::consolidate_updates;
use events::{
    Customers, Id, ProductViews, Products, SystemLogs, Timestamp, Topic, Transaction, Transactions,
    UserInteractions,
};
use generator::{Profile, Shop};
use model::Window;
use model::{Datum, Slot};
use sinks::mongodb::Bytes;
use std::collections::BTreeMap;
use std::hint::black_box;

/// Values of a topic, as the generator makes them.
fn values(topic: &str) -> Vec<Vec<u8>> {
    let mut values = Vec::new();
    let mut shop = Shop::new(&Profile::new(1, Timestamp(1_730_000_000_000_000)));
    for _ in 0..2_000 {
        shop.round(|record| {
            if record.topic == topic {
                values.push(record.value.to_vec());
            }
        });
    }
    values
}

fn decode_topic<T: Topic>(criterion: &mut Criterion) {
    let values = values(T::NAME);
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(values.len() as u64));
    group.bench_function(T::NAME, |bencher| {
        bencher.iter(|| {
            for value in &values {
                drop(black_box(T::decode(black_box(value))));
            }
        });
    });
    group.finish();
}

fn decode(criterion: &mut Criterion) {
    decode_topic::<Customers>(criterion);
    decode_topic::<Products>(criterion);
    decode_topic::<Transactions>(criterion);
    decode_topic::<ProductViews>(criterion);
    decode_topic::<UserInteractions>(criterion);
    decode_topic::<SystemLogs>(criterion);

    // What the usual message would cost without a scanner of its own.
    let values = values(Transactions::NAME);
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(values.len() as u64));
    group.bench_function("transactions by serde_json", |bencher| {
        bencher.iter(|| {
            for value in &values {
                drop(black_box(serde_json::from_slice::<Transaction<'_>>(
                    black_box(value),
                )));
            }
        });
    });
    group.finish();
}

fn window(criterion: &mut Criterion) {
    let times: Vec<i64> = (0..1_000)
        .map(|n| 1_730_000_000_000_000 + n * 7_919_017)
        .collect();
    let mut group = criterion.benchmark_group("window");
    group.throughput(Throughput::Elements(times.len() as u64));
    group.bench_function("assign", |bencher| {
        bencher.iter(|| {
            let windows = times
                .iter()
                .map(|time| Window::HOUR.index_of(black_box(*time)));
            black_box(windows.sum::<i64>())
        });
    });
    group.finish();
}

/// Sales of as many products as there are: as an epoch brings them.
fn changes(count: u128) -> Vec<SumsChange> {
    let change = |number: u128| {
        // Spread over all ids, as those of UUIDs are.
        let bits = number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        let product = Datum::from(Id::from_uuid(bits));
        let key = Key::new(Slot::new(2, 480_000), &[product]);
        ((key, ()), 7, Sums::one())
    };
    (0..count).map(change).collect()
}

fn consolidate(criterion: &mut Criterion) {
    let changes = changes(50_000);
    let mut group = criterion.benchmark_group("consolidate");
    group.throughput(Throughput::Elements(changes.len() as u64));
    group.bench_function("sums", |bencher| {
        bencher.iter_batched_ref(
            || changes.clone(),
            |changes| {
                consolidate_updates(changes);
                black_box(changes.len())
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn rows(criterion: &mut Criterion) {
    let catalog = shop::catalog(&BTreeMap::new()).expect("the views as they are");
    let became: Vec<_> = changes(1_000)
        .into_iter()
        .map(|((key, ()), epoch, sums)| RowChange {
            key,
            epoch,
            sums,
            is_final: false,
            expect: sinks::Expect::Absent,
        })
        .collect();
    let definition = &catalog.definitions[2];
    let mut group = criterion.benchmark_group("row");
    group.throughput(Throughput::Elements(became.len() as u64));
    group.bench_function("of a key and its sums", |bencher| {
        bencher.iter(|| {
            for became in &became {
                black_box(row(definition, became, 0));
            }
        });
    });
    group.bench_function("as BSON", |bencher| {
        let text = "0c9b8a7f-6e5d-4c3b-a291-807f6e5d4c3b";
        bencher.iter(|| {
            let mut bytes = Bytes::with_capacity(400_000);
            let command = bytes.begin();
            for place in 0..1_000 {
                let document = bytes.item(place);
                bytes.text("_id", text);
                bytes.date("window_start", 0);
                bytes.date("window_end", 0);
                bytes.text("product_id", text);
                for name in ["number_of_sales", "total_quantity_sold", "unique_customers"] {
                    bytes.long(name, 1);
                }
                bytes.end(document);
            }
            bytes.end(command);
            black_box(bytes.finish().is_ok())
        });
    });
    group.finish();
}

criterion_group!(pieces, decode, window, consolidate, rows);
criterion_main!(pieces);
