//! From a connection string to the driver's options.
//!
//! What the string says wins, except where the promises rest on it. The write concern
//! is the majority's. Reads go to the primary: who may write, and what was written, are
//! read and changed in turn, and a secondary may not have the last change yet.

use std::time::Duration;

use ::mongodb::options::{ClientOptions, ConnectionString, ReadPreference, SelectionCriteria};

use super::{lane, standing, trust};
use crate::{SinkError, Table};

/// What errors call the connection string.
pub const SETTING: &str = "MongoDB URI";

const PRIMARY: SelectionCriteria = SelectionCriteria::ReadPreference(ReadPreference::Primary);

/// Databases that belong to the server: no transaction may write to them.
const OF_THE_SERVER: [&str; 3] = ["admin", "local", "config"];

/// The database that the path of `uri` names, if it names one for data: with `admin`, it
/// says where users log in. What is wrong with the string shows in [`super::open`].
pub fn database_in(uri: &str) -> Option<String> {
    let parsed = ConnectionString::parse(uri).ok()?;
    parsed.default_database.filter(|name| name != "admin")
}

/// Whether a database of this name is the server's own, and no place for rows.
pub fn is_of_the_server(database: &str) -> bool {
    OF_THE_SERVER.contains(&database)
}

/// How long to wait for what.
#[derive(Debug, Clone)]
pub struct Timeouts {
    /// For a primary to be there. Short, so that an outage shows as a line
    /// every few seconds and not as a silence; `serverSelectionTimeoutMS` in
    /// the connection string wins.
    pub server_selection: Duration,
    /// For a TCP connection; `connectTimeoutMS` in the connection string wins.
    pub connect: Duration,
    /// For the answer to one command. A server that hangs (or a network that
    /// drops silently) is taken as away after this. The server itself waits for
    /// its majority a little less long.
    pub command: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            server_selection: Duration::from_secs(5),
            connect: Duration::from_secs(5),
            command: Duration::from_secs(30),
        }
    }
}

/// A connection string, understood.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) options: ClientOptions,
    /// `mongodb at host:27017, database x`.
    pub(super) describe: String,
}

/// Understands `uri`. Does no I/O, except that `mongodb+srv` asks DNS.
pub(super) async fn target(
    uri: &str,
    database: &str,
    timeouts: &Timeouts,
) -> Result<Target, SinkError> {
    check_database(database)?;
    if !has_whole_escapes(uri) {
        return Err(unescaped());
    }
    let mut options = match ClientOptions::parse(uri).await {
        Ok(options) => options,
        Err(error) => return Err(not_understood(uri, &error)),
    };

    trust::trust(&mut options, trust::of_the_system);
    options.app_name.get_or_insert_with(|| "tidemark".into());
    options
        .server_selection_timeout
        .get_or_insert(timeouts.server_selection);
    options.connect_timeout.get_or_insert(timeouts.connect);
    // Each writer has several commands in flight, and the driver lets whoever
    // finds no free connection wait without a word.
    options.max_pool_size.get_or_insert(128);
    let elsewhere = options.selection_criteria.replace(PRIMARY);
    if elsewhere.is_some_and(|criteria| criteria != PRIMARY) {
        tracing::warn!(
            "{SETTING}: its readPreference has no effect: all reads go to the primary, since a \
             secondary may not have the last write yet"
        );
    }
    // Each read names its own.
    options.read_concern = None;
    // A frozen primary is noticed, and its connections cut, this much sooner.
    options.heartbeat_freq.get_or_insert(Duration::from_secs(2));

    let hosts: Vec<String> = options.hosts.iter().map(ToString::to_string).collect();
    let describe = format!("mongodb at {}, database {database}", hosts.join(","));
    Ok(Target { options, describe })
}

/// The driver's complaint, without anything of the credentials.
fn not_understood(uri: &str, error: &::mongodb::error::Error) -> SinkError {
    use ::mongodb::error::ErrorKind;
    // A password with a raw `/`, `?`, `#` or `@` is read as host and options,
    // and the driver's message would quote a part of it.
    if user_info(uri).is_some_and(|user_info| {
        user_info.contains(['/', '?', '#', '[', ']', '@']) || user_info.matches(':').count() > 1
    }) {
        return unescaped();
    }
    let said = match &*error.kind {
        ErrorKind::InvalidArgument { message, .. } => message.clone(),
        other => other.to_string(),
    };
    let said = without_secrets(uri, &said);
    match &*error.kind {
        ErrorKind::DnsResolve { .. } | ErrorKind::Io(_) => {
            SinkError::unavailable("mongodb", format!("its name does not resolve: {said}"))
        }
        _ => SinkError::misconfigured(
            SETTING,
            format!("{said}; it takes mongodb://[user:password@]host[:port][,…][/?options]"),
        ),
    }
}

fn unescaped() -> SinkError {
    SinkError::misconfigured(
        SETTING,
        "it cannot be read; where user name or password hold one of / ? # [ ] @ : %, \
         write that as %2F %3F %23 %5B %5D %40 %3A %25",
    )
}

/// What stands before the last `@`: the credentials, escaped well or not.
fn user_info(uri: &str) -> Option<&str> {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    rest.rsplit_once('@').map(|(user_info, _)| user_info)
}

/// Whether each `%` is followed by two hexadecimal digits.
fn has_whole_escapes(uri: &str) -> bool {
    uri.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// `text` with each secret of `uri` replaced by `***`.
fn without_secrets(uri: &str, text: &str) -> String {
    let mut secrets: Vec<&str> = Vec::new();
    if let Some((_, password)) = user_info(uri).and_then(|user_info| user_info.split_once(':')) {
        secrets.push(password);
    }
    if let Some((_, options)) = uri.split_once('?') {
        for (name, value) in options.split('&').filter_map(|pair| pair.split_once('=')) {
            let name = name.to_ascii_lowercase();
            if name.contains("password") || name == "authmechanismproperties" {
                secrets.push(value);
            }
        }
    }
    // Shorter ones would only punch holes into words.
    secrets.retain(|secret| secret.len() > 3);
    let mut text = text.to_owned();
    for secret in secrets {
        text = text.replace(secret, "***");
    }
    text
}

fn check_database(database: &str) -> Result<(), SinkError> {
    let bad = |character: char| "/\\. \"$*<>:|?\0".contains(character);
    if database.is_empty() || database.len() > 63 || database.contains(bad) {
        return Err(SinkError::misconfigured(
            "MongoDB database",
            format!(
                "{database:?} is no name for a database; it takes 1 to 63 bytes, none of them a \
                 blank or one of / \\ . \" $ * < > : | ?"
            ),
        ));
    }
    if is_of_the_server(database) {
        return Err(SinkError::misconfigured(
            "MongoDB database",
            format!("{database:?} belongs to the server itself; name another database"),
        ));
    }
    Ok(())
}

/// Tables that MongoDB cannot hold are found before anything is written.
pub(super) fn check_tables(tables: &[Table]) -> Result<(), SinkError> {
    Table::check(tables)?;
    let names = ["dead_letters", standing::COLLECTION, lane::COLLECTION];
    for table in tables {
        let complain = |detail: &str| {
            Err(SinkError::misconfigured(
                format!("table {}", table.name),
                detail,
            ))
        };
        if table.name.is_empty()
            || table.name.contains(['$', '\0'])
            || table.name.starts_with("system.")
        {
            return complain("a collection cannot have this name");
        }
        if names.contains(&&*table.name) {
            return complain("there is another collection of this name");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_go_to_the_primary_whatever_the_connection_string_says() {
        for options in [
            "",
            "?readPreference=secondary",
            "?readPreference=nearest&readPreferenceTags=dc:ny&maxStalenessSeconds=120",
            "?readPreference=secondaryPreferred&readConcernLevel=available",
        ] {
            let target = parse(&format!("mongodb://a/{options}")).unwrap();
            assert_eq!(
                target.options.selection_criteria,
                Some(PRIMARY),
                "{options}"
            );
            assert_eq!(target.options.read_concern, None, "{options}");
        }
    }

    #[test]
    fn the_path_names_a_database_unless_it_is_that_of_users() {
        for (uri, database) in [
            ("mongodb://a", None),
            ("mongodb://a/", None),
            ("mongodb://a/?replicaSet=rs0", None),
            ("mongodb://a/admin?replicaSet=rs0", None),
            ("mongodb://a/shop", Some("shop")),
            (
                "mongodb://u:p%2Fq@a:1,b:2/shop?authSource=admin",
                Some("shop"),
            ),
            (
                "mongodb+srv://u:p@cluster.example.net/my%2Dshop",
                Some("my-shop"),
            ),
            ("mongodb://a:99999/shop", None),
        ] {
            assert_eq!(database_in(uri).as_deref(), database, "{uri}");
        }
    }

    fn parse(uri: &str) -> Result<Target, SinkError> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(target(uri, "shop", &Timeouts::default()))
    }

    #[test]
    fn describes_itself_without_credentials() {
        let target = parse("mongodb://anna:s3cr3t%40x@a:27017,b:27018/?replicaSet=rs0").unwrap();
        assert_eq!(target.describe, "mongodb at a:27017,b:27018, database shop");
        assert_eq!(target.options.app_name.as_deref(), Some("tidemark"));
    }

    #[test]
    fn what_the_connection_string_says_wins() {
        let target = parse("mongodb://a/?serverSelectionTimeoutMS=77&appName=mine").unwrap();
        let timeout = target.options.server_selection_timeout;
        assert_eq!(timeout, Some(Duration::from_millis(77)));
        assert_eq!(target.options.app_name.as_deref(), Some("mine"));
    }

    #[test]
    fn a_bad_string_is_a_configuration_error_and_never_quotes_a_password() {
        for uri in [
            "",
            "localhost:27017",
            "http://anna:hunter22@a",
            "mongodb://anna:hunter22@a:99999",
            "mongodb://anna:hunter22/x@a:27017",
            "mongodb://anna:hunter22?x@a:27017",
            "mongodb://anna:hunter22:x@a:27017",
            "mongodb://anna:hunter22%a\u{e9}@a:27017",
            "mongodb://anna:hunter22%@a:27017",
            "mongodb://anna:hunter22@a:27017/?w=-1",
            "mongodb://anna:hunter22@a/?tls=true&tlsCertificateKeyFilePassword=hunter22&tls=maybe",
            "mongodb://anna:hunter22@a/?authMechanism=hunter22",
        ] {
            let error = parse(uri).expect_err(uri);
            assert!(matches!(error, SinkError::Misconfigured { .. }), "{error}");
            assert!(!error.to_string().contains("hunter22"), "{error}");
            assert!(!format!("{error:?}").contains("hunter22"), "{error:?}");
        }
    }

    #[test]
    fn a_view_cannot_take_the_name_of_another_collection() {
        let view = |name: &str| Table {
            name: name.into(),
            ..Table::default()
        };
        assert!(check_tables(&[view("a"), view("b")]).is_ok());
        for names in [["a", "a"], ["a", "progress"], ["a", lane::COLLECTION]] {
            assert!(check_tables(&names.map(view)).is_err(), "{names:?}");
        }
    }

    #[test]
    fn a_bad_database_is_a_configuration_error() {
        for database in [
            "",
            "a.b",
            "a b",
            "admin",
            "local",
            "config",
            &"x".repeat(64),
        ] {
            assert!(check_database(database).is_err(), "{database}");
        }
        assert!(check_database("ecommerce_website").is_ok());
    }
}
