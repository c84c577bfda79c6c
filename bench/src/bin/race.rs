//! Tidemark beside a bare consumer, a plain loop and its peers: the crate tells more.

use bench::floor::topics;
use bench::log::Log;
use bench::race::contestant::{Contestant, Place, Services, Written};
use bench::race::documents::{Documents, Reader};
use bench::race::indexes;
use bench::race::measure::{self, Cost};
use bench::race::plot;
use bench::race::report::Results;
use bench::race::sqlite;
use clap::Parser;
use rdkafka::consumer::Consumer;
use std::error::Error;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Runs contestants in turns on the same topics; compares their documents before any
/// time counts.
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    services: Services,
    /// Rounds of the generator: of three events each for the four views, of five for all
    #[arg(long, default_value_t = 3_400_000)]
    rounds: u64,
    /// Runs of each
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// Who takes part; the last one said counts
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "drain,floor,tidemark",
        overrides_with = "who"
    )]
    who: Vec<Contestant>,
    /// All seven views, and not the four original ones alone
    #[arg(long)]
    seven: bool,
    /// Where the results go, as JSON
    #[arg(long)]
    output: Option<PathBuf>,
    /// Where a picture of them goes, as SVG
    #[arg(long)]
    plot: Option<PathBuf>,
    /// Fail if Tidemark's events per second of its own CPU are fewer than this, of floor's, the best run of each
    #[arg(long)]
    at_least: Option<f64>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let prefix = match options.seven {
        true => format!("bench-{}-", options.rounds),
        false => format!("bench-four-{}-", options.rounds),
    };
    let place = options
        .services
        .place(prefix, options.seven, &options.who)?;
    generate(&place, options.rounds)?;
    let mut results = Results::default();
    (results.events, results.bytes) = measure_topics(&place)?;
    let views = if place.seven { "seven" } else { "four" };
    println!(
        "{} events of {} bytes, {views} views, {} runs of each",
        results.events,
        results.bytes / results.events.max(1),
        options.runs
    );

    let reader = Reader::new(&place.uri)?;
    let scratch = tempfile::tempdir()?;
    let database = format!("bench_{}", std::process::id());
    // What all others are compared with is what the plain loop writes.
    let expected = expect(&place, &reader, &database)?;
    results.rows = expected.len();
    println!("{} rows\n", results.rows);

    for _ in 0..options.runs {
        for who in &options.who {
            let folder = tempfile::tempdir_in(&scratch)?;
            let writes = who.writes(folder.path());
            reader.drop(&database)?;
            if let Some(Written::MongoDb) = writes {
                indexes::create(&place.uri, &database)?;
            }
            let before = reader.served()?;
            let cost = measure::run(&mut who.command(&place, &database, folder.path()))?;
            let cost = Cost {
                database: reader.served()? - before,
                ..cost
            };
            match writes {
                Some(Written::MongoDb) => {
                    reader.compare(&database, &expected, who.estimates())?;
                }
                Some(Written::Sqlite(file)) => {
                    sqlite::compare(&file, &expected)?;
                }
                None => {}
            }
            println!(
                "{:26} {:>7.2} s CPU, {:>7.2} its own, {:>7.2} s {:>6.0} MB, MongoDB {:>6.2} s CPU {:>6.0} commands {:>6.1} MB",
                who.name(),
                cost.whole(),
                cost.cpu,
                cost.wall,
                cost.peak,
                cost.database.cpu,
                cost.database.commands,
                cost.database.bytes / 1e6
            );
            results.add(*who, cost);
        }
    }
    reader.drop(&database)?;
    println!("\n{}", results.table(&options.who));
    if let Some(output) = options.output {
        std::fs::write(output, serde_json::to_vec_pretty(&results)?)?;
    }
    if let Some(file) = options.plot {
        plot::draw(&results, &options.who, &file)?;
    }
    if let Some(least) = options.at_least {
        let cpu = |who| results.least(who, |cost| cost.cpu);
        let (Some(floor), Some(tidemark)) = (cpu(Contestant::Floor), cpu(Contestant::Tidemark))
        else {
            return Err("both floor and tidemark are needed for --at-least".into());
        };
        let ratio = floor / tidemark;
        println!(
            "best run of each, events per second of its own CPU, tidemark / floor: {ratio:.2}, at least {least:.2}"
        );
        if ratio < least {
            return Err("Tidemark has become slower".into());
        }
    }
    Ok(())
}

/// Makes the topics, unless they are there from an earlier race: the same seed and start
/// make the same events, to the byte.
fn generate(place: &Place, rounds: u64) -> Result<(), Box<dyn Error>> {
    if is_whole(place, rounds)? {
        return Ok(());
    }
    let mut command = Command::new(place.programs.join("generator"));
    command.args(["--brokers", &place.brokers, "--topic-prefix", &place.prefix]);
    command.args(["--count", &rounds.to_string(), "--seed", "7"]);
    command.args(["--start", "2026-10-01T00:00:00", "--partitions", "8"]);
    // Of a topic that none of the four reads, Tidemark would count what is malformed.
    if !place.seven {
        command.args(["--topics", &topics(false).join(",")]);
    }
    match command.status()?.success() {
        true => Ok(()),
        false => Err("the generator failed".into()),
    }
}

/// Whether all rounds were made. Each makes a customer or a product first, and then, from
/// the first rounds on, one event of each of the other topics.
fn is_whole(place: &Place, rounds: u64) -> Result<bool, Box<dyn Error>> {
    let Ok(log) = Log::open(&place.brokers, &place.prefix, topics(false)) else {
        return Ok(false);
    };
    let count = |names: &[&str]| -> Result<u64, Box<dyn Error>> {
        let mut count = 0;
        for name in names {
            let topic = format!("{}{name}", place.prefix);
            for partition in 0..8 {
                let client = log.client();
                let patience = Duration::from_secs(30);
                let (low, high) = client.fetch_watermarks(&topic, partition, patience)?;
                count += u64::try_from(high - low)?;
            }
        }
        Ok(count)
    };
    let made = count(&["customers", "products"])?;
    if made == 0 {
        return Ok(false);
    }
    if made == rounds && count(&["transactions"])? == count(&["product_views"])? {
        return Ok(true);
    }
    Err(format!(
        "the topics {}… hold another number of events than {rounds} rounds make",
        place.prefix
    )
    .into())
}

/// Events, and bytes of their values.
fn measure_topics(place: &Place) -> Result<(u64, u64), Box<dyn Error>> {
    let mut log = Log::open(&place.brokers, &place.prefix, topics(place.seven))?;
    let (mut events, mut bytes) = (0, 0);
    while !log.is_read() {
        log.read(|message| {
            events += 1;
            bytes += message.value.len() as u64;
        })?;
    }
    Ok((events, bytes))
}

fn expect(place: &Place, reader: &Reader, database: &str) -> Result<Documents, Box<dyn Error>> {
    let scratch = tempfile::tempdir()?;
    reader.drop(database)?;
    measure::run(&mut Contestant::FloorOnce.command(place, database, scratch.path()))?;
    reader.read(database)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_who_counts() {
        let services = ["race", "--brokers", "b", "--mongodb-uri", "m"];
        let said = ["--who", "drain,floor", "--who", "tidemark,spark"];
        let options = Options::parse_from(services.iter().chain(&said));
        assert_eq!(options.who, [Contestant::Tidemark, Contestant::Spark]);
    }
}
