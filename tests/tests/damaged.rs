//! Bytes that flipped on a broker's disk: the run ends where they are, and nothing from
//! there on is read.

use end_to_end::Scene;
use end_to_end::pipeline::PATIENCE;
use end_to_end::samples::with;
use end_to_end::segment::{At, Damage, HEADER, flip};

/// Three batches of ten sales each, of three items, of which the second is damaged.
fn damaged(name: &str, codec: &str, at: At, mask: u8) -> (Scene, Damage) {
    let scene = Scene::without_topics(name);
    scene.create("transactions", 1, 1);
    let topic = scene.topic("transactions");
    let sale = |number: usize| {
        let id = format!("\"16fd2706-8baf-433b-82eb-8c7fada8{number:04}\"");
        with("transactions", &[("transaction_id", &id)]).into_bytes()
    };
    let all: Vec<_> = (0..30).map(sale).collect();
    for batch in all.chunks(10) {
        scene.kafka.send_batch(&topic, codec, batch);
    }
    let segment = scene.services.segment(&topic, 0);
    let damage = flip(&segment, 10, at, mask);
    (scene, damage)
}

/// How many sales of how many items are in the rows.
fn counted(scene: &Scene) -> (i64, i64) {
    let rows = scene.documents("sales_analysis");
    let total = |field: &str| {
        let totals = rows.iter().map(|row| row.get_i64(field));
        totals.map(|total| total.expect("a long")).sum()
    };
    (total("number_of_sales"), total("total_quantity_sold"))
}

/// A run ends at the damaged batch, and says so. Another one does the same.
fn ends_at(scene: &Scene, said: &str) {
    let topic = scene.topic("transactions");
    for run in [scene.pipeline(), scene.pipeline().until_caught_up()] {
        let mut run = run.start();
        assert_eq!(run.process().exit_code(PATIENCE), Some(1));
        let output = run.process().output();
        let place = format!("topic {topic} partition 0: ");
        let mut lines = output.lines();
        let found = lines.any(|line| line.contains(&place) && line.contains(said));
        assert!(found, "{place}{said}:\n{output}");
        let (sales, items) = counted(scene);
        assert!(
            sales <= 10 && items == 3 * sales,
            "{sales} sales, {items} items"
        );
    }
}

const CHECKSUM: &str = "the log is damaged at offset 10: MessageSet at offset 10";

#[test]
fn damaged_value_ends_the_run_unless_checksums_are_off() {
    let (scene, _damage) = damaged("damaged", "none", At::Text("\"quantity\":3"), b'3' ^ b'8');
    ends_at(&scene, CHECKSUM);
    // As the user asks for it, with a warning.
    let unchecked = scene.pipeline().flag("-X", "check.crcs=false");
    let mut run = unchecked.until_caught_up().start();
    assert_eq!(run.process().exit_code(PATIENCE), Some(0));
    let output = run.process().output();
    let warned = output.lines().any(|line| {
        line.contains("WARN") && line.contains("check.crcs=false") && line.contains("damaged")
    });
    assert!(warned, "{output}");
    assert_eq!(counted(&scene), (30, 95));
}

#[test]
fn damaged_lz4_batch_ends_the_run() {
    let (scene, _damage) = damaged("damaged-lz4", "lz4", At::Byte(HEADER + 40), 1);
    ends_at(&scene, CHECKSUM);
}

#[test]
fn damaged_snappy_batch_ends_the_run() {
    let (scene, _damage) = damaged("damaged-snappy", "snappy", At::Byte(HEADER + 40), 1);
    ends_at(&scene, CHECKSUM);
}

#[test]
fn damaged_header_ends_the_run() {
    // The number of its messages, the checksum itself, and the format that says how all of
    // it is to be read.
    for (byte, mask, said) in [
        (HEADER - 1, 8, CHECKSUM),
        (17, 1, CHECKSUM),
        (16, 2, "the log is damaged at offset 10: "),
        (
            16,
            1,
            "Kafka refuses to go on at offset 10: Unsupported Message(Set) MagicByte 3",
        ),
    ] {
        let (scene, _damage) = damaged("damaged-header", "none", At::Byte(byte), mask);
        ends_at(&scene, said);
    }
}

#[test]
fn damaged_offset_ends_the_run() {
    // No checksum covers it. 10 becomes 11, or 266.
    for (byte, said) in [
        (7, "the message after offset 20 has offset 20"),
        (6, "has offset 20"),
    ] {
        let (scene, _damage) = damaged("damaged-offset", "none", At::Byte(byte), 1);
        ends_at(&scene, said);
    }
}

#[test]
fn damaged_length_ends_the_run() {
    // Nor this. The broker finds nothing behind it any more.
    let (scene, _damage) = damaged("damaged-length", "none", At::Byte(9), 1);
    let mut run = scene.pipeline().until_caught_up().start();
    assert_eq!(run.process().exit_code(PATIENCE), Some(1));
    let output = run.process().output();
    assert!(
        output.contains("the log is damaged at offset 10: for "),
        "{output}"
    );
    assert!(output.contains("goes on to offset 30"), "{output}");
    assert!(counted(&scene).0 <= 10);
}
