//! Secrets in files, and those that everybody on the machine sees.

use super::*;

#[test]
fn kafkas_password_may_be_in_a_file() {
    let (_password, path) = file("  with spaces \n");
    let env = [
        ("TIDEMARK_BROKERS", "k:1"),
        ("TIDEMARK_KAFKA_PASSWORD_FILE", path.as_str()),
    ];
    let Source::Kafka { properties, .. } = settings(&[], &env).source else {
        panic!("no Kafka")
    };
    // Whole, but for the end of its line.
    assert_eq!(properties["sasl.password"], Secret::new("  with spaces "));
    assert_eq!(properties.len(), 1);
    let twice = error(&["-X", "sasl.password=hunter2"], &env);
    assert!(
        twice.starts_with("TIDEMARK_KAFKA_PASSWORD_FILE: one password"),
        "{twice}"
    );
    assert!(!twice.contains("hunter2"), "{twice}");
    let of_no_use = error(&["--kafka-password-file", &path], &[]);
    assert!(
        of_no_use.starts_with("--kafka-password-file: a password is of use"),
        "{of_no_use}"
    );
    let (_empty, empty) = file("\n");
    let said = error(&["--brokers", "k:1", "--kafka-password-file", &empty], &[]);
    assert!(said.ends_with("is empty"), "{said}");
}

#[test]
fn a_secret_on_the_command_line_is_warned_of() {
    let with = |args: &[&str]| settings(&[&["--brokers", "k:1"], args].concat(), &[]).warnings;
    for (args, instead) in [
        (["-X", "sasl.password=hunter2"], "--kafka-password-file"),
        (["-X", "ssl.key.password=hunter2"], "in its part [kafka]"),
        (["-X", "ssl.key.pem=hunter2"], "in its part [kafka]"),
        // As Java's clients have them, which librdkafka refuses.
        (
            ["-X", "sasl.jaas.config=x required password=\"hunter2\";"],
            "--kafka-password-file",
        ),
        (
            ["-X", "ssl.truststore.password=hunter2"],
            "in its part [kafka]",
        ),
        (["-X", "ssl.keystore.key=hunter2"], "in its part [kafka]"),
        (
            ["--mongodb-uri", "mongodb://ann:hunter2@db/"],
            "--mongodb-uri-file",
        ),
        (
            [
                "--mongodb-uri",
                "mongodb://db/?tlsCertificateKeyFilePassword=hunter2",
            ],
            "--mongodb-uri-file",
        ),
    ] {
        let warnings = with(&args);
        assert_eq!(warnings.len(), 1, "{args:?}: {warnings:?}");
        assert!(warnings[0].contains(instead), "{warnings:?}");
        assert!(!warnings[0].contains("hunter2"), "{warnings:?}");
    }
    let both = ["-X", "sasl.password=a", "-X", "ssl.key.password=b"];
    assert_eq!(with(&both).len(), 2, "each is named");
    for args in [
        ["-X", "sasl.username=ann"],
        ["--mongodb-uri", "mongodb://a:1,b:2/?appName=x@y"],
        ["--mongodb-uri", "mongodb://ann@db/"],
    ] {
        assert_eq!(with(&args), Vec::<String>::new(), "{args:?}");
    }
    // Elsewhere it is seen by nobody.
    let env = [
        ("TIDEMARK_BROKERS", "k:1"),
        ("TIDEMARK_KAFKA_SASL_PASSWORD", "hunter2"),
        ("TIDEMARK_MONGODB_URI", "mongodb://ann:hunter2@db/"),
    ];
    assert_eq!(settings(&[], &env).warnings, Vec::<String>::new());
}
