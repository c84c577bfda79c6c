//! The topics that must be there before anything is sent.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::Producer;

use crate::error::Error;
use crate::options::Options;
use crate::producer::{Sender, settings};

/// How long a broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Creates the topics that are missing; those that exist are left as they are.
pub(crate) fn ensure(options: &Options, sender: &Sender) -> Result<(), Error> {
    let metadata = sender
        .producer()
        .client()
        .fetch_metadata(None, PATIENCE)
        .map_err(|error| Error::NoBroker {
            brokers: options.brokers.clone(),
            seconds: PATIENCE.as_secs(),
            reason: sender.reason(&error),
        })?;
    let exists = |name: &String| metadata.topics().iter().any(|topic| topic.name() == name);
    let missing: Vec<&String> = sender
        .topics()
        .iter()
        .filter(|name| !exists(name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    create(options, &missing)
}

fn create(options: &Options, missing: &[&String]) -> Result<(), Error> {
    let refused = |topic: &str, reason: String| Error::Topic {
        topic: topic.to_owned(),
        brokers: options.brokers.clone(),
        reason,
    };
    let any = |reason: String| refused(missing[0], reason);

    let mut config = settings(options)?;
    config.set_log_level(RDKafkaLogLevel::Emerg);
    let admin: AdminClient<DefaultClientContext> = config
        .create()
        .map_err(|error| Error::Settings(error.to_string()))?;
    let new: Vec<NewTopic<'_>> = missing
        .iter()
        .map(|name| {
            let replication = TopicReplication::Fixed(options.replication);
            NewTopic::new(name, options.partitions, replication)
        })
        .collect();
    let timeouts = AdminOptions::new()
        .request_timeout(Some(2 * PATIENCE))
        .operation_timeout(Some(2 * PATIENCE));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| any(error.to_string()))?;
    let results = runtime
        .block_on(admin.create_topics(&new, &timeouts))
        .map_err(|error| any(error.to_string()))?;
    for result in results {
        match result {
            // Somebody else may have been quicker.
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(refused(&topic, code.to_string())),
        }
    }
    Ok(())
}
