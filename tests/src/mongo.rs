//! What the pipeline wrote into MongoDB.

use crate::oracle::Store;
use mongodb::bson::{Document, doc};
use mongodb::options::{ClientOptions, ReadConcern, SelectionCriteria};
use mongodb::{Client, Database};
use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

/// Runs asynchronous client code from a test.
///
/// # Panics
/// When there are no threads to be had.
pub fn block_on<F: Future>(future: F) -> F::Output {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime")
    });
    runtime.block_on(future)
}

/// A database of a test.
#[derive(Debug, Clone)]
pub struct Mongo {
    database: Database,
}

impl Mongo {
    /// A client for a database.
    ///
    /// # Panics
    /// When the connection string is none.
    pub fn connect(uri: &str, database: &str) -> Mongo {
        block_on(async {
            let mut options = ClientOptions::parse(uri).await.expect("a MongoDB URI");
            options.server_selection_timeout = Some(Duration::from_secs(30));
            options.read_concern = Some(ReadConcern::majority());
            options.selection_criteria = Some(SelectionCriteria::ReadPreference(
                mongodb::options::ReadPreference::Primary,
            ));
            let client = Client::with_options(options).expect("a MongoDB client");
            Mongo {
                database: client.database(database),
            }
        })
    }

    /// The driver's own, for questions that nobody else asks.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Names of the collections there are.
    ///
    /// # Panics
    /// When they cannot be listed.
    pub fn collections(&self) -> Vec<String> {
        block_on(async {
            self.database
                .list_collection_names()
                .await
                .expect("collections")
        })
    }

    /// Keys of the indexes of a collection, in the order of their creation.
    ///
    /// # Panics
    /// When they cannot be listed.
    pub fn indexes(&self, collection: &str) -> Vec<Document> {
        block_on(async {
            let collection = self.database.collection::<Document>(collection);
            let mut cursor = collection.list_indexes().await.expect("a cursor");
            let mut keys = Vec::new();
            while cursor.advance().await.expect("the next index") {
                keys.push(cursor.deserialize_current().expect("an index").keys);
            }
            keys
        })
    }

    /// The `progress` document, once something has been published, or why it cannot be
    /// read now.
    ///
    /// # Errors
    /// When MongoDB does not answer.
    pub fn progress(&self) -> Result<Option<Document>, String> {
        block_on(async {
            let progress = self.database.collection::<Document>("progress");
            progress
                .find_one(doc! { "_id": "tidemark", "epoch": { "$exists": true } })
                .await
                .map_err(|fault| fault.to_string())
        })
    }

    /// Drops the database.
    pub fn drop_database(&self) {
        // A test's verdict does not depend on how well it tidied up.
        let _ = block_on(async { self.database.drop().await });
    }
}

impl Store for Mongo {
    // As a majority has them.
    fn documents(&self, collection: &str) -> Vec<Document> {
        block_on(async {
            let collection = self.database.collection::<Document>(collection);
            let mut cursor = collection.find(doc! {}).await.expect("a cursor");
            let mut documents = Vec::new();
            while cursor.advance().await.expect("the next document") {
                documents.push(cursor.deserialize_current().expect("a document"));
            }
            documents
        })
    }
}
