//! What is wrong with the properties that a user gave. Their values, which may be secrets,
//! are never repeated.

use crate::java;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

/// A property of the Kafka client that cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Kafka property {name}: {problem}")]
pub struct PropertyError {
    /// Which one.
    pub name: String,
    /// What is wrong with it, and what would be right.
    pub problem: String,
}

impl PropertyError {
    /// What is wrong with a property.
    pub fn new(name: impl Into<String>, problem: impl Into<String>) -> PropertyError {
        let (name, problem) = (name.into(), problem.into());
        PropertyError { name, problem }
    }
}

/// The mechanisms by which a password is shown.
const BY_PASSWORD: &str = "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512";

/// Checks properties, given by name and value: first each alone, then those that need each
/// other.
///
/// # Errors
/// The first that does not exist, does not take its value, is missing, or is not built in.
pub fn check<'a>(
    properties: &(impl IntoIterator<Item = (&'a str, &'a str)> + Clone),
) -> Result<(), PropertyError> {
    for (name, value) in properties.clone() {
        check_one(name, value)?;
    }
    let get = |names: [&str; 2]| {
        let mut given = properties.clone().into_iter();
        given.find(|(name, _)| names.contains(name))
    };
    check_login(&get)
}

fn check_one(name: &str, value: &str) -> Result<(), PropertyError> {
    let wrong = |problem: String| Err(PropertyError::new(name, problem));
    let mut alone = ClientConfig::new();
    alone.set(name, value);
    if let Err(error) = alone.create_native_config() {
        // librdkafka knows some of them by name, and refuses those too.
        if let Some(instead) = java::instead(name) {
            return wrong(format!(
                "it is a property of Java's clients, which librdkafka does not have; {instead}"
            ));
        }
        let unknown = RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN;
        return wrong(match error {
            KafkaError::ClientConfig(code, ..) if code == unknown => {
                "librdkafka has no such property".to_owned()
            }
            _ => "librdkafka does not take its value, or is built without it".to_owned(),
        });
    }
    let is_java_file = [".jks", ".jceks"].iter().any(|end| value.ends_with(end));
    match name {
        "ssl.ca.location" if is_java_file => wrong(
            "it takes PEM, and this is a file of Java's. keytool -list -rfc -keystore FILE > ca.pem \
             makes one"
                .to_owned(),
        ),
        "ssl.keystore.location" if is_java_file => wrong(
            "it takes PKCS#12, and this is a file of Java's. keytool -importkeystore -srckeystore \
             FILE -destkeystore client.p12 -deststoretype PKCS12 makes one"
                .to_owned(),
        ),
        _ => Ok(()),
    }
}

/// Checks what a login takes, given how to look up a property by its two names.
fn check_login<'a>(
    get: &impl Fn([&str; 2]) -> Option<(&'a str, &'a str)>,
) -> Result<(), PropertyError> {
    let protocol = get(["security.protocol"; 2]).map_or("", |(_, value)| value);
    if !protocol.to_ascii_uppercase().starts_with("SASL_") {
        return Ok(());
    }
    let Some((name, mechanism)) = get(["sasl.mechanism", "sasl.mechanisms"]) else {
        return Err(PropertyError::new(
            "sasl.mechanism",
            format!("security.protocol={protocol} needs it; it takes {BY_PASSWORD}"),
        ));
    };
    let problem = match mechanism {
        "GSSAPI" => "GSSAPI (Kerberos) is not built in",
        "OAUTHBEARER" => "OAUTHBEARER is not built in",
        "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512" => {
            for (needed, instead) in [
                ("sasl.username", ""),
                (
                    "sasl.password",
                    "; --kafka-password-file takes it from a file",
                ),
            ] {
                if get([needed; 2]).is_none() {
                    let problem = format!("{name}={mechanism} needs it{instead}");
                    return Err(PropertyError::new(needed, problem));
                }
            }
            return Ok(());
        }
        _ => "there is no such mechanism",
    };
    Err(PropertyError::new(
        name,
        format!("{problem}; it takes {BY_PASSWORD}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(properties: &[(&str, &str)]) -> String {
        let checked = check(&properties.iter().copied());
        checked.map_or_else(|error| error.to_string(), |()| "fine".to_owned())
    }

    #[test]
    fn properties_of_javas_clients_are_translated() {
        for (name, instead) in [
            ("sasl.jaas.config", "sasl.username"),
            ("sasl.jaas.config", "--kafka-password-file"),
            ("ssl.truststore.location", "ssl.ca.location"),
            ("ssl.truststore.password", "ssl.ca.location"),
            ("ssl.truststore.type", "ssl.ca.location"),
            ("ssl.truststore.certificates", "ssl.ca.pem"),
            ("ssl.keystore.type", "PKCS#12"),
            ("ssl.keystore.key", "ssl.key.pem"),
            ("ssl.keystore.certificate.chain", "ssl.certificate.pem"),
            ("key.deserializer", "leave it out"),
            ("fetch.max.wait.ms", "fetch.wait.max.ms"),
        ] {
            let said = said(&[(name, "hunter2")]);
            let begins = format!("Kafka property {name}: it is a property of Java's clients");
            assert!(said.starts_with(&begins), "{said}");
            assert!(said.contains(instead), "{said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
        assert_eq!(
            said(&[("sasl.pasword", "hunter2")]),
            "Kafka property sasl.pasword: librdkafka has no such property"
        );
    }

    #[test]
    fn what_is_said_of_javas_properties_is_needed() {
        // None of them is one that librdkafka has: then it would never be said.
        for name in [
            "ssl.keystore.location",
            "ssl.keystore.password",
            "client.dns.lookup",
        ] {
            assert_eq!(java::instead(name), None, "{name}");
        }
        let jks = said(&[("ssl.keystore.location", "/etc/client.jks")]);
        assert!(jks.contains("PKCS#12"), "{jks}");
        let jks = said(&[("ssl.ca.location", "/etc/truststore.jks")]);
        assert!(jks.contains("PEM"), "{jks}");
    }

    #[test]
    fn a_login_names_what_it_lacks() {
        let with = |more: &[(&str, &str)]| {
            let all = [&[("security.protocol", "SASL_SSL")], more].concat();
            said(&all)
        };
        let (user, password) = (("sasl.username", "ann"), ("sasl.password", "hunter2"));
        let none = with(&[user, password]);
        assert!(
            none.starts_with("Kafka property sasl.mechanism: security.protocol=SASL_SSL needs it"),
            "{none}"
        );
        for mechanism in ["GSSAPI", "OAUTHBEARER"] {
            let named = with(&[("sasl.mechanisms", mechanism), user, password]);
            assert!(named.contains("not built in; it takes PLAIN"), "{named}");
        }
        let other = with(&[("sasl.mechanism", "SCRAM-SHA-1"), user, password]);
        assert!(
            other.contains("no such mechanism; it takes PLAIN"),
            "{other}"
        );
        let plain = ("sasl.mechanism", "PLAIN");
        assert!(
            with(&[plain, user]).contains("sasl.password: sasl.mechanism=PLAIN needs it; --kafka")
        );
        assert!(with(&[plain, password]).contains("sasl.username: "));
        assert_eq!(with(&[plain, user, password]), "fine");
        assert_eq!(said(&[("security.protocol", "ssl")]), "fine");
        assert!(said(&[("security.protocol", "sasl_plaintext")]).contains("sasl.mechanism"));
    }
}
