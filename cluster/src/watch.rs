//! Watches the other processes while this one runs.
//!
//! The first that is lost ends the run, unless it has said that all is done. What
//! another process says of itself comes before what is seen of it: a process that
//! fails says why on its control connection, and at the same moment timely's
//! connection to it breaks.

use super::error::{How, Lost};
use super::frame::Goodbye;
use super::link::{News, What};
use super::rendezvous::Peer;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

/// How long a data connection may be broken before its process says why.
const EXPLAIN: Duration = Duration::from_secs(1);

/// Watches until a process is lost; for ever, if all of them end well.
///
/// `planned` is called with what process 0 has planned.
pub(super) async fn watch(
    us: usize,
    addresses: &[String],
    peers: &[Option<Peer>],
    news: &mut UnboundedReceiver<News>,
    mut planned: impl FnMut(Vec<u8>),
) -> Option<Lost> {
    let lost = |process: usize, how: How| Lost {
        process,
        address: addresses.get(process).cloned().unwrap_or_default(),
        how,
    };
    let mut done = vec![false; addresses.len()];
    // Which data connection broke first, how, and until when that may be explained.
    let mut broken: Option<(usize, String, Instant)> = None;
    loop {
        let next = match &broken {
            None => news.recv().await,
            Some((process, why, until)) => {
                match tokio::time::timeout_at(*until, news.recv()).await {
                    Ok(next) => next,
                    Err(_) => return Some(lost(*process, How::Ended(why.clone()))),
                }
            }
        };
        // The sender lives as long as the receiver.
        let News {
            process,
            link,
            what,
        } = next?;
        let peer = peers.get(process).and_then(Option::as_ref);
        if let What::DataOver(why) = what {
            let until = Instant::now() + EXPLAIN;
            broken.get_or_insert((process, why, until));
            continue;
        }
        if peer.is_none_or(|peer| peer.link.number != link) {
            continue;
        }
        match what {
            What::Ready | What::DataOver(_) => {}
            What::Plan(plan) => planned(plan),
            What::Goodbye(Goodbye::Done) => done[process] = true,
            What::Goodbye(Goodbye::Stopped) => return Some(lost(process, How::Stopped)),
            What::Goodbye(Goodbye::Failed(why)) => return Some(lost(process, How::Failed(why))),
            What::Goodbye(Goodbye::Lost { process: of, what }) if of == us => {
                return Some(lost(process, How::Without(what)));
            }
            What::Goodbye(Goodbye::Lost { process: of, what }) => {
                let by = process;
                return Some(lost(of, How::Told { by, what }));
            }
            What::Over(_) if done[process] => {}
            What::Over(how) => return Some(lost(process, how)),
        }
    }
}
