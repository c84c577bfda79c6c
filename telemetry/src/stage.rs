//! How far a process has come in its life, which goes one way:
//!
//! ```text
//!   Starting ──▶ Ready ──▶ Stopping
//!      │ ╰─────────│──────────▲ │
//!      ╰───────────┴────────────┴──▶ Failed
//! ```

/// How far a process has come in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Not ready yet, and what it waits for.
    Starting(String),
    /// Its partitions are assigned and the store has answered.
    Ready,
    /// It was told to stop and writes what it has read.
    Stopping,
    /// It failed, and why. Nothing comes after this.
    Failed(String),
}

impl Stage {
    /// Goes on to `next`, unless the way does not lead there: then it stays.
    pub(super) fn advance(&mut self, next: Stage) {
        let leads_there = match self {
            Stage::Starting(_) => true,
            Stage::Ready => matches!(next, Stage::Stopping | Stage::Failed(_)),
            Stage::Stopping => matches!(next, Stage::Failed(_)),
            Stage::Failed(_) => false,
        };
        if leads_there {
            *self = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_goes_one_way() {
        let starting = |why: &str| Stage::Starting(why.to_owned());
        let failed = |why: &str| Stage::Failed(why.to_owned());
        let mut stage = starting("first");
        for (next, expected) in [
            (starting("Kafka is away"), starting("Kafka is away")),
            (Stage::Ready, Stage::Ready),
            (starting("too late"), Stage::Ready),
            (Stage::Stopping, Stage::Stopping),
            (Stage::Ready, Stage::Stopping),
            (failed("first"), failed("first")),
            (failed("second"), failed("first")),
            (Stage::Stopping, failed("first")),
        ] {
            stage.advance(next);
            assert_eq!(stage, expected);
        }
    }
}
