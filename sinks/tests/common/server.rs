//! Databases for tests, in the services' MongoDB or in one of a test's own.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb::change_stream::event::ChangeStreamEvent;
use tokio::runtime::Runtime;

/// A database of a test's own, dropped at the end of it, and a client that
/// knows nothing of the code under test.
pub struct Database {
    pub uri: String,
    pub name: String,
    runtime: Runtime,
    client: Client,
}

impl Database {
    /// In the services' MongoDB.
    pub fn new(test: &str) -> Database {
        Database::at(&super::service("TIDEMARK_MONGODB_URI"), test)
    }

    pub fn at(uri: &str, test: &str) -> Database {
        let database = Database::at_unready(uri, test);
        database.command(doc! {"dropDatabase": 1});
        database
    }

    /// At a server that need not be ready.
    pub fn at_unready(uri: &str, test: &str) -> Database {
        Database::called(uri, format!("sinks_{test}_{}", std::process::id()))
    }

    /// The database `admin` of a server that need not be ready, left as it is.
    pub fn admin(uri: &str) -> Database {
        Database::called(uri, "admin".into())
    }

    /// What the server keeps for itself, left as it is.
    pub fn config(uri: &str) -> Database {
        Database::called(uri, "config".into())
    }

    /// A database of this name, left as it is unless it is a test's.
    pub fn called(uri: &str, name: String) -> Database {
        let runtime = Runtime::new().unwrap();
        let client = runtime.block_on(Client::with_uri_str(uri)).unwrap();
        Database {
            uri: uri.into(),
            name,
            runtime,
            client,
        }
    }

    pub fn command(&self, command: Document) -> Document {
        self.try_command(command).unwrap()
    }

    pub fn try_command(&self, command: Document) -> Result<Document, mongodb::error::Error> {
        let database = self.client.database(&self.name);
        self.runtime
            .block_on(async { database.run_command(command).await })
    }

    /// All documents of a collection, by `_id`.
    pub fn documents(&self, collection: &str) -> Vec<Document> {
        let collection = self
            .client
            .database(&self.name)
            .collection::<Document>(collection);
        self.runtime.block_on(async {
            let mut cursor = collection
                .find(doc! {})
                .sort(doc! {"_id": 1})
                .await
                .unwrap();
            let mut documents = Vec::new();
            while cursor.advance().await.unwrap() {
                documents.push(cursor.deserialize_current().unwrap());
            }
            documents
        })
    }

    /// Calls `each` with what happens to a collection, in order, until it returns
    /// false or `stop` is set; through failovers. Calls `begun` when nothing can be
    /// missed any more.
    pub fn follow(
        &self,
        collection: &str,
        stop: &AtomicBool,
        begun: impl FnOnce(),
        mut each: impl FnMut(&ChangeStreamEvent<Document>) -> bool,
    ) {
        let collection = self
            .client
            .database(&self.name)
            .collection::<Document>(collection);
        self.runtime.block_on(async {
            let mut stream = collection.watch().await.unwrap();
            begun();
            while !stop.load(Ordering::Relaxed) {
                match stream.next_if_any().await {
                    Ok(None) => {}
                    Ok(Some(event)) if each(&event) => {}
                    Ok(Some(_)) => return,
                    // The driver goes on by itself once, and not for as long as it takes.
                    Err(_) => {
                        let token = stream.resume_token();
                        if let Ok(again) = collection.watch().resume_after(token).await {
                            stream = again;
                        }
                    }
                }
            }
        });
    }

    pub fn insert(&self, collection: &str, document: Document) {
        self.command(doc! {"insert": collection, "documents": [document]});
    }

    /// The keys of a collection's indexes, besides `_id`.
    pub fn indexes(&self, collection: &str) -> Vec<Document> {
        let reply = self.command(doc! {"listIndexes": collection});
        let cursor = reply.get_document("cursor").unwrap();
        let indexes = cursor.get_array("firstBatch").unwrap();
        let keys = indexes
            .iter()
            .map(|index| index.as_document().unwrap().get_document("key").unwrap());
        keys.filter(|key| **key != doc! {"_id": 1})
            .cloned()
            .collect()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A test may have left its server dead.
        if !["admin", "config"].contains(&self.name.as_str()) {
            drop(self.try_command(doc! {"dropDatabase": 1}));
        }
    }
}

/// A replica set of one, of a test's own, to be killed and frozen at will.
pub struct Server {
    directory: tempfile::TempDir,
    port: u16,
    arguments: Vec<String>,
    process: Child,
}

impl Server {
    pub fn start() -> Server {
        Server::start_with(&[])
    }

    pub fn start_with(arguments: &[&str]) -> Server {
        let server = Server::start_uninitiated(arguments);
        if arguments.contains(&"--replSet") {
            server.initiate();
        }
        server
    }

    /// Like [`Server::start_with`], but nobody initiates its set.
    pub fn start_uninitiated(arguments: &[&str]) -> Server {
        let directory = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .unwrap()
            .port();
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let process = launch(&directory, port, &arguments);
        Server {
            directory,
            port,
            arguments,
            process,
        }
    }

    /// A set of three, whose first is its primary, and the URI of all.
    pub fn set_of_three() -> (Vec<Server>, String) {
        let servers: Vec<Server> = (0..3)
            .map(|_| Server::start_uninitiated(&["--replSet", "own"]))
            .collect();
        servers[0].initiate_with(&[&servers[1], &servers[2]]);
        let hosts: Vec<String> = servers
            .iter()
            .map(|server| format!("127.0.0.1:{}", server.port()))
            .collect();
        let uri = format!("mongodb://{}/?replicaSet=own", hosts.join(","));
        (servers, uri)
    }

    pub fn initiate(&self) {
        self.initiate_with(&[]);
    }

    /// Makes a set of this and others, with this as its primary.
    pub fn initiate_with(&self, others: &[&Server]) {
        let members: Vec<Document> = std::iter::once(&self)
            .chain(others)
            .zip(0..)
            .map(|(server, number)| {
                // The first is elected as long as it is there.
                let priority = if number == 0 { 2 } else { 1 };
                let host = format!("127.0.0.1:{}", server.port);
                let tags = doc! {"n": number.to_string()};
                doc! {"_id": number, "host": host, "priority": priority, "tags": tags}
            })
            .collect();
        let mut set = doc! {"_id": "own", "members": members};
        if others.len() > 1 {
            // One may go, and the others are not to wait ten seconds for it.
            set.insert(
                "settings",
                doc! {"electionTimeoutMillis": 2_000, "heartbeatIntervalMillis": 200},
            );
        }
        let initiate = doc! {"replSetInitiate": set};
        let database = Database::admin(&self.uri());
        wait_for("set", || match database.try_command(initiate.clone()) {
            Err(error) if !error.to_string().contains("AlreadyInitialized") => Err(error),
            _ => Ok(()),
        });
        self.wait_for_primary();
    }

    /// Waits until it is the primary of its set.
    pub fn wait_for_primary(&self) {
        let database = Database::admin(&self.uri());
        wait_for("primary", || {
            let hello = database.try_command(doc! {"hello": 1});
            match hello {
                Ok(hello) if hello.get_bool("isWritablePrimary").unwrap_or(false) => Ok(()),
                other => Err(other),
            }
        });
    }

    /// Whether it is the primary of its set now.
    pub fn is_primary(&self) -> bool {
        let hello = Database::admin(&self.uri()).try_command(doc! {"hello": 1});
        hello.is_ok_and(|hello| hello.get_bool("isWritablePrimary").unwrap_or(false))
    }

    pub fn uri(&self) -> String {
        format!("mongodb://127.0.0.1:{}/?directConnection=true", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub fn restart(&mut self) {
        self.process = launch(&self.directory, self.port, &self.arguments);
    }

    /// Stops answering without closing anything.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Tries until it passes, for half a minute.
pub fn wait_for<T, E: std::fmt::Debug>(what: &str, attempt: impl Fn() -> Result<T, E>) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while let Err(error) = attempt() {
        assert!(Instant::now() < deadline, "no {what}: {error:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn launch(directory: &tempfile::TempDir, port: u16, arguments: &[String]) -> Child {
    Command::new(super::service("MONGOD"))
        .arg("--dbpath")
        .arg(directory.path())
        .args(["--port", &port.to_string(), "--bind_ip", "127.0.0.1"])
        .args(["--wiredTigerCacheSizeGB", "0.5"])
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("MONGOD names the program mongod")
}
