//! How long it takes from an event's Kafka timestamp to its row in MongoDB, readable
//! with majority; for Tidemark and for its peers alike, under load.
//!
//! ```text
//!   generator ─▶ topics (the load) ─┐
//!   probes ────▶ product_views ─────┼─▶ contestant ─▶ MongoDB ─▶ change stream
//!     one product each, and the     │                               │
//!     time at which it was sent ────┘        now − time sent ◀──────┘
//! ```
//!
//! A change stream tells of what a majority has, and of nothing earlier.

use bench::floor;
use bench::race::contestant::{Contestant, Services, Written};
use bench::race::indexes;
use bench::race::running::Running;
use clap::Parser;
use hdrhistogram::Histogram;
use mongodb::Client;
use mongodb::bson::{Document, doc};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use std::error::Error;
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Measures the time from Kafka to a reader of MongoDB.
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    services: Services,
    /// Who is measured
    #[arg(long, value_delimiter = ',', default_value = "tidemark")]
    who: Vec<Contestant>,
    /// Events of the load, a second, of the four topics
    #[arg(long, default_value_t = 20_000)]
    rate: u32,
    /// Probes a second
    #[arg(long, default_value_t = 100)]
    probes: u32,
    /// Seconds that are measured
    #[arg(long, default_value_t = 30)]
    seconds: u32,
    /// Seconds before that, under the same load
    #[arg(long, default_value_t = 15)]
    warm_up: u32,
}

/// Partitions of each topic.
const PARTITIONS: i32 = 8;
/// What begins the product of a probe.
const PROBE: &str = "probe-";
/// How long the last probes are waited for.
const LAST: Duration = Duration::from_secs(60);
const LAST_MILLIS: i64 = 60_000;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    for who in &options.who {
        if !matches!(who.writes(Path::new("")), Some(Written::MongoDb)) {
            return Err(format!("{} writes nothing into MongoDB", who.name()).into());
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    println!(
        "{} events/s and {} probes/s for {} s; milliseconds\n",
        options.rate, options.probes, options.seconds
    );
    println!("| | p50 | p99 | p99.9 | greatest | probes | CPU, % of a core |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (number, who) in options.who.iter().enumerate() {
        let name = format!("bench-latency-{}-{number}", std::process::id());
        let database = name.replace('-', "_");
        indexes::create(&options.services.mongodb_uri, &database)?;
        let (measured, cores) = runtime.block_on(measure(&options, *who, &name, &database))?;
        let at = |quantile| measured.value_at_quantile(quantile);
        println!(
            "| {} | {} | {} | {} | {} | {} | {:.0} |",
            who.name(),
            at(0.5),
            at(0.99),
            at(0.999),
            measured.max(),
            measured.len(),
            100.0 * cores
        );
    }
    Ok(())
}

/// How long probes were under way, and how many cores the contestant has used meanwhile.
async fn measure(
    options: &Options,
    who: Contestant,
    name: &str,
    database: &str,
) -> Result<(Histogram<u64>, f64), Box<dyn Error>> {
    let services = &options.services;
    let place = services.place(format!("{name}-"), false, &options.who)?;
    let topics: Vec<String> = floor::topics(true)
        .iter()
        .map(|topic| format!("{}{topic}", place.prefix))
        .collect();
    create(&place.brokers, &topics).await?;
    let client = Client::with_uri_str(&place.uri).await?;
    let database = client.database(database);
    let scratch = tempfile::tempdir()?;

    let mut contestant = who.lasting(&place, database.name(), scratch.path());
    let mut contestant = Running::start(&mut contestant)?;
    let mut load = Command::new(place.programs.join("generator"));
    load.args(["--brokers", &place.brokers, "--topic-prefix", &place.prefix]);
    load.args(["--topics", &floor::topics(false).join(",")]);
    load.args(["--rate", &options.rate.to_string(), "--quiet"]);
    let mut load = Running::start(load.stdout(Stdio::null()))?;

    // A probe's row is new, so that its document comes along: nothing is looked up.
    let rows = database.collection::<Document>("product_views_analysis");
    let of_probes = doc! {"$match": {"fullDocument.product_id": {"$regex": format!("^{PROBE}")}}};
    let mut changes = rows
        .watch()
        .pipeline([of_probes])
        .max_await_time(Duration::from_millis(200))
        .await?;

    let begin = now() + 1_000 * i64::from(options.warm_up);
    let end = begin + 1_000 * i64::from(options.seconds);
    let sending = Probes {
        topic: topics[3].clone(),
        every: Duration::from_secs(1) / options.probes,
        counted: begin..end,
    };
    let mut sending = Some(sending.start(&place.brokers)?);
    let mut measured = Histogram::<u64>::new(3)?;
    let mut sent = None;
    let mut spent = None;
    while sent.is_none_or(|sent| measured.len() < sent && now() <= end + LAST_MILLIS) {
        if let Some(over) = sending.take_if(|sending| sending.is_finished()) {
            let count = over.join();
            sent = Some(count.map_err(|_| "the sender of probes has panicked")??);
        }
        if spent.is_none() && now() >= begin {
            spent = Some((Instant::now(), contestant.cpu()));
        }
        // Never given up half way: what the server has sent by then would be lost.
        let Some(change) = changes.next_if_any().await? else {
            continue;
        };
        let seen = now();
        let document = change.full_document.ok_or("a change has its document")?;
        let sent_at = document
            .get_str("product_id")?
            .strip_prefix(PROBE)
            .and_then(|text| text.split('-').next()?.parse::<i64>().ok())
            .ok_or("a probe says when it was sent")?;
        if (begin..end).contains(&sent_at) {
            measured.record(u64::try_from(seen - sent_at).unwrap_or(0))?;
        }
    }
    let sent = sent.ok_or("the sender of probes has not ended")?;
    if measured.len() != sent {
        return Err(format!("{} of {sent} probes came into MongoDB", measured.len()).into());
    }
    let (since, before) = spent.ok_or("nothing was measured")?;
    let cores = (contestant.cpu() - before) / since.elapsed().as_secs_f64();
    load.stop()?;
    contestant.stop()?;
    database.drop().await?;
    Ok((measured, cores))
}

/// Milliseconds since the UNIX epoch.
fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Product views of products that nobody else looks at.
struct Probes {
    topic: String,
    every: Duration,
    /// Those of which the time counts, by when they are sent.
    counted: Range<i64>,
}

impl Probes {
    /// Sends them until the last one that counts, on a thread. Gives how many count.
    fn start(self, brokers: &str) -> Result<JoinHandle<Result<u64, KafkaError>>, Box<dyn Error>> {
        let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("linger.ms", "0")
            .create()?;
        Ok(std::thread::spawn(move || {
            let Probes {
                topic,
                every,
                counted,
            } = self;
            let mut next = Instant::now();
            let (mut number, mut count) = (0_u64, 0);
            loop {
                let sent = now();
                if sent >= counted.end {
                    break;
                }
                let time = events::Timestamp::from_millis(sent);
                let value = format!(
                    r#"{{"view_id": "v{number}", "customer_id": "c{number}", "product_id": "{PROBE}{sent}-{number}", "timestamp": "{time}", "view_duration": 10}}"#
                );
                let record = BaseRecord::<(), _>::to(&topic)
                    .payload(&value)
                    .timestamp(sent);
                producer.send(record).map_err(|(error, _)| error)?;
                count += u64::from(counted.contains(&sent));
                number += 1;
                next += every;
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
            producer.flush(LAST)?;
            Ok(count)
        }))
    }
}

async fn create(brokers: &str, topics: &[String]) -> Result<(), Box<dyn Error>> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .create()?;
    let topics = topics
        .iter()
        .map(|name| NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1)));
    let topics: Vec<_> = topics.collect();
    for made in admin.create_topics(&topics, &AdminOptions::new()).await? {
        made.map_err(|(topic, error)| format!("{topic}: {error}"))?;
    }
    Ok(())
}
