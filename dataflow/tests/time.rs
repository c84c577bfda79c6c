//! Random logs of all topics, late and early, repeated, corrected and damaged, read
//! by any number of workers in any turns and cut into any epochs, give what the
//! oracle says: the same rows, the same of them final, the same dead letters, the
//! same watermarks.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod shop;

use dataflow::replay::{Outcome, Replay};
use dataflow::time::{Frontier, NEVER, Watermarks};
use dataflow::views::Catalog;
use dataflow::views::key::Key;
use dataflow::views::row::{key, row};
use dataflow::views::rows::RowChange;
use end_to_end::Rules;
use end_to_end::oracle;
use proptest::prelude::*;
use shop::{Any, MAX_AHEAD, any_lateness, any_message, configured, in_memory, log};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What has come out.
#[derive(Default)]
struct Seen {
    rows: Mutex<BTreeMap<Key, RowChange>>,
    letters: Mutex<Vec<(String, &'static str, String)>>,
    watermarks: Mutex<Vec<Vec<Frontier>>>,
}

impl Outcome for Seen {
    fn row(&self, row: &RowChange) {
        let mut rows = self.rows.lock().unwrap();
        if let Some(before) = rows.insert(row.key.clone(), row.clone()) {
            // A row lives on one worker, and its epochs come in order.
            // Before it is final it is told as it became last.
            assert!(
                before.epoch < row.epoch || row.is_final,
                "twice in an epoch: {before:?} {row:?}"
            );
            assert!(
                !before.is_final,
                "changed when it was final: {before:?} {row:?}"
            );
        }
    }

    fn dead_letter(&self, letter: &sinks::DeadLetter) {
        let letter = (letter.id(), letter.reason.as_str(), letter.detail.clone());
        self.letters.lock().unwrap().push(letter);
    }

    fn watermarks(&self, known: &Watermarks) {
        self.watermarks
            .lock()
            .unwrap()
            .push(known.frontiers().collect());
    }
}

impl Seen {
    /// Rows as they are in the end.
    fn rows(&self, catalog: &Catalog) -> shop::Rows {
        let rows = self.rows.lock().unwrap();
        let rows = rows.values().filter(|row| row.sums != Default::default());
        let rows: Vec<_> = rows
            .map(|became| {
                let number = became.key.slot.view();
                let definition = &catalog.definitions[usize::from(number)];
                let row = row(definition, became, 0).unwrap();
                assert_eq!(
                    key(definition, number, &row.values).as_ref(),
                    Some(&became.key)
                );
                row
            })
            .collect();
        let ids: BTreeSet<_> = rows.iter().map(|row| &row.id).collect();
        assert_eq!(ids.len(), rows.len(), "two rows of one id");
        shop::shown_rows(catalog, rows.iter())
    }

    /// Ids and reasons of dead letters, in order.
    fn letters(&self) -> Vec<(String, &'static str)> {
        let letters = self.letters.lock().unwrap();
        let letters = letters.iter().map(|(id, reason, _)| (id.clone(), *reason));
        let mut letters: Vec<_> = letters.collect();
        letters.sort();
        letters
    }
}

fn check(messages: &[Any], partitions: i32, rules: &Rules, replay: Replay) {
    let log = log(messages, partitions);
    let catalog = Arc::new(configured(rules));
    let seen = Arc::<Seen>::default();
    replay
        .run(&catalog, &in_memory(&catalog, &log), &seen)
        .unwrap();
    let expected = oracle::expected(&log, "", rules);

    shop::compare(&seen.rows(&catalog), &shop::wanted_rows(&expected));

    let wanted = expected
        .dead_letters
        .iter()
        .map(|letter| (letter.id(), letter.reason.name()));
    let mut wanted: Vec<_> = wanted.collect();
    wanted.sort();
    assert_eq!(seen.letters(), wanted);

    for frontiers in seen.watermarks.lock().unwrap().iter() {
        for (definition, frontier) in catalog.definitions.iter().zip(frontiers) {
            let wanted = expected.watermarks.get(definition.name.as_str());
            let found = (frontier.through != NEVER).then(|| {
                let until = definition.window.end_millis(frontier.through);
                (frontier.watermark.div_euclid(1_000), until)
            });
            let wanted = wanted.map(|wanted| (wanted.watermark, wanted.final_until));
            assert_eq!(found, wanted, "{}", definition.name);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn any_reading_of_a_log_gives_what_the_oracle_says(
        messages in prop::collection::vec(any_message(), 0..250),
        partitions in 1..=3i32,
        lateness in prop::collection::vec(any_lateness(), 7),
        workers in 1usize..=4,
        turn in 1usize..40,
        tick in 0u64..3,
    ) {
        let mut rules = Rules::default().with_max_ahead(MAX_AHEAD);
        for (of_view, lateness) in rules.lateness.values_mut().zip(lateness) {
            *of_view = lateness;
        }
        let tick = Duration::from_millis(tick);
        let max_ahead = Duration::from_millis(MAX_AHEAD.cast_unsigned());
        check(&messages, partitions, &rules, Replay { workers, tick, turn, max_ahead });
    }

    #[test]
    fn windows_of_any_kind_hold_what_a_naive_computation_says(
        looks in prop::collection::vec(shop::windows::any_look(), 0..250),
        workers in 1usize..=3,
        turn in 1usize..40,
        tick in 0u64..3,
    ) {
        let catalog = Arc::new(shop::windows::catalog());
        let log = shop::windows::log(&catalog, &looks);
        let seen = Arc::<Seen>::default();
        let tick = Duration::from_millis(tick);
        let replay = Replay { workers, tick, turn, max_ahead: Duration::from_millis(MAX_AHEAD.cast_unsigned()) };
        replay.run(&catalog, &log, &seen).unwrap();
        let (rows, letters) = shop::windows::expected(&looks);
        shop::compare(&seen.rows(&catalog), &rows);
        prop_assert_eq!(seen.letters(), Vec::from_iter(letters));
    }
}
