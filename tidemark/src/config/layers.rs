//! Flags over environment over file.
//!
//! Each layer is a dictionary of texts under the same names; figment merges
//! them and remembers where each came from, so that an error can name the flag,
//! the variable or the file.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use client::{file_instead, is_secret};
use figment::{
    Figment, Metadata, Profile, Provider,
    error::Kind,
    providers::{Format, Toml},
    value::{Dict, Map, Value},
};

use super::{
    ConfigError,
    cli::{Cli, Options, Property},
    error::{did_you_mean, nearest},
};

/// What every environment variable of ours begins with.
const PREFIX: &str = "TIDEMARK_";
/// What a librdkafka property in the environment begins with.
const KAFKA_PREFIX: &str = "TIDEMARK_KAFKA_";
/// Settings of which one rules out the others: a layer that has one of them
/// hides those of the layers below it.
const STORES: [&str; 3] = ["mongodb_uri", "mongodb_uri_file", "sqlite"];

/// All layers, merged.
pub(super) struct Layers {
    /// The settings.
    pub(super) options: Options,
    /// What looks like a mistake but stops nothing.
    pub(super) warnings: Vec<String>,
    figment: Figment,
}

impl Layers {
    /// Merges the command line, the environment and, where one of them names
    /// it, the file.
    pub(super) fn merge(cli: Cli, env: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let names = Options::names();
        let mut warnings = Vec::new();
        let env_path = env.get("TIDEMARK_CONFIG").filter(|path| !path.is_empty());
        let path = cli.config.clone().or(env_path.map(PathBuf::from));

        let mut file = match &path {
            Some(path) => read_file(path)?,
            None => Dict::new(),
        };
        let mut environment = environment(env, &names, &mut warnings);
        told_to_all(&cli, &mut warnings);
        let flags = flags(cli)?;
        for store in STORES {
            if STORES.iter().any(|other| flags.contains_key(*other)) {
                environment.remove(store);
            }
        }
        let above = |key: &&str| flags.contains_key(*key) || environment.contains_key(*key);
        if STORES.iter().any(above) {
            STORES.iter().for_each(|store| drop(file.remove(*store)));
        }

        let file_name = path.map(|path| path.display().to_string());
        let figment = Figment::new()
            .merge(Layer::new(file_name.unwrap_or_default(), file))
            .merge(Layer::new(PREFIX, environment))
            .merge(Layer::new("--", flags));
        let options = figment
            .extract()
            .map_err(|error| explain(&error, &figment, &names))?;
        Ok(Self {
            options,
            warnings,
            figment,
        })
    }

    /// How the user wrote the setting `key`, or, where it is a default, the
    /// flag that would set it.
    pub(super) fn place(&self, key: &str) -> String {
        let source = self.figment.find_metadata(key);
        place(source.map_or("--", |source| &source.name), key)
    }

    /// An error about the setting `key`.
    pub(super) fn error(&self, key: &str, problem: impl Into<String>) -> ConfigError {
        ConfigError::setting(self.place(key), problem)
    }
}

/// `--max-in-flight`, `TIDEMARK_MAX_IN_FLIGHT` or `tidemark.toml: max_in_flight`.
fn place(layer: &str, key: &str) -> String {
    match layer {
        "--" => format!("--{}", key.replace('_', "-")),
        PREFIX => format!("{PREFIX}{}", key.to_uppercase().replace('.', "_")),
        file => format!("{file}: {key}"),
    }
}

/// A dictionary and where it came from.
struct Layer {
    name: String,
    dict: Dict,
}

impl Layer {
    fn new(name: impl Into<String>, dict: Dict) -> Self {
        let name = name.into();
        Self { name, dict }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.dict.clone()))
    }
}

/// The file's settings; dotted names of `[kafka]` as TOML nests them are joined
/// again.
fn read_file(path: &Path) -> Result<Dict, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        ConfigError::setting(
            "--config",
            format!("{} cannot be read: {error}", path.display()),
        )
    })?;
    // The line is named and not shown: it may hold a secret.
    let mut dict: Dict = Toml::from_str(&text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(start).filter(|b| *b == b'\n').count() + 1;
        ConfigError::setting(
            format!("{}, line {line}", path.display()),
            format!("not TOML: {}", error.message()),
        )
    })?;
    if let Some(Value::Dict(_, kafka)) = dict.get_mut("kafka") {
        let mut flat = Dict::new();
        flatten("", std::mem::take(kafka), &mut flat);
        *kafka = flat;
    }
    Ok(dict)
}

fn flatten(prefix: &str, dict: Dict, into: &mut Dict) {
    for (key, value) in dict {
        match value {
            Value::Dict(_, inner) => flatten(&format!("{prefix}{key}."), inner, into),
            value => drop(into.insert(format!("{prefix}{key}"), value)),
        }
    }
}

/// The settings among the environment variables. An empty one counts as none,
/// since that is all that many a compose file can say.
fn environment(
    env: &BTreeMap<String, String>,
    names: &[String],
    warnings: &mut Vec<String>,
) -> Dict {
    let mut dict = Dict::new();
    let mut kafka = Dict::new();
    for (name, value) in env.iter().filter(|(_, value)| !value.is_empty()) {
        let Some(key) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let key = key.to_lowercase();
        // First, since one of them begins like a property.
        if names.contains(&key) {
            dict.insert(key, Value::from(value.as_str()));
        } else if let Some(property) = name.strip_prefix(KAFKA_PREFIX) {
            let property = property.to_lowercase().replace('_', ".");
            if is_of_kubernetes(&property) {
                continue;
            }
            kafka.insert(property, Value::from(value.as_str()));
        } else if key != "config"
            && let Some(meant) = nearest(&key, names.iter().map(String::as_str))
        {
            // Others may set variables with our prefix (Kubernetes does, for
            // every service), so that an unknown one cannot be an error.
            let meant = place(PREFIX, meant);
            warnings.push(format!("{name} is no setting: did you mean {meant}?"));
        }
    }
    if !kafka.is_empty() {
        dict.insert("kafka".to_owned(), Value::from(kafka));
    }
    dict
}

/// Kubernetes tells every process where a service named `tidemark-kafka` is, by
/// variables such as `TIDEMARK_KAFKA_SERVICE_HOST` and `TIDEMARK_KAFKA_PORT`.
/// librdkafka has no property with such a name.
fn is_of_kubernetes(property: &str) -> bool {
    property == "port" || property.starts_with("port.") || property.starts_with("service.")
}

/// Warns of secrets in the command line, which everybody on this machine may read.
fn told_to_all(cli: &Cli, warnings: &mut Vec<String>) {
    let secrets = cli.properties.iter();
    for Property { key, .. } in secrets.filter(|property| is_secret(&property.key)) {
        let instead = file_instead(key).unwrap_or("a file with --config, in its part [kafka]");
        warnings.push(format!(
            "-X {key} stands in the list of processes, for all on this machine to read: give it in \
             {instead}"
        ));
    }
    let uri = cli.options.mongodb_uri.as_ref();
    if uri.is_some_and(|uri| has_password(uri.value.expose())) {
        warnings.push(
            "the password in --mongodb-uri stands in the list of processes, for all on this \
             machine to read: give it in --mongodb-uri-file FILE"
                .to_owned(),
        );
    }
}

/// Whether a URI holds one: of its user, or of the file of its key.
fn has_password(uri: &str) -> bool {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let (authority, options) = rest.split_once(['/', '?']).unwrap_or((rest, ""));
    let user_info = authority
        .rsplit_once('@')
        .map_or("", |(user_info, _)| user_info);
    user_info.contains(':') || options.to_lowercase().contains("password=")
}

/// The settings of the command line.
fn flags(cli: Cli) -> Result<Dict, ConfigError> {
    let value = Value::serialize(&cli.options)
        .map_err(|error| ConfigError::setting("command line", error.to_string()))?;
    let mut dict = value.into_dict().unwrap_or_default();
    dict.retain(|_, value| !matches!(value, Value::Empty(..)));
    if cli.no_status {
        dict.insert("status".to_owned(), Value::from("off"));
    }
    dict.remove("views");
    dict.remove("kafka");
    let kafka: Dict = cli
        .properties
        .into_iter()
        .map(|property| (property.key, Value::from(property.value)))
        .collect();
    if !kafka.is_empty() {
        dict.insert("kafka".to_owned(), Value::from(kafka));
    }
    Ok(dict)
}

/// Turns figment's error into one that names the setting as it was written and
/// says what it takes.
fn explain(error: &figment::Error, figment: &Figment, names: &[String]) -> ConfigError {
    let layer = match (&error.metadata, error.path.first()) {
        (Some(metadata), _) => metadata.name.to_string(),
        (None, Some(key)) => figment
            .find_metadata(key)
            .map_or_else(String::new, |metadata| metadata.name.to_string()),
        (None, None) => String::new(),
    };
    let key = error.path.join(".");
    let problem = match &error.kind {
        Kind::Message(message) => message.clone(),
        Kind::InvalidType(actual, takes) | Kind::InvalidValue(actual, takes) => {
            format!("it takes {takes}, and this is a {actual}")
        }
        Kind::UnknownField(wrong, fields) => {
            let valid: Vec<&str> = match error.path.len() {
                0 | 1 => names
                    .iter()
                    .map(String::as_str)
                    .chain(["views", "kafka"])
                    .collect(),
                _ => fields.to_vec(),
            };
            let hint = did_you_mean(wrong, valid.iter().copied());
            match hint.is_empty() {
                true => format!("no such setting; there are {}", valid.join(", ")),
                false => format!("no such setting{hint}"),
            }
        }
        other => other.to_string(),
    };
    ConfigError::setting(place(&layer, &key), problem)
}
