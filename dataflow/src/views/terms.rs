//! What events, or what look-ups have made of them, add to the rows of a view.

use super::changes::Change;
use super::column::{Batch, Column, Values};
use super::expression::{Expr, failure};
use super::extremes::Extreme;
use super::key::Key;
use super::sums::{COUNT, Sums};
use model::{Datum, Slot, exact};
use std::borrow::Cow;

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

/// What an event of a view with look-ups adds up to before anything is looked up.
#[derive(Debug)]
pub(super) struct LeftLane {
    pub(super) lane: u16,
    pub(super) what: What,
    pub(super) filter: Option<Expr>,
}

impl LeftLane {
    pub(super) fn expressions(&self) -> impl Iterator<Item = &Expr> {
        self.what.expressions().into_iter().chain(&self.filter)
    }
}

impl Rows {
    /// All expressions that are evaluated.
    pub(super) fn expressions(&self) -> Vec<&Expr> {
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
    pub(super) fn apply(
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
pub(super) struct Evaluated<'a> {
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

    pub(super) fn of_lanes(lanes: &[LeftLane], batch: &'a Batch) -> LeftEvaluated<'a> {
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
        if !passes(self.filter.as_deref(), row) {
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
pub(super) struct LeftEvaluated<'a> {
    lanes: Vec<Evaluated<'a>>,
    may_fail: bool,
}

impl LeftEvaluated<'_> {
    /// Whether an expression fails on a row: then `failed` is called.
    pub(super) fn has_failed(&self, row: usize, failed: &mut dyn FnMut(usize, &str)) -> bool {
        if !self.may_fail {
            return false;
        }
        let why = self.lanes.iter().find_map(|lane| lane.failure(row));
        why.inspect(|why| failed(row, why)).is_some()
    }

    /// What a row adds up to.
    pub(super) fn left_sums(&self, lanes: &[LeftLane], row: usize) -> Sums {
        let mut sums = Sums::one();
        for (evaluated, lane) in self.lanes.iter().zip(lanes) {
            evaluated.add_to(&mut sums, lane.lane, 1, row);
        }
        sums
    }

    /// The same of one lane, as a value.
    pub(super) fn left_datum(&self, place: usize, lane: &LeftLane, row: usize) -> Datum {
        let mut sums = Sums::default();
        self.lanes[place].add_to(&mut sums, lane.lane, 1, row);
        let amount = sums.get(lane.lane);
        i64::try_from(amount).map_or_else(|_| Datum::decimal(amount, 0), Datum::long)
    }
}

/// Whether a filter, if there is one, lets a row pass.
#[inline]
fn passes(filter: Option<&Column>, row: usize) -> bool {
    filter.is_none_or(|filter| filter.is_true(row))
}

/// What [`LeftEvaluated::left_datum`] has made of an amount.
pub(super) fn amount(datum: &Datum) -> i128 {
    datum.get().in_units(0)
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
        let counts = passes(self.filter.as_deref(), row) && !self.of.is_null(row);
        counts.then(|| self.of.datum(of.data_type(), row))
    }

    fn with(&self, of: Option<&Expr>, row: usize) -> Datum {
        let with = self.with.as_ref().zip(of);
        with.map_or_else(Datum::null, |(column, of)| {
            column.datum(of.data_type(), row)
        })
    }
}
