//! Kafka and MongoDB as they are on real clusters: encrypted, and asking who is there.

use end_to_end::pipeline::{PATIENCE, Pipeline};
use end_to_end::samples::shop;
use end_to_end::secured::{Authority, PASSWORD, SecuredKafka, SecuredMongodb, USER};
use end_to_end::{Process, Scene, Services};
use std::fs;
use std::path::{Path, PathBuf};

/// Both, and who has signed their certificates.
struct Secured {
    authority: Authority,
    kafka: SecuredKafka,
    mongodb: SecuredMongodb,
}

impl Secured {
    fn start() -> Secured {
        let authority = Authority::new("the test's own");
        Secured {
            kafka: SecuredKafka::start(&authority),
            mongodb: SecuredMongodb::start(&authority),
            authority,
        }
    }

    /// Topics and a database there; the test itself comes in by a door of its own.
    fn scene(&self, name: &str) -> Scene {
        let uri = self.mongodb.uri(USER, PASSWORD);
        let scene = Scene::on(Services::elsewhere(self.kafka.open.clone(), uri), name);
        for topic in end_to_end::TOPICS {
            scene.create(topic, 2, 1);
        }
        scene
    }

    /// A file with a secret in it, of this authority's.
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.authority.directory().join(name);
        fs::write(&path, text).expect("it is written");
        text_of(&path)
    }

    /// How a Kafka client comes in by a password.
    fn by_password(&self, mechanism: &str, ca: &Path, password: &str) -> Vec<String> {
        let properties = [
            "security.protocol=SASL_SSL".to_owned(),
            format!("sasl.mechanism={mechanism}"),
            format!("sasl.username={USER}"),
            format!("ssl.ca.location={}", ca.display()),
        ];
        let mut all = properties_of(&properties);
        all.push("--kafka-password-file".to_owned());
        all.push(self.file("kafka-password", &format!("{password}\n")));
        all
    }

    /// How it comes in by a certificate.
    fn by_certificate(&self) -> Vec<String> {
        let client = self.authority.client(USER);
        properties_of(&[
            "security.protocol=SSL".to_owned(),
            format!("ssl.ca.location={}", text_of(&self.authority.certificate())),
            format!("ssl.certificate.location={}", text_of(&client.certificate)),
            format!("ssl.key.location={}", text_of(&client.key)),
        ])
    }

    /// The URI of who comes by a certificate, without a password.
    fn uri_by_certificate(&self, name: &str) -> String {
        let client = self.authority.client(name);
        format!(
            "mongodb://{}/?replicaSet=secured&authMechanism=MONGODB-X509&authSource=$external&{}\
             &tlsCertificateKeyFile={}",
            self.mongodb.address,
            self.mongodb.tls,
            text_of(&client.both)
        )
    }

    /// A pipeline that comes in by all that is given.
    fn pipeline(&self, scene: &Scene, brokers: &str, kafka: &[String], uri: &str) -> Pipeline {
        let uri_file = self.file("uri", &format!("{uri}\n"));
        let mut pipeline = Pipeline::bare(scene.name())
            .flag("--brokers", brokers)
            .flag("--mongodb-uri-file", &uri_file)
            .flag("--database", &scene.database)
            .flag("--topic-prefix", &scene.prefix);
        for word in kafka {
            pipeline = pipeline.switch(word);
        }
        pipeline
    }
}

fn text_of(path: &Path) -> String {
    path.display().to_string()
}

fn properties_of(properties: &[String]) -> Vec<String> {
    let words = properties.iter();
    words
        .flat_map(|property| ["-X".to_owned(), property.clone()])
        .collect()
}

#[test]
fn by_passwords_and_by_certificates() {
    let secured = Secured::start();
    let ca = secured.authority.certificate();
    let by_password = |mechanism| {
        let kafka = secured.by_password(mechanism, &ca, PASSWORD);
        (secured.kafka.sasl.clone(), kafka)
    };
    let scram = |mechanism: &str| {
        let uri = secured.mongodb.uri(USER, PASSWORD);
        format!("{uri}&authMechanism={mechanism}")
    };
    let ways = [
        (by_password("PLAIN"), scram("SCRAM-SHA-1")),
        (by_password("SCRAM-SHA-256"), scram("SCRAM-SHA-256")),
        (
            by_password("SCRAM-SHA-512"),
            secured.uri_by_certificate(USER),
        ),
        (
            (secured.kafka.mutual.clone(), secured.by_certificate()),
            secured.mongodb.uri(USER, PASSWORD),
        ),
    ];
    for ((brokers, kafka), uri) in ways {
        let scene = secured.scene("secured");
        let mut generating = vec!["--count", "50", "--seed", "5", "--quiet"];
        generating.extend(["--brokers", &brokers, "--topic-prefix", &scene.prefix]);
        generating.extend(kafka.iter().map(String::as_str));
        let generating: Vec<_> = generating.into_iter().map(ToOwned::to_owned).collect();
        let mut generator = Process::start("generator", "secured-generator", &generating, &[]);
        assert_eq!(
            generator.exit_code(PATIENCE),
            Some(0),
            "{}",
            generator.output()
        );
        let pipeline = secured.pipeline(&scene, &brokers, &kafka, &uri);
        pipeline.until_caught_up().run();
        scene.check();
    }
}

/// A pipeline that must fail: what it says at the end, and that the secret is nowhere in all
/// that it says, which is returned.
fn refused(pipeline: &Pipeline, code: i32, parts: &[&str], secret: &str) -> String {
    let pipeline = pipeline.clone().flag("--connect-timeout", "4s");
    let mut run = pipeline.until_caught_up().start();
    let found = run.process().exit_code(PATIENCE);
    let output = run.process().output();
    assert_eq!(found, Some(code), "{output}");
    let mut lines = output.lines();
    let last = lines.rfind(|line| line.starts_with("tidemark: "));
    let last = last.unwrap_or_default();
    for part in parts {
        assert!(
            last.contains(part),
            "{part:?} is not said at the end:\n{output}"
        );
    }
    assert!(!output.contains(secret), "{output}");
    output
}

#[test]
fn what_is_wrong_is_said() {
    let secured = Secured::start();
    let scene = secured.scene("refused");
    let ca = secured.authority.certificate();
    let stranger = Authority::new("a stranger");
    let uri = secured.mongodb.uri(USER, PASSWORD);
    let sasl = &secured.kafka.sasl;
    let kafka = |brokers: &str, words: &[String]| secured.pipeline(&scene, brokers, words, &uri);

    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let wrong = secured.by_password(mechanism, &ca, "wrong-horse");
        refused(
            &kafka(sasl, &wrong),
            2,
            &[
                "no login to Kafka",
                "uthentication failed",
                "sasl.mechanism",
            ],
            "wrong-horse",
        );
    }
    let unknown = secured.by_password("PLAIN", &stranger.certificate(), PASSWORD);
    refused(
        &kafka(sasl, &unknown),
        2,
        &["certificate verify failed", "-X ssl.ca.location"],
        PASSWORD,
    );
    let by_name = sasl.replace("127.0.0.1", "localhost");
    let other_name = secured.by_password("PLAIN", &ca, PASSWORD);
    refused(
        &kafka(&by_name, &other_name),
        2,
        &["certificate verify failed"],
        PASSWORD,
    );
    refused(
        &kafka(sasl, &[]),
        1,
        &["did not answer", "-X security.protocol"],
        PASSWORD,
    );
    let nobody = properties_of(&[
        "security.protocol=SSL".to_owned(),
        format!("ssl.ca.location={}", text_of(&ca)),
    ]);
    refused(
        &kafka(&secured.kafka.mutual, &nobody),
        2,
        &["no login to Kafka", "-X security.protocol"],
        PASSWORD,
    );
    for (property, instead) in [
        (
            "security.protocol=SASL_SSL",
            "sasl.mechanism: security.protocol=SASL_SSL needs it",
        ),
        (
            &format!("sasl.jaas.config=x required password=\"{PASSWORD}\";"),
            "sasl.username",
        ),
        (
            &format!("ssl.truststore.password={PASSWORD}"),
            "ssl.ca.location",
        ),
    ] {
        let java = properties_of(&[property.to_owned()]);
        let output = refused(&kafka(sasl, &java), 2, &[instead], PASSWORD);
        let is_secret = property.contains(PASSWORD);
        let is_warned = output.contains("stands in the list of processes");
        assert_eq!(is_warned, is_secret, "{output}");
    }
    for (place, problem) in secured.kafka.misplaced.iter().zip([
        "cannot be resolved",
        "Connection refused",
        "nobody answers there",
    ]) {
        let parts = [&place.advertised, problem, "advertised.listeners"];
        refused(&kafka(&place.address, &[]), 1, &parts, PASSWORD);
    }

    let mongodb = |uri: &str| secured.pipeline(&scene, &secured.kafka.open, &[], uri);
    let wrong = secured.mongodb.uri(USER, "wrong-horse");
    let setting = "--mongodb-uri";
    refused(
        &mongodb(&wrong),
        2,
        &["uthentication failed", setting],
        "wrong-horse",
    );
    let own = text_of(&ca);
    let unknown = uri.replace(&own, &text_of(&stranger.certificate()));
    refused(
        &mongodb(&unknown),
        2,
        &["UnknownIssuer; tlsCAFile in the URI", setting],
        PASSWORD,
    );
    let other_name = uri
        .replace("127.0.0.1", "localhost")
        .replace("replicaSet=secured", "directConnection=true");
    refused(&mongodb(&other_name), 2, &["not valid for name"], PASSWORD);
    let open = uri.replace(&secured.mongodb.tls, "tls=false");
    refused(
        &mongodb(&open),
        1,
        &["it may want tls=true", setting],
        PASSWORD,
    );
    let unknown_user = secured.uri_by_certificate("somebody");
    refused(
        &mongodb(&unknown_user),
        2,
        &["uthentication failed"],
        PASSWORD,
    );
}

/// An authority that the system trusts need not be named.
#[test]
fn whom_the_system_trusts_is_trusted() {
    let secured = Secured::start();
    let scene = secured.scene("trusted");
    scene.produce(&shop(6, 20));
    let kafka = secured.by_password("SCRAM-SHA-256", &secured.authority.certificate(), PASSWORD);
    let unnamed = kafka
        .iter()
        .position(|word| word.starts_with("ssl.ca.location"));
    let unnamed = unnamed.expect("it is among them");
    let kafka = [&kafka[..unnamed - 1], &kafka[unnamed + 1..]].concat();
    let uri = secured.mongodb.uri(USER, PASSWORD);
    let uri = uri.replace(&secured.mongodb.tls, "tls=true");
    let pipeline = secured.pipeline(&scene, &secured.kafka.sasl, &kafka, &uri);
    refused(&pipeline, 2, &["UnknownIssuer"], PASSWORD);
    let known = text_of(&secured.authority.certificate());
    let trusting = pipeline.environment("SSL_CERT_FILE", &known);
    trusting.until_caught_up().run();
    scene.check();
}

#[test]
fn no_secret_is_seen() {
    let secured = Secured::start();
    let scene = secured.scene("unseen");
    scene.produce(&shop(3, 50));
    let token = "a-token-that-nobody-sees";
    let state = tempfile::TempDir::new().expect("a directory");
    let port = end_to_end::process::free_port();
    let ca = secured.authority.certificate();
    let kafka = secured.by_password("SCRAM-SHA-512", &ca, PASSWORD);
    let uri = secured.mongodb.uri(USER, PASSWORD);
    let mut run = secured
        .pipeline(&scene, &secured.kafka.sasl, &kafka, &uri)
        .flag("--http-token-file", &secured.file("token", token))
        .flag("--http", &format!("0.0.0.0:{port}"))
        .flag("--checkpoint", &text_of(state.path()))
        .flag("--checkpoint-interval", "200ms")
        .flag("--log", "debug")
        .start();
    scene.await_caught_up();
    let hides = |what: &str, bytes: &[u8]| {
        for secret in [PASSWORD, token] {
            let found = bytes
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!found, "a secret is in {what}");
        }
    };
    let command_line =
        fs::read(format!("/proc/{}/cmdline", run.process().id())).expect("its command line");
    hides("its command line", &command_line);
    for path in [
        "/",
        "/pipeline",
        "/pipeline/dead-letters",
        "/metrics",
        "/readyz",
        "/api/views",
        "/api/watermarks",
    ] {
        let answer = curl(&[
            &format!("http://127.0.0.1:{port}{path}"),
            "--user",
            &format!("any:{token}"),
        ]);
        assert!(answer.ends_with("200"), "{path}: {answer}");
        hides(path, answer.as_bytes());
        let closed = curl(&[&format!("http://127.0.0.1:{port}{path}")]);
        let expected = if path == "/readyz" { "200" } else { "401" };
        assert!(closed.ends_with(expected), "{path}: {closed}");
    }
    run.interrupt();
    assert_eq!(run.process().exit_code(PATIENCE), Some(0));
    hides("its log", run.process().output().as_bytes());
    let files: Vec<PathBuf> = fs::read_dir(state.path())
        .expect("a checkpoint")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert!(!files.is_empty());
    for file in files.iter().filter(|file| file.is_file()) {
        hides(&text_of(file), &fs::read(file).expect("a file"));
    }
    for document in scene.documents("progress") {
        hides("the database", document.to_string().as_bytes());
    }
}

/// The body and then the status of what curl is given.
fn curl(arguments: &[&str]) -> String {
    let output = std::process::Command::new("curl")
        .args([
            "--silent",
            "--max-time",
            "10",
            "--write-out",
            "%{http_code}",
        ])
        .args(arguments)
        .output()
        .expect("curl");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
