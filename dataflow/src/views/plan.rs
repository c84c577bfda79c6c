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
use super::column::{Batch, Column, Values};
use super::expression::{Expr, failure};
use super::extremes::Extreme;
use super::join::{Entry, Version};
use super::key::Key;
use super::lanes::Number;
use super::source::Schema;
use super::sums::{COUNT, Sums};
use crate::time::Refusal;
use model::exact;
use model::{DataType, Datum, Slot, Stamp};
use std::borrow::Cow;
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

/// What an event of a view with look-ups adds up to before anything is looked up.
#[derive(Debug)]
pub(super) struct LeftLane {
    pub(super) lane: u16,
    pub(super) what: What,
    pub(super) filter: Option<Expr>,
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

/// What events, or what look-ups have made of them, add to rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    pub(super) groups: Vec<Expr>,
    /// Whether they count, and `terms` are added.
    pub(super) counts: bool,
    pub(super) terms: Vec<Term>,
    pub(super) distinct: Vec<DistinctTerm>,
    pub(super) extremes: Vec<ExtremeTerm>,
}

/// Something added up: what a lane of the event holds, times a value.
#[derive(Clone, Debug)]
pub(super) struct Term {
    /// The first lane of the row.
    pub(super) lane: u16,
    /// The lane of the event, of [`LeftLane`]s.
    pub(super) left: u16,
    pub(super) what: What,
    pub(super) filter: Option<Expr>,
}

/// A value, by which something is multiplied. NULL makes it nothing.
#[derive(Clone, Debug)]
pub(super) enum What {
    One,
    /// One, where this is not NULL.
    OneOf(Expr),
    /// One, where this is true.
    OneIf(Expr, bool),
    Integer(Expr),
    Product(Expr, Expr),
    /// One, where neither is NULL.
    BothOf(Expr, Expr),
    Double(Expr),
}

impl What {
    /// What it is computed of.
    pub(super) fn expressions(&self) -> Vec<&Expr> {
        match self {
            What::One => Vec::new(),
            What::OneOf(of) | What::OneIf(of, _) | What::Integer(of) | What::Double(of) => vec![of],
            What::Product(one, other) | What::BothOf(one, other) => vec![one, other],
        }
    }
}

/// A member of a row.
#[derive(Clone, Debug)]
pub(super) struct DistinctTerm {
    /// The number of the arrangement.
    pub(super) number: usize,
    pub(super) of: Expr,
    pub(super) filter: Option<Expr>,
}

/// A value of which a row keeps the first.
#[derive(Clone, Debug)]
pub(super) struct ExtremeTerm {
    pub(super) number: u16,
    pub(super) is_descending: bool,
    pub(super) by: Expr,
    pub(super) with: Option<Expr>,
    pub(super) filter: Option<Expr>,
}

/// Rows of a batch, each with the window that it is in.
pub struct Input<'a> {
    /// The batch.
    pub batch: &'a Batch,
    /// Its rows that count, in order, and their windows.
    pub rows: &'a [(usize, Slot)],
    /// What each of `rows` adds up to; one event where there is nothing.
    pub left: Option<&'a [Sums]>,
    /// Whether an expression that fails on a row is NULL there; else the row comes to nothing.
    pub failures_are_null: bool,
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
    /// The type of the keys that messages without a value delete, if they do.
    pub(super) fn deletes(&self) -> Option<&DataType> {
        match &self.feed {
            Feed::Table(table) if table.deletes => Some(table.key.data_type()),
            _ => None,
        }
    }

    /// A key is deleted.
    pub(super) fn delete(&self, key: Datum, stamp: Stamp, give: &mut impl FnMut(Out)) {
        if let Feed::Table(table) = &self.feed {
            let version = Version {
                stamp,
                slot: None,
                columns: Box::default(),
            };
            give(Out::Table(table.channel, key, version));
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

impl LeftLane {
    fn expressions(&self) -> impl Iterator<Item = &Expr> {
        self.what.expressions().into_iter().chain(&self.filter)
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

impl Rows {
    fn expressions(&self) -> Vec<&Expr> {
        let terms = self
            .terms
            .iter()
            .flat_map(|term| term.what.expressions().into_iter().chain(&term.filter));
        let distinct = self
            .distinct
            .iter()
            .flat_map(|term| [&term.of].into_iter().chain(&term.filter));
        let extremes = self.extremes.iter();
        let extremes =
            extremes.flat_map(|term| [&term.by].into_iter().chain(&term.with).chain(&term.filter));
        self.groups
            .iter()
            .chain(terms)
            .chain(distinct)
            .chain(extremes)
            .collect()
    }

    /// What rows of a batch add to rows of the view.
    fn apply(
        &self,
        input: &Input<'_>,
        failed: &mut dyn FnMut(usize, &str),
        give: &mut impl FnMut(Change),
    ) {
        let batch = input.batch;
        let groups: Vec<_> = self
            .groups
            .iter()
            .map(|group| group.evaluate(batch))
            .collect();
        let terms: Vec<_> = self
            .terms
            .iter()
            .map(|term| Evaluated::of(&term.what, term.filter.as_ref(), batch))
            .collect();
        let distinct: Vec<_> = self
            .distinct
            .iter()
            .map(|term| Argument::of(&term.of, None, term.filter.as_ref(), batch))
            .collect();
        let extremes: Vec<_> = self
            .extremes
            .iter()
            .map(|term| Argument::of(&term.by, term.with.as_ref(), term.filter.as_ref(), batch))
            .collect();
        let has_failed = groups.iter().any(|column| !column.failed.is_empty())
            || terms.iter().any(Evaluated::may_fail)
            || distinct.iter().chain(&extremes).any(Argument::may_fail);
        let may_fail = has_failed && !input.failures_are_null;
        for (place, &(row, slot)) in input.rows.iter().enumerate() {
            if may_fail {
                let of_groups = groups.iter().find_map(|column| failure(column, row));
                let of_terms = || terms.iter().find_map(|term| term.failure(row));
                let of_others = || {
                    distinct
                        .iter()
                        .chain(&extremes)
                        .find_map(|argument| argument.failure(row))
                };
                if let Some(why) = of_groups.or_else(of_terms).or_else(of_others) {
                    failed(row, why);
                    continue;
                }
            }
            let value = |group: usize| groups[group].datum(self.groups[group].data_type(), row);
            let key = match groups.len() {
                1 => Key::of_one(slot, value(0)),
                2 => Key::of_two(slot, value(0), value(1)),
                count => Key::new(slot, &(0..count).map(value).collect::<Vec<_>>()),
            };
            let left = input.left.map(|sums| &sums[place]);
            let times = left.map_or(1, Sums::count);
            for (term, argument) in self.distinct.iter().zip(&distinct) {
                if let Some(member) = argument.value(&term.of, row) {
                    // A count of events fits a machine word, as they fit memory.
                    let times = isize::try_from(times).unwrap_or(0);
                    give(Change::Member(term.number, key.clone(), member, times));
                }
            }
            for (term, argument) in self.extremes.iter().zip(&extremes) {
                if let Some(by) = argument.value(&term.by, row) {
                    let extreme = Extreme {
                        number: term.number,
                        is_descending: term.is_descending,
                        by,
                        with: argument.with(term.with.as_ref(), row),
                    };
                    let times = isize::try_from(times).unwrap_or(0);
                    give(Change::Extreme(key.clone(), extreme, times));
                }
            }
            if self.counts {
                let mut sums = match left {
                    None => Sums::one(),
                    Some(left) => Sums::of_lane(COUNT, left.get(COUNT)),
                };
                for (term, evaluated) in self.terms.iter().zip(&terms) {
                    let factor = left.map_or(1, |left| left.get(term.left));
                    evaluated.add_to(&mut sums, term.lane, factor, row);
                }
                give(Change::Sums(key, sums));
            }
        }
    }
}

/// The columns of a [`What`], evaluated.
struct Evaluated<'a> {
    what: Value<'a>,
    filter: Option<Cow<'a, Column>>,
}

enum Value<'a> {
    One,
    OneOf(Cow<'a, Column>),
    OneIf(Cow<'a, Column>, bool),
    Integer(Cow<'a, Column>),
    Product(Cow<'a, Column>, Cow<'a, Column>),
    BothOf(Cow<'a, Column>, Cow<'a, Column>),
    Double(Cow<'a, Column>),
}

impl<'a> Evaluated<'a> {
    fn of(what: &What, filter: Option<&Expr>, batch: &'a Batch) -> Evaluated<'a> {
        let what = match what {
            What::One => Value::One,
            What::OneOf(of) => Value::OneOf(of.evaluate(batch)),
            What::OneIf(of, is) => Value::OneIf(of.evaluate(batch), *is),
            What::Integer(of) => Value::Integer(of.evaluate(batch)),
            What::Product(one, other) => Value::Product(one.evaluate(batch), other.evaluate(batch)),
            What::BothOf(one, other) => Value::BothOf(one.evaluate(batch), other.evaluate(batch)),
            What::Double(of) => Value::Double(of.evaluate(batch)),
        };
        let filter = filter.map(|filter| filter.evaluate(batch));
        Evaluated { what, filter }
    }

    fn of_lanes(lanes: &[LeftLane], batch: &'a Batch) -> LeftEvaluated<'a> {
        let lanes = lanes.iter();
        let lanes: Vec<_> = lanes
            .map(|lane| Evaluated::of(&lane.what, lane.filter.as_ref(), batch))
            .collect();
        let may_fail = lanes.iter().any(Evaluated::may_fail);
        LeftEvaluated { lanes, may_fail }
    }

    fn columns(&self) -> impl Iterator<Item = &Column> {
        let (one, other) = match &self.what {
            Value::One => (None, None),
            Value::OneOf(of) | Value::OneIf(of, _) | Value::Integer(of) | Value::Double(of) => {
                (Some(of), None)
            }
            Value::Product(one, other) | Value::BothOf(one, other) => (Some(one), Some(other)),
        };
        let all = one.into_iter().chain(other).chain(&self.filter);
        all.map(AsRef::as_ref)
    }

    fn may_fail(&self) -> bool {
        self.columns().any(|column| !column.failed.is_empty())
    }

    fn failure(&self, row: usize) -> Option<&str> {
        self.columns().find_map(|column| failure(column, row))
    }

    /// Adds `factor` times its value to a lane; to those of doubles, from that one on.
    #[inline]
    fn add_to(&self, sums: &mut Sums, lane: u16, factor: i128, row: usize) {
        if self
            .filter
            .as_ref()
            .is_some_and(|filter| !filter.is_true(row))
        {
            return;
        }
        match &self.what {
            Value::One => sums.add(lane, factor),
            Value::OneOf(of) if !of.is_null(row) => sums.add(lane, factor),
            Value::OneIf(of, is) if !of.is_null(row) && of.is_true(row) == *is => {
                sums.add(lane, factor);
            }
            Value::Integer(of) if !of.is_null(row) => {
                sums.add(lane, factor.wrapping_mul(of.integer(row)));
            }
            Value::Product(one, other) if !one.is_null(row) && !other.is_null(row) => {
                let product = one.integer(row).wrapping_mul(other.integer(row));
                sums.add(lane, factor.wrapping_mul(product));
            }
            Value::BothOf(one, other) if !one.is_null(row) && !other.is_null(row) => {
                sums.add(lane, factor);
            }
            Value::Double(of) if !of.is_null(row) => {
                if let Values::Doubles(values) = &of.values
                    && let Some((place, amount)) = exact::double_lane(values[row])
                {
                    sums.add(lane + place, amount.wrapping_mul(factor));
                }
            }
            _ => {}
        }
    }
}

/// What the rows of a batch add up to before anything is looked up.
struct LeftEvaluated<'a> {
    lanes: Vec<Evaluated<'a>>,
    may_fail: bool,
}

impl LeftEvaluated<'_> {
    fn has_failed(&self, row: usize, failed: &mut dyn FnMut(usize, &str)) -> bool {
        if !self.may_fail {
            return false;
        }
        let why = self.lanes.iter().find_map(|lane| lane.failure(row));
        why.inspect(|why| failed(row, why)).is_some()
    }

    fn left_sums(&self, lanes: &[LeftLane], row: usize) -> Sums {
        let mut sums = Sums::one();
        for (evaluated, lane) in self.lanes.iter().zip(lanes) {
            evaluated.add_to(&mut sums, lane.lane, 1, row);
        }
        sums
    }

    /// The same of one lane, as a value.
    fn left_datum(&self, place: usize, lane: &LeftLane, row: usize) -> Datum {
        let mut sums = Sums::default();
        self.lanes[place].add_to(&mut sums, lane.lane, 1, row);
        let amount = sums.get(lane.lane);
        i64::try_from(amount).map_or_else(|_| Datum::decimal(amount, 0), Datum::long)
    }
}

/// What [`LeftEvaluated::left_datum`] has made of an amount.
pub(super) fn amount(datum: &Datum) -> i128 {
    match datum.get() {
        model::Scalar::Long(_) => Number::Long.integer(datum.get()),
        _ => Number::Decimal(0).integer(datum.get()),
    }
}

/// What an aggregate is of that is not added up.
struct Argument<'a> {
    of: Cow<'a, Column>,
    with: Option<Cow<'a, Column>>,
    filter: Option<Cow<'a, Column>>,
}

impl<'a> Argument<'a> {
    fn of(of: &Expr, with: Option<&Expr>, filter: Option<&Expr>, batch: &'a Batch) -> Argument<'a> {
        Argument {
            of: of.evaluate(batch),
            with: with.map(|with| with.evaluate(batch)),
            filter: filter.map(|filter| filter.evaluate(batch)),
        }
    }

    fn columns(&self) -> impl Iterator<Item = &Column> {
        let all = std::iter::once(&self.of)
            .chain(&self.with)
            .chain(&self.filter);
        all.map(AsRef::as_ref)
    }

    fn may_fail(&self) -> bool {
        self.columns().any(|column| !column.failed.is_empty())
    }

    fn failure(&self, row: usize) -> Option<&str> {
        self.columns().find_map(|column| failure(column, row))
    }

    /// Its value in a row that counts.
    #[inline]
    fn value(&self, of: &Expr, row: usize) -> Option<Datum> {
        let is_filtered = self
            .filter
            .as_ref()
            .is_some_and(|filter| !filter.is_true(row));
        let counts = !is_filtered && !self.of.is_null(row);
        counts.then(|| self.of.datum(of.data_type(), row))
    }

    fn with(&self, of: Option<&Expr>, row: usize) -> Datum {
        let with = self.with.as_ref().zip(of);
        with.map_or_else(Datum::null, |(column, of)| {
            column.datum(of.data_type(), row)
        })
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
    /// The type of the keys that messages without a value delete, if they do.
    pub(super) fn deletes(&self) -> Option<&DataType> {
        self.deletes.then(|| self.key.data_type())
    }

    /// A key is deleted.
    pub(super) fn delete(&self, key: Datum, stamp: Stamp, give: &mut impl FnMut(Out)) {
        give(Out::Left(
            self.channel,
            key,
            Entry::deletion(stamp),
            Sums::one(),
        ));
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
