//! What is in a real MongoDB after a write, looked at with the driver alone.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::{Duration, Instant};

use common::server::{Database, Server};
use common::{
    HOUR, START, begin, claim, customers, id, interactions, letter, log, offsets, puts, tables,
    views,
};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, doc};
use sinks::mongodb::MongoDb;
use sinks::{Batch, Progress, Query, SinkError, Storage, Value};

/// What is believed of a row that is new, or may be there.
fn new(is_new: bool) -> sinks::Expect {
    match is_new {
        true => sinks::Expect::Absent,
        false => sinks::Expect::Either,
    }
}

fn open(database: &Database) -> MongoDb {
    let storage = sinks::mongodb::open(&database.uri, &database.name, tables()).unwrap();
    storage.prepare().unwrap();
    begin(&storage);
    storage
}

fn all() -> Query {
    Query {
        limit: 1_000,
        ..Query::default()
    }
}

#[test]
fn a_row_is_a_document_of_exactly_these_types() {
    let database = Database::new("types");
    let mut writer = open(&database).writer().unwrap();
    let mut row = customers(0, "Female", 3);
    row.values[5] = Value::Decimal {
        unscaled: -(10i128.pow(34) - 1),
        scale: 9,
    };
    writer.write(&puts(vec![row])).unwrap();
    let found = database.documents("customer_analysis");
    let expected = doc! {
        "_id": format!("{START}|Female"),
        "window": {
            "start": DateTime::from_millis(START),
            "end": DateTime::from_millis(START + HOUR),
        },
        "gender": "Female",
        "total": 3_i64,
        "average": 1.0,
        "revenue": Bson::Decimal128("-9999999999999999999999999.999999999".parse().unwrap()),
        "last_activity": DateTime::from_millis(START + 1),
        "final": false,
        "epoch": 5_i64,
        "updated_at": DateTime::from_millis(START + 77),
    };
    assert_eq!(found.len(), 1);
    assert_eq!(found[0], expected);
    let names = |document: &mongodb::bson::Document| document.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found[0]), names(&expected));
}

#[test]
fn put_replace_and_delete() {
    let database = Database::new("replace");
    let storage = open(&database);
    let mut writer = storage.writer().unwrap();
    // Whatever else was in a document is gone when it has been replaced.
    database.insert(
        "customer_analysis",
        doc! {"_id": format!("{START}|Male"), "stale": 1, "window": {"stale": 1}},
    );
    let first = vec![customers(0, "Male", 1), customers(0, "Other", 2)];
    writer.write(&puts(first)).unwrap();
    let found = database.documents("customer_analysis");
    assert_eq!(found.len(), 2);
    assert!(!found[0].contains_key("stale"));
    assert!(
        !found[0]
            .get_document("window")
            .unwrap()
            .contains_key("stale")
    );

    let mut second = puts(vec![
        customers(0, "Male", -9),
        interactions(0, "p", "review", 4),
    ]);
    second.deletes = vec![
        id(0, &format!("{START}|Other")),
        id(0, "never there"),
        id(1, "neither"),
    ];
    writer.write(&second).unwrap();
    let found = database.documents("customer_analysis");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].get_i64("total").unwrap(), -9);
    assert!(found[0].get_bool("final").unwrap());
    assert_eq!(database.documents("interaction_analysis").len(), 1);
}

/// What is said of rows to be new or not decides how they are written, and not what is there
/// in the end.
#[test]
fn rows_that_are_not_as_new_as_believed() {
    let database = Database::new("new");
    let storage = open(&database);
    let totals = || {
        let found = database.documents("customer_analysis");
        let total = |row: &mongodb::bson::Document| row.get_i64("total").unwrap();
        found.iter().map(total).collect::<Vec<_>>()
    };
    let batch = |rows: [(i64, i64, bool); 3]| {
        puts(
            rows.map(|(window, total, is_new)| sinks::Row {
                expect: new(is_new),
                ..customers(window, "x", total)
            })
            .to_vec(),
        )
    };
    let mut writer = storage.writer().unwrap();
    writer
        .write(&batch([(0, 1, true), (1, 1, true), (2, 1, true)]))
        .unwrap();
    assert_eq!(totals(), [1, 1, 1]);
    // Some are there, one is not, and of one it is not said.
    writer
        .write(&batch([(1, 2, true), (3, 2, true), (4, 2, false)]))
        .unwrap();
    assert_eq!(totals(), [1, 2, 1, 2, 2]);
    // After a refusal the lane goes on.
    writer
        .write(&batch([(5, 3, true), (6, 3, true), (0, 3, false)]))
        .unwrap();
    assert_eq!(totals(), [3, 2, 1, 2, 2, 3, 3]);
}

/// The server is not asked to look for a row that is new.
#[test]
fn new_rows_are_inserted() {
    let server = Server::start_with(&["--replSet", "own"]);
    let database = Database::at(&server.uri(), "inserts");
    let storage = open(&database);
    let mut writer = storage.writer().unwrap();
    let row = |window, is_new| sinks::Row {
        expect: new(is_new),
        ..customers(window, "x", 1)
    };
    // The lanes' documents are made.
    writer.write(&puts(vec![row(9_999, false)])).unwrap();
    let counted = |what: &str| {
        let status = Database::admin(&server.uri()).command(doc! {"serverStatus": 1});
        let counters = status.get_document("opcounters").unwrap();
        counters.get_i64(what).unwrap()
    };
    let before = (counted("insert"), counted("update"));
    let mut batch = puts((0..50).map(|window| row(window, true)).collect());
    batch.dead_letters = (0..20).map(letter).collect();
    batch.letters_are_new = true;
    batch.puts.push(row(9_999, false));
    writer.write(&batch).unwrap();
    let inserted = counted("insert") - before.0;
    let updated = counted("update") - before.1;
    // One of the updates is the lane's own.
    assert_eq!((inserted, updated), (70, 2));
}

#[test]
fn what_is_sent_is_compressed_if_the_uri_says_so() {
    let server = Server::start_with(&["--replSet", "own"]);
    for compressor in ["zstd", "snappy"] {
        let database = Database::at(&server.uri(), compressor);
        let uri = format!("{}&compressors={compressor}", server.uri());
        let storage = sinks::mongodb::open(&uri, &database.name, tables()).unwrap();
        storage.prepare().unwrap();
        begin(&storage);
        let rows = (0..50).map(|window| customers(window, "x", 1)).collect();
        storage.writer().unwrap().write(&puts(rows)).unwrap();
        assert_eq!(database.documents("customer_analysis").len(), 50);

        let status = Database::admin(&server.uri()).command(doc! {"serverStatus": 1});
        let network = status.get_document("network").unwrap();
        let compression = network.get_document("compression").unwrap();
        let done = compression.get_document(compressor).unwrap();
        let received = done.get_document("decompressor").unwrap();
        let bytes = received.get_i64("bytesOut").unwrap();
        assert!(bytes > 50 * 200, "{compression}");
    }
}

#[test]
fn rows_move_from_group_to_group_and_back() {
    let database = Database::new("move");
    let storage = open(&database);
    let rows = || {
        let found = database.documents("customer_analysis");
        found
            .iter()
            .map(|row| {
                let group = row.get_str("gender").unwrap().to_owned();
                (group, row.get_i64("total").unwrap())
            })
            .collect::<Vec<_>>()
    };
    let row = |group: &str, total| customers(0, group, total);
    let named = |group: &str, total| (group.to_owned(), total);
    let moved = |from: &str, to: &str| Batch {
        deletes: vec![row(from, 0).id, row("never there", 0).id],
        ..puts(vec![row(to, 1)])
    };
    let there = moved("a", "b");
    let back = moved("b", "a");
    let mut writers = [storage.writer().unwrap(), storage.writer().unwrap()];
    writers[0]
        .write(&puts(vec![row("a", 1), row("c", 2)]))
        .unwrap();
    for (batch, group) in [(&there, "b"), (&back, "a"), (&there, "b")] {
        // Again by the same writer, and by that of a process that starts again.
        for number in [0, 0, 1] {
            writers[number].write(batch).unwrap();
            assert_eq!(rows(), [named(group, 1), named("c", 2)]);
        }
    }
}

#[test]
fn the_same_batch_again_changes_nothing() {
    let database = Database::new("again");
    let storage = open(&database);
    let mut batch = puts((0..100).map(|n| customers(n, "x", n)).collect());
    batch.dead_letters = (0..100).map(letter).collect();
    let mut documents = Vec::new();
    // By another writer, too: a process that starts again has a new one.
    for mut writer in [storage.writer().unwrap(), storage.writer().unwrap()] {
        for _ in 0..2 {
            writer.write(&batch).unwrap();
            let rows = database.documents("customer_analysis");
            let letters = database.documents("dead_letters");
            assert_eq!((rows.len(), letters.len()), (100, 100));
            documents.push((rows, letters));
        }
    }
    assert!(documents.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn thirty_thousand_rows_in_several_commands() {
    let database = Database::new("many");
    let storage = open(&database);
    let mut writer = storage.writer().unwrap();
    let rows = |total| (0..30_000).map(move |n| customers(n % 100, &format!("g{n}"), total));
    for total in [1, 2] {
        writer.write(&puts(rows(total).collect())).unwrap();
    }
    let count = |filter| {
        database
            .command(doc! {"count": "customer_analysis", "query": filter})
            .get_i32("n")
            .unwrap()
    };
    assert_eq!((count(doc! {}), count(doc! {"total": 2})), (30_000, 30_000));
    let batch = Batch {
        deletes: rows(2).map(|row| row.id).collect(),
        ..Batch::default()
    };
    writer.write(&batch).unwrap();
    assert_eq!(count(doc! {}), 0);
}

#[test]
fn writers_at_the_same_time() {
    let database = Database::new("parallel");
    let storage = open(&database);
    std::thread::scope(|scope| {
        for part in 0..3 {
            let mut writer = storage.writer().unwrap();
            scope.spawn(move || {
                for round in 0..20 {
                    let rows = (0..200).map(|n| customers(n, &format!("w{part}"), round));
                    writer.write(&puts(rows.collect())).unwrap();
                }
            });
        }
    });
    let found = database.documents("customer_analysis");
    assert_eq!(found.len(), 600);
    assert!(
        found
            .iter()
            .all(|row| row.get_i64("total").is_ok_and(|total| total == 19))
    );
}

#[test]
fn dead_letters_are_whole() {
    let database = Database::new("letters");
    let mut writer = open(&database).writer().unwrap();
    let batch = Batch {
        dead_letters: vec![letter(1), letter(2)],
        ..Batch::default()
    };
    writer.write(&batch).unwrap();
    let binary = |bytes: Vec<u8>| Binary {
        subtype: BinarySubtype::Generic,
        bytes,
    };
    let expected = |id: &str, offset: i64, view: Bson, key: Bson| {
        doc! {
            "_id": id,
            "topic": "shop.orders",
            "partition": 3,
            "offset": offset,
            "timestamp": DateTime::from_millis(START),
            "reason": "malformed",
            "detail": "price: expected a number, found null",
            "view": view,
            "key": key,
            "value": binary((0..=255).collect()),
            "epoch": 6_i64,
        }
    };
    let key = binary(vec![0, 159, 146, 150]);
    assert_eq!(
        database.documents("dead_letters"),
        [
            expected(
                "shop.orders/3/1/sales_analysis",
                1,
                "sales_analysis".into(),
                key.into()
            ),
            expected("shop.orders/3/2", 2, Bson::Null, Bson::Null),
        ]
    );
}

/// What a document may measure, in bytes.
const LIMIT: usize = 16 * 1024 * 1024;

#[test]
fn dead_letters_up_to_the_size_of_a_document_and_beyond() {
    let database = Database::new("large");
    let mut writer = open(&database).writer().unwrap();
    let sized = |offset, size| {
        let mut letter = letter(offset);
        letter.value = vec![b'x'; size];
        letter
    };
    let batch = Batch {
        // The other fields take less than 300 bytes.
        dead_letters: vec![sized(2, LIMIT - 300), sized(4, LIMIT + 5), sized(6, 1)],
        ..Batch::default()
    };
    writer.write(&batch).unwrap();
    let found = database.documents("dead_letters");
    let kept = |place: usize| match found[place].get("value") {
        Some(Bson::Binary(binary)) => binary.bytes.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!((kept(0), kept(2)), (LIMIT - 300, 1));
    assert!(kept(1) > LIMIT - 1_000);
    let detail = found[1].get_str("detail").unwrap();
    assert!(detail.contains(&format!("{} bytes", LIMIT + 5)), "{detail}");
}

#[test]
fn progress_comes_back() {
    let database = Database::new("progress");
    let storage = open(&database);
    let (mut writer, reader) = (storage.writer().unwrap(), storage.reader().unwrap());
    assert_eq!(reader.progress().unwrap(), None);
    let mut progress = Progress {
        limits: None,
        epoch: 7,
        offsets: offsets(),
        views: views(),
        rebuilding: ["stock".to_owned()].into(),
        updated_at: START,
        log: log(),
    };
    for epoch in [7, 8] {
        progress.epoch = epoch;
        writer.publish(&progress).unwrap();
        assert_eq!(reader.progress().unwrap().as_ref(), Some(&progress));
    }
    let mut found = database.documents("progress");
    assert_eq!(found.len(), 1);
    // It depends on the machine.
    let holder = found[0].get_document_mut("holder").unwrap();
    holder.remove("place").unwrap();
    assert_eq!(
        found,
        [doc! {
            "_id": "tidemark",
            "generation": 1_i64,
            "ended": false,
            "holder": {
                "host": "here",
                "process": 17_i64,
                "started_at": DateTime::from_millis(START),
            },
            "epoch": 8_i64,
            "offsets": {"empty": {}, "shop.orders.v1": {"0": 12_i64, "17": 1_i64 << 50}},
            "views": {"interaction_analysis": {
                "watermark": DateTime::from_millis(START + 1),
                "final_until": DateTime::from_millis(START),
            }, "stock": {"rebuilding": true}},
            "updated_at": DateTime::from_millis(START),
            "log": {
                "cluster_id": "a-cluster",
                "topic_ids": {"shop.orders.v1": "a-topic"},
                "last_read": {"shop.orders.v1": {"17": {
                    "offset": (1_i64 << 50) - 1,
                    "timestamp": START,
                    "leader_epoch": 3_i64,
                    "hash": null,
                }}},
            },
        }]
    );
}

#[test]
fn letters_are_read_whole() {
    let database = Database::new("letters");
    common::letters::check(&open(&database));
}

#[test]
fn windows_of_rows() {
    let database = Database::new("windows");
    common::windows::check(&open(&database));
}

#[test]
fn sums_of_rows() {
    let database = Database::new("sums");
    common::totals::check(&open(&database));
}

#[test]
fn pages_of_rows() {
    let database = Database::new("pages");
    let storage = open(&database);
    let (mut writer, reader) = (storage.writer().unwrap(), storage.reader().unwrap());
    database.insert(
        "interaction_analysis",
        doc! {"window_start": "of another job"},
    );
    let mut rows = Vec::new();
    for window in 0..4 {
        for product in ["a", "b"] {
            for kind in ["rating", "review"] {
                rows.push(interactions(window, product, kind, window));
            }
        }
    }
    writer.write(&puts(rows.clone())).unwrap();
    // Newest window first, then by id, the greatest first.
    rows.sort_by(|one, other| other.id.id.cmp(&one.id.id));
    let ids = |query: &Query| -> Vec<String> {
        let page = reader.page(1, query).unwrap();
        page.into_iter().map(|row| row.id.to_string()).collect()
    };
    let expected: Vec<String> = rows.iter().map(|row| row.id.id.to_string()).collect();
    assert_eq!(ids(&all()), expected);
    let page = Query {
        offset: 5,
        limit: 3,
        ..Query::default()
    };
    assert_eq!(ids(&page), expected[5..8]);
    let next = Query {
        after: Some(expected[7].as_str().into()),
        limit: 3,
        ..Query::default()
    };
    assert_eq!(ids(&next), expected[8..11]);
    let filtered = Query {
        from: Some(START + HOUR),
        until: Some(START + 3 * HOUR),
        groups: vec![("product_id".into(), "b".into())],
        ..all()
    };
    let hit = |id: &&String| id.contains("|b|");
    let expected: Vec<_> = expected[4..12].iter().filter(hit).cloned().collect();
    assert_eq!(ids(&filtered), expected);
    let next = Query {
        after: Some(expected[1].as_str().into()),
        ..filtered
    };
    assert_eq!(ids(&next), expected[2..]);

    let stored = &reader.page(1, &all()).unwrap()[0];
    assert_eq!(stored.values, rows[0].values);
    assert_eq!((stored.epoch, stored.is_final), (6, false));
    assert_eq!(stored.updated_at, START + 77);

    let unknown = Query {
        groups: vec![("colour".into(), "red".into())],
        ..all()
    };
    let error = reader.page(1, &unknown).unwrap_err();
    assert!(matches!(error, SinkError::BadQuery { .. }));
    assert!(error.to_string().contains("product_id, interaction_type"));
    assert!(reader.page(2, &all()).is_err());
}

/// Where windows start within a second, ids do not sort as they do.
#[test]
fn pages_where_ids_do_not_sort_as_windows_do() {
    let database = Database::new("sorted");
    let storage = open(&database);
    let mut rows = Vec::new();
    for window in 0..3 {
        for gender in ["a", "b"] {
            // Numbers of other lengths, in no order as texts.
            let mut row = customers(window, gender, 1);
            let start = START + [500, 0, 250][usize::try_from(window).unwrap()];
            row.values[0] = Value::Date(start);
            row.id.id = format!("{}|{gender}", common::moment(start)).into();
            rows.push(row);
        }
    }
    storage
        .writer()
        .unwrap()
        .write(&puts(rows.clone()))
        .unwrap();
    rows.sort_by_key(|row| match &row.values[0] {
        Value::Date(start) => (*start, row.id.id.clone()),
        other => panic!("{other:?}"),
    });
    let expected: Vec<String> = rows.iter().rev().map(|row| row.id.id.to_string()).collect();
    let reader = storage.reader().unwrap();
    let mut found: Vec<String> = Vec::new();
    loop {
        let query = Query {
            after: found.last().map(|id| id.as_str().into()),
            limit: 4,
            ..Query::default()
        };
        let page = reader.page(0, &query).unwrap();
        if page.is_empty() {
            break;
        }
        found.extend(page.into_iter().map(|row| row.id.to_string()));
    }
    assert_eq!(found, expected);
    let nowhere = Query {
        after: Some("nowhere".into()),
        ..all()
    };
    let error = reader.page(0, &nowhere).unwrap_err();
    assert!(matches!(error, SinkError::BadQuery { .. }), "{error}");
}

#[test]
fn collections_and_indexes_are_there_and_serve() {
    let database = Database::new("indexes");
    for _ in 0..2 {
        open(&database);
    }
    assert_eq!(
        database.indexes("customer_analysis"),
        [
            doc! {"window.start": -1},
            doc! {"gender": 1, "window.start": -1},
        ]
    );
    assert_eq!(
        database.indexes("interaction_analysis"),
        [doc! {"window_start": -1}],
        "by group only where it is asked for"
    );
    assert_eq!(
        database.indexes("dead_letters"),
        [
            doc! {"topic": 1, "partition": 1, "offset": 1},
            doc! {"reason": 1, "timestamp": -1},
        ]
    );
    assert!(database.indexes("progress").is_empty());
    let plan = database.command(doc! {"explain": {
        "find": "customer_analysis",
        "filter": {"window.start": {"$gte": DateTime::from_millis(START)}},
        "sort": {"window.start": -1},
    }, "verbosity": "queryPlanner"});
    let plan = plan.to_string();
    assert!(
        plan.contains("IXSCAN") && !plan.contains("\"SORT\""),
        "{plan}"
    );
}

#[test]
fn what_the_database_refuses_is_final_and_names_what_it_is() {
    let database = Database::new("refused");
    let storage = open(&database);
    let mut writer = storage.writer().unwrap();
    database.command(doc! {
        "collMod": "customer_analysis",
        "validator": {"total": {"$lt": 100}},
    });
    let rows = vec![customers(0, "Good", 1), customers(0, "Bad", 100)];
    let error = writer.write(&puts(rows)).unwrap_err();
    assert!(matches!(error, SinkError::Refused { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("Bad") && text.contains("(121)"), "{text}");
    // Nothing of its transaction was done, and the next batch can pass.
    assert_eq!(database.documents("customer_analysis").len(), 0);
    writer.write(&puts(vec![customers(1, "Good", 1)])).unwrap();
    assert_eq!(database.documents("customer_analysis").len(), 1);
}

/// A unique index of somebody else's that the rows do not fit: sending them
/// again would not help.
#[test]
fn a_foreign_unique_index_is_final() {
    let database = Database::new("unique");
    let storage = open(&database);
    storage.prepare().unwrap();
    let index = doc! {"key": {"gender": 1}, "name": "mine", "unique": true};
    database.command(doc! {"createIndexes": "customer_analysis", "indexes": [index]});
    let mut writer = storage.writer().unwrap();
    let error = writer
        .write(&puts(vec![customers(0, "x", 1), customers(1, "x", 1)]))
        .unwrap_err();
    assert!(!error.is_temporary(), "{error}");
    assert!(error.to_string().contains("mine"), "{error}");
}

#[test]
fn nobody_there_shows_within_seconds() {
    // Port 9 of this machine: nobody listens, and nobody will.
    let uri = "mongodb://anna:s3cr3t@127.0.0.1:9/?serverSelectionTimeoutMS=700";
    let storage = sinks::mongodb::open(uri, "shop", tables()).unwrap();
    let start = Instant::now();
    let results = [
        storage.prepare(),
        storage.claim(&claim("here")).map(drop),
        storage.reader().unwrap().ping(),
    ];
    for result in results {
        let error = result.unwrap_err();
        assert!(error.is_temporary(), "{error}");
        assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error}");
    }
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(storage.describe(), "mongodb at 127.0.0.1:9, database shop");
}
