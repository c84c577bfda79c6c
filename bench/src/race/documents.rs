//! Whether two databases say the same.
//!
//! Documents are told apart by their collection, window and group, and every other field
//! is compared. Whole numbers, texts, dates and decimals must be equal; doubles to twelve
//! digits, since some round a mean twice. What each side has for itself (`_id`, `final`,
//! `epoch`, `updated_at`) is left out.
//!
//! Rows of an SQLite file are compared as the documents that they would be (`sqlite.rs`).

use super::measure::Served;
use mongodb::bson::{RawBsonRef, RawDocument, RawDocumentBuf, doc};
use mongodb::{Client, Database};
use std::collections::HashMap;
use std::error::Error;
use std::fmt::Write as _;
use tokio::runtime::{Builder, Runtime};

/// Collections, and the columns that each groups by.
pub(super) const VIEWS: [(&str, &[&str]); 7] = [
    ("customer_analysis", &["gender"]),
    ("product_analysis", &["category"]),
    ("sales_analysis", &["product_id"]),
    ("product_views_analysis", &["product_id"]),
    ("interaction_analysis", &["product_id", "interaction_type"]),
    ("log_analysis", &["level"]),
    ("revenue_analysis", &["category", "gender", "status"]),
];

/// Fields that each side has for itself.
pub(super) const OWN: [&str; 4] = ["_id", "final", "epoch", "updated_at"];

/// Two doubles may differ by this share.
const ROUNDING: f64 = 1e-12;

/// What a field holds.
#[derive(Debug, PartialEq)]
pub(super) enum Value {
    Whole(i64),
    Double(f64),
    Date(i64),
    Text(Box<str>),
    Decimal([u8; 16]),
}

impl Value {
    fn of(value: RawBsonRef<'_>) -> Option<Value> {
        Some(match value {
            RawBsonRef::Int32(value) => Value::Whole(value.into()),
            RawBsonRef::Int64(value) => Value::Whole(value),
            RawBsonRef::Double(value) => Value::Double(value),
            RawBsonRef::DateTime(value) => Value::Date(value.timestamp_millis()),
            RawBsonRef::String(value) => Value::Text(value.into()),
            RawBsonRef::Decimal128(value) => Value::Decimal(value.bytes()),
            _ => return None,
        })
    }

    fn is(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Double(a), Value::Double(b)) => (a - b).abs() <= a.abs() * ROUNDING,
            (a, b) => a == b,
        }
    }
}

/// Fields by their names, in the order of these.
pub(super) type Fields = Box<[(Box<str>, Value)]>;

/// What is done with each document, by its key.
pub(super) type Each<'a> = dyn FnMut(Box<str>, Fields) -> Result<(), Box<dyn Error>> + 'a;

/// The documents of a database.
pub struct Documents(HashMap<Box<str>, Fields>);

/// Reads databases.
pub struct Reader {
    runtime: Runtime,
    client: Client,
}

impl Reader {
    /// Connects.
    ///
    /// # Errors
    /// When there is no such MongoDB.
    pub fn new(uri: &str) -> Result<Reader, Box<dyn Error>> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let client = runtime.block_on(Client::with_uri_str(uri).into_future())?;
        Ok(Reader { runtime, client })
    }

    /// Drops a database.
    ///
    /// # Errors
    /// When MongoDB refuses.
    pub fn drop(&self, database: &str) -> Result<(), Box<dyn Error>> {
        let database = self.client.database(database);
        Ok(self.runtime.block_on(database.drop().into_future())?)
    }

    /// What MongoDB has spent and got since its start.
    ///
    /// # Errors
    /// When MongoDB does not say.
    pub fn served(&self) -> Result<Served, Box<dyn Error>> {
        let admin = self.client.database("admin");
        let status = admin.run_command(doc! {"serverStatus": 1});
        let status = self.runtime.block_on(status.into_future())?;
        let extra = status.get_document("extra_info")?;
        let micros = extra.get_i64("user_time_us")? + extra.get_i64("system_time_us")?;
        let network = status.get_document("network")?;
        let bytes = network.get_i64("physicalBytesIn")? + network.get_i64("physicalBytesOut")?;
        #[allow(
            clippy::cast_precision_loss,
            reason = "hours and terabytes are far below 2^52"
        )]
        Ok(Served {
            cpu: micros as f64 / 1e6,
            commands: network.get_i64("numRequests")? as f64,
            bytes: bytes as f64,
        })
    }

    /// All documents of a database.
    ///
    /// # Errors
    /// When they cannot be read, or one has a field of a kind that no view has.
    pub fn read(&self, database: &str) -> Result<Documents, Box<dyn Error>> {
        Documents::gather(|each| self.each(database, each))
    }

    /// Whether a database holds just what is `expected`, but for some fields.
    ///
    /// # Errors
    /// The first document that differs; or that cannot be read.
    pub fn compare(
        &self,
        database: &str,
        expected: &Documents,
        without: &[&str],
    ) -> Result<usize, Box<dyn Error>> {
        expected.compare(database, without, |each| self.each(database, each))
    }

    fn each(&self, database: &str, each: &mut Each<'_>) -> Result<(), Box<dyn Error>> {
        let database: Database = self.client.database(database);
        self.runtime.block_on(async {
            for (name, groups) in VIEWS {
                let collection = database.collection::<RawDocumentBuf>(name);
                let mut cursor = collection.find(doc! {}).batch_size(10_000).await?;
                while cursor.advance().await? {
                    let (key, fields) = parts(name, groups, cursor.current())?;
                    each(key, fields)?;
                }
            }
            Ok(())
        })
    }
}

impl Documents {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that `read` gives.
    pub(super) fn gather(
        read: impl FnOnce(&mut Each<'_>) -> Result<(), Box<dyn Error>>,
    ) -> Result<Documents, Box<dyn Error>> {
        let mut all = HashMap::new();
        read(&mut |key, fields| {
            all.insert(key, fields);
            Ok(())
        })?;
        Ok(Documents(all))
    }

    /// Whether these are just what `read` gives of `place`, but for some fields.
    pub(super) fn compare(
        &self,
        place: &str,
        without: &[&str],
        read: impl FnOnce(&mut Each<'_>) -> Result<(), Box<dyn Error>>,
    ) -> Result<usize, Box<dyn Error>> {
        let mut count = 0;
        read(&mut |key, fields| {
            count += 1;
            let Some(wanted) = self.0.get(&key) else {
                return Err(format!("{place}: {key} should not be there").into());
            };
            let same = wanted.len() == fields.len()
                && wanted
                    .iter()
                    .zip(&fields)
                    .all(|((name, wanted), (other, found))| {
                        name == other && (without.contains(&&**name) || wanted.is(found))
                    });
            match same {
                true => Ok(()),
                false => Err(format!("{place}: {key} is {fields:?}, not {wanted:?}").into()),
            }
        })?;
        match count == self.0.len() {
            true => Ok(count),
            false => Err(format!("{place}: {count} documents, not {}", self.0.len()).into()),
        }
    }
}

fn parts(
    collection: &str,
    groups: &[&str],
    document: &RawDocument,
) -> Result<(Box<str>, Fields), Box<dyn Error>> {
    let mut fields = Vec::new();
    flatten("", document, &mut fields)?;
    keyed(collection, groups, fields)
}

/// Fields in their order, and the key that their document has among all.
pub(super) fn keyed(
    collection: &str,
    groups: &[&str],
    mut fields: Vec<(Box<str>, Value)>,
) -> Result<(Box<str>, Fields), Box<dyn Error>> {
    let mut key = collection.to_owned();
    for group in groups {
        let found = fields.iter().find(|(name, _)| **name == **group);
        write!(key, "|{:?}", found.map(|(_, value)| value))?;
    }
    let start = fields
        .iter()
        .find(|(name, _)| &**name == "window_start" || &**name == "window.start");
    write!(key, "|{:?}", start.map(|(_, value)| value))?;
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    Ok((key.into(), fields.into()))
}

fn flatten(
    before: &str,
    document: &RawDocument,
    into: &mut Vec<(Box<str>, Value)>,
) -> Result<(), Box<dyn Error>> {
    for field in document {
        let (name, value) = field?;
        if before.is_empty() && OWN.contains(&name.as_str()) {
            continue;
        }
        let name = format!("{before}{name}");
        match value {
            RawBsonRef::Document(nested) => flatten(&format!("{name}."), nested, into)?,
            value => {
                let known = Value::of(value).ok_or_else(|| format!("{name} is a {value:?}"))?;
                into.push((name.into(), known));
            }
        }
    }
    Ok(())
}
