//! One client, one small runtime and one rule for errors, shared by all writers
//! and readers of a storage.
//!
//! The driver is asynchronous and the callers are not: a call runs its futures
//! on the calling thread ([`Connection::block_on`]), while the driver's own
//! tasks (monitoring, connection pools) live on two threads of their own.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use ::mongodb::bson::{Document, RawBsonRef, RawDocument, RawDocumentBuf, doc, rawdoc};
use ::mongodb::options::{
    ReadConcern, ReadPreference, SelectionCriteria, TransactionOptions, WriteConcern,
};
use ::mongodb::{Client, ClientSession, Database};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::config::{self, Timeouts};
use super::errors;
use crate::SinkError;

/// What may take long may take so many times as long as another command.
const LONG: u32 = 20;

/// After so long without an answer, a line says so; then each time as long again.
const SILENCE: Duration = Duration::from_secs(3);

/// Transactions of this process at the same time. Two keep a server busy; four also hide
/// the way there. More only fill its memory: what they have not committed stays there, and
/// so does whatever is written meanwhile. With 16 of 1,000 rows each, one of 256 MiB took
/// half a minute for each of them.
const MOST_TRANSACTIONS: usize = 4;

/// A deployment, and the database in it.
#[derive(Debug)]
pub(super) struct Connection {
    database: Database,
    client: Client,
    describe: String,
    timeouts: Timeouts,
    /// Turns for transactions, of all lanes of this process.
    turns: Semaphore,
    /// Asked once, when the deployment first answers.
    replicated: OnceLock<bool>,
    silence: Silence,
    /// `None` only while it is dropped.
    runtime: Option<Arc<Runtime>>,
}

impl Connection {
    /// Starts connecting; does not wait for it.
    pub(super) fn open(
        uri: &str,
        database: &str,
        timeouts: Timeouts,
    ) -> Result<Connection, SinkError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("mongodb")
            .enable_all()
            .build()
            .map_err(|error| SinkError::refused("this machine", error.to_string()))?;
        let target = runtime.block_on(config::target(uri, database, &timeouts))?;
        let client = {
            // The client starts its monitors as tasks of the current runtime.
            let _entered = runtime.enter();
            Client::with_options(target.options)
        };
        let client = client
            .map_err(|error| SinkError::misconfigured(config::SETTING, error.kind.to_string()))?;
        Ok(Connection {
            database: client.database(database),
            client,
            describe: target.describe,
            timeouts,
            turns: Semaphore::new(MOST_TRANSACTIONS),
            replicated: OnceLock::new(),
            silence: Silence::default(),
            runtime: Some(Arc::new(runtime)),
        })
    }

    /// The same, but no command is waited for longer than `most`.
    pub(super) fn within_at_most(&self, most: Duration) -> Connection {
        let mut timeouts = self.timeouts.clone();
        timeouts.command = timeouts.command.min(most);
        Connection {
            database: self.database.clone(),
            client: self.client.clone(),
            describe: self.describe.clone(),
            timeouts,
            turns: Semaphore::new(MOST_TRANSACTIONS),
            replicated: OnceLock::new(),
            silence: Silence::default(),
            runtime: self.runtime.clone(),
        }
    }

    pub(super) fn describe(&self) -> &str {
        &self.describe
    }

    pub(super) fn database(&self) -> &Database {
        &self.database
    }

    /// Runs `future` on this thread. Must not be called from asynchronous code.
    pub(super) fn block_on<'a, T>(&self, future: impl Future<Output = T> + 'a) -> T {
        // Boxed, since the runtime's own code would else be compiled for each future.
        let future: Pin<Box<dyn Future<Output = T> + 'a>> = Box::pin(future);
        match &self.runtime {
            Some(runtime) => runtime.block_on(future),
            None => unreachable!("the runtime is only taken when the connection is dropped"),
        }
    }

    /// Waits until a transaction may be begun; it may go on until the turn is dropped.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // It fails only when nobody is given a turn any more, and that is never said.
        self.turns.acquire().await.ok()
    }

    /// A session of its own, for transactions.
    pub(super) async fn session(&self) -> Result<ClientSession, SinkError> {
        let session = self.client.start_session().causal_consistency(false);
        session.await.map_err(|error| self.failed(&error))
    }

    /// Whether this is a replica set or a sharded cluster, and not a single
    /// server on its own, which knows neither transactions nor majorities.
    pub(super) async fn is_replicated(&self) -> Result<bool, SinkError> {
        if let Some(known) = self.replicated.get() {
            return Ok(*known);
        }
        let hello = self.run_code(rawdoc! {"hello": 1}).await;
        let hello = hello.map_err(|failure| failure.error)?;
        let is_router = hello.get_str("msg").is_ok_and(|text| text == "isdbgrid");
        // A set that nobody has initiated yet has no name, but says that it is one.
        let is_set = hello.contains_key("setName") || hello.contains_key("isreplicaset");
        let replicated = is_router || is_set;
        Ok(*self.replicated.get_or_init(|| replicated))
    }

    /// The write concern of every write: on a majority's disks.
    ///
    /// The server waits less long than [`Connection::run_code`] does, so that a
    /// majority that is away shows as the server's error and not as silence.
    pub(super) fn write_concern(&self, replicated: bool) -> RawDocumentBuf {
        if replicated {
            let wait = i64::try_from(self.majority().as_millis()).unwrap_or(i64::MAX);
            rawdoc! {"w": "majority", "wtimeout": wait}
        } else {
            // Alone, a server would acknowledge what is not on disk yet.
            rawdoc! {"w": 1, "j": true}
        }
    }

    /// How long the server waits for a majority.
    fn majority(&self) -> Duration {
        self.timeouts.command.mul_f32(0.75)
    }

    /// What every transaction is: on a majority's disks when it is committed, whatever
    /// the connection string says of other writes.
    pub(super) fn transaction_options(&self) -> TransactionOptions {
        let mut concern = WriteConcern::majority();
        concern.w_timeout = Some(self.majority());
        TransactionOptions::builder()
            .write_concern(concern)
            .read_concern(ReadConcern::snapshot())
            .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
            .build()
    }

    /// Like [`Connection::run_code`] for what may take long, such as an index over
    /// all that is there.
    pub(super) async fn run_long(&self, command: RawDocumentBuf) -> Result<Document, Failure> {
        self.raw(command, None, self.timeouts.command * LONG).await
    }

    /// Runs one command and waits for its answer, for as long as
    /// [`Timeouts::command`]; with the server's code in the error.
    pub(super) async fn run_code(&self, command: RawDocumentBuf) -> Result<Document, Failure> {
        self.raw(command, None, self.timeouts.command).await
    }

    /// Like [`Connection::run_code`], within a session and its transaction.
    pub(super) async fn run_write(
        &self,
        command: RawDocumentBuf,
        session: &mut ClientSession,
    ) -> Result<Document, Failure> {
        self.raw(command, Some(session), self.timeouts.command)
            .await
    }

    async fn raw(
        &self,
        command: RawDocumentBuf,
        session: Option<&mut ClientSession>,
        patience: Duration,
    ) -> Result<Document, Failure> {
        let what = subject(&command);
        let command = self.database.run_raw_command(command);
        match session {
            Some(session) => self.coded(command.session(session), patience, &what).await,
            None => self.coded(command, patience, &what).await,
        }
    }

    /// Waits for an answer to `what`, for as long as `patience`; the silence is logged.
    async fn coded<T>(
        &self,
        future: impl IntoFuture<Output = ::mongodb::error::Result<T>>,
        patience: Duration,
        what: &str,
    ) -> Result<T, Failure> {
        let mut answer = std::pin::pin!(future.into_future());
        let started = Instant::now();
        loop {
            let left = patience.saturating_sub(started.elapsed());
            match tokio::time::timeout(left.min(SILENCE), &mut answer).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => {
                    return Err(Failure {
                        code: errors::code(&error),
                        error: self.failed(&error),
                    });
                }
                Err(_) if started.elapsed() >= patience => {
                    return Err(self.silent(what, patience).into());
                }
                Err(_) => self.silence.log(&self.describe, what, started, patience),
            }
        }
    }

    /// Waits for something of the driver that is no command, as long as for one.
    pub(super) async fn within<T>(
        &self,
        future: impl IntoFuture<Output = ::mongodb::error::Result<T>>,
    ) -> Result<T, SinkError> {
        self.within_code(future)
            .await
            .map_err(|failure| failure.error)
    }

    /// Like [`Connection::within`], with the server's code in the error.
    pub(super) async fn within_code<T>(
        &self,
        future: impl IntoFuture<Output = ::mongodb::error::Result<T>>,
    ) -> Result<T, Failure> {
        self.coded(future, self.timeouts.command, "a query").await
    }

    /// Like [`Connection::within`] for what may take long, such as finding the few
    /// documents of many that fit.
    pub(super) async fn within_long<T>(
        &self,
        future: impl IntoFuture<Output = ::mongodb::error::Result<T>>,
    ) -> Result<T, SinkError> {
        self.coded(future, self.timeouts.command * LONG, "a query")
            .await
            .map_err(|failure| failure.error)
    }

    /// Whether the deployment answers.
    pub(super) async fn ping(&self) -> Result<(), SinkError> {
        let command = self.database.run_command(doc! {"ping": 1});
        self.within(command).await.map(drop)
    }

    pub(super) fn failed(&self, error: &::mongodb::error::Error) -> SinkError {
        errors::classify(&self.describe, error)
    }

    fn silent(&self, what: &str, patience: Duration) -> SinkError {
        SinkError::unavailable(
            &self.describe,
            format!("no answer to {what} within {:.1} s", patience.as_secs_f32()),
        )
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Of several connections by one client, the last one ends it.
        if let Some(runtime) = self.runtime.take().and_then(Arc::into_inner) {
            // Waiting would be refused where the last owner lets go within
            // asynchronous code.
            runtime.shutdown_background();
        }
    }
}

/// When the database was last said not to answer: several commands wait at the same time,
/// and one line says it of all.
#[derive(Debug, Default)]
struct Silence {
    /// Milliseconds from the first time on.
    last: AtomicU64,
    first: OnceLock<Instant>,
}

impl Silence {
    fn log(&self, database: &str, what: &str, started: Instant, patience: Duration) {
        let first = *self.first.get_or_init(Instant::now);
        // From 1 on: 0 is never.
        let now = 1 + u64::try_from(first.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        let last = self.last.load(Ordering::Relaxed);
        let is_due = last == 0 || u128::from(now - last.min(now)) >= SILENCE.as_millis() / 2;
        let relaxed = Ordering::Relaxed;
        if is_due
            && self
                .last
                .compare_exchange(last, now, relaxed, relaxed)
                .is_ok()
        {
            let waited = started.elapsed();
            tracing::warn!(
                "{database}: no answer to {what} for {:.0} s; waiting for up to {:.0} s more",
                waited.as_secs_f32(),
                patience.saturating_sub(waited).as_secs_f32().ceil()
            );
        }
    }
}

/// A command and its collection, as a person would name them: `createIndexes sales`.
fn subject(command: &RawDocument) -> String {
    match command.iter().next() {
        Some(Ok((verb, RawBsonRef::String(collection)))) => format!("{verb} {collection}"),
        Some(Ok((verb, _))) => verb.to_string(),
        _ => "a command".to_owned(),
    }
}

/// A command that failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// The server's code, if it was the server.
    pub(super) code: Option<i32>,
    pub(super) error: SinkError,
}

impl Failure {
    /// Whether a document that was to be made is there already. (That the key which is there
    /// twice is `_id` is what makes the error one that passes.)
    pub(super) fn is_duplicate_id(&self) -> bool {
        self.code == Some(errors::DUPLICATE_KEY) && self.error.is_temporary()
    }
}

/// One that no code of the server belongs to.
impl From<SinkError> for Failure {
    fn from(error: SinkError) -> Failure {
        Failure { code: None, error }
    }
}
