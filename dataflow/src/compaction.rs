//! When arrangements merge what they hold.

use differential_dataflow::trace::ExertionLogic;
use std::sync::Arc;

/// Updates that an arrangement merges in one turn while nothing comes.
const MERGED_AT_ONCE: usize = 16_384;

/// Lets arrangements merge what has been dropped with what it was, also while
/// nothing comes.
///
/// Merging all the time until one batch is left would cost far more than what
/// changes. So it is done where it gains something: when all smaller batches
/// together have grown to a quarter of the largest.
pub fn when_idle(config: &mut timely::WorkerConfig) {
    let logic: ExertionLogic = Arc::new(|levels| {
        let lengths = levels.iter().map(|(_, _, length)| *length);
        let (all, largest) = lengths.fold((0, 0), |(all, largest), length| {
            (all + length, length.max(largest))
        });
        let merging = levels.iter().any(|(_, batches, _)| *batches > 1);
        (merging || 4 * (all - largest) > largest).then_some(MERGED_AT_ONCE)
    });
    config.set("differential/default_exert_logic".to_owned(), logic);
}
