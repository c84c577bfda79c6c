//! Why Kafka cannot be asked.

use super::advertised::Unreachable;
use super::context::Complaint;
use super::missing::NoTopics;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::fmt;
use std::time::Duration;

/// Kafka cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// It did not answer in time.
    #[error(
        "Kafka at {brokers} did not answer within {seconds} s ({detail}). Check --brokers, that the \
         broker is up, and that -X security.protocol is what it wants; --connect-timeout sets how \
         long to wait"
    )]
    Away {
        /// The brokers asked.
        brokers: String,
        /// How long it was tried.
        seconds: u64,
        /// What the client said last.
        detail: String,
    },
    /// It does not let this client in, or this client does not trust it.
    #[error(
        "no login to Kafka at {brokers}: {detail}. Check -X security.protocol, sasl.mechanism and \
         sasl.username, --kafka-password-file, and of certificates -X ssl.ca.location"
    )]
    NoLogin {
        /// The brokers asked.
        brokers: String,
        /// What the client said last.
        detail: String,
    },
    /// It answered, and says that it is where it cannot be reached.
    #[error(
        "Kafka at {brokers} answers, but {broker} (tried for {seconds} s). Clients read at the \
         address that a broker advertises: check that it is up, and that its advertised.listeners \
         names an address that this machine reaches; --connect-timeout sets how long to wait"
    )]
    Unreachable {
        /// The brokers asked.
        brokers: String,
        /// How long it was tried.
        seconds: u64,
        /// The broker that is not reached.
        broker: Unreachable,
    },
    /// It answered, but not for all topics and partitions.
    #[error(
        "Kafka at {brokers} did not tell about {what} within {seconds} s ({detail}). Check that \
         it has a leader and may be read; --connect-timeout sets how long to wait"
    )]
    Incomplete {
        /// The brokers asked.
        brokers: String,
        /// How long it was tried.
        seconds: u64,
        /// The topic, or the partition.
        what: String,
        /// What the client said last.
        detail: String,
    },
    /// Not one of the topics exists.
    #[error("{0}; --allow-missing-topics lets a run end well that finds no topic")]
    NoTopics(Box<NoTopics>),
}

/// What Kafka did not answer.
#[derive(Debug)]
pub(super) struct Problem {
    /// The topic or partition that was asked for, when it is about that and not
    /// about the whole of Kafka.
    pub(super) of: Option<String>,
    /// What the client said.
    pub(super) detail: String,
    /// The class of error, where it is about a connection.
    pub(super) code: Option<RDKafkaErrorCode>,
    /// Whether it may be that a broker is not where it says that it is.
    pub(super) may_be_elsewhere: bool,
    /// The broker that is not.
    pub(super) unreachable: Option<Unreachable>,
}

impl Problem {
    pub(super) fn new(error: &KafkaError, what: impl FnOnce() -> String) -> Problem {
        use RDKafkaErrorCode as Code;
        let away = matches!(
            error.rdkafka_error_code(),
            Some(
                Code::BrokerTransportFailure
                    | Code::AllBrokersDown
                    | Code::OperationTimedOut
                    | Code::Resolve
                    | Code::Authentication
                    | Code::SSL
            )
        );
        Problem {
            of: (!away).then(what),
            may_be_elsewhere: away,
            ..Problem::of_all(error.to_string())
        }
    }

    /// One of the whole of Kafka.
    pub(super) fn of_all(detail: String) -> Problem {
        Problem {
            of: None,
            detail,
            code: None,
            may_be_elsewhere: false,
            unreachable: None,
        }
    }

    /// With what the client has said of its connections, which is more than that none
    /// answers.
    pub(super) fn because(self, complaint: Option<Complaint>) -> Problem {
        match (&self.of, complaint) {
            (None, Some(Complaint { code, text, .. })) => Problem {
                detail: text,
                code,
                ..self
            },
            _ => self,
        }
    }

    /// Whether one of the two sides does not let the other one in.
    pub(super) fn is_refusal(&self) -> bool {
        use RDKafkaErrorCode::{Authentication, SSL};
        // What a broker says of our certificate ends the connection, as anything may.
        let is_alert = || self.code.is_some() && self.detail.contains("SSL alert number");
        let is_of_login = matches!(self.code, Some(Authentication | SSL)) || is_alert();
        self.unreachable.is_none() && is_of_login
    }

    /// The error that it becomes when it has been waited for.
    pub(super) fn error(self, brokers: &str, timeout: Duration) -> DiscoveryError {
        let is_refusal = self.is_refusal();
        let (brokers, seconds, detail) = (brokers.to_owned(), timeout.as_secs(), self.detail);
        match (self.unreachable, self.of) {
            (Some(broker), _) => DiscoveryError::Unreachable {
                brokers,
                seconds,
                broker,
            },
            (None, Some(what)) => DiscoveryError::Incomplete {
                brokers,
                seconds,
                what,
                detail,
            },
            (None, None) if is_refusal => DiscoveryError::NoLogin { brokers, detail },
            (None, None) => DiscoveryError::Away {
                brokers,
                seconds,
                detail,
            },
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.unreachable, &self.of) {
            (Some(broker), _) => broker.fmt(f),
            (None, Some(what)) => write!(f, "{what}: {}", self.detail),
            (None, None) => f.write_str(&self.detail),
        }
    }
}
