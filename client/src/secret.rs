//! Which properties hold a secret, by their names.

/// How the names of properties end whose values are secrets: of librdkafka's, and of Java's
/// clients, which people give as well.
const ENDINGS: [&str; 7] = [
    "password",
    "passphrase",
    "secret",
    "key.pem",
    "keystore.key",
    "jaas.config",
    "user.info",
];

/// Whether the value of a property is a secret, or holds one.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // The claims of a token, with which its bearer comes in.
    name == "sasl.oauthbearer.config" || ENDINGS.iter().any(|end| name.ends_with(end))
}

/// The option that takes the secret of a property from a file, if there is one.
pub fn file_instead(name: &str) -> Option<&'static str> {
    // What Java's clients call by the second name.
    matches!(name, "sasl.password" | "sasl.jaas.config").then_some("--kafka-password-file FILE")
}
