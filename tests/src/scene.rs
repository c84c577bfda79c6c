//! What one test has for itself: topics, a database, and a way to compare them.

use crate::TOPICS;
use crate::kafka::{Kafka, Log};
use crate::mongo::Mongo;
use crate::oracle::{self, Ending, Expected, Rules, Store};
use crate::pipeline::{PATIENCE, Pipeline};
use crate::poll::eventually;
use crate::process::Process;
use crate::samples::Sample;
use crate::services::Services;
use mongodb::bson::Document;
use std::sync::atomic::{AtomicU32, Ordering};

/// A test's own topics and database. They are dropped with it.
pub struct Scene {
    name: String,
    /// The shared services.
    pub services: Services,
    /// Stands before the name of each topic.
    pub prefix: String,
    /// Name of the database.
    pub database: String,
    /// For making and filling topics.
    pub kafka: Kafka,
    /// For reading the database.
    pub mongo: Mongo,
    /// By which [`Scene::pipeline`] runs and the oracle judges. Its ending is that of
    /// each comparison.
    pub rules: Rules,
}

impl Scene {
    /// A scene with no topics yet.
    ///
    /// # Panics
    /// When the services are not there.
    pub fn without_topics(name: &str) -> Scene {
        Scene::on(Services::find(), name)
    }

    /// A scene with no topics yet, on services of a test's own.
    pub fn on(services: Services, name: &str) -> Scene {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let unique = format!("{name}-{}-{number}", std::process::id());
        let database = format!("e2e-{unique}");
        Scene {
            name: name.to_owned(),
            prefix: format!("{unique}-"),
            kafka: Kafka::connect(&services.brokers),
            mongo: Mongo::connect(&services.mongodb_uri, &database),
            database,
            services,
            rules: Rules::default(),
        }
    }

    /// A scene with all six topics of this many partitions each.
    pub fn new(name: &str, partitions: i32) -> Scene {
        let scene = Scene::without_topics(name);
        for topic in TOPICS {
            scene.create(topic, partitions, 1);
        }
        scene
    }

    /// The same scene by other rules.
    #[must_use]
    pub fn ruled_by(mut self, rules: Rules) -> Scene {
        self.rules = rules;
        self
    }

    /// Its name, for the reader of a failure.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Full name of a topic.
    pub fn topic(&self, topic: &str) -> String {
        format!("{}{topic}", self.prefix)
    }

    /// Full names of all topics.
    pub fn topics(&self) -> Vec<String> {
        TOPICS.iter().map(|topic| self.topic(topic)).collect()
    }

    /// Creates a topic.
    pub fn create(&self, topic: &str, partitions: i32, replication: i32) {
        self.kafka
            .create(&self.topic(topic), partitions, replication);
    }

    /// All documents of a collection.
    pub fn documents(&self, collection: &str) -> Vec<Document> {
        self.mongo.documents(collection)
    }

    /// Sends messages and waits until they are acknowledged.
    pub fn produce(&self, samples: &[Sample]) {
        for sample in samples {
            self.kafka.send(
                &self.topic(sample.topic),
                sample.partition,
                sample.timestamp,
                sample.key.as_deref(),
                sample.value.as_deref(),
            );
        }
        self.kafka.flush();
    }

    /// Lets the generator fill the topics; `arguments` are added to its own.
    ///
    /// # Panics
    /// When it does not end with 0.
    pub fn generate(&self, arguments: &[&str]) {
        let mut all = vec![
            "--brokers",
            &self.services.brokers,
            "--topic-prefix",
            &self.prefix,
        ];
        all.extend(arguments);
        let all: Vec<_> = all.into_iter().map(ToOwned::to_owned).collect();
        let mut generator =
            Process::start("generator", &format!("{}-generator", self.name), &all, &[]);
        assert_eq!(
            generator.exit_code(PATIENCE),
            Some(0),
            "the generator's exit code"
        );
    }

    /// The command line for these topics and this database.
    pub fn pipeline(&self) -> Pipeline {
        Pipeline::of(self)
    }

    /// Waits until the pipeline says that it has written all that the topics hold.
    ///
    /// # Panics
    /// When it does not in time.
    pub fn await_caught_up(&self) {
        let ends = self.kafka.ends(&self.topics());
        eventually("the pipeline catches up", PATIENCE, || {
            let progress = self.mongo.progress()?.ok_or("there is no progress yet")?;
            let offsets = oracle::offsets(&progress)?;
            let behind = ends
                .iter()
                .find(|(place, end)| offsets.get(place).unwrap_or(&0) < end);
            match behind {
                None => Ok(()),
                Some(behind) => Err(format!("expected {behind:?} of {progress}")),
            }
        });
    }

    /// What a pipeline must have written when it had read all that the topics hold
    /// now and ended so.
    pub fn expected(&self, ending: Ending) -> Expected {
        let rules = self.rules.clone().with_ending(ending);
        oracle::expected(&self.kafka.read(&self.topics()), &self.prefix, &rules)
    }

    /// Compares everything in the database with what the topics hold, after a run
    /// that ended by itself when it had caught up.
    pub fn check(&self) {
        self.check_as(Ending::CaughtUp);
    }

    /// Compares everything in the database with what the topics hold, after a run
    /// that has read all of it and ended so.
    ///
    /// # Panics
    /// When something differs.
    pub fn check_as(&self, ending: Ending) {
        let log = self.kafka.read(&self.topics());
        self.compare(&log, &self.mongo, ending);
    }

    /// Compares everything in the database with what the topics held at the
    /// offsets that it names itself, after a run that was interrupted.
    ///
    /// # Panics
    /// When something differs.
    pub fn check_so_far(&self) {
        let progress = self.mongo.progress().expect("the database answers");
        let progress = progress.expect("there is progress");
        let offsets = oracle::offsets(&progress).expect("it names offsets");
        let log = self.kafka.read(&self.topics()).until(&offsets);
        self.compare(&log, &self.mongo, Ending::Running);
    }

    /// Compares everything in another database with what the topics hold, after a
    /// run that ended by itself when it had caught up.
    ///
    /// # Panics
    /// When something differs.
    pub fn check_in(&self, store: &dyn Store) {
        self.check_log_in(&self.kafka.read(&self.topics()), store);
    }

    /// The same where what the topics hold has been read already.
    ///
    /// # Panics
    /// When something differs.
    pub fn check_log_in(&self, log: &Log, store: &dyn Store) {
        self.compare(log, store, Ending::CaughtUp);
    }

    /// How everything in the database differs from what `log` gives, if it does.
    ///
    /// # Errors
    /// With what differs, for a person to read.
    pub fn differences(&self, log: &Log, ending: Ending) -> Result<(), String> {
        let rules = self.rules.clone().with_ending(ending);
        oracle::compare_by(log, &self.prefix, &self.mongo, &rules)
    }

    fn compare(&self, log: &Log, store: &dyn Store, ending: Ending) {
        let rules = self.rules.clone().with_ending(ending);
        if let Err(differences) = oracle::compare_by(log, &self.prefix, store, &rules) {
            panic!(
                "{}: {} messages, {ending:?}: {differences}",
                self.name,
                log.messages.len()
            );
        }
    }

    /// Runs the pipeline over what the topics hold now, and compares.
    pub fn run_and_check(&self, pipeline: &Pipeline) {
        pipeline.clone().until_caught_up().run();
        self.check();
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let topics = self.topics();
        let topics: Vec<_> = topics.iter().map(String::as_str).collect();
        self.kafka.drop_topics(&topics);
        self.mongo.drop_database();
    }
}
