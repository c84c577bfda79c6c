//! What is appended is what is read, and no more is kept than may be.

use super::*;
use std::collections::BTreeMap;
use std::thread;

const PATIENCE: Duration = Duration::from_secs(60);

fn topics() -> Arc<[String]> {
    Arc::from(["sales".to_owned(), "logs".to_owned()])
}

fn log(capacity: usize) -> Arc<InProcessLog> {
    Arc::new(InProcessLog::new(topics(), 3, capacity))
}

fn source(log: &Arc<InProcessLog>, worker: usize, peers: usize) -> InProcessSource {
    let config = InProcessConfig {
        log: Arc::clone(log),
        idle_timeout: Duration::ZERO,
        telemetry: Arc::new(Telemetry::new(peers, &topics(), &[])),
    };
    InProcessSource::new(config, worker, peers)
}

/// A message, as the tests look at it.
type Seen = (usize, i64, i64, Option<Vec<u8>>, Vec<u8>);

fn seen(message: &Message<'_>) -> Seen {
    let key = message.key.map(<[u8]>::to_vec);
    let value = message.value.unwrap_or_default().to_vec();
    (message.topic, message.offset, message.timestamp, key, value)
}

/// Reads all there is; by partition.
fn read_all(source: &mut InProcessSource) -> BTreeMap<(usize, i32), Vec<Seen>> {
    let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let mut each = |message: Message<'_>| {
        let place = (message.topic, message.partition);
        all.entry(place).or_default().push(seen(&message));
        Taken::Accepted { cost: 1 }
    };
    while source.read(4, &mut each) == Ok(Turn::More) {}
    all
}

#[test]
fn messages_are_read_in_order_by_the_workers_that_own_their_partitions() {
    let log = log(1 << 20);
    let mut appended: BTreeMap<usize, Vec<_>> = BTreeMap::new();
    for number in 0..1_000_i64 {
        let topic = usize::from(number % 3 == 0);
        let key = format!("key {}", number % 50).into_bytes();
        let key = (number % 7 > 0).then_some(key);
        // Some are larger than a chunk.
        let size = if number % 200 == 0 { 2 * CHUNK } else { 5 };
        let value = vec![u8::try_from(number % 256).unwrap(); size];
        assert!(log.append(topic, number, key.as_deref(), &value));
        appended
            .entry(topic)
            .or_default()
            .push((number, key, value));
    }
    let mut read: BTreeMap<usize, Vec<_>> = BTreeMap::new();
    let mut partitions = Vec::new();
    for worker in 0..2 {
        let mut source = source(&log, worker, 2);
        let mut found = Vec::new();
        for _ in 0..2 {
            let mut each = |topic, partition| found.push((topic, partition));
            source.find(&mut each).unwrap();
        }
        let all = read_all(&mut source);
        assert_eq!(found, Vec::from_iter(all.keys().copied()));
        partitions.extend(found);
        for ((topic, _), messages) in all {
            let offsets: Vec<i64> = messages.iter().map(|message| message.1).collect();
            let count = i64::try_from(messages.len()).unwrap();
            assert_eq!(offsets, Vec::from_iter(0..count));
            assert!(messages.is_sorted_by_key(|message| message.2));
            let plain = messages
                .into_iter()
                .map(|(_, _, at, key, value)| (at, key, value));
            read.entry(topic).or_default().extend(plain);
        }
    }
    assert_eq!(partitions.len(), 6);
    read.values_mut().for_each(|messages| messages.sort());
    assert_eq!(read, appended);
    assert_eq!(*lock(&log.kept), 0);
}

#[test]
fn a_log_that_is_full_makes_its_writer_wait_and_drops_nothing() {
    const MESSAGES: i64 = 5_000;
    const CAPACITY: usize = 10_000;
    let log = log(CAPACITY);
    let writer = Arc::clone(&log);
    let writing = thread::spawn(move || {
        for number in 0..MESSAGES {
            assert!(writer.append(0, number, None, &[7; 100]));
            assert!(*lock(&writer.kept) <= CAPACITY);
        }
    });
    let mut source = source(&log, 0, 1);
    let begun = Instant::now();
    while *lock(&log.kept) < CAPACITY - 100 - OVERHEAD {
        assert!(begun.elapsed() < PATIENCE, "it is not filled");
        thread::yield_now();
    }
    assert!(!writing.is_finished());
    let mut read = 0;
    while read < MESSAGES {
        assert!(begun.elapsed() < PATIENCE, "{read} are read");
        let all = read_all(&mut source);
        for message in all.into_values().flatten() {
            assert_eq!((message.1, message.2), (read, read));
            read += 1;
        }
    }
    writing.join().unwrap();
}

#[test]
fn a_message_that_may_not_be_taken_up_yet_comes_again() {
    let log = log(1 << 20);
    for number in 0..5 {
        log.append(0, number, Some(b"one partition"), b"value");
    }
    let mut source = source(&log, 0, 1);
    let mut offered = Vec::new();
    let turn = source.read(100, &mut |message| {
        offered.push(message.offset);
        match message.offset {
            3 => Taken::Later,
            _ => Taken::Accepted { cost: 1 },
        }
    });
    assert_eq!((turn, offered), (Ok(Turn::Idle), vec![0, 1, 2, 3]));
    let mut positions = Vec::new();
    source.positions(&mut |position| {
        positions.push((position.next, position.idle));
        true
    });
    positions.sort_unstable();
    // Those that are empty are idle at once, with a time-out of nothing.
    let idle = (0, true);
    assert_eq!(positions, [idle, idle, idle, idle, idle, (3, false)]);
    // A heavy one is a turn of its own.
    let turn = source.read(100, &mut |_| Taken::Accepted { cost: 100 });
    assert_eq!(turn, Ok(Turn::More));
    let all = read_all(&mut source);
    assert_eq!(all.into_values().flatten().count(), 1);
    source.pause(true);
    source.positions(&mut |position| {
        assert!(!position.idle, "its silence is ours");
        true
    });
}

#[test]
fn nobody_waits_for_a_log_that_is_closed() {
    let log = log(200);
    assert!(log.append(0, 1, None, &[0; 150]));
    let writer = Arc::clone(&log);
    let waiting = thread::spawn(move || writer.append(0, 2, None, &[0; 150]));
    log.close();
    assert!(!waiting.join().unwrap());
    assert!(!log.append(0, 3, None, b""));
    // What was there can be read to its end.
    let all = read_all(&mut source(&log, 0, 1));
    assert_eq!(all.into_values().flatten().count(), 1);
}

#[test]
fn each_log_has_an_id_of_its_own() {
    let (one, other) = (log(1).identity(), log(1).identity());
    assert!(one.cluster_id.is_some());
    assert_ne!(one, other);
}
