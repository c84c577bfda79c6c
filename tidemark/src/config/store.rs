//! Where events come from and where rows go: settings that depend on each other.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{
    ConfigError, Rate, Secret, Source, Store, cli::Options, http::read_secret, layers::Layers,
};

/// librdkafka's name for the password of a user.
const PASSWORD: &str = "sasl.password";

/// Kafka where brokers are given, else a generated shop.
pub(super) fn source(options: &Options, layers: &Layers) -> Result<Source, ConfigError> {
    let mut properties: BTreeMap<String, Secret> = options
        .kafka
        .iter()
        .map(|(key, text)| (key.clone(), text.value.clone()))
        .collect();
    if properties.contains_key("bootstrap.servers")
        || properties.contains_key("metadata.broker.list")
    {
        return Err(ConfigError::setting(
            "bootstrap.servers",
            "it is not set as a librdkafka property; give --brokers",
        ));
    }
    if let Some(file) = &options.kafka_password_file {
        if options.brokers.is_none() {
            let takes = "a password is of use with a real Kafka only; give --brokers";
            return Err(layers.error("kafka_password_file", takes));
        }
        let password = read_secret(&file.value, "kafka_password_file", layers)?;
        if properties.insert(PASSWORD.to_owned(), password).is_some() {
            return Err(layers.error(
                "kafka_password_file",
                format!("one password is enough; leave out this or the property {PASSWORD}"),
            ));
        }
    }
    let Some(brokers) = &options.brokers else {
        if let Some(key) = properties.keys().next() {
            return Err(ConfigError::setting(
                key,
                "a librdkafka property is of use with a real Kafka only; give --brokers",
            ));
        }
        if options.until_caught_up.as_ref().is_some_and(|b| b.value) {
            return Err(layers.error(
                "until_caught_up",
                "the generated shop never ends; give --brokers",
            ));
        }
        return Ok(Source::Embedded {
            rate: options
                .rate
                .as_ref()
                .map_or_else(Rate::default, |rate| rate.value),
            seed: options.seed.as_ref().map_or(1, |seed| seed.value),
        });
    };
    let brokers = brokers.value.clone();
    if brokers.split(',').any(|broker| broker.trim().is_empty()) {
        return Err(layers.error(
            "brokers",
            format!("{brokers:?}: it takes HOST:PORT, and commas between several"),
        ));
    }
    Ok(Source::Kafka {
        brokers,
        properties,
    })
}

/// The one store that was chosen.
pub(super) fn store(options: &Options, layers: &Layers) -> Result<Store, ConfigError> {
    let uri = match (&options.mongodb_uri, &options.mongodb_uri_file) {
        (Some(_), Some(_)) => {
            return Err(layers.error(
                "mongodb_uri_file",
                format!(
                    "one URI is enough; leave out {}",
                    layers.place("mongodb_uri")
                ),
            ));
        }
        (Some(uri), None) => Some(("mongodb_uri", uri.value.clone())),
        (None, Some(file)) => {
            let uri = read_secret(&file.value, "mongodb_uri_file", layers)?;
            Some(("mongodb_uri_file", uri))
        }
        (None, None) => None,
    };
    if let Some((key, uri)) = uri {
        if options.sqlite.is_some() {
            return Err(layers.error(
                "sqlite",
                format!(
                    "rows go to one place; leave out this or {}",
                    layers.place(key)
                ),
            ));
        }
        let known = ["mongodb://", "mongodb+srv://"];
        if !known.iter().any(|scheme| uri.expose().starts_with(scheme)) {
            return Err(layers.error(
                key,
                "it takes a URI that begins with mongodb:// or mongodb+srv://",
            ));
        }
        // What is said for this alone, wherever that is, goes before a part of the URI.
        let (named_by, database) = match &options.database {
            Some(name) => ("database", name.value.clone()),
            None => match sinks::mongodb::database_in(uri.expose()) {
                Some(name) => (key, name),
                None => ("database", "ecommerce_website".to_owned()),
            },
        };
        if database.is_empty() || database.contains(['/', '\\', '.', ' ', '"', '$', '\0']) {
            return Err(layers.error(
                named_by,
                format!(
                    "{database:?}: it takes a name without space and without any of / \\ . \" $"
                ),
            ));
        }
        if sinks::mongodb::is_of_the_server(&database) {
            return Err(layers.error(
                named_by,
                format!(
                    "{database:?} is a database of the server itself; name another one, with \
                     --database or in the path of the URI"
                ),
            ));
        }
        if options.brokers.is_none() {
            return Err(layers.error(
                key,
                "without --brokers events are made up, and they would replace the rows of real \
                 ones; give --brokers, or --sqlite for a trial",
            ));
        }
        return Ok(Store::Mongodb { uri, database });
    }
    Ok(match (&options.sqlite, &options.brokers) {
        (Some(path), _) => Store::Sqlite {
            path: path.value.clone(),
            temporary: false,
        },
        (None, Some(_)) => Store::Sqlite {
            path: PathBuf::from("tidemark.sqlite"),
            temporary: false,
        },
        (None, None) => Store::Sqlite {
            path: fresh_file(),
            temporary: true,
        },
    })
}

/// Warns of settings that were given and do nothing.
pub(super) fn useless(
    options: &Options,
    source: &Source,
    store: &Store,
    layers: &Layers,
    warnings: &mut Vec<String>,
) {
    let kafka = matches!(source, Source::Kafka { .. });
    let sqlite = matches!(store, Store::Sqlite { .. });
    let mut warn = |given: bool, key: &str, why: &str| {
        if given {
            warnings.push(format!("{} does nothing here: {why}", layers.place(key)));
        }
    };
    warn(
        kafka && options.rate.is_some(),
        "rate",
        "with --brokers no shop is generated",
    );
    warn(
        kafka && options.seed.is_some(),
        "seed",
        "with --brokers no shop is generated",
    );
    warn(
        !kafka && options.allow_missing_topics.is_some(),
        "allow_missing_topics",
        "the generated shop has all topics",
    );
    warn(
        sqlite && options.database.is_some(),
        "database",
        "rows go to an SQLite file",
    );
}

/// A name that no other run has.
fn fresh_file() -> PathBuf {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_millis();
    std::env::temp_dir().join(format!("tidemark-{now}-{}.sqlite", std::process::id()))
}
