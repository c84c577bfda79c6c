//! Tables and look-ups.
//!
//! ```text
//!   a view's events ─▶ newest of a key ─▶ look-up 1 ──▶ look-up 2 ──▶ sums, members, … of rows
//!                      (of a table)        ▲  + columns   ▲  + columns
//!   another topic ─────────────────────────┘              │
//!   another topic ────────────────────────────────────────┘
//! ```
//!
//! Each is an arrangement by key, of one view, and an operator that hands on what
//! changes by what has come: a version that is replaced is taken back, a customer's
//! gender moves the customer's sales, a product's price moves what has been sold
//! of it. Entries are kept as sums, with no more columns than are needed behind them, so that a
//! price costs in proportion to the rows that it changes and not to the sales behind them. Entries
//! that need a column of their own (a member of a distinct count) are of another *kind*, so
//! that they do not keep the others apart.
//!
//! **Moments.** While a window is open, its rows follow whatever is newest. When
//! it closes, they must say the same whoever read which topic first. So a window
//! has a *moment*, a Kafka timestamp (see [`crate::time::Watermarks`]), and closes as
//! of it: each operator puts back what came of messages after the moment, and then
//! forgets the window. Until then it keeps versions that are not the newest any
//! more, but would be as of a moment that is still to come.

mod enrich;
mod entries;
mod joiner;
mod newest;
mod versions;

pub use enrich::EntryChange;
pub use entries::{Entry, Found, Version};
pub use newest::VersionChange;

use super::Catalog;
use super::changes::{Change, ExtremeChange, MemberChange, SumsChange};
use super::parts;
use super::plan::Out;
use super::stateful::States;
use crate::Epoch;
use enrich::enrich;
use joiner::Joined;
use newest::newest;
use std::sync::Arc;
use timely::dataflow::StreamVec;
use timely::dataflow::operators::vec::Map;

/// What look-ups and tables come to.
#[derive(Default)]
pub(super) struct Changes<'scope> {
    pub(super) sums: Vec<StreamVec<'scope, Epoch, SumsChange>>,
    /// By the number of the arrangement of members.
    pub(super) members: Vec<Vec<StreamVec<'scope, Epoch, MemberChange>>>,
    pub(super) extremes: Vec<StreamVec<'scope, Epoch, ExtremeChange>>,
}

/// What is joined, on the workers that read it: by the number of the arrangement.
pub struct ToJoin<'scope> {
    /// Versions of keys of tables.
    pub tables: Vec<StreamVec<'scope, Epoch, VersionChange>>,
    /// Versions of what is looked up, and what looks it up.
    pub lookups: Vec<StreamVec<'scope, Epoch, EntryChange>>,
}

/// What all views' look-ups and tables add to rows.
pub(super) fn join<'scope>(
    to_join: ToJoin<'scope>,
    catalog: &Catalog,
    states: &mut States<'scope>,
) -> Changes<'scope> {
    let mut entries: Vec<_> = to_join.lookups.into_iter().map(|read| vec![read]).collect();
    let mut changes = Changes::default();
    for (plan, versions) in catalog.tables.iter().zip(to_join.tables) {
        let (part, forever) = (parts::table(plan.view), catalog.is_forever(plan.view));
        let made = states.keep_values(&part, vec![versions], newest(forever, Arc::clone(plan)));
        route(
            made,
            plan.next.channel(),
            catalog,
            plan.view,
            &mut entries,
            &mut changes,
        );
    }
    // Those of a view come in the order in which they look up.
    for plan in &catalog.lookups {
        let part = parts::lookup(plan.view, plan.stage);
        let forever = catalog.is_forever(plan.view);
        let read = std::mem::take(&mut entries[plan.channel]);
        let made = states.keep_values(&part, read, enrich(forever, Arc::clone(plan)));
        let next = plan.kinds.first().and_then(|kind| kind.next.channel());
        route(made, next, catalog, plan.view, &mut entries, &mut changes);
    }
    changes
}

/// Hands what an operator of a view has made on to the look-up `next`, or to rows.
fn route<'scope>(
    made: StreamVec<'scope, Epoch, Joined>,
    next: Option<usize>,
    catalog: &Catalog,
    view: u16,
    entries: &mut [Vec<StreamVec<'scope, Epoch, EntryChange>>],
    changes: &mut Changes<'scope>,
) {
    if let Some(channel) = next {
        entries[channel].push(made.flat_map(|Joined { out, epoch }| match out {
            Out::Left(_, key, entry, sums) => Some(((key, entry), epoch, sums)),
            Out::Change(_) | Out::Table(..) => None,
        }));
        return;
    }
    let lanes = &catalog.definitions[usize::from(view)].lanes;
    for number in 0..lanes.distinct.len() {
        let members = made
            .clone()
            .flat_map(move |Joined { out, epoch }| match out {
                Out::Change(Change::Member(of, key, member, times)) if of == number => {
                    Some(((key, member), epoch, times))
                }
                _ => None,
            });
        if changes.members.len() <= number {
            changes.members.resize_with(number + 1, Vec::new);
        }
        changes.members[number].push(members);
    }
    if !lanes.extremes.is_empty() {
        let extremes = made.clone().flat_map(|Joined { out, epoch }| match out {
            Out::Change(Change::Extreme(key, extreme, times)) => {
                Some(((key, extreme), epoch, times))
            }
            _ => None,
        });
        changes.extremes.push(extremes);
    }
    changes
        .sums
        .push(made.flat_map(|Joined { out, epoch }| match out {
            Out::Change(Change::Sums(key, sums)) => Some(((key, ()), epoch, sums)),
            _ => None,
        }));
}
