//! What the Kafka timestamps of a partition say, message by message: which are believed, how
//! far the partition's clock has come, and when each message was sent.

use super::rules::Rules;

/// 2000-01-01, in milliseconds.
const YEAR_2000: i64 = 946_684_800_000;
/// The end of the year 9999, in milliseconds.
const YEAR_9999: i64 = 253_402_300_799_999;

/// What the timestamp of a message says, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// When it was sent.
    At(i64),
    /// Nothing: it has none.
    Never,
    /// More than is believed.
    Ahead(i64),
    /// A number of seconds or microseconds.
    OtherUnit,
}

/// A message among those of its partition. Times are in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// What its timestamp says.
    pub sent: Sent,
    /// The clock: the largest time that two neighbours have both reached.
    pub clock: Option<i64>,
    /// Its own time: its timestamp, or the clock before it where that is later.
    pub seen: Option<i64>,
    /// Its own time, or that of the one before it that was believed where it is not; and where
    /// that is less, the time of the next one that was believed.
    pub passes_at: Option<i64>,
    /// The largest time that was believed of an event without a timestamp.
    pub limit: i64,
}

/// Reads the timestamps of a partition, by rising offsets. `topic` is its full name.
pub(super) fn read(
    rules: &Rules,
    topic: &str,
    partition: i32,
    messages: &[(i64, i64)],
) -> Vec<Reading> {
    let recorded = rules.limits.as_ref().map(|limits| {
        let of_partition = limits.get(&(topic.to_owned(), partition));
        of_partition.cloned().unwrap_or_default()
    });
    // Whoever has read it believed what the clock said then, or what was recorded of it.
    let limit_at = |offset: i64| match &recorded {
        None => rules.clock.saturating_add(rules.max_ahead),
        Some(limits) => {
            let applying = limits.iter().filter(|(from, _)| *from <= offset);
            applying
                .map(|(_, until)| *until)
                .next_back()
                .unwrap_or(i64::MIN)
        }
    };
    let mut readings: Vec<Reading> = Vec::new();
    let mut believed: Vec<i64> = Vec::new();
    let mut clock = None;
    let mut last_seen = None;
    for &(offset, timestamp) in messages {
        let limit = limit_at(offset);
        let usual = |millis: i64| (YEAR_2000..=YEAR_9999).contains(&millis) && millis <= limit;
        let sent = if timestamp <= 0 {
            Sent::Never
        } else if usual(timestamp.saturating_mul(1_000)) || usual(timestamp / 1_000) {
            Sent::OtherUnit
        } else if timestamp <= limit {
            Sent::At(timestamp)
        } else {
            Sent::Ahead(timestamp)
        };
        let mut seen = clock;
        if let Sent::At(time) = sent {
            seen = Some(time).max(clock);
            if let Some(before) = believed.last() {
                clock = clock.max(Some(time.min(*before)));
            }
            believed.push(time);
            last_seen = seen;
            for earlier in readings.iter_mut().rev() {
                earlier.passes_at = earlier.passes_at.min(seen);
                if matches!(earlier.sent, Sent::At(_)) {
                    break;
                }
            }
        }
        readings.push(Reading {
            sent,
            clock,
            seen,
            passes_at: last_seen,
            limit,
        });
    }
    readings
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_730_000_000_000;

    /// Clock, time and passing of each message, counted from now.
    fn read_times(times: &[i64]) -> Vec<[Option<i64>; 3]> {
        let messages: Vec<_> = (0..).zip(times.iter().map(|time| NOW + time)).collect();
        let readings = read(&Rules::default(), "t", 0, &messages);
        let counted = |time: Option<i64>| time.map(|time| time - NOW);
        let times = |r: &Reading| [r.clock, r.seen, r.passes_at].map(counted);
        readings.iter().map(times).collect()
    }

    #[test]
    fn a_stray_timestamp_moves_no_clock() {
        assert_eq!(
            read_times(&[100, 101, 900, 102, 103]),
            [
                [None, Some(100), Some(100)],
                [Some(100), Some(101), Some(101)],
                [Some(101), Some(900), Some(102)],
                [Some(102), Some(102), Some(102)],
                [Some(102), Some(103), Some(103)],
            ]
        );
        assert_eq!(read_times(&[5]), [[None, Some(5), Some(5)]]);
        assert_eq!(
            read_times(&[100, 100, 50, 60])[2..],
            [[Some(100); 3], [Some(100); 3]]
        );
    }

    #[test]
    fn what_is_ahead_or_has_no_timestamp_is_no_neighbour() {
        let rules = Rules::default().with_clock(NOW).with_max_ahead(1_000);
        let messages = [
            (0, NOW + 1),
            (1, NOW + 1_001),
            (2, -1),
            (3, NOW + 2),
            (4, NOW / 1_000),
            (5, NOW * 1_000),
            (6, 0),
        ];
        let readings = read(&rules, "t", 0, &messages);
        let sent: Vec<_> = readings.iter().map(|reading| reading.sent).collect();
        assert_eq!(
            sent,
            [
                Sent::At(NOW + 1),
                Sent::Ahead(NOW + 1_001),
                Sent::Never,
                Sent::At(NOW + 2),
                Sent::OtherUnit,
                Sent::OtherUnit,
                Sent::Never
            ]
        );
        let clocks: Vec<_> = readings.iter().map(|reading| reading.clock).collect();
        assert_eq!(clocks[..3], [None; 3]);
        assert_eq!(clocks[3..], [Some(NOW + 1); 4]);
    }

    #[test]
    fn what_was_recorded_decides_and_not_the_clock() {
        let limits = [((String::from("t"), 3), vec![(1, NOW), (4, NOW + 5)])];
        let rules = Rules::default().with_limits(limits.into());
        let messages: Vec<_> = (0..6).map(|offset| (offset, NOW + offset)).collect();
        let believed = |partition| {
            let readings = read(&rules, "t", partition, &messages);
            let at = |reading: &Reading| matches!(reading.sent, Sent::At(_));
            readings.iter().map(at).collect::<Vec<_>>()
        };
        assert_eq!(believed(3), [false, false, false, false, true, true]);
        assert_eq!(believed(0), [false; 6]);
    }
}
