//! What one worker makes of the messages it reads while an epoch is open.

use super::partitions::Partitions;
use super::source::{Message, Taken};
use crate::Epoch;
use crate::tally::{Counting, ViewTally};
use crate::time::Sent;
use crate::views::catalog::{Buffer, Catalog, Refused, Verdict};
use crate::views::contributions::Contributions;
use model::{FIRST_DATE, LAST_DATE};
use sinks::{DeadLetter, Reason};
use std::sync::Arc;
use telemetry::{Judged, Telemetry};

/// Judges and decodes messages, and adds up what they contribute.
pub(super) struct Reading {
    catalog: Arc<Catalog>,
    topics: Arc<[String]>,
    telemetry: Arc<Telemetry>,
    counts: Vec<Counts>,
    refusals: Vec<Refusals>,
    /// By topic: what has been read and not applied yet.
    waiting: Vec<Waiting>,
    /// By topic: how many more rows than views an event of it goes into.
    overlaps: Vec<usize>,
    /// The partitions that are read.
    pub(super) partitions: Partitions,
    /// What the epoch's events contribute and has not been sent yet.
    pub(super) contributions: Contributions,
    /// The events that could not be used and have not been sent yet.
    pub(super) letters: Vec<DeadLetter>,
    /// What became of the epoch's messages.
    pub(super) counting: Counting,
}

/// What has been read of a topic and not applied yet.
struct Waiting {
    rows: Buffer,
    /// The messages of the rows, where a view may refuse them yet.
    messages: Option<Vec<Kept>>,
}

/// A message, kept until it is known what becomes of it.
struct Kept {
    partition: i32,
    offset: i64,
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Vec<u8>,
    backfill: bool,
}

impl Kept {
    fn of(message: &Message<'_>) -> Kept {
        Kept {
            partition: message.partition,
            offset: message.offset,
            timestamp: message.timestamp,
            key: message.key.map(<[u8]>::to_vec),
            value: message.value.unwrap_or_default().to_vec(),
            backfill: message.backfill,
        }
    }

    fn message(&self, topic: usize) -> Message<'_> {
        Message {
            topic,
            partition: self.partition,
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.key.as_deref(),
            value: Some(&self.value),
            backfill: self.backfill,
        }
    }
}

/// What has been read of a topic since it was last reported.
#[derive(Default)]
struct Counts {
    events: u64,
    bytes: u64,
    tombstones: u64,
    malformed: u64,
    /// Well-formed ones that are read for a backfill: only its views count them.
    backfilled: u64,
    /// Well-formed ones for all views but those that are backfilled.
    partial: u64,
}

/// What a view has not taken since it was last reported.
#[derive(Default)]
struct Refusals {
    late: u64,
    partly_late: u64,
    from_the_future: u64,
    malformed: u64,
    filtered: u64,
    failed: u64,
}

impl Refusals {
    fn count(&mut self, reason: Reason) {
        let count = match reason {
            Reason::Late => &mut self.late,
            Reason::FromTheFuture => &mut self.from_the_future,
            Reason::Malformed => &mut self.malformed,
            Reason::PartlyLate => &mut self.partly_late,
            Reason::Failed => &mut self.failed,
        };
        *count += 1;
    }
}

impl Reading {
    pub(super) fn new(
        catalog: Arc<Catalog>,
        topics: Arc<[String]>,
        telemetry: Arc<Telemetry>,
        partitions: Partitions,
        counting: Counting,
    ) -> Reading {
        let counts = topics.iter().map(|_| Counts::default()).collect();
        let refusals = catalog.definitions.iter().map(|_| Refusals::default());
        let waiting = catalog.routes.iter().map(|route| Waiting {
            rows: route.buffer(),
            messages: route.may_refuse_later().then(Vec::new),
        });
        let overlaps = catalog.routes.iter().map(|route| {
            let more = route.rules().iter().map(|rule| rule.window.overlap() - 1);
            usize::try_from(more.sum::<i64>()).unwrap_or(0)
        });
        Reading {
            overlaps: overlaps.collect(),
            refusals: refusals.collect(),
            waiting: waiting.collect(),
            contributions: Contributions::new(&catalog),
            catalog,
            topics,
            telemetry,
            counts,
            partitions,
            letters: Vec::new(),
            counting,
        }
    }

    /// Takes up one message, or leaves it for later.
    pub(super) fn take(&mut self, message: &Message<'_>, epoch: Epoch) -> Taken {
        let Reading {
            catalog,
            topics,
            counts,
            refusals,
            overlaps,
            partitions,
            letters,
            telemetry,
            counting,
            waiting,
            contributions,
            ..
        } = self;
        let time = match partitions.read(message, epoch) {
            Ok(time) => time,
            Err(not_now) => return not_now,
        };
        let sent = time.message(message.offset, message.timestamp);
        let is_backfill = message.backfill;
        counting.message(
            message.topic,
            message.partition,
            message.offset,
            is_backfill,
        );
        let counts = &mut counts[message.topic];
        counts.events += u64::from(!is_backfill);
        let mut writing = Letters {
            catalog,
            topics,
            letters,
            counting,
            epoch,
            weight: 0,
        };
        let Some(value) = message.value else {
            let route = &catalog.routes[message.topic];
            let is_read = route.delete(message.key, message.partition, time, contributions);
            if is_read || is_backfill {
                counts.tombstones += u64::from(!is_backfill);
                return Taken::Accepted { cost: 1 };
            }
            counts.malformed += 1;
            let detail = "it has no value, and its key is not one of the table's";
            writing.write(message, Reason::Malformed, detail.to_owned(), None, detail);
            return Taken::Accepted {
                cost: 1 + writing.weight,
            };
        };
        if !is_backfill {
            counts.bytes += value.len() as u64;
        }

        let mut weight = 1 + overlaps[message.topic] + value.len() / BYTES_OF_AN_EVENT;
        if let Sent::Unit(number, unit) = sent {
            if !is_backfill {
                counts.malformed += 1;
                let what = format!("its Kafka timestamp looks like {unit}");
                writing.write(
                    message,
                    Reason::Malformed,
                    of_unit(number, unit),
                    None,
                    &what,
                );
            }
            if telemetry.other_unit(message.topic) {
                let topic = &topics[message.topic];
                tracing::warn!("{}", unit_warning(topic, message, unit));
            }
            return Taken::Accepted {
                cost: weight + writing.weight,
            };
        }
        let mut refused = |refused: Refused<'_>| {
            let Refused {
                view,
                time,
                refusal,
                joined,
            } = refused;
            let view = usize::from(view);
            // The books of a view are those of its own topic.
            if !joined {
                refusals[view].count(refusal.reason());
            }
            writing.write(
                message,
                refusal.reason(),
                refusal.detail(time),
                Some(view),
                "",
            );
        };
        let Waiting { rows, messages } = &mut waiting[message.topic];
        let route = &catalog.routes[message.topic];
        match route.read(value, message.partition, time, rows, &mut refused) {
            Ok(()) => {
                counts.backfilled += u64::from(is_backfill);
                counts.partial += u64::from(!is_backfill && time.is_partial());
                if let Some(messages) = messages {
                    messages.push(Kept::of(message));
                }
            }
            // There is a letter of it.
            Err(_) if is_backfill => {}
            Err(malformed) => {
                counts.malformed += 1;
                let what = malformed.kind();
                writing.write(
                    message,
                    Reason::Malformed,
                    malformed.to_string(),
                    None,
                    &what,
                );
            }
        }
        weight += writing.weight;
        if rows.is_full() {
            weight += self.apply_topic(message.topic, epoch);
        }
        Taken::Accepted { cost: weight }
    }

    /// Adds what waits to what the epoch's events contribute. Returns the weight of the dead letters
    /// that have come of it.
    pub(super) fn apply(&mut self, epoch: Epoch) -> u64 {
        let topics = 0..self.waiting.len();
        topics
            .map(|topic| self.apply_topic(topic, epoch) as u64)
            .sum()
    }

    fn apply_topic(&mut self, topic: usize, epoch: Epoch) -> usize {
        let Reading {
            catalog,
            topics,
            refusals,
            contributions,
            letters,
            counting,
            waiting,
            ..
        } = self;
        let Waiting { rows, messages } = &mut waiting[topic];
        if rows.is_empty() {
            return 0;
        }
        let mut writing = Letters {
            catalog,
            topics,
            letters,
            counting,
            epoch,
            weight: 0,
        };
        let mut verdict = |view: u16, row: usize, verdict: Verdict<'_>| {
            let view = usize::from(view);
            let (reason, detail) = match verdict {
                Verdict::Filtered => {
                    refusals[view].filtered += 1;
                    return;
                }
                Verdict::Refused(Refused { refusal, time, .. }) => {
                    (refusal.reason(), refusal.detail(time))
                }
                Verdict::Failed(why) => (Reason::Failed, why.to_owned()),
            };
            refusals[view].count(reason);
            // Whoever may refuse a row later has its message kept.
            if let Some(kept) = messages.as_ref().and_then(|messages| messages.get(row)) {
                writing.write(&kept.message(topic), reason, detail, Some(view), "");
            }
        };
        catalog.routes[topic].apply(rows, contributions, &mut verdict);
        let weight = writing.weight;
        if let Some(messages) = messages {
            messages.clear();
        }
        weight
    }

    /// Reports to the telemetry what has been read since the last report.
    pub(super) fn report(&mut self) {
        for topic in 0..self.counts.len() {
            let Counts {
                events,
                bytes,
                tombstones,
                malformed,
                backfilled,
                partial,
            } = std::mem::take(&mut self.counts[topic]);
            if events > 0 {
                self.telemetry.events_read(topic, events, bytes);
            }
            if tombstones > 0 {
                self.telemetry.tombstones(topic, tombstones);
            }
            if malformed > 0 {
                self.telemetry.malformed(topic, malformed);
            }
            let well_formed = events - tombstones - malformed;
            if well_formed + backfilled > 0 {
                let of_backfills = well_formed - partial + backfilled;
                self.report_views(topic, well_formed, of_backfills);
            }
        }
    }

    /// What the views of a topic made of its events. Each judged all of them, so
    /// that those it took are what is left and need no counting: `events`, or where it is
    /// backfilled, `of_backfills`.
    fn report_views(&mut self, topic: usize, events: u64, of_backfills: u64) {
        for (place, rule) in self.catalog.routes[topic].rules().iter().enumerate() {
            let view = usize::from(rule.view);
            let Refusals {
                late,
                partly_late,
                from_the_future,
                malformed,
                filtered,
                failed,
            } = std::mem::take(&mut self.refusals[view]);
            let all = match self.partitions.is_backfilled(rule.view) {
                true => of_backfills,
                false => events,
            };
            let judged = all - from_the_future - malformed - filtered - failed;
            let telemetry = &self.telemetry;
            telemetry.judged(
                view,
                Judged {
                    taken: judged - late,
                    late,
                    partly_late,
                    from_the_future,
                    malformed,
                    filtered,
                    failed,
                },
            );
            self.counting.view(ViewTally {
                view: rule.view,
                judged,
                late,
                from_the_future,
                spread: self.partitions.spread(topic, place),
            });
        }
    }
}

/// Where dead letters are written.
struct Letters<'a> {
    catalog: &'a Catalog,
    topics: &'a [String],
    letters: &'a mut Vec<DeadLetter>,
    counting: &'a mut Counting,
    epoch: Epoch,
    /// What those written so far weigh.
    weight: usize,
}

impl Letters<'_> {
    fn write(
        &mut self,
        message: &Message<'_>,
        reason: Reason,
        detail: String,
        view: Option<usize>,
        what: &str,
    ) {
        let (timestamp, detail) = dated(message.timestamp, detail);
        let letter = DeadLetter {
            topic: self.topics[message.topic].clone(),
            partition: message.partition,
            offset: message.offset,
            timestamp,
            reason,
            detail,
            view: view.map(|view| self.catalog.definitions[view].name.clone()),
            key: message.key.map(<[u8]>::to_vec),
            value: message.value.unwrap_or_default().to_vec(),
            epoch: self.epoch,
        };
        self.weight += letter.size() / BYTES_OF_A_LETTER;
        self.counting.letter(&letter, view, what);
        self.letters.push(letter);
    }
}

/// A timestamp as a letter has it, and the detail, which holds it where no date can.
fn dated(millis: i64, detail: String) -> (Option<i64>, String) {
    match (FIRST_DATE / 1_000..=LAST_DATE / 1_000).contains(&millis) {
        true => (Some(millis), detail),
        false => (
            None,
            format!("{detail} (its Kafka timestamp is {millis} ms)"),
        ),
    }
}

/// What is wrong with a message whose timestamp is of another unit.
fn of_unit(number: i64, unit: &str) -> String {
    format!(
        "its Kafka timestamp {number} looks like {unit} since 1970, and Kafka's are milliseconds"
    )
}

/// The same for whoever has to find its producer.
fn unit_warning(topic: &str, message: &Message<'_>, unit: &str) -> String {
    let Message {
        partition, offset, ..
    } = message;
    format!(
        "topic {topic}: Kafka timestamps look like {unit} since 1970, first in partition \
         {partition} at offset {offset} ({}). Kafka's are milliseconds: such messages are dead \
         letters (malformed). Set the producer right, or have the broker set them \
         (message.timestamp.type=LogAppendTime)",
        message.timestamp
    )
}

/// Of an event its row's group is kept, which may be most of it: so many bytes
/// of a message weigh as much as a usual event.
const BYTES_OF_AN_EVENT: usize = 4_096;
/// A dead letter holds its message whole: so many bytes of it weigh as much as
/// an event whose sums alone are kept.
const BYTES_OF_A_LETTER: usize = 128;

#[cfg(test)]
mod tests {
    use super::super::partitions::Restored;
    use super::*;
    use crate::tally::{Kind, Run};
    use crate::time::{Trust, WallClock};
    use crate::views::Override;
    use model::{Span, Window};
    use serde_json::json;
    use telemetry::Snapshot;

    const HOUR: i64 = 3_600_000;
    const DAY: i64 = 24 * HOUR;

    /// All views, a telemetry for them, and two workers that each read a partition of
    /// the topic `system_logs`.
    struct Workers {
        telemetry: Arc<Telemetry>,
        topic: usize,
        view: usize,
        workers: [Reading; 2],
        offset: i64,
    }

    impl Workers {
        fn new() -> Workers {
            Workers::with(Override::default())
        }

        /// The view `log_analysis` is changed.
        fn with(change: Override) -> Workers {
            let changes = [("log_analysis".to_owned(), change)].into();
            let catalog = Arc::new(crate::shop::catalog(&changes).unwrap());
            let names = catalog.routes.iter().map(|route| route.topic().to_owned());
            let topics: Arc<[String]> = names.collect();
            let topic = topics
                .iter()
                .position(|name| name == "system_logs")
                .unwrap();
            let tables = catalog.definitions.iter().map(|view| view.table.clone());
            let tables: Vec<_> = tables.collect();
            let view = tables.iter().position(|table| table.name == "log_analysis");
            let telemetry = Arc::new(Telemetry::new(2, &topics, &tables));
            let workers = [0, 1].map(|worker| {
                let trust = Trust {
                    clock: WallClock::of(|| 40_000 * DAY),
                    max_ahead: std::time::Duration::from_secs(86_400),
                };
                let mut partitions =
                    Partitions::new(Arc::clone(&catalog), worker, trust, Restored::default());
                partitions.announce(topic, i32::try_from(worker).unwrap(), 0);
                partitions.confirm(None, &vec![i64::MIN; tables.len()]);
                let (topics, telemetry) = (Arc::clone(&topics), Arc::clone(&telemetry));
                let names = catalog.routes.iter().map(|route| route.topic().to_owned());
                let counting = Counting::new(names, Arc::default());
                Reading::new(
                    Arc::clone(&catalog),
                    topics,
                    telemetry,
                    partitions,
                    counting,
                )
            });
            Workers {
                telemetry,
                topic,
                view: view.unwrap(),
                workers,
                offset: 0,
            }
        }

        fn take(&mut self, worker: usize, value: Option<&[u8]>) {
            self.offset += 1;
            let message = Message {
                topic: self.topic,
                partition: i32::try_from(worker).unwrap(),
                offset: self.offset,
                timestamp: 300 * DAY,
                key: None,
                value,
                backfill: false,
            };
            let taken = self.workers[worker].take(&message, 1);
            assert!(matches!(taken, Taken::Accepted { .. }));
        }

        /// A worker reads an event of this time.
        fn event(&mut self, worker: usize, millis: i64) {
            let timestamp = jiff::Timestamp::from_millisecond(millis).unwrap();
            let event = json!({ "log_id": "1", "timestamp": timestamp, "level": "INFO" });
            self.take(worker, Some(event.to_string().as_bytes()));
        }

        fn snapshot(&mut self) -> Snapshot {
            for worker in &mut self.workers {
                worker.apply(1);
                worker.report();
            }
            self.telemetry.snapshot()
        }
    }

    #[test]
    fn a_view_has_taken_or_refused_whatever_was_read() {
        let mut workers = Workers::new();
        for worker in [0, 1] {
            workers.event(worker, 300 * DAY);
            workers.event(worker, 299 * DAY);
            workers.event(worker, 302 * DAY);
            workers.event(worker, 300 * DAY - HOUR);
            workers.take(worker, None);
            workers.take(worker, Some(b"{}"));
        }
        let snapshot = workers.snapshot();
        let topic = &snapshot.topics[workers.topic];
        let view = &snapshot.tables[workers.view];
        assert_eq!((view.events, view.late, view.from_the_future), (4, 2, 2));
        assert_eq!((topic.tombstones, topic.malformed), (2, 2));
        let of_view = view.events + view.late + view.from_the_future;
        assert_eq!(topic.events, of_view + topic.tombstones + topic.malformed);
    }

    #[test]
    fn what_is_late_for_some_windows_is_taken_and_has_a_letter() {
        let [slide, size] = [HOUR, 2 * HOUR].map(|millis| Span::micros(millis * 1_000));
        let hops = Window::hopping(slide, size, Span::ZERO, None);
        let mut workers = Workers::with(Override {
            window: Some(hops.unwrap()),
            ..Override::default()
        });
        workers.event(0, 300 * DAY);
        // Of its windows one ended two hours before, which is the lateness.
        workers.event(0, 300 * DAY - 5 * HOUR / 2);
        workers.event(0, 300 * DAY - 7 * HOUR / 2);
        let snapshot = workers.snapshot();
        let view = &snapshot.tables[workers.view];
        assert_eq!((view.events, view.partly_late, view.late), (2, 1, 1));
        let letters = workers.workers[0].letters.iter();
        let letters: Vec<_> = letters.map(|letter| (letter.id(), letter.reason)).collect();
        let id = |offset| format!("system_logs/0/{offset}/log_analysis");
        let expected = [(id(2), Reason::PartlyLate), (id(3), Reason::Late)];
        assert_eq!(letters, expected);
    }

    #[test]
    fn what_became_of_messages_is_told_at_the_end_of_an_epoch() {
        let mut workers = Workers::new();
        for worker in [0, 1] {
            workers.event(worker, 100 * DAY);
            workers.event(worker, DAY);
            workers.event(worker, 302 * DAY);
            workers.take(worker, None);
            workers.take(worker, Some(b"{}"));
            let reading = &mut workers.workers[worker];
            reading.report();
            let tally = reading.counting.take().unwrap();
            assert_eq!(tally.counted, 5);
            let view = ViewTally {
                view: u16::try_from(workers.view).unwrap(),
                judged: 2,
                late: 1,
                from_the_future: 1,
                spread: Some((DAY * 1_000, 100 * DAY * 1_000)),
            };
            assert_eq!(tally.views, [view]);
            let [topic] = &tally.topics[..] else {
                panic!("{tally:?}")
            };
            assert_eq!(topic.parts, [[Run { good: 4, bad: 1 }]]);
            let kinds: Vec<_> = tally.letters.iter().map(|tally| &tally.kind).collect();
            let malformed = Kind::Malformed {
                topic: workers.topic,
                what: "`log_id` is missing".to_owned(),
            };
            assert!(kinds.len() == 3 && kinds.contains(&&malformed), "{kinds:?}");
        }
    }
}
