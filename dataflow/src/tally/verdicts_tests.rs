use super::*;
use crate::tally::{Limit, Run, TopicTally, ViewTally};
use sinks::Reason;
use std::sync::Arc;

fn names() -> Names {
    let text = str::to_owned;
    Names {
        topics: Arc::from(["shop-transactions", "shop-customers"].map(text)),
        views: vec![(text("log_analysis"), text("timestamp"), text("2h"))],
    }
}

fn verdicts(limit: Option<Limit>, before: LetterCount) -> Verdicts {
    let judging = Judging {
        limit,
        before,
        ends_by_itself: true,
    };
    Verdicts::new(judging, names())
}

fn letters(kind: Kind, letters: u64, counted: u64, offset: i64) -> LetterTally {
    LetterTally {
        kind,
        letters,
        counted,
        sample: Sample {
            partition: 1,
            offset,
            more: None,
        },
    }
}

fn malformed(topic: usize, what: &str) -> Kind {
    let what = what.to_owned();
    Kind::Malformed { topic, what }
}

/// What a worker tells that has read so many messages of a topic, all of them malformed.
fn all_bad(topic: usize, bad: u64) -> Tally {
    Tally {
        topics: vec![TopicTally {
            topic,
            parts: vec![vec![Run { good: 0, bad }]],
        }],
        letters: vec![letters(malformed(topic, "not JSON"), bad, bad, 7)],
        counted: bad,
        ..Tally::default()
    }
}

#[test]
fn topics_are_judged_by_what_all_workers_have_read() {
    let mut verdicts = verdicts(None, LetterCount::default());
    // Of each worker's nine messages nothing would be said.
    let tallies = vec![all_bad(0, 5), all_bad(1, 4), all_bad(0, 5)];
    assert_eq!(verdicts.add(tallies, Instant::now()), Vec::<String>::new());
    let said = verdicts.end();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("shop-transactions: 10 of its 10 messages"),
        "{said:?}"
    );
}

#[test]
fn views_are_judged_by_what_all_workers_have_read() {
    let mut verdicts = verdicts(None, LetterCount::default());
    let late = |late| Tally {
        views: vec![ViewTally {
            view: 0,
            judged: 5,
            late,
            from_the_future: 0,
            spread: Some((0, 1)),
        }],
        ..Tally::default()
    };
    let tallies = vec![late(5), late(1)];
    assert_eq!(verdicts.add(tallies, Instant::now()), Vec::<String>::new());
    let said = verdicts.end();
    assert!(
        said[0].starts_with("log_analysis: 6 of its 10 events came too late"),
        "{said:?}"
    );
}

#[test]
fn events_from_the_future_have_an_example() {
    let mut verdicts = verdicts(None, LetterCount::default());
    let kind = Kind::Refused {
        topic: 0,
        view: 0,
        reason: Reason::FromTheFuture,
    };
    let mut letters = letters(kind, 1_000, 1_000, 3);
    letters.sample.more = Some("its timestamp is 48h ahead of its message".to_owned());
    let tally = Tally {
        views: vec![ViewTally {
            view: 0,
            judged: 0,
            late: 0,
            from_the_future: 1_000,
            spread: None,
        }],
        letters: vec![letters],
        ..Tally::default()
    };
    let said = verdicts.add(vec![tally], Instant::now());
    let example = "(such as partition 1 offset 3: its timestamp is 48h ahead of its message)";
    assert!(said[0].contains(example), "{said:?}");
}

#[test]
fn a_limit_counts_the_letters_of_this_run_and_of_one_that_it_repeats() {
    let before = LetterCount {
        messages: 9_000,
        letters: 8,
    };
    let mut verdicts = verdicts(Some(Limit::Letters(10)), before);
    let mut tally = all_bad(0, 2);
    // It was committed by an earlier run, and is read again.
    tally.letters[0].letters = 100;
    verdicts.add(vec![tally], Instant::now());
    assert!(!verdicts.is_over(true));
    let more = Tally {
        letters: vec![
            letters(malformed(0, "not UTF-8"), 2, 2, 50),
            letters(malformed(1, "`gender` is missing"), 1, 1, 60),
        ],
        counted: 30,
        ..Tally::default()
    };
    verdicts.add(vec![more], Instant::now());
    assert!(verdicts.is_over(false));
    let over = verdicts.over(Some(3), before);
    assert_eq!((over.counted.letters, over.counted.messages), (13, 9_032));
    assert_eq!(
        over.reasons,
        [
            "2 × shop-transactions: not JSON (such as partition 1 offset 7)",
            "2 × shop-transactions: not UTF-8 (such as partition 1 offset 50)",
            "1 × shop-customers: `gender` is missing (such as partition 1 offset 60)",
        ]
    );
}
