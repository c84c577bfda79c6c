//! How many dead letters a run may have.

use crate::Epoch;
use sinks::LetterCount;
use std::fmt;
use std::str::FromStr;
use telemetry::format::count;

/// From so many messages on, a share of them is judged; before, at the end of a run.
pub(super) const SHARE_FROM: u64 = 1_000;

/// Millionths of a whole.
const WHOLE: u64 = 1_000_000;

/// How many dead letters a run may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// So many.
    Letters(u64),
    /// So many for a million messages.
    Millionths(u64),
}

impl Limit {
    /// Whether there are too many. `ended`: there will be no more messages.
    pub fn is_passed(self, counted: LetterCount, ended: bool) -> bool {
        let LetterCount { messages, letters } = counted;
        match self {
            Limit::Letters(most) => letters > most,
            Limit::Millionths(most) => {
                let is_judged = messages >= SHARE_FROM || ended;
                is_judged
                    && u128::from(letters) * u128::from(WHOLE)
                        > u128::from(messages) * u128::from(most)
            }
        }
    }
}

/// `100`, or `0.5%` with up to four decimals.
impl FromStr for Limit {
    type Err = ();

    fn from_str(text: &str) -> Result<Limit, ()> {
        let digits = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => text.parse::<u64>().map_err(drop),
            false => Err(()),
        };
        let Some(percent) = text.strip_suffix('%') else {
            return digits(text).map(Limit::Letters);
        };
        let percent = percent.trim_end();
        let (whole, decimals) = percent.split_once('.').unwrap_or((percent, "0"));
        if decimals.is_empty() || decimals.len() > 4 {
            return Err(());
        }
        let millionths = digits(whole)?
            .checked_mul(WHOLE / 100)
            .and_then(|whole| whole.checked_add(digits(&format!("{decimals:0<4}")).ok()?))
            .filter(|share| *share <= WHOLE);
        millionths.map(Limit::Millionths).ok_or(())
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::Letters(letters) => write!(f, "{letters}"),
            Limit::Millionths(share) => {
                let (whole, rest) = (share / (WHOLE / 100), share % (WHOLE / 100));
                match rest {
                    0 => write!(f, "{whole}%"),
                    _ => {
                        let decimals = format!("{rest:04}");
                        write!(f, "{whole}.{}%", decimals.trim_end_matches('0'))
                    }
                }
            }
        }
    }
}

/// A run has more dead letters than it may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverLimit {
    /// How many it may have.
    pub limit: Limit,
    /// What it has counted, with those of a run before that had too many.
    pub counted: LetterCount,
    /// How many of these are of that run.
    pub before: LetterCount,
    /// What of `counted` is committed: of the epochs before `epoch`.
    pub committed: LetterCount,
    /// The first epoch that is not written; none where none of this run is.
    pub epoch: Option<Epoch>,
    /// The commonest reasons, each with how often and an example.
    pub reasons: Vec<String>,
}

impl std::error::Error for OverLimit {}

impl fmt::Display for OverLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OverLimit {
            limit,
            counted: LetterCount { messages, letters },
            before,
            epoch,
            reasons,
            ..
        } = self;
        let (letters, messages) = (count(*letters), count(*messages));
        write!(
            f,
            "{letters} dead letters in {messages} messages are more than --max-dead-letters {limit} allows"
        )?;
        if *before != LetterCount::default() {
            write!(
                f,
                " (with {} in {} of an earlier run that ended for the same reason)",
                count(before.letters),
                count(before.messages)
            )?;
        }
        if !reasons.is_empty() {
            write!(f, ": {}", reasons.join("; "))?;
        }
        match epoch {
            Some(epoch) => write!(f, ". Nothing from epoch {epoch} on is written")?,
            None => f.write_str(". Nothing is written")?,
        }
        f.write_str(
            ", and the next run reads these messages again: correct what produces them, or allow more",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(letters: u64, messages: u64) -> LetterCount {
        LetterCount { messages, letters }
    }

    #[test]
    fn a_limit_is_a_number_or_a_share() {
        for (text, limit) in [
            ("0", Limit::Letters(0)),
            ("100", Limit::Letters(100)),
            ("0%", Limit::Millionths(0)),
            ("1%", Limit::Millionths(10_000)),
            ("0.5%", Limit::Millionths(5_000)),
            ("0.0001%", Limit::Millionths(1)),
            ("12.25%", Limit::Millionths(122_500)),
            ("100%", Limit::Millionths(1_000_000)),
        ] {
            assert_eq!(text.parse(), Ok(limit), "{text}");
            assert_eq!(limit.to_string(), text);
        }
        assert_eq!("5 %".parse(), Ok(Limit::Millionths(50_000)));
        for wrong in [
            "",
            "%",
            "-1",
            "+1",
            "1.5",
            "1e3",
            "100.1%",
            "101%",
            ".5%",
            "5.%",
            "1.23456%",
            "-1%",
            "many",
            "99999999999999999999",
            "99999999999999999999%",
            "5%%",
            "½%",
        ] {
            assert_eq!(wrong.parse::<Limit>(), Err(()), "{wrong}");
        }
    }

    #[test]
    fn a_number_is_passed_by_one_more() {
        let limit = Limit::Letters(10);
        assert!(!limit.is_passed(counted(10, 10), false));
        assert!(limit.is_passed(counted(11, 1_000_000), false));
        assert!(!Limit::Letters(0).is_passed(counted(0, 9), true));
        assert!(Limit::Letters(0).is_passed(counted(1, 9), false));
    }

    #[test]
    fn a_share_is_judged_from_a_thousand_messages_on_or_at_the_end() {
        let limit = Limit::Millionths(100_000);
        assert!(!limit.is_passed(counted(999, 999), false));
        assert!(limit.is_passed(counted(2, 19), true));
        assert!(!limit.is_passed(counted(2, 20), true));
        assert!(!limit.is_passed(counted(100, 1_000), false));
        assert!(limit.is_passed(counted(101, 1_000), false));
        assert!(!limit.is_passed(counted(0, 0), true));
        assert!(!limit.is_passed(counted(u64::MAX / 10, u64::MAX), true));
    }

    #[test]
    fn the_error_says_how_many_why_and_what_to_do() {
        let over = OverLimit {
            limit: Limit::Millionths(10_000),
            counted: counted(1_200, 40_000),
            before: counted(0, 0),
            committed: counted(3, 9_000),
            epoch: Some(17),
            reasons: vec![
                "1,190 × transactions: not JSON (such as partition 2 offset 5)".to_owned(),
            ],
        };
        assert_eq!(
            over.to_string(),
            "1,200 dead letters in 40,000 messages are more than --max-dead-letters 1% allows: 1,190 × \
             transactions: not JSON (such as partition 2 offset 5). Nothing from epoch 17 on is written, and the \
             next run reads these messages again: correct what produces them, or allow more"
        );
        let again = OverLimit {
            before: counted(3, 9_000),
            epoch: None,
            ..over
        };
        let text = again.to_string();
        assert!(
            text.contains(". Nothing is written, and the next run"),
            "{text}"
        );
        assert!(
            text.contains("(with 3 in 9,000 of an earlier run"),
            "{text}"
        );
    }
}
