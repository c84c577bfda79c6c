//! Why a window is still open, for people.

use super::format::{aligned, count};
use super::{Behind, BlockedPartition, JoinedBehind, Place, State, WaitsFor, Why};

/// Partitions that are listed at the most.
const MOST: usize = 20;

/// The answer, whole lines.
pub fn why_text(why: &Why) -> String {
    let state = match why.state {
        State::Final => "final",
        State::Open => "open",
        State::NotBegun => "not begun",
    };
    let Why {
        view,
        start,
        end,
        lateness,
        ..
    } = why;
    let mut lines = vec![format!("{view}, window {start} to {end}: {state}")];
    if why.state == State::NotBegun {
        lines.push("No partition has seen an event of it, or a later one.".to_owned());
    }
    match (why.state, &why.event_time_needed) {
        (State::Final, _) => {
            let passed = format!("Event time has passed its end + lateness {lateness}");
            lines.push(format!("{passed}: its rows do not change any more."));
        }
        (_, None) => lines.push(format!(
            "It never becomes final: lateness is forever, so no window of {view} ever closes. \
             A lateness such as \"2h\" in [views.{view}] of the file of --config changes that."
        )),
        (_, Some(needed)) => lines.push(format!(
            "It is final when every partition has seen an event at {needed} (its end + lateness \
             {lateness})."
        )),
    }
    if why.state != State::Final && !why.forever {
        lines.push(match (&why.watermark, &why.missing) {
            _ if why.waits_for.is_some() => {
                "Every partition of its own topic that is not idle has.".to_owned()
            }
            (_, None) => format!("There is no watermark yet; it has to reach {end}."),
            (None, Some(missing)) => format!("Event time is {missing} short of that."),
            (Some(watermark), Some(missing)) => format!(
                "The watermark is {watermark} and has to reach {end}: {missing} are missing."
            ),
        });
    }
    if let Some(first) = why.partitions.first() {
        by_event_time(&why.partitions, first, &why.blocked, &mut lines);
    }
    if let Some(waits_for) = &why.waits_for {
        by_kafka_time(waits_for, &why.blocked, &mut lines);
    }
    if !why.blocked.is_empty() {
        lines.push(String::new());
        let blocked = why.blocked.iter().map(BlockedPartition::sentence);
        lines.extend(blocked.map(|sentence| format!("{sentence}.")));
        lines.push(
            "Kafka delivers them once the producer of the transaction commits or aborts it."
                .to_owned(),
        );
    }
    lines.push(String::new());
    lines.join("\n")
}

fn by_event_time(
    partitions: &[Behind],
    first: &Behind,
    blocked: &[BlockedPartition],
    lines: &mut Vec<String>,
) {
    let none = "none yet".to_owned();
    let table = partitions.iter().map(|behind| {
        let event_time = behind.event_time.clone().unwrap_or(none.clone());
        (&behind.place, event_time, behind.behind.clone())
    });
    list("latest event", table.collect(), blocked, lines);
    lines.push(String::new());
    if first.place.state == "idle" {
        lines.push(
            "All partitions are idle, and none holds it. It is final when one of them sees such \
             an event."
                .to_owned(),
        );
        return;
    }
    let short = match &first.behind {
        Some(behind) => format!("its latest event is {behind} short"),
        None => "it has shown no event of this view yet".to_owned(),
    };
    lines.push(furthest(&first.place, &short, blocked));
}

fn by_kafka_time(waits_for: &WaitsFor, blocked: &[BlockedPartition], lines: &mut Vec<String>) {
    let WaitsFor {
        kafka_time,
        topics,
        partitions,
    } = waits_for;
    lines.push(format!(
        "What it is joined with has to be read beyond {kafka_time} (by Kafka's timestamps), so \
         that nothing is missing that was there by then. These are not: {}.",
        topics.join(", ")
    ));
    let none = "none yet".to_owned();
    let table = partitions.iter().map(|behind| {
        let kafka_time = behind.kafka_time.clone().unwrap_or(none.clone());
        (&behind.place, kafka_time, behind.behind.clone())
    });
    list("latest message", table.collect(), blocked, lines);
    if let Some(JoinedBehind { place, behind, .. }) = partitions.first() {
        let short = match behind {
            Some(behind) => format!("its latest message is {behind} short"),
            None => "no message of it has been read yet".to_owned(),
        };
        lines.push(String::new());
        lines.push(furthest(place, &short, blocked));
    }
}

/// A table of partitions, each with its time and how far it is behind.
fn list(
    time: &str,
    rows: Vec<(&Place, String, Option<String>)>,
    blocked: &[BlockedPartition],
    lines: &mut Vec<String>,
) {
    let more = rows.len().saturating_sub(MOST);
    let heading = [
        "partition",
        "worker",
        "next offset",
        "unread",
        time,
        "behind",
    ];
    let mut cells = vec![heading.map(str::to_owned).to_vec()];
    cells.extend(rows.into_iter().take(MOST).map(|(place, time, behind)| {
        let none = || "-".to_owned();
        vec![
            format!("{} {}", place.topic, place.partition),
            place.worker.to_string(),
            place.offset.to_string(),
            match is_blocked(place, blocked) {
                true => "blocked".to_owned(),
                false => place.lag.map_or_else(none, count),
            },
            time,
            behind.unwrap_or_else(none),
        ]
    }));
    lines.push(String::new());
    lines.extend(aligned(&cells));
    if more > 0 {
        lines.push(format!("and {} more", count(more as u64)));
    }
}

fn is_blocked(place: &Place, blocked: &[BlockedPartition]) -> bool {
    let same =
        |known: &BlockedPartition| known.topic == place.topic && known.partition == place.partition;
    blocked.iter().any(same)
}

/// What is the matter with the partition that is furthest behind, as a newcomer
/// would ask: is it slow, is it blocked, or has nothing come?
fn furthest(place: &Place, short: &str, blocked: &[BlockedPartition]) -> String {
    let Place {
        topic,
        partition,
        worker,
        lag,
        ..
    } = place;
    let cause = match lag {
        _ if is_blocked(place, blocked) => {
            ", and it is read up to an open transaction, which blocks it".to_owned()
        }
        None => format!(". Another process reads it; that one knows what worker {worker} has left"),
        Some(0) => ", and it is read to its end. It holds windows until something newer comes, or \
             nothing for as long as --idle-timeout"
            .to_owned(),
        Some(lag) => format!(", and {} offsets of it are not read yet", count(*lag)),
    };
    format!(
        "topic {topic} partition {partition} (worker {worker}) is the furthest behind: {short}{cause}."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, partition_time, view_time};
    use crate::{PartitionTime, ViewTime};
    use model::Holding;

    const HOUR: i64 = 3_600_000;

    fn said(time: &ViewTime, start: i64, lag: Option<u64>) -> String {
        let index = time.window.index_starting(start).unwrap();
        why_text(&Why::of(&testing::view(), time, index, |_| lag))
    }

    /// Partitions that have seen 12:00 and 9:30.
    fn two() -> ViewTime {
        view_time(vec![
            partition_time(0, Some(12 * HOUR), Holding::Yes),
            partition_time(3, Some(9 * HOUR + HOUR / 2), Holding::Yes),
        ])
    }

    #[test]
    fn an_open_window_is_told_with_who_holds_it() {
        assert_eq!(
            said(&two(), 10 * HOUR, Some(1_200)),
            "\
sales, window 1970-01-01T10:00:00Z to 1970-01-01T11:00:00Z: open
It is final when every partition has seen an event at 1970-01-01T13:00:00Z (its end + lateness 2h).
The watermark is 1970-01-01T07:30:00Z and has to reach 1970-01-01T11:00:00Z: 3h 30m are missing.

partition       worker  next offset  unread          latest event  behind
transactions 3       3           10   1,200  1970-01-01T09:30:00Z  3h 30m
transactions 0       0           10   1,200  1970-01-01T12:00:00Z      1h

topic transactions partition 3 (worker 3) is the furthest behind: its latest event is 3h 30m \
short, and 1,200 offsets of it are not read yet.
"
        );
    }

    #[test]
    fn it_is_said_what_the_furthest_behind_waits_for() {
        let read = said(&two(), 10 * HOUR, Some(0));
        assert!(read.contains("short, and it is read to its end. It holds windows until"));
        assert!(read.contains("--idle-timeout."), "{read}");
        let elsewhere = said(&two(), 10 * HOUR, None);
        assert!(
            elsewhere.contains("short. Another process reads it; that one knows what worker 3")
        );
        let mut time = two();
        time.partitions.push(partition_time(7, None, Holding::Yes));
        let none = said(&view_time(time.partitions), 10 * HOUR, Some(5));
        assert!(none.contains("There is no watermark yet; it has to reach 1970-01-01T11:00:00Z."));
        assert!(
            none.contains("partition 7 (worker 7) is the furthest behind: it has shown no event")
        );
    }

    #[test]
    fn other_windows_are_told_in_short() {
        assert_eq!(
            said(&two(), 6 * HOUR, None),
            "\
sales, window 1970-01-01T06:00:00Z to 1970-01-01T07:00:00Z: final
Event time has passed its end + lateness 2h: its rows do not change any more.
"
        );
        let not_begun = said(&two(), 13 * HOUR, None);
        assert!(not_begun.contains(": not begun\nNo partition has seen an event of it"));
        let mut time = two();
        time.lateness = None;
        let forever = said(&time, 10 * HOUR, None);
        assert!(
            forever.contains("It never becomes final: lateness is forever"),
            "{forever}"
        );
        assert_eq!(forever.lines().count(), 2, "{forever}");
        let mut time = two();
        time.partitions
            .iter_mut()
            .for_each(|p| p.holding = Holding::Idle);
        let idle = said(&time, 10 * HOUR, None);
        assert!(
            idle.contains("All partitions are idle, and none holds it."),
            "{idle}"
        );
    }

    #[test]
    fn what_is_joined_is_told_apart() {
        let mut time = view_time(vec![partition_time(0, Some(13 * HOUR), Holding::Yes)]);
        time.final_until = Some(10 * HOUR);
        time.waits_for = Some(14 * HOUR);
        time.partitions.push(PartitionTime {
            topic: "products".to_owned(),
            is_joined: true,
            kafka: None,
            ..partition_time(1, None, Holding::Yes)
        });
        time.partitions[0].kafka = Some(15 * HOUR);
        assert_eq!(
            said(&time, 10 * HOUR, Some(0)),
            "\
sales, window 1970-01-01T10:00:00Z to 1970-01-01T11:00:00Z: open
It is final when every partition has seen an event at 1970-01-01T13:00:00Z (its end + lateness 2h).
Every partition of its own topic that is not idle has.
What it is joined with has to be read beyond 1970-01-01T14:00:00Z (by Kafka's timestamps), so \
that nothing is missing that was there by then. These are not: products.

partition   worker  next offset  unread  latest message  behind
products 1       1           10       0        none yet       -

topic products partition 1 (worker 1) is the furthest behind: no message of it has been read yet, \
and it is read to its end. It holds windows until something newer comes, or nothing for as long \
as --idle-timeout.
"
        );
    }

    #[test]
    fn a_table_is_not_longer_than_a_screen() {
        let many = (0..30).map(|n| partition_time(n, None, Holding::Yes));
        let said = said(&view_time(many.collect()), 0, None);
        assert!(said.contains("\nand 10 more\n"), "{said}");
    }
}
