//! Two sources as one: the log as it goes on, and beside it what is read of it for backfills.

use super::source::{Message, Position, Source, SourceError, Taken, Turn};
use crate::fail_points::is_backfill_held;
use std::collections::BTreeMap;

/// What is read a second time, from its beginning on, for views that know nothing of it yet. For
/// the others it goes on meanwhile.
#[derive(Clone, Debug, Default)]
pub struct BackfillPlan {
    /// The numbers of the views that are built.
    pub views: Vec<u16>,
    /// Of the partitions that others have read a part of, by topic and number: which of the views
    /// read them.
    pub places: BTreeMap<(usize, i32), Vec<u16>>,
}

/// Of a turn, this share is for backfills as long as there are any: enough for them to catch up,
/// while the other views stay current.
const SHARE: usize = 4;

/// Reads the log, and the beginning of some of its partitions beside it, until that has caught up.
pub struct Lanes {
    current: Box<dyn Source>,
    backfill: Option<Box<dyn Source>>,
    is_paused: bool,
}

impl Lanes {
    /// `backfill` is finished once it has caught up with `current`.
    pub fn new(current: Box<dyn Source>, backfill: Box<dyn Source>) -> Lanes {
        Lanes {
            current,
            backfill: Some(backfill),
            is_paused: false,
        }
    }
}

impl Source for Lanes {
    fn find(&mut self, each: &mut dyn FnMut(usize, i32)) -> Result<(), SourceError> {
        self.current.find(each)?;
        match &mut self.backfill {
            // They are announced with those of the log as it goes on.
            Some(backfill) => backfill.find(&mut |_, _| {}),
            None => Ok(()),
        }
    }

    fn read(
        &mut self,
        budget: usize,
        each: &mut dyn FnMut(Message<'_>) -> Taken,
    ) -> Result<Turn, SourceError> {
        let Some(backfill) = &mut self.backfill else {
            return self.current.read(budget, each);
        };
        let mut read = 0;
        let turn = self.current.read(budget - budget / SHARE, &mut |message| {
            let taken = each(message);
            if let Taken::Accepted { cost } = taken {
                read += cost;
            }
            taken
        })?;
        let is_held = is_backfill_held();
        backfill.pause(self.is_paused || is_held);
        let left = if is_held {
            0
        } else {
            budget.saturating_sub(read)
        };
        let second = backfill.read(left, each)?;
        if second == Turn::Finished {
            self.backfill = None;
            return Ok(turn);
        }
        Ok(match (turn, second) {
            (Turn::More, _) | (_, Turn::More) => Turn::More,
            // It goes on until the backfill has caught up.
            (Turn::Idle | Turn::Finished, _) => Turn::Idle,
        })
    }

    fn pause(&mut self, paused: bool) {
        self.is_paused = paused;
        self.current.pause(paused);
    }

    fn positions(&mut self, each: &mut dyn FnMut(Position) -> bool) {
        // In this order: what has been read for the others is known when backfills are compared
        // with it.
        self.current.positions(each);
        if let Some(backfill) = &mut self.backfill {
            backfill.positions(each);
        }
    }
}
