//! How long to wait before the next start.

use std::time::Duration;

/// After the first failure, at the most.
const FIRST: Duration = Duration::from_secs(1);

/// After many, at the most.
const LONGEST: Duration = Duration::from_secs(30);

/// The wait after so many failures in a row: drawn between half of its limit and all of
/// it, so that several groups on the same services do not come back in step.
pub(super) fn wait(failures: u64) -> Duration {
    limit(failures).mul_f64(rand::random_range(0.5..=1.0))
}

/// It doubles with each failure.
fn limit(failures: u64) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    (FIRST * 2_u32.saturating_pow(doublings.min(16))).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_half_a_minute() {
        let limits = [1, 2, 3, 4, 5, 6, 7, u64::MAX].map(|failures| limit(failures).as_secs());
        assert_eq!(limits, [1, 2, 4, 8, 16, 30, 30, 30]);
        for failures in 1..9 {
            let wait = wait(failures);
            assert!(wait <= limit(failures) && wait * 2 >= limit(failures));
        }
    }
}
