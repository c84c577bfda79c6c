//! The plain loop that Tidemark is measured beside; see [`bench::floor`].

use bench::floor::{Database, Shop, topics};
use bench::log::Log;
use clap::Parser;
use std::error::Error;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Keeps the views of topics that end.
#[derive(Parser)]
struct Options {
    /// Kafka brokers
    #[arg(long)]
    brokers: String,
    /// Before each topic's name
    #[arg(long, default_value = "")]
    topic_prefix: String,
    /// MongoDB
    #[arg(long)]
    mongodb_uri: String,
    /// The database, in which rows of before are replaced
    #[arg(long)]
    database: String,
    /// All seven views, and not the four original ones alone
    #[arg(long)]
    seven: bool,
    /// Milliseconds from one writing of what has changed to the next; 0: once, at the end
    #[arg(long, default_value_t = 100)]
    every: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let topics = topics(options.seven);
    let mut log = Log::open(&options.brokers, &options.topic_prefix, topics)?;
    let open = || Database::open(&options.mongodb_uri, &options.database);
    let every = Duration::from_millis(options.every);
    // One that nothing is written to for long takes the connection for broken.
    let mut database = match every.is_zero() {
        true => None,
        false => Some(open()?),
    };
    let mut shop = Shop::new(options.seven);
    let (mut events, mut malformed) = (0_u64, 0_u64);
    let mut last = Instant::now();
    while !log.is_read() {
        log.read(|message| {
            events += 1;
            malformed += u64::from(shop.take(message).is_err());
        })?;
        if let Some(database) = database.as_mut().filter(|_| last.elapsed() >= every) {
            shop.write(database)?;
            last = Instant::now();
        }
    }
    let mut database = match database {
        Some(database) => database,
        None => open()?,
    };
    shop.write(&mut database)?;
    let written = database.written;
    println!("{events} events, {malformed} of them malformed; {written} rows written");
    Ok(())
}
