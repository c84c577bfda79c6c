//! What a client reports of a broker, taken apart.

/// Why a client has no connection to a broker, as it reports it:
/// `sasl_ssl://host:9092/1: Connect to … failed: Connection refused (after 2ms in state …)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// `host:port`.
    pub address: String,
    /// The number of the broker; `None` where it is only known by its address.
    pub broker: Option<i32>,
    /// What went wrong.
    pub detail: String,
}

impl Reason {
    /// Takes apart what the client says; `None` where it is not about a broker.
    pub fn parse(said: &str) -> Option<Reason> {
        // The same broker by another name.
        let said = said.strip_prefix("GroupCoordinator: ").unwrap_or(said);
        let (name, detail) = said.split_once(": ")?;
        let name = name.split_once("://").map_or(name, |(_, name)| name);
        let (address, broker) = name.rsplit_once('/').unwrap_or((name, ""));
        let (_, port) = address.rsplit_once(':')?;
        port.parse::<u16>().ok()?;
        Some(Reason {
            address: address.to_owned(),
            broker: broker.parse().ok(),
            detail: without_count(detail).to_owned(),
        })
    }
}

/// How often and after how long is of no use to a reader.
fn without_count(detail: &str) -> &str {
    let end = detail.rfind(" (after ").unwrap_or(detail.len());
    &detail[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_broker_is_taken_apart() {
        let parsed = |said: &str| {
            Reason::parse(said).map(|reason| (reason.address, reason.broker, reason.detail))
        };
        assert_eq!(
            parsed(
                "127.0.0.1:9/bootstrap: Connect to ipv4#127.0.0.1:9 failed: Connection refused \
                 (after 0ms in state CONNECT, 3 identical error(s) suppressed)"
            ),
            Some((
                "127.0.0.1:9".to_owned(),
                None,
                "Connect to ipv4#127.0.0.1:9 failed: Connection refused".to_owned()
            ))
        );
        assert_eq!(
            parsed(
                "sasl_ssl://kafka:9092/12: Failed to resolve 'kafka:9092': Name or service not known"
            ),
            Some((
                "kafka:9092".to_owned(),
                Some(12),
                "Failed to resolve 'kafka:9092': Name or service not known".to_owned()
            ))
        );
        assert_eq!(
            parsed("GroupCoordinator: kafka:9092: Disconnected (after 1ms in state UP)"),
            Some(("kafka:9092".to_owned(), None, "Disconnected".to_owned()))
        );
        assert_eq!(parsed("1/1 brokers are down"), None);
        assert_eq!(parsed("topic: what/ever"), None);
    }
}
