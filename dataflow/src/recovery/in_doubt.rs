//! What an earlier run has written, and this one may have to take back.

use super::{PlanError, Sources};
use crate::Epoch;
use crate::recovery::start::Start;
use crate::sink::Place;
use crate::views::definition::Definition;
use crate::views::key::Key;
use crate::views::row;
use model::fail_point;
use sinks::{Progress, RowId};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::thread::{self, ScopedJoinHandle};

impl Sources<'_> {
    /// What an earlier run has written after the epoch `through`.
    pub(super) fn in_doubt(&self, through: Epoch, start: &mut Start) -> Result<(), PlanError> {
        let rebuilt = self.named(start.in_place.iter().copied().collect());
        let letters = thread::scope(|scope| {
            let letters = thread::Builder::new().name("in-doubt".to_owned());
            let letters = letters.spawn_scoped(scope, || self.letters_after(through, &rebuilt));
            let rows = self.rows_after(&|_| through, &|_| true, start);
            let rows = rows.and_then(|()| match start.loading.is_some() {
                true => self.stored(start),
                false => Ok(()),
            });
            let letters = joined(letters);
            rows.and(letters)
        })?;
        start.letters = letters.into();
        Ok(())
    }

    /// The same where everything is read again. Of most views every row comes again;
    /// only where events are joined, or rows have a condition, do they come and go.
    pub(super) fn in_doubt_without(
        &self,
        progress: &Progress,
        start: &mut Start,
    ) -> Result<(), PlanError> {
        let joins = |view: &Definition| !view.joins.is_empty() || view.has_condition();
        let after = |view: &Definition| if joins(view) { 0 } else { progress.epoch };
        self.rows_after(&after, &joins, start)
    }

    /// Those of `rebuilt` views are left out: all that they shall have are written anew.
    fn letters_after(
        &self,
        through: Epoch,
        rebuilt: &BTreeSet<String>,
    ) -> Result<BTreeMap<Place, Vec<String>>, PlanError> {
        let mut letters: BTreeMap<Place, Vec<String>> = BTreeMap::new();
        self.reader.letters_after(through, &mut |letter| {
            if letter.view.is_some_and(|view| rebuilt.contains(&view)) {
                return;
            }
            let mut topics = self.topics.iter();
            if let Some(topic) = topics.position(|name| *name == letter.topic) {
                let place = (topic, letter.partition);
                letters.entry(place).or_default().push(letter.id);
            }
        })?;
        Ok(letters)
    }

    /// Rows of later epochs than `after`: those that are open and may not come again,
    /// in the views that are `doubted`, and those that are final. Of the latter, what
    /// has been published is known without them.
    ///
    /// There is no index by epoch, since each write would have to move its row there: the
    /// database looks at every row. So it is asked for all views at once.
    fn rows_after(
        &self,
        after: &(dyn Fn(&Definition) -> Epoch + Sync),
        doubted: &(dyn Fn(&Definition) -> bool + Sync),
        start: &mut Start,
    ) -> Result<(), PlanError> {
        let (published, rebuilt) = (&start.views, &start.in_place);
        let found = thread::scope(|scope| {
            let views = (0_u16..).zip(&self.catalog.definitions);
            // Whatever is there of a view that is rebuilt is replaced.
            let views = views.filter(|(number, _)| !rebuilt.contains(number));
            let asked: Vec<_> = views
                .map(|(number, view)| {
                    let published = published.get(&view.name);
                    let published = published.map(|published| published.final_until);
                    let ask = move || self.view_after(number, view, after, doubted, published);
                    let thread = thread::Builder::new().name("in-doubt".to_owned());
                    thread.spawn_scoped(scope, ask)
                })
                .collect();
            let mut all = Doubt::default();
            for asked in asked {
                let Doubt { keys, finals } = joined(asked)?;
                all.keys.extend(keys);
                all.finals.extend(finals);
                fail_point("start.doubted");
            }
            Ok::<_, PlanError>(all)
        })?;
        start.in_doubt = found.keys.into();
        start.finals = found.finals.into();
        Ok(())
    }

    fn view_after(
        &self,
        number: u16,
        view: &Definition,
        after: &(dyn Fn(&Definition) -> Epoch + Sync),
        doubted: &(dyn Fn(&Definition) -> bool + Sync),
        published: Option<i64>,
    ) -> Result<Doubt, PlanError> {
        let (table, doubted) = (usize::from(number), doubted(view));
        let mut found = Doubt::default();
        self.reader
            .written_after(table, after(view), &mut |stored| {
                let key = row::key(view, number, &stored.values);
                if stored.is_final {
                    let end = key.map(|key| view.window.end_millis(key.slot.index()));
                    if end.is_none_or(|end| published.is_none_or(|published| end > published)) {
                        let id = stored.id;
                        found.finals.insert(RowId { table, id });
                    }
                } else if doubted {
                    found.keys.extend(key);
                }
            })?;
        Ok(found)
    }
}

/// What has been found of one view, or of all.
#[derive(Default)]
struct Doubt {
    keys: Vec<Key>,
    finals: HashSet<RowId>,
}

/// What a thread has found. Its panic is this thread's, too.
pub(super) fn joined<T>(
    thread: io::Result<ScopedJoinHandle<'_, Result<T, PlanError>>>,
) -> Result<T, PlanError> {
    let thread = thread.map_err(PlanError::Thread)?;
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
