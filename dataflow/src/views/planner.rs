//! From a view to how it is computed: which lanes its aggregates have, and which columns go how
//! far.
//!
//! **Aggregating below look-ups.** What an event adds to a sum is computed where it is read, if
//! its own columns suffice, and travels as a sum. A product of such a number and of something looked up
//! is taken where that is found. So events that are the same in all columns that are still needed become one
//! entry, however many there are.

use super::expression::Expr;
use super::lanes::{Aggregated, DistinctLanes, ExtremeLanes, Form, Lanes, Number, is_integer};
use super::plan::{Feed, Kind, LookupPlan, Next, OutKind, Table, TablePlan, VersionPlan};
use super::source::{MISSING, Schema};
use super::sums::COUNT;
use super::terms::{DistinctTerm, ExtremeTerm, LeftLane, Rows, Term, What};
use super::view::{Aggregate, Function, View};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How a view is computed.
pub(super) struct Planned {
    pub(super) lanes: Lanes,
    pub(super) feed: Feed,
    pub(super) table: Option<TablePlan>,
    pub(super) lookups: Vec<LookupPlan>,
    /// By look-up: what is kept of the topic that is looked up.
    pub(super) versions: Vec<VersionPlan>,
}

/// A column that a view uses and that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoColumn(pub(super) String);

/// Where the arrangements of a view are among those of all views.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// The number of the view.
    pub(super) view: u16,
    /// The number of its table, if it has one.
    pub(super) table: usize,
    /// That of its first look-up.
    pub(super) lookups: usize,
}

type Columns = BTreeSet<usize>;

fn columns_of<'a>(expressions: impl IntoIterator<Item = &'a Expr>) -> Columns {
    expressions
        .into_iter()
        .flat_map(|expression| expression.columns())
        .collect()
}

/// Plans a view.
///
/// # Errors
/// When it uses a column that is not there.
pub(super) fn plan(view: &View, place: Place) -> Result<Planned, NoColumn> {
    check_columns(view)?;
    let schema = Arc::new(view.schema());
    let joins = view.key.is_some() || !view.lookups.is_empty();
    let mut aggregates = Aggregates::new(view, joins);
    for aggregate in &view.aggregates {
        aggregates.add(aggregate);
    }
    let (rows, left, lanes) = aggregates.finish();
    if !joins {
        return Ok(Planned {
            lanes,
            feed: Feed::Rows(rows),
            table: None,
            lookups: Vec::new(),
            versions: Vec::new(),
        });
    }
    let joins = Joins::new(view, &schema, &rows, place);
    let next = joins.next(&(0..joins.parts.len()).collect::<Vec<_>>(), 0);
    let left_columns = joins.needed_before(0);
    let (feed, table) = match &view.key {
        None => (Feed::Left { lanes: left, next }, None),
        Some(key) => {
            let columns: Vec<_> = left_columns.into_iter().collect();
            let table = TablePlan {
                view: place.view,
                schema: Arc::clone(&schema),
                columns: columns.clone(),
                lanes: left.iter().map(|lane| lane.lane).collect(),
                next,
            };
            let feed = Table {
                channel: place.table,
                deletes: view.deletes,
                key: Arc::clone(key),
                columns,
                lanes: left,
            };
            (Feed::Table(feed), Some(table))
        }
    };
    let (lookups, versions) = joins.lookups();
    Ok(Planned {
        lanes,
        feed,
        table,
        lookups,
        versions,
    })
}

fn check_columns(view: &View) -> Result<(), NoColumn> {
    let arguments = view.aggregates.iter().flat_map(|aggregate| {
        let of = arguments(&aggregate.function);
        of.into_iter().chain(&aggregate.filter)
    });
    let groups = view.groups.iter().map(|(_, group)| group);
    let lookups = view
        .lookups
        .iter()
        .flat_map(|lookup| [&lookup.key, &lookup.by]);
    let fields = view.fields.iter().map(|(_, field)| field);
    let all = arguments.chain(groups).chain(lookups).chain(fields);
    let all = all.chain(&view.key).chain(&view.filter).chain(&view.having);
    let mut missing = all.filter(|expression| expression.columns().contains(&MISSING));
    match missing.next() {
        Some(expression) => Err(NoColumn(expression.to_string())),
        None => Ok(()),
    }
}

/// The expressions that an aggregate is of.
fn arguments(function: &Function) -> Vec<&Expr> {
    match function {
        Function::Count => Vec::new(),
        Function::CountOf(of)
        | Function::Sum(of)
        | Function::Average(of)
        | Function::CountDistinct(of)
        | Function::SumDistinct(of)
        | Function::Min(of)
        | Function::Max(of)
        | Function::All(of)
        | Function::Any(of) => vec![of],
        Function::SumOfProducts(one, other)
        | Function::ArgMin(one, other)
        | Function::ArgMax(one, other) => vec![one, other],
    }
}

/// The aggregates of a view, as they are given lanes.
struct Aggregates {
    /// How many columns the view's own source has.
    own: usize,
    /// Whether there is a table or a look-up.
    joins: bool,
    rows: Rows,
    left: Vec<LeftLane>,
    lanes: Lanes,
    next_lane: u16,
    next_left: u16,
    /// Lanes that several aggregates share, by what they count.
    shared: BTreeMap<String, u16>,
}

impl Aggregates {
    fn new(view: &View, joins: bool) -> Aggregates {
        Aggregates {
            own: view.source.columns.len(),
            joins,
            rows: Rows {
                groups: view
                    .groups
                    .iter()
                    .map(|(_, group)| Arc::clone(group))
                    .collect(),
                counts: true,
                ..Rows::default()
            },
            left: Vec::new(),
            lanes: Lanes::default(),
            next_lane: COUNT + 1,
            next_left: COUNT + 1,
            shared: BTreeMap::new(),
        }
    }

    fn lanes(&mut self, count: u16) -> u16 {
        let first = self.next_lane;
        self.next_lane += count;
        first
    }

    /// Whether all columns of these are of the view's own source.
    fn is_own<'a>(&self, expressions: impl IntoIterator<Item = &'a Expr>) -> bool {
        columns_of(expressions)
            .iter()
            .all(|column| *column < self.own)
    }

    /// Adds something up, in a lane of its own.
    fn term(&mut self, lanes: u16, what: What, filter: Option<&Expr>) -> u16 {
        let lane = self.lanes(lanes);
        let is_own = self.is_own(what.expressions().into_iter().chain(filter));
        let term = if self.joins && is_own && !matches!(what, What::Double(_)) {
            Term {
                lane,
                left: self.left_lane(what, filter),
                what: What::One,
                filter: None,
            }
        } else {
            Term {
                lane,
                left: COUNT,
                what,
                filter: filter.cloned(),
            }
        };
        self.rows.terms.push(term);
        lane
    }

    /// A lane of events, for all that need the same of them.
    fn left_lane(&mut self, what: What, filter: Option<&Expr>) -> u16 {
        let name = format!("left {what:?} {filter:?}");
        if let Some(lane) = self.shared.get(&name) {
            return *lane;
        }
        let lane = self.next_left;
        self.next_left += 1;
        self.shared.insert(name, lane);
        self.left.push(LeftLane {
            lane,
            what,
            filter: filter.cloned(),
        });
        lane
    }

    /// The lane that counts values of an expression: that of all events, where each has one.
    fn values(&mut self, of: Option<&Expr>, filter: Option<&Expr>) -> u16 {
        let of = of.filter(|of| of.is_nullable());
        if of.is_none() && filter.is_none() {
            return COUNT;
        }
        let name = format!("{of:?} {filter:?}");
        if let Some(lane) = self.shared.get(&name) {
            return *lane;
        }
        let what = of.map_or(What::One, |of| What::OneOf(Arc::clone(of)));
        let lane = self.term(1, what, filter);
        self.shared.insert(name, lane);
        lane
    }

    fn sum(&mut self, of: &Expr, filter: Option<&Expr>) -> (u16, u16, Number) {
        let number = Number::of(of.data_type());
        let what = match number {
            Number::Double => What::Double(Arc::clone(of)),
            Number::Long | Number::Decimal(_) => What::Integer(Arc::clone(of)),
        };
        let lane = self.term(number.lanes(), what, filter);
        (lane, self.values(Some(of), filter), number)
    }

    fn add(&mut self, aggregate: &Aggregate) {
        let filter = aggregate.filter.as_ref();
        let result = match &aggregate.function {
            Function::Count => Aggregated::Count(self.values(None, filter)),
            Function::CountOf(of) => Aggregated::Count(self.values(Some(of), filter)),
            Function::Sum(of) => {
                let (lane, values, of) = self.sum(of, filter);
                Aggregated::Sum { lane, values, of }
            }
            Function::Average(of) => {
                let (lane, values, of) = self.sum(of, filter);
                Aggregated::Average { lane, values, of }
            }
            Function::SumOfProducts(one, other) => self.products(one, other, filter),
            Function::CountDistinct(of) => {
                Aggregated::Count(self.distinct(of, filter, false).count)
            }
            Function::SumDistinct(of) => {
                let DistinctLanes { count, sum } = self.distinct(of, filter, true);
                let (lane, of) = sum.unwrap_or((count, Number::Long));
                let values = count;
                Aggregated::Sum { lane, values, of }
            }
            Function::All(of) => Aggregated::IsZero {
                lane: self.term(1, What::OneIf(Arc::clone(of), false), filter),
                values: self.values(Some(of), filter),
            },
            Function::Any(of) => Aggregated::IsNotZero {
                lane: self.term(1, What::OneIf(Arc::clone(of), true), filter),
                values: self.values(Some(of), filter),
            },
            Function::Min(by) => self.first(false, by, None, filter),
            Function::Max(by) => self.first(true, by, None, filter),
            Function::ArgMin(with, by) => self.first(false, by, Some(with), filter),
            Function::ArgMax(with, by) => self.first(true, by, Some(with), filter),
        };
        self.lanes.results.push(result);
    }

    fn products(&mut self, one: &Expr, other: &Expr, filter: Option<&Expr>) -> Aggregated {
        let scale = |of: &Expr| match Number::of(of.data_type()) {
            Number::Decimal(scale) => scale,
            Number::Long | Number::Double => 0,
        };
        let of = match scale(one) + scale(other) {
            0 => Number::Long,
            scale => Number::Decimal(scale),
        };
        let is_own = self.is_own([one].into_iter().chain(filter));
        let (left, what, values, filter) = if self.joins && is_own {
            let left = self.left_lane(What::Integer(Arc::clone(one)), filter);
            let counted = match one.is_nullable() || filter.is_some() {
                true => {
                    let what = match one.is_nullable() {
                        true => What::OneOf(Arc::clone(one)),
                        false => What::One,
                    };
                    self.left_lane(what, filter)
                }
                false => COUNT,
            };
            (left, What::Integer(Arc::clone(other)), counted, None)
        } else {
            let what = What::Product(Arc::clone(one), Arc::clone(other));
            (COUNT, what, COUNT, filter)
        };
        let lane = self.lanes(1);
        self.rows.terms.push(Term {
            lane,
            left,
            what,
            filter: filter.cloned(),
        });
        let counted = self.lanes(1);
        // Where the first may be NULL and was not counted before, both have to be there.
        let is_counted = values != COUNT || !one.is_nullable();
        self.rows.terms.push(Term {
            lane: counted,
            left: values,
            what: match is_counted {
                true => What::OneOf(Arc::clone(other)),
                false => What::BothOf(Arc::clone(one), Arc::clone(other)),
            },
            filter: filter.cloned(),
        });
        let values = counted;
        Aggregated::Sum { lane, values, of }
    }

    fn distinct(&mut self, of: &Expr, filter: Option<&Expr>, sums: bool) -> DistinctLanes {
        let count = self.lanes(1);
        let number = Number::of(of.data_type());
        let sum = sums.then(|| (self.lanes(number.lanes()), number));
        let lanes = DistinctLanes { count, sum };
        self.rows.distinct.push(DistinctTerm {
            number: self.lanes.distinct.len(),
            of: Arc::clone(of),
            filter: filter.cloned(),
        });
        self.lanes.distinct.push(lanes.clone());
        lanes
    }

    fn first(
        &mut self,
        is_descending: bool,
        by: &Expr,
        with: Option<&Expr>,
        filter: Option<&Expr>,
    ) -> Aggregated {
        let place = self.lanes.extremes.len();
        let value = with.unwrap_or(by);
        // What orders is never NULL: that does not count.
        let fits = is_integer(value.data_type()) && with.is_none_or(|with| !with.is_nullable());
        let present = self.lanes(1);
        let (first, form) = match fits {
            true => (self.lanes(1), Form::Integer(value.data_type().clone())),
            // Where they are is decided when all others have theirs.
            false => (0, Form::Bytes(0)),
        };
        self.lanes.extremes.push(ExtremeLanes {
            present,
            first,
            form,
            is_with: with.is_some(),
            is_kept_all: self.joins,
        });
        self.rows.extremes.push(ExtremeTerm {
            // A view has no more aggregates than lanes.
            number: u16::try_from(place).unwrap_or(u16::MAX),
            is_descending,
            by: Arc::clone(by),
            with: with.cloned(),
            filter: filter.cloned(),
        });
        Aggregated::First(place)
    }

    fn finish(mut self) -> (Rows, Vec<LeftLane>, Lanes) {
        let open = |lanes: &ExtremeLanes| matches!(lanes.form, Form::Bytes(_));
        let count = self
            .lanes
            .extremes
            .iter()
            .filter(|lanes| open(lanes))
            .count();
        let count = u16::try_from(count).unwrap_or(u16::MAX).max(1);
        let room = (u16::MAX - self.next_lane) / count;
        for lanes in self.lanes.extremes.iter_mut().filter(|lanes| open(lanes)) {
            lanes.first = self.next_lane;
            lanes.form = Form::Bytes(room);
            self.next_lane += room;
        }
        (self.rows, self.left, self.lanes)
    }
}

/// A part of what a view computes of its rows, which may go its own way through look-ups.
struct RowsPart {
    rows: Rows,
    /// The columns that it needs.
    columns: Columns,
}

/// How events go through look-ups.
struct Joins<'a> {
    view: &'a View,
    schema: &'a Arc<Schema>,
    place: Place,
    /// What is added up first; then each member and each first value.
    parts: Vec<RowsPart>,
    /// By look-up, the kinds of entries: which parts each is for.
    kinds: Vec<Vec<Vec<usize>>>,
}

impl<'a> Joins<'a> {
    fn new(view: &'a View, schema: &'a Arc<Schema>, rows: &Rows, place: Place) -> Joins<'a> {
        let groups = columns_of(&rows.groups);
        let mut parts = Vec::new();
        let mut add = |rows: Rows, of: Vec<&Expr>| {
            let columns = groups.iter().copied().chain(columns_of(of)).collect();
            parts.push(RowsPart { rows, columns });
        };
        let bare = Rows {
            groups: rows.groups.clone(),
            ..Rows::default()
        };
        let of_terms = rows.terms.iter();
        let of_terms =
            of_terms.flat_map(|term| term.what.expressions().into_iter().chain(&term.filter));
        let linear = Rows {
            counts: true,
            terms: rows.terms.clone(),
            ..bare.clone()
        };
        add(linear, of_terms.collect());
        for term in &rows.distinct {
            let of = [&term.of].into_iter().chain(&term.filter).collect();
            let distinct = vec![term.clone()];
            add(
                Rows {
                    distinct,
                    ..bare.clone()
                },
                of,
            );
        }
        for term in &rows.extremes {
            let of = [&term.by]
                .into_iter()
                .chain(&term.with)
                .chain(&term.filter)
                .collect();
            let extremes = vec![term.clone()];
            add(
                Rows {
                    extremes,
                    ..bare.clone()
                },
                of,
            );
        }
        let mut joins = Joins {
            view,
            schema,
            place,
            parts,
            kinds: Vec::new(),
        };
        let mut before = vec![(0..joins.parts.len()).collect::<Vec<_>>()];
        for lookup in 0..view.lookups.len() {
            // Parts that need the same columns go together, unless they have been parted before.
            let mut kinds = Vec::new();
            for together in &before {
                let mut by_columns: BTreeMap<Columns, Vec<usize>> = BTreeMap::new();
                for part in together {
                    let columns = joins.entry_columns(*part, lookup);
                    by_columns.entry(columns).or_default().push(*part);
                }
                kinds.extend(by_columns.into_values());
            }
            before.clone_from(&kinds);
            joins.kinds.push(kinds);
        }
        joins
    }

    /// The columns that look-ups from number `from` on are by.
    fn by_columns(&self, from: usize) -> Columns {
        columns_of(self.view.lookups.iter().skip(from).map(|lookup| &lookup.by))
    }

    /// How many columns there are before a look-up.
    fn available(&self, lookup: usize) -> usize {
        match lookup < self.view.lookups.len() {
            true => self.schema.of_lookup(lookup).start,
            false => self.schema.len(),
        }
    }

    /// The columns that are needed of what there is before a look-up.
    fn needed_before(&self, lookup: usize) -> Columns {
        let parts = self
            .parts
            .iter()
            .flat_map(|part| part.columns.iter().copied());
        let needed = parts.chain(self.by_columns(lookup));
        let available = self.available(lookup);
        needed.filter(|column| *column < available).collect()
    }

    /// The column that is the key of a look-up, if it is one.
    fn key_column(&self, lookup: usize) -> Option<usize> {
        let by = &self.view.lookups[lookup].by;
        match (by.columns().as_slice(), by.is_column()) {
            ([column], true) => Some(*column),
            _ => None,
        }
    }

    /// The columns that entries of a look-up keep for a part.
    fn entry_columns(&self, part: usize, lookup: usize) -> Columns {
        let needed = self.parts[part].columns.iter().copied();
        let needed = needed.chain(self.by_columns(lookup + 1));
        let (available, key) = (self.available(lookup), self.key_column(lookup));
        needed
            .filter(|column| *column < available && Some(*column) != key)
            .collect()
    }

    /// Where parts that have come together to look-up number `lookup` go: to it, or to rows.
    fn next(&self, together: &[usize], lookup: usize) -> Next {
        let Some(of_lookup) = self.view.lookups.get(lookup) else {
            return Next::Rows(self.rows(together));
        };
        let kinds = (0..).zip(&self.kinds[lookup]);
        let kinds = kinds.filter(|(_, kind)| kind.iter().all(|part| together.contains(part)));
        let kinds = kinds.map(|(number, kind)| OutKind {
            kind: number,
            columns: self.entry_columns(kind[0], lookup).into_iter().collect(),
            counts_only: !kind.contains(&0),
        });
        Next::Lookup {
            channel: self.place.lookups + lookup,
            by: Arc::clone(&of_lookup.by),
            kinds: kinds.collect(),
        }
    }

    fn rows(&self, together: &[usize]) -> Rows {
        let mut all = Rows {
            groups: self.parts[0].rows.groups.clone(),
            ..Rows::default()
        };
        for part in together.iter().map(|part| &self.parts[*part].rows) {
            all.counts |= part.counts;
            all.terms.extend_from_slice(&part.terms);
            all.distinct.extend_from_slice(&part.distinct);
            all.extremes.extend_from_slice(&part.extremes);
        }
        all
    }

    fn lookups(&self) -> (Vec<LookupPlan>, Vec<VersionPlan>) {
        let mut lookups = Vec::new();
        let mut versions = Vec::new();
        for (number, lookup) in self.view.lookups.iter().enumerate() {
            let found = self.schema.of_lookup(number);
            let later = self.by_columns(number + 1);
            let of_parts = self.parts.iter().flat_map(|part| &part.columns);
            let kept: Columns = of_parts
                .chain(&later)
                .copied()
                .filter(|column| found.contains(column))
                .collect();
            let kept: Vec<_> = kept.into_iter().collect();
            let kinds = self.kinds[number].iter().map(|kind| {
                let is_used = |column: &usize| {
                    let of_part = |part: &usize| self.parts[*part].columns.contains(column);
                    later.contains(column) || kind.iter().any(of_part)
                };
                let places = kept.iter().enumerate();
                Kind {
                    columns: self.entry_columns(kind[0], number).into_iter().collect(),
                    uses: places
                        .filter(|(_, column)| is_used(column))
                        .map(|(place, _)| place)
                        .collect(),
                    next: self.next(kind, number + 1),
                }
            });
            let channel = self.place.lookups + number;
            lookups.push(LookupPlan {
                view: self.place.view,
                channel,
                stage: number + 1,
                schema: Arc::clone(self.schema),
                key: self.key_column(number),
                is_inner: lookup.is_inner,
                kinds: kinds.collect(),
                version: kept.clone(),
            });
            versions.push(VersionPlan {
                view: self.place.view,
                channel,
                deletes: lookup.deletes,
                key: Arc::clone(&lookup.key),
                columns: kept.iter().map(|column| column - found.start).collect(),
            });
        }
        (lookups, versions)
    }
}
