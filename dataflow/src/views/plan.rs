//! A view made ready to be applied to batches of events.
//!
//! ```text
//!   events ─▶ Feed ─┬─▶ Rows: sums, members and first values of rows
//!                   ├─▶ Next: to the first look-up, by what it looks up
//!                   └─▶ Table: to the newest event of each key
//! ```
//!
//! What a look-up finds goes on by a `Next` of its own, to the next one or to rows; so each is
//! computed the same way, from a batch of the columns of all sources, wherever it happens.

use super::catalog::Refused;
use super::changes::Change;
use super::column::Batch;
use super::expression::{Expr, failure};
use super::join::{Entry, Version};
use super::source::Schema;
use super::sums::{COUNT, Sums};
use super::terms::{Evaluated, Input, LeftLane, Rows};
use crate::time::Refusal;
use model::{DataType, Datum, Stamp};
use std::sync::Arc;

/// A view as a worker applies it.
#[derive(Debug)]
pub struct Plan {
    /// Number of the view.
    pub number: u16,
    /// What the view's time is called.
    pub time_name: String,
    /// The column that places an event in a window; nothing where its message's timestamp does.
    pub time: Option<usize>,
    /// Events count of which this is true.
    pub filter: Option<Expr>,
    /// What is made of them.
    pub(super) feed: Feed,
}

/// Where a view's events go.
#[derive(Debug)]
pub(super) enum Feed {
    /// To rows.
    Rows(Rows),
    /// On to look-ups, with what they add up to.
    Left { lanes: Vec<LeftLane>, next: Next },
    /// To the newest of each key.
    Table(Table),
}

/// Events of which only the newest of each key counts.
#[derive(Debug)]
pub(super) struct Table {
    /// The number of the arrangement.
    pub(super) channel: usize,
    /// Whether a message without a value deletes its key.
    pub(super) deletes: bool,
    pub(super) key: Expr,
    /// The columns that are kept of an event.
    pub(super) columns: Vec<usize>,
    /// What it adds up to, kept behind them.
    pub(super) lanes: Vec<LeftLane>,
}

/// Where something goes on to.
#[derive(Clone, Debug)]
pub(super) enum Next {
    /// To a look-up.
    Lookup {
        /// The number of the arrangement.
        channel: usize,
        /// What is looked up.
        by: Expr,
        /// As what.
        kinds: Vec<OutKind>,
    },
    /// To rows.
    Rows(Rows),
}

/// A kind of entry, as it is made.
#[derive(Clone, Debug)]
pub(super) struct OutKind {
    pub(super) kind: u16,
    /// The columns that it keeps.
    pub(super) columns: Vec<usize>,
    /// Whether of all sums only the number of events goes on.
    pub(super) counts_only: bool,
}

/// What comes of events.
#[derive(Clone)]
pub enum Out {
    /// A change of a row.
    Change(Change),
    /// Something that is looked up: the number of the arrangement, what, and how much of it.
    Left(usize, Datum, Entry, Sums),
    /// An event of which only the newest of its key counts: the number of the arrangement, its
    /// key.
    Table(usize, Datum, Version),
}

impl Plan {
    /// What a message without a value deletes, if it deletes anything.
    pub(super) fn deletion(&self) -> Option<Deletion<'_>> {
        match &self.feed {
            Feed::Table(table) => table.deletes.then(|| Deletion {
                key: table.key.data_type(),
                channel: table.channel,
                is_of_table: true,
            }),
            Feed::Rows(_) | Feed::Left { .. } => None,
        }
    }

    /// The view does not take a row, for this reason.
    pub(super) fn refused(&self, refusal: Refusal) -> Refused<'_> {
        Refused {
            view: self.number,
            time: &self.time_name,
            refusal,
            joined: false,
        }
    }

    /// Whether it may refuse a row that belongs into its windows.
    pub(super) fn may_refuse(&self) -> bool {
        let is_column = |expression: &Expr| expression.is_column();
        self.filter.is_some() || !self.expressions().into_iter().all(is_column)
    }

    /// The columns that it reads of all sources.
    pub(super) fn columns(&self) -> Vec<usize> {
        let mut columns = match &self.feed {
            Feed::Table(table) => table.columns.clone(),
            Feed::Left { next, .. } => next.columns(),
            Feed::Rows(_) => Vec::new(),
        };
        let expressions = self.expressions();
        columns.extend(
            expressions
                .iter()
                .flat_map(|expression| expression.columns()),
        );
        columns.extend(self.time);
        columns
    }

    /// All expressions that are evaluated of events.
    fn expressions(&self) -> Vec<&Expr> {
        let of_feed = match &self.feed {
            Feed::Rows(rows) => rows.expressions(),
            Feed::Left { lanes, next } => {
                let by = match next {
                    Next::Lookup { by, .. } => vec![by],
                    Next::Rows(rows) => rows.expressions(),
                };
                lanes
                    .iter()
                    .flat_map(LeftLane::expressions)
                    .chain(by)
                    .collect()
            }
            Feed::Table(table) => {
                let lanes = table.lanes.iter().flat_map(LeftLane::expressions);
                lanes.chain([&table.key]).collect()
            }
        };
        of_feed.into_iter().chain(&self.filter).collect()
    }

    /// What the rows of a batch come to. `stamp` says how new a row is; `failed` is called for those
    /// on which an expression fails, with its reason, and they come to nothing.
    pub fn apply(
        &self,
        input: &Input<'_>,
        stamp: impl Fn(usize) -> Stamp,
        failed: &mut dyn FnMut(usize, &str),
        give: &mut impl FnMut(Out),
    ) {
        match &self.feed {
            Feed::Rows(rows) => rows.apply(input, failed, &mut |change| give(Out::Change(change))),
            Feed::Left { lanes, next } => {
                let columns = Evaluated::of_lanes(lanes, input.batch);
                let mut rows = Vec::with_capacity(input.rows.len());
                let mut sums = Vec::with_capacity(input.rows.len());
                for &(row, slot) in input.rows {
                    if !columns.has_failed(row, failed) {
                        rows.push((row, slot));
                        sums.push(columns.left_sums(lanes, row));
                    }
                }
                let input = Input {
                    rows: &rows,
                    left: Some(&sums),
                    ..*input
                };
                next.apply(&input, failed, give);
            }
            Feed::Table(table) => table.apply(input, stamp, failed, give),
        }
    }
}

impl Table {
    fn apply(
        &self,
        input: &Input<'_>,
        stamp: impl Fn(usize) -> Stamp,
        failed: &mut dyn FnMut(usize, &str),
        give: &mut impl FnMut(Out),
    ) {
        let batch = input.batch;
        let key = self.key.evaluate(batch);
        let lanes = Evaluated::of_lanes(&self.lanes, batch);
        for &(row, slot) in input.rows {
            if let Some(why) = failure(&key, row) {
                failed(row, why);
                continue;
            }
            if lanes.has_failed(row, failed) {
                continue;
            }
            let columns = self.columns.iter().map(|column| batch.datum(*column, row));
            let sums = self.lanes.iter().enumerate();
            let sums = sums.map(|(place, lane)| lanes.left_datum(place, lane, row));
            let version = Version {
                stamp: stamp(row),
                slot: Some(slot),
                columns: columns.chain(sums).collect(),
            };
            give(Out::Table(
                self.channel,
                key.datum(self.key.data_type(), row),
                version,
            ));
        }
    }
}

impl Next {
    /// The look-up that it leads to, if it does.
    pub(super) fn channel(&self) -> Option<usize> {
        match self {
            Next::Lookup { channel, .. } => Some(*channel),
            Next::Rows(_) => None,
        }
    }

    /// The columns that it takes of a row as they are.
    fn columns(&self) -> Vec<usize> {
        match self {
            Next::Lookup { kinds, .. } => kinds
                .iter()
                .flat_map(|kind| kind.columns.iter().copied())
                .collect(),
            Next::Rows(_) => Vec::new(),
        }
    }

    /// Hands rows on.
    pub(super) fn apply(
        &self,
        input: &Input<'_>,
        failed: &mut dyn FnMut(usize, &str),
        give: &mut impl FnMut(Out),
    ) {
        let (channel, by, kinds) = match self {
            Next::Rows(rows) => {
                return rows.apply(input, failed, &mut |change| give(Out::Change(change)));
            }
            Next::Lookup { channel, by, kinds } => (*channel, by, kinds),
        };
        let keys = by.evaluate(input.batch);
        for (place, &(row, slot)) in input.rows.iter().enumerate() {
            if let Some(why) = failure(&keys, row).filter(|_| !input.failures_are_null) {
                failed(row, why);
                continue;
            }
            let key = keys.datum(by.data_type(), row);
            for OutKind {
                kind,
                columns,
                counts_only,
            } in kinds
            {
                let columns = columns.iter().map(|column| input.batch.datum(*column, row));
                let entry = Entry::left(*kind, slot, columns);
                let sums = match input.left {
                    Some(sums) if *counts_only => Sums::of_lane(COUNT, sums[place].get(COUNT)),
                    Some(sums) => sums[place].clone(),
                    None => Sums::one(),
                };
                give(Out::Left(channel, key.clone(), entry, sums));
            }
        }
    }
}

/// How something that was looked up goes on.
#[derive(Debug)]
pub(super) struct LookupPlan {
    /// Number of the view.
    pub(super) view: u16,
    /// The number of the arrangement.
    pub(super) channel: usize,
    /// Which look-up of the view it is, from 1.
    pub(super) stage: usize,
    /// The columns of all sources.
    pub(super) schema: Arc<Schema>,
    /// The column that is the key.
    pub(super) key: Option<usize>,
    /// The columns that a version has, in order.
    pub(super) version: Vec<usize>,
    /// Whether what finds no version goes no further.
    pub(super) is_inner: bool,
    /// What is looked up, by kind.
    pub(super) kinds: Vec<Kind>,
}

/// A kind of entry, as it is read.
#[derive(Debug)]
pub(super) struct Kind {
    /// The columns that it keeps.
    pub(super) columns: Vec<usize>,
    /// Places of those columns of versions that make a difference to it.
    pub(super) uses: Vec<usize>,
    pub(super) next: Next,
}

/// How the newest event of a key goes on.
#[derive(Debug)]
pub(super) struct TablePlan {
    /// Number of the view.
    pub(super) view: u16,
    /// The columns of all sources.
    pub(super) schema: Arc<Schema>,
    /// The columns that are kept of an event.
    pub(super) columns: Vec<usize>,
    /// The lanes of what is kept behind them.
    pub(super) lanes: Vec<u16>,
    pub(super) next: Next,
}

/// What a message without a value deletes: a key of this type, of a table or of what is looked up.
pub(super) struct Deletion<'a> {
    pub(super) key: &'a DataType,
    channel: usize,
    is_of_table: bool,
}

impl Deletion<'_> {
    /// That this key is deleted.
    pub(super) fn out(&self, key: Datum, stamp: Stamp) -> Out {
        if !self.is_of_table {
            return Out::Left(self.channel, key, Entry::deletion(stamp), Sums::one());
        }
        let version = Version {
            stamp,
            slot: None,
            columns: Box::default(),
        };
        Out::Table(self.channel, key, version)
    }
}

/// What a view looks up in a topic.
#[derive(Debug)]
pub struct VersionPlan {
    /// Number of the view.
    pub view: u16,
    /// The number of the arrangement.
    pub(super) channel: usize,
    /// Whether a message without a value deletes its key.
    pub(super) deletes: bool,
    /// The key of an event.
    pub(super) key: Expr,
    /// The columns that are kept.
    pub(super) columns: Vec<usize>,
}

impl VersionPlan {
    /// What a message without a value deletes, if it deletes anything.
    pub(super) fn deletion(&self) -> Option<Deletion<'_>> {
        self.deletes.then(|| Deletion {
            key: self.key.data_type(),
            channel: self.channel,
            is_of_table: false,
        })
    }

    /// The columns that it reads.
    pub(super) fn columns(&self) -> Vec<usize> {
        let kept = self.columns.iter().copied();
        self.key.columns().into_iter().chain(kept).collect()
    }

    /// What the rows of a batch are from now on.
    pub fn apply(
        &self,
        batch: &Batch,
        rows: &[usize],
        stamp: impl Fn(usize) -> Stamp,
        give: &mut impl FnMut(Out),
    ) {
        let keys = self.key.evaluate(batch);
        for &row in rows {
            if failure(&keys, row).is_some() || keys.is_null(row) {
                continue;
            }
            let columns = self.columns.iter().map(|column| batch.datum(*column, row));
            let entry = Entry::version(stamp(row), columns.collect());
            let key = keys.datum(self.key.data_type(), row);
            give(Out::Left(self.channel, key, entry, Sums::one()));
        }
    }
}
