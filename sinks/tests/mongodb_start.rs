//! What a start finds in a MongoDB that others use too: collections and indexes of their
//! own, few rights, members that are behind, a lock.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::server::{Database, Server};
use common::{begin, claim, customers, interactions, puts, tables};
use mongodb::bson::{Document, doc};
use sinks::mongodb::MongoDb;
use sinks::{Query, SinkError, Storage, Table};

fn open(uri: &str, database: &str, tables: Vec<Table>) -> MongoDb {
    sinks::mongodb::open(uri, database, tables).unwrap()
}

fn prepare(database: &Database) -> Result<(), SinkError> {
    open(&database.uri, &database.name, tables()).prepare()
}

#[test]
fn collections_that_cannot_hold_rows_are_refused_by_name_with_the_reason() {
    let database = Database::new("unfit");
    for (collection, options, expected) in [
        (
            "customer_analysis",
            doc! {"collation": {"locale": "en", "strength": 2}},
            "ignores case",
        ),
        (
            "interaction_analysis",
            doc! {"collation": {"locale": "fr", "strength": 3}},
            "by a collation (fr, strength 3)",
        ),
        (
            "customer_analysis",
            doc! {"capped": true, "size": 65_536},
            "is capped",
        ),
        (
            "dead_letters",
            doc! {"validator": {"offset": {"$lt": 7}}},
            "has a validator",
        ),
        (
            "interaction_analysis",
            doc! {"viewOn": "sales", "pipeline": []},
            "is a view",
        ),
        (
            "customer_analysis",
            doc! {"timeseries": {"timeField": "updated_at"}},
            "is a time-series",
        ),
        (
            "progress",
            doc! {"capped": true, "size": 65_536},
            "is capped",
        ),
        (
            "tidemark_writers",
            doc! {"collation": {"locale": "en", "strength": 1}},
            "ignores case",
        ),
    ] {
        let mut create = doc! {"create": collection};
        create.extend(options);
        database.command(create);
        let error = prepare(&database).expect_err(collection);
        assert!(matches!(error, SinkError::Misconfigured { .. }), "{error}");
        let text = error.to_string();
        let named = format!("the collection {collection} ");
        assert!(text.contains(&named) && text.contains(expected), "{text}");
        database.command(doc! {"drop": collection});
    }
    // These stop no row.
    let warns = doc! {
        "create": "customer_analysis", "validator": {"total": {"$lt": 7}}, "validationAction": "warn",
    };
    database.command(warns);
    let clustered = doc! {"key": {"_id": 1}, "unique": true};
    database.command(doc! {"create": "interaction_analysis", "clusteredIndex": clustered});
    prepare(&database).unwrap();
}

#[test]
fn indexes_that_serve_are_left_as_they_are_whatever_their_names() {
    let database = Database::new("served");
    let make = |collection: &str, index: Document| {
        database.command(doc! {"createIndexes": collection, "indexes": [index]});
    };
    make(
        "customer_analysis",
        doc! {"key": {"window.start": -1}, "name": "newest first"},
    );
    // As an earlier version made it.
    make(
        "interaction_analysis",
        doc! {"key": {"window_start": -1, "_id": 1}, "name": "window_start_-1__id_1"},
    );
    make(
        "dead_letters",
        doc! {"key": {"topic": 1, "partition": 1, "offset": 1, "view": 1}, "name": "mine"},
    );
    // Its name is that of one to be made, and it does not have all letters.
    make(
        "dead_letters",
        doc! {
            "key": {"reason": 1, "timestamp": -1}, "name": "reason_1_timestamp_-1",
            "partialFilterExpression": {"view": "sales"},
        },
    );
    for _ in 0..2 {
        prepare(&database).unwrap();
        assert_eq!(
            database.indexes("customer_analysis"),
            [
                doc! {"window.start": -1},
                doc! {"gender": 1, "window.start": -1}
            ]
        );
        assert_eq!(
            database.indexes("interaction_analysis"),
            [doc! {"window_start": -1, "_id": 1}]
        );
        assert_eq!(
            database.indexes("dead_letters"),
            [
                doc! {"topic": 1, "partition": 1, "offset": 1, "view": 1},
                doc! {"reason": 1, "timestamp": -1},
                doc! {"reason": 1, "timestamp": -1},
            ]
        );
    }
}

#[test]
fn a_role_without_create_index_serves_where_nothing_is_missing() {
    let server = Server::start_uninitiated(&["--auth"]);
    let admin = Database::admin(&server.uri());
    let first = doc! {"createUser": "root", "pwd": "r", "roles": ["root"]};
    common::server::wait_for("first user", || admin.try_command(first.clone()));
    let as_ = |user: &str| {
        let uri = server.uri().replace("//", &format!("//{user}@"));
        format!("{uri}&authSource=admin")
    };
    let root = Database::at(&as_("root:r"), "rights");
    let admin = Database::admin(&as_("root:r"));
    let privilege = |actions: &[&str]| {
        doc! {"resource": {"db": &root.name, "collection": ""}, "actions": actions}
    };
    let write = ["find", "insert", "update", "remove"];
    let look = ["listCollections", "listIndexes"];
    for (user, actions) in [
        ("writer", [&write[..], &look[..]].concat()),
        // May not even look which indexes there are.
        ("blind", write.to_vec()),
        (
            "indexer",
            [&write[..], &look[..], &["createIndex"]].concat(),
        ),
    ] {
        admin.command(doc! {
            "createRole": user, "privileges": [privilege(&actions)], "roles": [],
        });
        admin.command(doc! {"createUser": user, "pwd": "u", "roles": [user]});
    }
    let start = |user: &str| {
        let storage = open(&as_(&format!("{user}:u")), &root.name, tables());
        storage.prepare().map(|()| storage)
    };
    open(&as_("root:r"), &root.name, tables())
        .prepare()
        .unwrap();

    let storage = start("writer").unwrap();
    begin(&storage);
    let mut writer = storage.writer().unwrap();
    writer
        .write(&puts(vec![customers(0, "Female", 1)]))
        .unwrap();

    // Names of collections are shown to all who may read them, indexes are not.
    let error = start("blind").map(drop).unwrap_err().to_string();
    assert!(error.contains("creating the index"), "{error}");

    root.command(doc! {"dropIndexes": "customer_analysis", "index": {"window.start": -1}});
    let error = start("writer").map(drop).unwrap_err().to_string();
    for part in [
        "{ \"window.start\": -1 }",
        "on customer_analysis",
        "(Unauthorized, 13)",
        "the user needs the role readWrite",
    ] {
        assert!(error.contains(part), "{part} in {error}");
    }
    start("indexer").unwrap();
}

#[test]
fn pages_are_read_along_the_ids_and_not_sorted() {
    let database = Database::new("along");
    let storage = open(&database.uri, &database.name, tables());
    storage.prepare().unwrap();
    begin(&storage);
    let mut rows = Vec::new();
    for window in 0..40 {
        for product in 0..50 {
            rows.push(interactions(window, &format!("p{product:02}"), "rating", 1));
        }
    }
    storage.writer().unwrap().write(&puts(rows)).unwrap();
    let reader = storage.reader().unwrap();
    database.command(doc! {"profile": 2});
    let whole = Query {
        limit: 20,
        ..Query::default()
    };
    let span = Query {
        from: Some(common::START + 10 * common::HOUR),
        until: Some(common::START + 12 * common::HOUR),
        ..whole.clone()
    };
    let page = reader.page(1, &whole).unwrap();
    let queries = [
        (whole.clone(), 25),
        (span.clone(), 25),
        (
            Query {
                after: Some(page[19].id.clone()),
                ..whole
            },
            25,
        ),
        // By window first, and then what is asked for.
        (
            Query {
                groups: vec![("product_id".into(), "p07".into())],
                ..span
            },
            105,
        ),
    ];
    for (query, most) in queries {
        let found = reader.page(1, &query).unwrap();
        assert!(!found.is_empty(), "{query:?}");
        let profile = database.documents("system.profile");
        let last = profile.iter().rfind(|entry| {
            let command = entry.get_document("command");
            command.is_ok_and(|command| {
                command
                    .get_str("find")
                    .is_ok_and(|name| name == "interaction_analysis")
            })
        });
        let last = last.unwrap();
        assert_eq!(last.get_str("planSummary").unwrap(), "IXSCAN { _id: 1 }");
        assert!(!last.contains_key("hasSortStage"), "{last}");
        let read = last.get_i32("docsExamined").unwrap();
        assert!(read <= most, "{read} documents: {last}");
    }
}

/// A secondary that was locked for a backup answers with what was there before. A claim
/// that looked there would lose for ever.
#[test]
fn reads_go_to_the_primary_whatever_the_uri_says() {
    let (servers, plain) = Server::set_of_three();
    let database = Database::at(&plain, "read_from");
    open(&plain, &database.name, tables()).prepare().unwrap();
    begin(&open(&plain, &database.name, tables()));

    let member = Database::admin(&servers[2].uri());
    common::server::wait_for("member that has it", || {
        let there = Database::called(&servers[2].uri(), database.name.clone());
        let progress = there.documents("progress");
        match progress.is_empty() {
            true => Err("nothing yet"),
            false => Ok(()),
        }
    });
    member.command(doc! {"fsync": 1, "lock": true});
    for preference in [
        "secondary&readPreferenceTags=n:2",
        "secondary&maxStalenessSeconds=90",
        "nearest&readPreferenceTags=n:2&readPreferenceTags=",
        "secondaryPreferred&readConcernLevel=local",
    ] {
        let uri = format!("{plain}&readPreference={preference}");
        let storage = open(&uri, &database.name, tables());
        storage.prepare().unwrap();
        let started = Instant::now();
        for _ in 0..3 {
            let holder = begin(&storage);
            let seen = storage.reader().unwrap().standing().unwrap().holder;
            assert_eq!(seen, Some(holder), "{preference}");
        }
        let row = customers(0, preference, 1);
        storage.writer().unwrap().write(&puts(vec![row])).unwrap();
        let all = Query {
            groups: vec![("gender".into(), preference.into())],
            limit: 9,
            ..Query::default()
        };
        let reader = storage.reader().unwrap();
        assert_eq!(reader.page(0, &all).unwrap().len(), 1, "{preference}");
        assert!(started.elapsed() < Duration::from_secs(20), "{preference}");
    }
    member.command(doc! {"fsyncUnlock": 1});
}

/// Keeps what is logged on this thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::INFO
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                write!(self.0, "{value:?} ").unwrap();
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }
}

/// The primary itself is locked: what is asked of it gets no answer.
#[test]
fn no_step_of_a_start_waits_without_a_line_and_a_bound() {
    let server = Server::start_with(&["--replSet", "own"]);
    let database = Database::at(&server.uri(), "locked");
    let most = Duration::from_secs(5);
    let storage = open(&server.uri(), &database.name, tables()).starting_within(most);
    storage.prepare().unwrap();
    let admin = Database::admin(&server.uri());
    admin.command(doc! {"fsync": 1, "lock": true});
    let lines = Lines::default();
    let (prepared, claimed, waited) = tracing::subscriber::with_default(lines.clone(), || {
        // Nothing is asked for that is there.
        let prepared = storage.prepare();
        let started = Instant::now();
        (prepared, storage.claim(&claim("here")), started.elapsed())
    });
    // First, since what is locked can neither be written nor dropped.
    admin.command(doc! {"fsyncUnlock": 1});
    prepared.unwrap();
    let error = claimed.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    assert!(waited < 2 * most, "{waited:?}: {error}");
    let lines = lines.0.lock().unwrap();
    let expected = "no answer to update progress for";
    assert!(
        lines.iter().any(|line| line.contains(expected)),
        "{lines:?}"
    );
    storage.claim(&claim("here")).unwrap();
}
