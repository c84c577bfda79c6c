//! Panics that are only the echo of an ended connection.
//!
//! Timely has a thread for each direction to each other process, and such a thread
//! panics when its connection ends. That poisons queues, so that workers panic too,
//! and whoever joins them: a wall of text that says less than the control connection
//! does. So the first of these threads is held where it panics. It says nothing and
//! poisons nothing; the run ends by what [`watch`](super::watch) makes of it. A panic
//! of anything else goes its way.

use super::link::{News, What};
use std::panic::PanicHookInfo;
use std::sync::{Arc, OnceLock};
use tokio::sync::mpsc::UnboundedSender;

/// Names of timely's threads for the network, before the number of the process.
const NETWORK: [&str; 2] = ["timely:send-", "timely:recv-"];

/// What timely says when a connection has ended.
const ENDED: &str = "timely communication error: ";

/// Learns from the panic hook which data connections have ended.
#[derive(Clone, Default)]
pub struct DataConnections {
    news: Arc<OnceLock<UnboundedSender<News>>>,
}

impl DataConnections {
    /// Where it is told that one has ended.
    pub(super) fn tell(&self, news: UnboundedSender<News>) {
        // A process has one cluster, and so one who is told.
        let _ = self.news.set(news);
    }

    /// To be called by the panic hook, on the thread that panics. It does not return
    /// where the panic is of an ended connection between processes: the thread waits for
    /// the end of the process.
    pub fn hold(&self, panic: &PanicHookInfo<'_>) {
        let thread = std::thread::current();
        let process = network(thread.name().unwrap_or_default());
        // It is formatted, and so a text of its own.
        let message = panic.payload().downcast_ref::<String>();
        let why = message.and_then(|message| message.strip_prefix(ENDED));
        let (Some(process), Some(why), Some(news)) = (process, why, self.news.get()) else {
            return;
        };
        let what = What::DataOver(format!("its data connection ended ({why})"));
        let link = 0;
        let told = news.send(News {
            process,
            link,
            what,
        });
        if told.is_ok() {
            loop {
                std::thread::park();
            }
        }
    }
}

/// The process that a thread of timely's serves the connection with.
fn network(thread: &str) -> Option<usize> {
    let number = NETWORK.iter().find_map(|name| thread.strip_prefix(name))?;
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_threads_of_the_network_are_of_a_process() {
        assert_eq!(network("timely:recv-12"), Some(12));
        assert_eq!(network("timely:send-0"), Some(0));
        for other in ["timely:work-1", "timely:recv-", "recv-1", ""] {
            assert_eq!(network(other), None, "{other}");
        }
    }
}
