//! A database in memory that ends a run between any two writes, and watches that
//! nothing goes back.

#![allow(dead_code, reason = "each test uses a part of it")]

use dataflow::pipeline::{About, PipelineError, Writers};
use dataflow::views::Catalog;
use end_to_end::oracle::Limits;
use sinks::{
    Batch, DeadLetter, Expect, Holder, IdValue, LetterCount, LetterQuery, Progress, Query, Reader,
    Row, RowId, SinkError, Standing, StoredLetter, StoredRow, Total, Totals, Value, WriteIntent,
    Writer,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct Contents {
    generation: u64,
    rows: HashMap<RowId, Row>,
    letters: BTreeMap<String, (StoredLetter, &'static str)>,
    progress: Option<Progress>,
    reaching: WriteIntent,
    definitions: BTreeMap<String, String>,
    counted: Option<LetterCount>,
    /// Tables, and views, that are being emptied.
    emptied: BTreeSet<(usize, String)>,
    /// Tables that are rebuilt in place, by a run whose first epoch is this.
    rebuilt: BTreeMap<usize, u64>,
}

/// The database.
pub(crate) struct Database {
    contents: Mutex<Contents>,
    /// By table: the place of a value that only grows, where there is one.
    growing: Vec<Option<usize>>,
    as_one: bool,
}

const THE_END: &str = "the run ends here";

/// Whether a run failed because it was to end.
pub(crate) fn is_the_end(error: &PipelineError) -> bool {
    error.to_string().contains(THE_END)
}

fn the_end() -> SinkError {
    SinkError::BadQuery {
        detail: THE_END.to_owned(),
    }
}

impl Database {
    /// Empty, for the views of `catalog`. `as_one`: it takes an epoch as a whole.
    pub(crate) fn new(catalog: &Catalog, as_one: bool) -> Database {
        let growing = catalog.definitions.iter().map(|view| {
            // The first aggregate counts events, except an average.
            let first = view.window_columns() + view.groups.len();
            let counts = view.joins.is_empty() && view.name != "product_analysis";
            counts.then_some(first)
        });
        Database {
            contents: Mutex::default(),
            growing: growing.collect(),
            as_one,
        }
    }

    /// A new generation; older ones write nothing any more.
    pub(crate) fn claim(&self) -> u64 {
        let mut contents = self.contents.lock().unwrap();
        contents.generation += 1;
        contents.generation
    }

    /// Records what rows are rows of.
    pub(crate) fn define(&self, definitions: BTreeMap<String, String>) {
        self.contents.lock().unwrap().definitions = definitions;
    }

    /// A run has ended because of too many dead letters, and has counted and written these; or well.
    pub(crate) fn end(&self, counted: Option<LetterCount>) {
        self.contents.lock().unwrap().counted = counted;
    }

    /// Somebody deletes each open row of which this says so, by its number in the order of ids.
    pub(crate) fn delete_open(&self, deletes: impl Fn(usize) -> bool) {
        let mut contents = self.contents.lock().unwrap();
        let open = contents.rows.values().filter(|row| !row.is_final);
        let open: BTreeSet<RowId> = open.map(|row| row.id.clone()).collect();
        for (_, id) in open.into_iter().enumerate().filter(|(n, _)| deletes(*n)) {
            contents.rows.remove(&id);
        }
    }

    /// All rows, and the ids and reasons of all dead letters.
    pub(crate) fn contents(&self) -> (Vec<Row>, BTreeSet<(String, &'static str)>) {
        let contents = self.contents.lock().unwrap();
        let letters = contents.letters.iter();
        let letters = letters.map(|(id, (_, reason))| (id.clone(), *reason));
        (contents.rows.values().cloned().collect(), letters.collect())
    }

    /// Which timestamps were believed.
    pub(crate) fn limits(&self) -> Limits {
        let contents = self.contents.lock().unwrap();
        let recorded = standing(&contents).limits().cloned().unwrap_or_default();
        let mut limits = Limits::new();
        for (topic, partitions) in recorded {
            for (partition, of_partition) in partitions {
                let pairs = of_partition.iter().map(|limit| (limit.offset, limit.until));
                limits.insert((topic.clone(), partition), pairs.collect());
            }
        }
        limits
    }

    /// From now on, rows of these tables that are of epochs before `first` may go or become others.
    pub(crate) fn rebuild(&self, tables: impl Iterator<Item = usize>, first: u64) {
        let tables = tables.map(|table| (table, first));
        self.contents.lock().unwrap().rebuilt = tables.collect();
    }

    /// Whatever `each` does, rows of these tables may go; as they are numbered, and
    /// named, in the catalog of the database.
    pub(crate) fn emptying<T>(
        &self,
        tables: BTreeSet<(usize, String)>,
        each: impl FnOnce() -> T,
    ) -> T {
        self.contents.lock().unwrap().emptied = tables;
        let outcome = each();
        self.contents.lock().unwrap().emptied.clear();
        outcome
    }

    fn put(&self, contents: &mut Contents, row: &Row) {
        let now = Row {
            expect: Expect::Either,
            ..row.clone()
        };
        let before = contents.rows.get(&row.id);
        // One that a view had before it was rebuilt says nothing of it.
        let rebuilt = contents.rebuilt.get(&row.id.table);
        let is_former = |before: &Row| rebuilt.is_some_and(|first| before.epoch < *first);
        let was_former = before.is_some_and(is_former);
        assert!(!was_former || row.expect == Expect::Either, "{row:?}");
        let before = before.filter(|_| !was_former);
        match (row.expect, before) {
            (Expect::Absent | Expect::Deleted, Some(before)) => {
                panic!("it is there already: {before:?} {row:?}")
            }
            (Expect::Present, None) => panic!("it is not there: {row:?}"),
            _ => {}
        }
        if let Some(before) = before {
            if before.is_final {
                assert_eq!(*before, now, "a final row was changed");
            }
            // A window may be told as closed later than rows of later epochs.
            let is_older = !row.is_final && before.epoch > row.epoch;
            assert!(!is_older, "an older row: {before:?} {row:?}");
            if let Some(place) = self.growing[row.id.table] {
                let (Value::Long(was), Value::Long(is)) =
                    (&before.values[place], &row.values[place])
                else {
                    panic!("no count: {row:?}");
                };
                assert!(was <= is, "it went back: {before:?} {row:?}");
            }
        }
        contents.rows.insert(row.id.clone(), now);
    }

    fn delete(&self, contents: &mut Contents, id: &RowId) {
        let emptied = contents.emptied.iter().any(|(table, _)| *table == id.table);
        let rebuilt = contents.rebuilt.get(&id.table).copied();
        if let Some(row) = contents.rows.remove(id)
            && !emptied
            && rebuilt.is_none_or(|first| row.epoch >= first)
        {
            assert!(!row.is_final, "a final row was deleted: {row:?}");
            assert_eq!(self.growing[id.table], None, "deleted: {row:?}");
        }
    }
}

/// The ways of one run into the database.
#[derive(Clone)]
pub(crate) struct Ways {
    database: Arc<Database>,
    generation: u64,
    /// Writes that are left to it.
    left: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    tables: Tables,
}

/// Which tables of the database those of a catalog are, by their numbers there.
pub(crate) type Tables = Arc<[usize]>;

impl Ways {
    /// For so many writes to `tables`; then `over` is set.
    pub(crate) fn new(
        database: &Arc<Database>,
        generation: u64,
        writes: u64,
        over: Arc<AtomicBool>,
        tables: Tables,
    ) -> Ways {
        Ways {
            database: Arc::clone(database),
            generation,
            left: Arc::new(AtomicU64::new(writes)),
            over,
            tables,
        }
    }

    /// Those of a worker.
    pub(crate) fn writers(&self) -> Writers {
        let way = || Box::new(self.clone());
        Writers {
            rows: way(),
            about: (!self.database.as_one).then(|| About {
                record: way(),
                publish: way(),
            }),
        }
    }

    /// Does one thing, if the run has not ended.
    fn one<T>(&self, each: impl FnOnce(&mut Contents) -> T) -> Result<T, SinkError> {
        let mut contents = self.database.contents.lock().unwrap();
        let count = |left: u64| left.checked_sub(1);
        let is_left = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, count);
        if is_left.is_err() || contents.generation != self.generation {
            self.over.store(true, Ordering::SeqCst);
            return Err(the_end());
        }
        Ok(each(&mut contents))
    }
}

impl Writer for Ways {
    fn write(&mut self, batch: &Batch) -> Result<(), SinkError> {
        let mut batch = batch.clone();
        let puts = batch.puts.iter_mut().map(|row| &mut row.id);
        for id in puts.chain(&mut batch.deletes) {
            id.table = self.tables[id.table];
        }
        let database = Arc::clone(&self.database);
        if database.as_one {
            return self.one(|contents| {
                batch
                    .puts
                    .iter()
                    .for_each(|row| database.put(contents, row));
                batch
                    .deletes
                    .iter()
                    .for_each(|id| database.delete(contents, id));
                for letter in &batch.dead_letters {
                    put_letter(contents, letter);
                }
                for id in &batch.letter_deletes {
                    contents.letters.remove(id);
                }
                if let Some(progress) = &batch.progress {
                    publish(contents, progress);
                }
            });
        }
        assert_eq!(batch.progress, None);
        for row in &batch.puts {
            self.one(|contents| {
                assert!(
                    row.epoch <= contents.reaching.epoch || row.is_final,
                    "not recorded"
                );
                database.put(contents, row);
            })?;
        }
        for id in &batch.deletes {
            self.one(|contents| {
                let row = contents.rows.get(id);
                let is_since = row.is_some_and(|row| row.epoch >= batch.deletes_before);
                if batch.deletes_before == 0 || !is_since {
                    database.delete(contents, id);
                }
            })?;
        }
        for letter in &batch.dead_letters {
            self.one(|contents| put_letter(contents, letter))?;
        }
        for id in &batch.letter_deletes {
            self.one(|contents| contents.letters.remove(id))?;
        }
        Ok(())
    }

    fn reach(&mut self, reaching: &WriteIntent) -> Result<(), SinkError> {
        self.one(|contents| {
            for (topic, partitions) in &contents.reaching.offsets {
                for (partition, before) in partitions {
                    assert!(reaching.offsets[topic][partition] >= *before);
                }
            }
            assert!(contents.reaching.epoch <= reaching.epoch);
            let before = contents.reaching.limits.as_ref().into_iter().flatten();
            for (topic, partitions) in before {
                for (partition, before) in partitions {
                    let now = &reaching.limits.as_ref().unwrap()[topic][partition];
                    assert!(now.starts_with(before), "limits were changed");
                }
            }
            contents.reaching = reaching.clone();
        })
    }

    fn publish(&mut self, progress: &Progress) -> Result<(), SinkError> {
        self.one(|contents| publish(contents, progress))
    }
}

fn standing(contents: &Contents) -> Standing {
    Standing {
        progress: contents.progress.clone(),
        reaching: contents.reaching.clone(),
        definitions: contents.definitions.clone(),
        counted: contents.counted,
        holder: Some(Holder {
            generation: contents.generation,
            host: "here".to_owned(),
            process: 1,
            started_at: 0,
        }),
        ended: false,
    }
}

fn put_letter(contents: &mut Contents, letter: &sinks::DeadLetter) {
    let stored = StoredLetter {
        id: letter.id(),
        topic: letter.topic.clone(),
        partition: letter.partition,
        offset: letter.offset,
        reason: letter.reason,
        view: letter.view.clone(),
        epoch: letter.epoch,
    };
    let reason = letter.reason.as_str();
    contents.letters.insert(letter.id(), (stored, reason));
}

fn publish(contents: &mut Contents, progress: &Progress) {
    if let Some(before) = &contents.progress {
        assert!(before.epoch <= progress.epoch);
        for (topic, partitions) in &before.offsets {
            for (partition, before) in partitions {
                assert!(
                    progress.offsets[topic][partition] >= *before,
                    "progress went back"
                );
            }
        }
        for (view, before) in &before.views {
            if !contents.emptied.iter().any(|(_, name)| name == view) {
                assert!(progress.views[view].final_until >= before.final_until);
            }
        }
    }
    contents.progress = Some(progress.clone());
}

/// The database, as a run sees it.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) database: Arc<Database>,
    pub(crate) tables: Tables,
}

impl Reader for Seen {
    fn page(&self, _table: usize, _query: &Query) -> Result<Vec<StoredRow>, SinkError> {
        unreachable!("nobody looks at pages")
    }

    fn totals(&self, _table: usize, _totals: &Totals) -> Result<Vec<Total>, SinkError> {
        unreachable!("nobody looks at pages")
    }

    fn totals_query(&self, _table: usize, _totals: &Totals) -> Result<String, SinkError> {
        unreachable!("nobody looks at pages")
    }

    fn windows(&self, _table: usize, _from: Option<i64>) -> Result<Vec<(i64, u64)>, SinkError> {
        unreachable!("nobody looks at pages")
    }

    fn letters(&self, _query: &LetterQuery) -> Result<Vec<DeadLetter>, SinkError> {
        unreachable!("nobody looks at pages")
    }

    fn standing(&self) -> Result<Standing, SinkError> {
        Ok(standing(&self.database.contents.lock().unwrap()))
    }

    fn written_after(
        &self,
        table: usize,
        epoch: u64,
        each: &mut dyn FnMut(StoredRow),
    ) -> Result<(), SinkError> {
        let contents = self.database.contents.lock().unwrap();
        let rows = contents.rows.values();
        for row in rows.filter(|row| row.id.table == self.tables[table] && row.epoch > epoch) {
            each(StoredRow {
                id: row.id.id.clone(),
                values: row.values.clone(),
                is_final: row.is_final,
                epoch: i64::try_from(row.epoch).unwrap(),
                updated_at: row.updated_at,
            });
        }
        Ok(())
    }

    fn ids(
        &self,
        table: usize,
        from: &str,
        each: &mut dyn FnMut(IdValue),
    ) -> Result<(), SinkError> {
        let contents = self.database.contents.lock().unwrap();
        let ids = contents.rows.keys();
        let ids = ids.filter(|id| id.table == self.tables[table] && id.id.as_text() >= Some(from));
        ids.for_each(|id| each(id.id.clone()));
        Ok(())
    }

    fn ids_before(
        &self,
        table: usize,
        epoch: u64,
        each: &mut dyn FnMut(IdValue),
    ) -> Result<(), SinkError> {
        let contents = self.database.contents.lock().unwrap();
        let rows = contents.rows.values();
        let rows = rows.filter(|row| row.id.table == self.tables[table] && row.epoch < epoch);
        rows.for_each(|row| each(row.id.id.clone()));
        Ok(())
    }

    fn has_finals(&self, table: usize) -> Result<bool, SinkError> {
        let contents = self.database.contents.lock().unwrap();
        let mut rows = contents.rows.values();
        Ok(rows.any(|row| row.id.table == self.tables[table] && row.is_final))
    }

    fn letters_after(
        &self,
        epoch: u64,
        each: &mut dyn FnMut(StoredLetter),
    ) -> Result<(), SinkError> {
        let contents = self.database.contents.lock().unwrap();
        let letters = contents.letters.values();
        for (letter, _) in letters.filter(|(letter, _)| letter.epoch > epoch) {
            each(letter.clone());
        }
        Ok(())
    }

    fn ping(&self) -> Result<(), SinkError> {
        Ok(())
    }
}
