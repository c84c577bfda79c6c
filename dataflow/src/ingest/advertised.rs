//! A Kafka that answers where it was asked, and cannot be read where it says that it is.
//!
//! A client asks any broker where the others are, and goes there. Each broker says of itself
//! what its `advertised.listeners` is: often a name that only containers beside it know.

use super::context::{Context, serve};
use super::describe::{brokers, cluster_id, silent};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode as Code;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// How long a broker may take to answer that is only asked whether it does.
const ANSWER: Duration = Duration::from_secs(1);

/// A broker that does not answer at the address that it advertises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreachable {
    /// Its number.
    broker: i32,
    /// The address that it advertises.
    address: String,
    /// What goes wrong there.
    problem: String,
    /// How many others do not answer either.
    others: usize,
}

impl Unreachable {
    /// Looks for one, once somebody has answered at `bootstrap`; `None` where all of them
    /// answer, or where nobody has said that there are any.
    pub(super) fn find(
        consumer: &BaseConsumer<Context>,
        topics: &[String],
        bootstrap: &str,
    ) -> Option<Unreachable> {
        // It has one as soon as any broker has answered.
        cluster_id(consumer)?;
        let mut sought = consumer.context().sought();
        // One that was asked first is away, wherever it says that it is.
        sought.retain(|_, address| !bootstrap.split(',').any(|asked| asked.trim() == address));
        if sought.is_empty() {
            sought = frozen(consumer, topics)?;
        }
        let others = sought.len().saturating_sub(1);
        let (broker, address) = sought.pop_first()?;
        let problem = match consumer.context().complaint_of(&address) {
            Some(said) if said.code == Some(Code::Resolve) => {
                format!("this name cannot be resolved here ({})", said.detail)
            }
            Some(said) => said.detail,
            None => "nobody answers there".to_owned(),
        };
        Some(Unreachable {
            broker,
            address,
            problem,
            others,
        })
    }
}

/// Those that are connected, and do not answer.
fn frozen(consumer: &BaseConsumer<Context>, topics: &[String]) -> Option<BTreeMap<i32, String>> {
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    let mut known: BTreeMap<i32, String> = brokers(consumer, topics.first()?, ANSWER)
        .ok()?
        .into_iter()
        .collect();
    let all: Vec<i32> = known.keys().copied().collect();
    let silent = silent(consumer, &topics, &all, ANSWER).ok()?;
    serve(consumer, |_| {});
    known.retain(|broker, _| silent.contains(broker));
    Some(known)
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unreachable {
            broker,
            address,
            problem,
            others,
        } = self;
        write!(
            f,
            "broker {broker} advertises the address {address}: {problem}"
        )?;
        match others {
            0 => Ok(()),
            1 => f.write_str("; another one does not answer either"),
            more => write!(f, "; {more} others do not answer either"),
        }
    }
}
