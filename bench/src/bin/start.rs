//! How long it takes from the start of a process to its first document, readable with
//! majority, where there is nothing yet but a few events: no database, no checkpoint.
//!
//! The plain loop does no more than connect, fetch and write: what Kafka and MongoDB
//! themselves take.

use bench::race::contestant::{Contestant, Place, Services};
use bench::race::report::Spread;
use bench::race::running::Running;
use clap::Parser;
use mongodb::bson::{Document, doc};
use mongodb::options::ReadConcern;
use mongodb::{Client, Collection};
use std::error::Error;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Measures the time from the start of a process to its first document.
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    services: Services,
    /// Who is measured
    #[arg(long, value_delimiter = ',', default_value = "floor,tidemark")]
    who: Vec<Contestant>,
    /// Starts of each
    #[arg(long, default_value_t = 11)]
    runs: u32,
}

/// From one look to the next.
const LOOK: Duration = Duration::from_millis(2);
/// How long a first document is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let name = format!("bench-start-{}", std::process::id());
    let services = &options.services;
    let place = services.place(format!("{name}-"), false, &options.who)?;
    let mut generator = Command::new(place.programs.join("generator"));
    generator.args(["--brokers", &place.brokers, "--topic-prefix", &place.prefix]);
    generator.args(["--quiet", "--partitions", "8"]);
    if !generator.stdout(Stdio::null()).status()?.success() {
        return Err("the generator failed".into());
    }
    println!("{} starts of each; milliseconds\n", options.runs);
    println!("| | median | least | greatest |");
    println!("| --- | ---: | ---: | ---: |");
    for who in options.who {
        let database = name.replace('-', "_");
        let mut times = Vec::new();
        for _ in 0..options.runs {
            let took = runtime.block_on(first_document(&place, who, &database))?;
            times.push(took.as_secs_f64() * 1e3);
        }
        let spread = Spread::of(times.into_iter()).ok_or("nothing was measured")?;
        let Spread {
            median,
            least,
            greatest,
        } = spread;
        println!(
            "| {} | {median:.0} | {least:.0} | {greatest:.0} |",
            who.name()
        );
    }
    Ok(())
}

async fn first_document(
    place: &Place,
    who: Contestant,
    database: &str,
) -> Result<Duration, Box<dyn Error>> {
    let client = Client::with_uri_str(&place.uri).await?;
    let database = client.database(database);
    database.drop().await?;
    let scratch = tempfile::tempdir()?;
    let rows: Collection<Document> = database.collection("product_views_analysis");

    let mut command = who.lasting(place, database.name(), scratch.path());
    let started = Instant::now();
    let mut running = Running::start(&mut command)?;
    loop {
        let find = rows.find_one(doc! {});
        if find.read_concern(ReadConcern::majority()).await?.is_some() {
            break;
        }
        if started.elapsed() > PATIENCE {
            return Err(format!("{}: no document within {PATIENCE:?}", who.name()).into());
        }
        tokio::time::sleep(LOOK).await;
    }
    let took = started.elapsed();
    running.stop()?;
    database.drop().await?;
    Ok(took)
}
