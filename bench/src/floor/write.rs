//! Bulk upserts: whole documents, unordered, acknowledged by a majority.

use mongodb::bson::Document;
use mongodb::{Client, bson};
use sinks::mongodb::{Bytes, Open};
use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::runtime::{Builder, Runtime};

/// Rows of a command.
const ROWS: usize = 10_000;

/// The database, and the command that is being made for it.
pub struct Database {
    runtime: Runtime,
    database: mongodb::Database,
    command: Bytes,
    open: Option<[Open; 2]>,
    rows: usize,
    now: i64,
    /// Rows that have been written.
    pub written: u64,
}

impl Database {
    /// Connects.
    ///
    /// # Errors
    /// When the connection string cannot be used.
    pub fn open(uri: &str, name: &str) -> Result<Database, Box<dyn Error>> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let client = runtime.block_on(Client::with_uri_str(uri).into_future())?;
        let database = client.database(name);
        Ok(Database {
            runtime,
            database,
            command: Bytes::default(),
            open: None,
            rows: 0,
            now: 0,
            written: 0,
        })
    }

    /// Replaces the document `id` of a collection by the fields that `fill` writes.
    pub(super) fn put(
        &mut self,
        collection: &str,
        id: &str,
        fill: impl FnOnce(&mut Bytes),
    ) -> Result<(), Box<dyn Error>> {
        if self.open.is_none() {
            let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
            self.now = i64::try_from(now.as_millis())?;
            let command = self.command.begin();
            self.command.text("update", collection);
            self.command.bool("ordered", false);
            self.open = Some([command, self.command.array("updates")]);
        }
        let (bson, now) = (&mut self.command, self.now);
        let operation = bson.item(self.rows);
        let query = bson.document("q");
        bson.text("_id", id);
        bson.end(query);
        let document = bson.document("u");
        bson.text("_id", id);
        fill(bson);
        bson.bool("final", false);
        bson.long("epoch", 1);
        bson.date("updated_at", now);
        bson.end(document);
        bson.bool("upsert", true);
        bson.end(operation);
        self.rows += 1;
        if self.rows == ROWS {
            self.send()
        } else {
            Ok(())
        }
    }

    /// Deletes a document.
    pub(super) fn delete(&mut self, collection: &str, id: &str) -> Result<(), Box<dyn Error>> {
        let collection = self.database.collection::<Document>(collection);
        let delete = collection.delete_one(bson::doc! {"_id": id});
        self.runtime.block_on(delete.into_future())?;
        Ok(())
    }

    /// Sends what is left of a collection.
    pub(super) fn send(&mut self) -> Result<(), Box<dyn Error>> {
        let Some([command, updates]) = self.open.take() else {
            return Ok(());
        };
        let mut bson = std::mem::take(&mut self.command);
        bson.end(updates);
        let concern = bson.document("writeConcern");
        bson.text("w", "majority");
        bson.end(concern);
        bson.end(command);
        let command = self.database.run_raw_command(bson.finish()?);
        let reply = self.runtime.block_on(command.into_future())?;
        check(&reply)?;
        self.written += self.rows as u64;
        self.rows = 0;
        Ok(())
    }
}

fn check(reply: &Document) -> Result<(), Box<dyn Error>> {
    match reply.get("writeErrors").or(reply.get("writeConcernError")) {
        None => Ok(()),
        Some(bson::Bson::Array(errors)) if errors.is_empty() => Ok(()),
        Some(error) => Err(format!("MongoDB: {error}").into()),
    }
}
