//! Statements, done.

use super::parse::{Expression, Statement, parse};
use crate::mongo::{Mongo, block_on};
use mongodb::bson::{Bson, Document, deserialize_from_bson};
use mongodb::change_stream::ChangeStream;
use mongodb::options::{AggregateOptions, FindOptions, TransactionOptions};
use mongodb::{ClientSession, Collection, Database};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a change is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a `mongosh` is that has said `use DATABASE`.
pub struct Shell {
    database: Database,
    known: BTreeMap<String, Value>,
}

/// Shared by all that is read in it.
type Session = Arc<Mutex<ClientSession>>;

#[derive(Clone)]
enum Value {
    Bson(Bson),
    Client,
    Session(Session),
    Database(Option<Session>),
    Collection(Place),
    Query(Place, Query),
    Stream(Arc<Mutex<ChangeStream<Document>>>),
}

/// A collection, as it is read in a session.
#[derive(Clone)]
struct Place {
    collection: Collection<Document>,
    session: Option<Session>,
}

/// A query that has not been sent.
#[derive(Clone)]
enum Query {
    Find(Document, Box<FindOptions>),
    Aggregate(Vec<Document>),
}

impl Shell {
    /// In the database of a test.
    pub fn new(mongo: &Mongo) -> Shell {
        Shell {
            database: mongo.database().clone(),
            known: BTreeMap::new(),
        }
    }

    /// Runs statements, and returns what the last one shows.
    ///
    /// # Errors
    /// With what is not understood, or what MongoDB says.
    pub fn run(&mut self, text: &str) -> Result<Bson, String> {
        let mut last = Bson::Null;
        for statement in parse(text)? {
            last = self.step(&statement)?;
        }
        Ok(last)
    }

    /// The same, where the last statement shows documents.
    ///
    /// # Errors
    /// Likewise.
    pub fn documents(&mut self, text: &str) -> Result<Vec<Document>, String> {
        documents(self.run(text)?)
    }

    /// Runs one statement, and returns what it shows: nothing, if it only gives a
    /// name to what is no value.
    ///
    /// # Errors
    /// Likewise.
    pub fn step(&mut self, statement: &Statement) -> Result<Bson, String> {
        let value = self.value(&statement.expression)?;
        let Some(name) = &statement.name else {
            return shown(value);
        };
        let shown = match &value {
            Value::Bson(value) => value.clone(),
            _ => Bson::Null,
        };
        self.known.insert(name.clone(), value);
        Ok(shown)
    }

    /// What has been given a name, as documents.
    ///
    /// # Errors
    /// When there is none of this name, or it is something else.
    pub fn named(&self, name: &str) -> Result<Vec<Document>, String> {
        let value = self.known.get(name).ok_or(format!("no {name}"))?;
        documents(shown(value.clone())?)
    }

    fn value(&self, expression: &Expression) -> Result<Value, String> {
        Ok(match expression {
            Expression::Constant(constant) => Value::Bson(constant.clone()),
            Expression::List(list) => {
                let list: Result<Vec<_>, _> = list.iter().map(|each| self.bson(each)).collect();
                Value::Bson(Bson::Array(list?))
            }
            Expression::Object(fields) => {
                let mut document = Document::new();
                for (name, field) in fields {
                    document.insert(name, self.bson(field)?);
                }
                Value::Bson(Bson::Document(document))
            }
            Expression::Name(name) if name == "db" => Value::Database(None),
            Expression::Name(name) => {
                let known = self.known.get(name).cloned();
                known.ok_or(format!("{name} is not defined"))?
            }
            Expression::Field(whole, name) => match self.value(whole)? {
                Value::Database(session) => Value::Collection(Place {
                    collection: self.database.collection(name),
                    session,
                }),
                Value::Bson(Bson::Document(document)) => {
                    let field = document.get(name).cloned();
                    Value::Bson(field.ok_or(format!("no {name} in {document}"))?)
                }
                _ => return Err(format!("nothing has a field {name} here")),
            },
            Expression::Call(on, name, arguments) => {
                let arguments: Result<Vec<_>, _> =
                    arguments.iter().map(|each| self.bson(each)).collect();
                self.call(self.value(on)?, name, &arguments?)?
            }
        })
    }

    fn bson(&self, expression: &Expression) -> Result<Bson, String> {
        match self.value(expression)? {
            Value::Bson(value) => Ok(value),
            _ => Err(format!("{expression:?} is no value")),
        }
    }

    fn call(&self, on: Value, name: &str, arguments: &[Bson]) -> Result<Value, String> {
        Ok(match (on, name, arguments) {
            (Value::Database(_), "getMongo", []) => Value::Client,
            (Value::Database(_), "getName", []) => {
                Value::Bson(Bson::String(self.database.name().to_owned()))
            }
            (Value::Client, "startSession", []) => {
                let session = self.database.client().start_session();
                let session = block_on(session.into_future()).map_err(said)?;
                Value::Session(Arc::new(Mutex::new(session)))
            }
            (Value::Session(session), "startTransaction", [options]) => {
                let options = deserialize_from_bson::<TransactionOptions>(options.clone());
                let options = options.map_err(|fault| fault.to_string())?;
                let mut session = session.lock().unwrap_or_else(PoisonError::into_inner);
                let start = session.start_transaction().with_options(options);
                block_on(start.into_future()).map_err(said)?;
                Value::Bson(Bson::Null)
            }
            (Value::Session(session), "commitTransaction", []) => {
                let mut session = session.lock().unwrap_or_else(PoisonError::into_inner);
                let commit = session.commit_transaction();
                block_on(commit.into_future()).map_err(said)?;
                Value::Bson(Bson::Null)
            }
            (Value::Session(session), "getDatabase", [Bson::String(name)])
                if name == self.database.name() =>
            {
                Value::Database(Some(session))
            }
            (Value::Collection(place), "watch", [stages, options @ ..]) => {
                let stream = watch(&place, stages, options)?;
                Value::Stream(Arc::new(Mutex::new(stream)))
            }
            (Value::Collection(place), _, _) => query(place, name, arguments)?,
            (
                Value::Query(place, Query::Find(filter, options)),
                "sort",
                [Bson::Document(order)],
            ) => {
                let mut options = options;
                options.sort = Some(order.clone());
                Value::Query(place, Query::Find(filter, options))
            }
            (Value::Query(place, Query::Find(filter, options)), "limit", [Bson::Int32(limit)]) => {
                let mut options = options;
                options.limit = Some(i64::from(*limit));
                Value::Query(place, Query::Find(filter, options))
            }
            (Value::Query(place, query), "next", []) => {
                let first = all(&place, query)?.into_iter().next();
                Value::Bson(first.map_or(Bson::Null, Bson::Document))
            }
            (Value::Query(place, query), "toArray", []) => Value::Bson(array(all(&place, query)?)),
            (Value::Stream(stream), "next", []) => {
                let mut stream = stream.lock().unwrap_or_else(PoisonError::into_inner);
                Value::Bson(Bson::Document(next(&mut stream)?))
            }
            _ => {
                return Err(format!(
                    "{name} of {} arguments is not known",
                    arguments.len()
                ));
            }
        })
    }
}

/// What a collection is asked.
fn query(place: Place, name: &str, arguments: &[Bson]) -> Result<Value, String> {
    let find = |filter: &Document, projection: Option<&Document>| {
        let mut options = FindOptions::default();
        options.projection = projection.cloned();
        Query::Find(filter.clone(), Box::new(options))
    };
    Ok(match (name, arguments) {
        ("find", []) => Value::Query(place, find(&Document::new(), None)),
        ("find", [Bson::Document(filter)]) => Value::Query(place, find(filter, None)),
        ("find", [Bson::Document(filter), Bson::Document(projection)]) => {
            Value::Query(place, find(filter, Some(projection)))
        }
        ("findOne", [Bson::Document(filter)]) => {
            let first = all(&place, find(filter, None))?.into_iter().next();
            Value::Bson(first.map_or(Bson::Null, Bson::Document))
        }
        ("aggregate", [stages]) => Value::Query(place, Query::Aggregate(list(stages)?)),
        _ => {
            let count = arguments.len();
            return Err(format!("{name} of {count} arguments is not known"));
        }
    })
}

/// Everything that a query finds.
fn all(place: &Place, query: Query) -> Result<Vec<Document>, String> {
    let Place {
        collection,
        session,
    } = place;
    let mut found = Vec::new();
    let Some(session) = session else {
        let read = async {
            let mut cursor = match query {
                Query::Find(filter, options) => {
                    collection.find(filter).with_options(*options).await
                }
                Query::Aggregate(stages) => collection.aggregate(stages).await,
            }?;
            while cursor.advance().await? {
                found.push(cursor.deserialize_current()?);
            }
            Ok(found)
        };
        return block_on(read).map_err(said);
    };
    let mut session = session.lock().unwrap_or_else(PoisonError::into_inner);
    let session = &mut *session;
    let read = async {
        let mut cursor = match query {
            Query::Find(filter, options) => {
                let find = collection.find(filter).with_options(*options);
                find.session(&mut *session).await
            }
            Query::Aggregate(stages) => {
                let aggregate = collection.aggregate(stages);
                let aggregate = aggregate.with_options(AggregateOptions::default());
                aggregate.session(&mut *session).await
            }
        }?;
        while cursor.advance(session).await? {
            found.push(cursor.deserialize_current()?);
        }
        Ok(found)
    };
    block_on(read).map_err(said)
}

fn watch(place: &Place, stages: &Bson, options: &[Bson]) -> Result<ChangeStream<Document>, String> {
    let mut watch = place.collection.watch().pipeline(list(stages)?);
    match options {
        [] => {}
        [Bson::Document(options)] => {
            for (name, value) in options {
                if name != "resumeAfter" {
                    return Err(format!("to watch with {name}"));
                }
                let token = deserialize_from_bson(value.clone()).map_err(|e| e.to_string())?;
                watch = watch.resume_after(Some(token));
            }
        }
        _ => return Err("to watch with more than stages and options".to_owned()),
    }
    let stream = block_on(watch.into_future()).map_err(said)?;
    Ok(stream.with_type())
}

fn next(stream: &mut ChangeStream<Document>) -> Result<Document, String> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(change) = block_on(stream.next_if_any()).map_err(said)? {
            return Ok(change);
        }
    }
    Err(format!("no change within {PATIENCE:?}"))
}

/// What a shell prints of a value.
fn shown(value: Value) -> Result<Bson, String> {
    match value {
        Value::Bson(value) => Ok(value),
        Value::Query(place, query) => Ok(array(all(&place, query)?)),
        _ => Ok(Bson::Null),
    }
}

fn array(documents: Vec<Document>) -> Bson {
    Bson::Array(documents.into_iter().map(Bson::Document).collect())
}

fn documents(value: Bson) -> Result<Vec<Document>, String> {
    match value {
        Bson::Document(document) => Ok(vec![document]),
        value => list(&value),
    }
}

fn list(value: &Bson) -> Result<Vec<Document>, String> {
    let list = value.as_array().ok_or(format!("{value} is no list"))?;
    let document = |each: &Bson| each.as_document().cloned();
    let documents: Option<_> = list.iter().map(document).collect();
    documents.ok_or(format!("not all of {value} are documents"))
}

#[allow(clippy::needless_pass_by_value, reason = "a function for `map_err`")]
fn said(error: mongodb::error::Error) -> String {
    error.to_string()
}
