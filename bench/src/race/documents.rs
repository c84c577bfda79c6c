//! Whether two databases say the same.
//!
//! Documents are told apart by their collection, window and group, and every other field
//! is compared. Whole numbers, texts, dates and decimals must be equal; doubles to twelve
//! digits, since some round a mean twice. What each side has for itself (`_id`, `final`,
//! `epoch`, `updated_at`) is left out.

use super::measure::Served;
use mongodb::bson::{RawBsonRef, RawDocument, RawDocumentBuf, doc};
use mongodb::{Client, Database};
use std::collections::HashMap;
use std::error::Error;
use std::fmt::Write as _;
use tokio::runtime::{Builder, Runtime};

/// Collections, and the columns that each groups by.
const VIEWS: [(&str, &[&str]); 7] = [
    ("customer_analysis", &["gender"]),
    ("product_analysis", &["category"]),
    ("sales_analysis", &["product_id"]),
    ("product_views_analysis", &["product_id"]),
    ("interaction_analysis", &["product_id", "interaction_type"]),
    ("log_analysis", &["level"]),
    ("revenue_analysis", &["category", "gender", "status"]),
];

/// Fields that each side has for itself.
const OWN: [&str; 4] = ["_id", "final", "epoch", "updated_at"];

/// Two doubles may differ by this share.
const ROUNDING: f64 = 1e-12;

#[derive(Debug, PartialEq)]
enum Value {
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
type Fields = Box<[(Box<str>, Value)]>;

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
        let mut all = HashMap::new();
        self.each(database, |key, fields| {
            all.insert(key, fields);
            Ok(())
        })?;
        Ok(Documents(all))
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
        let mut count = 0;
        self.each(database, |key, fields| {
            count += 1;
            let Some(wanted) = expected.0.get(&key) else {
                return Err(format!("{database}: {key} should not be there").into());
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
                false => Err(format!("{database}: {key} is {fields:?}, not {wanted:?}").into()),
            }
        })?;
        match count == expected.0.len() {
            true => Ok(count),
            false => Err(format!("{database}: {count} documents, not {}", expected.0.len()).into()),
        }
    }

    fn each(
        &self,
        database: &str,
        mut each: impl FnMut(Box<str>, Fields) -> Result<(), Box<dyn Error>>,
    ) -> Result<(), Box<dyn Error>> {
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
}

fn parts(
    collection: &str,
    groups: &[&str],
    document: &RawDocument,
) -> Result<(Box<str>, Fields), Box<dyn Error>> {
    let mut key = collection.to_owned();
    let mut fields: Vec<(Box<str>, Value)> = Vec::new();
    flatten("", document, &mut fields)?;
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
