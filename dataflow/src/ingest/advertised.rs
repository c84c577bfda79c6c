//! A Kafka that answers where it was asked, and cannot be read where it says that it is.
//!
//! A client asks any broker where the others are, and goes there. Each broker says of itself
//! what its `advertised.listeners` is: often a name that only containers beside it know.

use super::client::{Context, serve};
use super::describe::{brokers, cluster_id, silent};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode as Code;
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
    /// Looks for one, where any of the brokers says that there are such; `None` where all that
    /// it knows of answer, or where nobody says anything.
    pub(super) fn find(consumer: &BaseConsumer<Context>, topics: &[&str]) -> Option<Unreachable> {
        // It has one as soon as any broker has answered.
        cluster_id(consumer)?;
        let known = brokers(consumer, topics.first()?, ANSWER).ok()?;
        let all: Vec<i32> = known.iter().map(|(broker, _)| *broker).collect();
        let silent = silent(consumer, topics, &all, ANSWER).ok()?;
        serve(consumer, |_| {});
        let first = silent.first()?;
        let (broker, address) = known.into_iter().find(|(broker, _)| broker == first)?;
        let said = consumer.context().complaint_of(&address);
        let problem = match said {
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
            others: silent.len() - 1,
        })
    }
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
