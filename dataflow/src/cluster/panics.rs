//! Which panics are only the echo of a lost process.
//!
//! Timely has a thread for each direction to each other process, and such a thread
//! panics when its connection ends. That poisons queues, so that workers panic too,
//! and whoever joins them. None of this tells anything that the control connection
//! does not tell better; so it is not shown. A panic of anything else is.

use super::link::{News, What};
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::mpsc::UnboundedSender;

/// Names of timely's threads for the network, before the number of the process.
const NETWORK: [&str; 2] = ["timely:send-", "timely:recv-"];

/// What timely says when a connection has ended.
const ENDED: &str = "timely communication error: ";

/// Where the panics that follow from it are.
const CRATE: &str = "timely_communication";

/// Knows whether connections between processes are broken.
#[derive(Clone, Default)]
pub struct Broken {
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    broken: AtomicBool,
    news: OnceLock<UnboundedSender<News>>,
}

impl Broken {
    /// Where it is told that a data connection has ended.
    pub(super) fn tell(&self, news: UnboundedSender<News>) {
        // One process has one cluster.
        let _ = self.state.news.set(news);
    }

    /// From now on connections may end.
    pub(super) fn set(&self) {
        self.state.broken.store(true, Ordering::SeqCst);
    }

    /// Whether connections have ended: what fails because of that is not the cause.
    pub fn is_set(&self) -> bool {
        self.state.broken.load(Ordering::SeqCst)
    }

    /// Whether a panic comes of nothing but an ended connection, so that it need not be
    /// shown and is no reason of its own. To be asked in the panic hook, on the thread
    /// that panics.
    pub fn explains(&self, panic: &PanicHookInfo<'_>) -> bool {
        let Some(news) = self.state.news.get() else {
            return false;
        };
        let message = panic.payload_as_str().unwrap_or_default();
        let thread = std::thread::current();
        if let Some(process) = network(thread.name().unwrap_or_default())
            && let Some(why) = message.strip_prefix(ENDED)
        {
            self.set();
            let _ = news.send(News {
                process,
                link: 0,
                what: What::DataOver(format!("its data connection ended ({why})")),
            });
            return true;
        }
        let place = panic.location().map_or("", |location| location.file());
        self.is_set() && place.contains(CRATE)
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
