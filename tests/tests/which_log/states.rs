//! What runs have left of a log: with and without a checkpoint, in each database.

use end_to_end::checkpoint::Folder;
use end_to_end::mongo::Mongo;
use end_to_end::oracle::{Store, VIEWS};
use end_to_end::pipeline::Run;
use end_to_end::samples::{Sample, with};
use end_to_end::sqlite::Sqlite;
use end_to_end::{Pipeline, Scene};
use mongodb::bson::Document;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Within which a run has to notice that the log is another one.
pub(crate) const NOTICE: Duration = Duration::from_secs(30);

/// The topic that becomes another one.
pub(crate) const TOPIC: &str = "system_logs";

/// What `progress` says of the run, beside what it says of rows.
const OF_THE_RUN: [&str; 6] = [
    "generation",
    "holder",
    "ended",
    "challenge",
    "answer",
    "writers",
];

/// `count` log lines for a partition, each with a number.
pub(crate) fn lines(partition: i32, count: usize) -> Vec<Sample> {
    let line = |number: usize| {
        let id = format!("\"00000000-0000-4000-8000-{number:012}\"");
        let line = with(TOPIC, &[("log_id", &id)]);
        Sample::new(TOPIC, line).partition(partition)
    };
    (0..count).map(line).collect()
}

/// A scene with one topic, of two partitions with this many lines.
pub(crate) fn scene(name: &str, counts: [usize; 2]) -> Scene {
    let scene = Scene::without_topics(name);
    scene.create(TOPIC, 2, 1);
    fill(&scene, counts);
    scene
}

/// Sends so many lines to each partition.
pub(crate) fn fill(scene: &Scene, counts: [usize; 2]) {
    let both = lines(0, counts[0]).into_iter().chain(lines(1, counts[1]));
    scene.produce(&both.collect::<Vec<_>>());
}

/// Where a run writes, and where it keeps its state.
pub(crate) struct State {
    pub(crate) name: String,
    pipeline: Pipeline,
    database: Database,
    pub(crate) folder: Option<Folder>,
}

enum Database {
    Mongo(Mongo),
    Sqlite(
        PathBuf,
        #[expect(dead_code, reason = "it goes away with this")] TempDir,
    ),
}

impl State {
    /// Empty ones: in both databases, each with and without a checkpoint.
    pub(crate) fn all(scene: &Scene) -> Vec<State> {
        let kinds = [(false, false), (false, true), (true, false), (true, true)];
        let state = |(sqlite, keeps)| State::new(scene, sqlite, keeps);
        kinds.map(state).into()
    }

    /// An empty one.
    pub(crate) fn new(scene: &Scene, sqlite: bool, keeps: bool) -> State {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let words = (
            if sqlite { "sqlite" } else { "mongodb" },
            if keeps { "kept" } else { "bare" },
        );
        let name = format!("{}-{}-{}", scene.name(), words.0, words.1);
        let (pipeline, database) = match sqlite {
            true => {
                let directory = tempfile::tempdir().expect("a directory");
                let path = directory.path().join("views.sqlite");
                let pipeline = Pipeline::bare(&name)
                    .flag("--brokers", &scene.services.brokers)
                    .flag("--topic-prefix", &scene.prefix)
                    .flag("--sqlite", &path.to_string_lossy());
                (pipeline, Database::Sqlite(path, directory))
            }
            false => {
                let database = format!("{}-{number}", scene.database);
                let pipeline = scene.pipeline().flag("--database", &database);
                let mongo = Mongo::connect(&scene.services.mongodb_uri, &database);
                (pipeline, Database::Mongo(mongo))
            }
        };
        let folder = keeps.then(Folder::new);
        let pipeline = match &folder {
            Some(folder) => folder.kept_by(&pipeline),
            None => pipeline,
        };
        State {
            name,
            pipeline: pipeline
                .flag("--epoch", "20ms")
                .flag("--idle-timeout", "1h"),
            database,
            folder,
        }
    }

    /// A command line that goes on from it.
    pub(crate) fn pipeline(&self) -> Pipeline {
        self.pipeline.clone()
    }

    /// The same with other brokers.
    pub(crate) fn elsewhere(&self, brokers: &str) -> Pipeline {
        self.pipeline().flag("--brokers", brokers)
    }

    /// The database, for whoever compares it.
    pub(crate) fn store(&self) -> Box<dyn Store + '_> {
        match &self.database {
            Database::Mongo(mongo) => Box::new(Borrowed(mongo)),
            Database::Sqlite(path, _) => Box::new(Sqlite::open(path).expect("the file")),
        }
    }

    /// MongoDB, for who changes what is in it.
    pub(crate) fn mongo(&self) -> &Mongo {
        match &self.database {
            Database::Mongo(mongo) => mongo,
            Database::Sqlite(..) => panic!("it is an SQLite file"),
        }
    }

    /// The document of `progress`, if there is one.
    pub(crate) fn progress(&self) -> Option<Document> {
        match &self.database {
            Database::Mongo(mongo) => mongo.progress().ok().flatten(),
            // The file is made by the run, and its tables too.
            Database::Sqlite(path, _) => {
                let file = Sqlite::open(path).ok()?;
                file.count("progress").ok()?;
                file.documents("progress").pop()
            }
        }
    }

    /// All that a reader may rely on, and all that the next run goes on from.
    pub(crate) fn contents(&self) -> BTreeMap<&'static str, Vec<Document>> {
        let store = self.store();
        let names = VIEWS.iter().map(|view| view.name);
        let of = |name| {
            let mut documents = store.documents(name);
            for document in &mut documents {
                for name in OF_THE_RUN {
                    document.remove(name);
                }
            }
            documents.sort_by_key(ToString::to_string);
            (name, documents)
        };
        names.chain(["dead_letters", "progress"]).map(of).collect()
    }

    /// How many lines are counted.
    pub(crate) fn counted(&self) -> i64 {
        let rows = self.store().documents("log_analysis").into_iter();
        rows.map(|row| row.get_i64("total_logs").expect("a long"))
            .sum()
    }

    /// The next offset of a partition of [`TOPIC`], as `progress` says.
    pub(crate) fn next(&self, scene: &Scene, partition: i32) -> i64 {
        let offsets = self.progress().and_then(|progress| {
            let offsets = end_to_end::oracle::offsets(&progress).ok()?;
            offsets.get(&(scene.topic(TOPIC), partition)).copied()
        });
        offsets.unwrap_or(0)
    }
}

/// MongoDB, without taking it.
struct Borrowed<'a>(&'a Mongo);

impl Store for Borrowed<'_> {
    fn documents(&self, table: &str) -> Vec<Document> {
        self.0.documents(table)
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if let Database::Mongo(mongo) = &self.database {
            mongo.drop_database();
        }
    }
}

/// Lets all of them read what the topics have.
pub(crate) fn read(states: &[State]) {
    let runs: Vec<_> = states
        .iter()
        .map(|state| state.pipeline().until_caught_up().start())
        .collect();
    runs.into_iter().for_each(Run::succeed);
}

/// Runs fail within the time in which they have to notice it, and name all that; the
/// databases are as they were `before`.
pub(crate) fn all_end(
    runs: Vec<(&State, Run)>,
    before: &[BTreeMap<&'static str, Vec<Document>>],
    named: &[&str],
) {
    let begun = Instant::now();
    for ((state, mut run), before) in runs.into_iter().zip(before) {
        let process = run.process();
        let left = NOTICE.saturating_sub(begun.elapsed());
        let code = process.exit_code(left);
        let output = process.output();
        let name = &state.name;
        assert_eq!(code, Some(1), "{name}: {output}");
        let said = output.lines().rev();
        let said: Vec<_> = said.take_while(|line| !line.contains("INFO")).collect();
        for word in named {
            let is_named = said.iter().any(|line| line.contains(word));
            assert!(is_named, "{name}: {word:?} is not at the end of {output}");
        }
        for (collection, documents) in state.contents() {
            let changed = documents
                .iter()
                .find(|document| !before[collection].contains(document));
            assert!(
                documents == before[collection],
                "{name}: {collection} has changed: {changed:?}"
            );
        }
    }
}

/// A start from each state is refused, names all that, and changes nothing.
pub(crate) fn all_refuse(states: &[State], named: &[&str], how: impl Fn(&State) -> Pipeline) {
    let before: Vec<_> = states.iter().map(State::contents).collect();
    let manifests: Vec<_> = states
        .iter()
        .map(|state| state.folder.as_ref().map(Folder::manifests))
        .collect();
    let runs = states
        .iter()
        .map(|state| (state, how(state).until_caught_up().start()));
    all_end(runs.collect(), &before, named);
    for (state, before) in states.iter().zip(manifests) {
        let now = state.folder.as_ref().map(Folder::manifests);
        assert_eq!(now, before, "{}: the checkpoint has changed", state.name);
    }
}
