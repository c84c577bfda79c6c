//! A bare consumer that touches every byte and does nothing else: no reader of the log
//! can be faster.

use bench::log::Log;
use clap::Parser;
use std::error::Error;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Reads topics to their end.
#[derive(Parser)]
struct Options {
    /// Kafka brokers
    #[arg(long)]
    brokers: String,
    /// Before each topic's name
    #[arg(long, default_value = "")]
    topic_prefix: String,
    /// Topics
    #[arg(long, value_delimiter = ',')]
    topics: Vec<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let names: Vec<_> = options.topics.iter().map(String::as_str).collect();
    let mut log = Log::open(&options.brokers, &options.topic_prefix, &names)?;
    let (mut events, mut bytes, mut sum) = (0_u64, 0_u64, 0_u64);
    while !log.is_read() {
        log.read(|message| {
            events += 1;
            bytes += message.value.len() as u64;
            sum = message
                .value
                .iter()
                .fold(sum, |sum, byte| sum.wrapping_add(u64::from(*byte)));
        })?;
    }
    println!("{events} events, {bytes} bytes, which add up to {sum}");
    Ok(())
}
