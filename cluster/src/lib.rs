//! Several processes that work as one.
//!
//! ```text
//!                        connect                 share          workers        goodbye
//!   process 0  listen ─┬──────────▶ all are here ─▶ the plan ─▶ run ─────────▶ done, or
//!   process 1  dial 0 ─┤  (greet)                ◀─┘                           failed, and why
//!   process 2  dial 0, 1                         ◀─┘
//! ```
//!
//! Between each pair there are two connections. One is timely's, for data. On the
//! other, the control connection, each hears twice a second that the other one lives,
//! and why it ends: timely only sees that its connection is gone, and does not see a
//! process that hangs.
//!
//! There is no taking over. When one is lost, all end, and are started again.

mod error;
mod frame;
mod greet;
mod hello;
mod link;
mod listen;
mod panics;
mod rendezvous;
#[cfg(test)]
mod tests;
mod watch;

pub use error::{ClusterError, How, Lost};
pub use panics::DataConnections;

use frame::{Frame, Goodbye};
use hello::Hello;
use link::Out;
use rendezvous::Rendezvous;
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use timely::communication::allocator::ProcessBuilder;
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::{AllocatorBuilder, Hooks};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// How soon a stop is heard while process 0 is waited for.
const LOOK_UP: Duration = Duration::from_millis(50);

/// How long an end waits until the others have been told.
const FAREWELL: Duration = Duration::from_millis(500);

/// Which process this is, of which ones.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its number, below that of `addresses`.
    pub process: usize,
    /// `HOST:PORT` of each process, in the order of their numbers.
    pub addresses: Vec<String>,
    /// Worker threads of each process, at least 1.
    pub workers: usize,
}

/// How long others are waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// At the start, until all are there; `None`: as long as it takes.
    pub start: Option<Duration>,
    /// While they run, without a sound of one of them. Counted in heartbeats, which come
    /// twice a second.
    pub silence: Duration,
}

/// The processes of a run, this one among them.
pub struct Cluster {
    process: usize,
    workers: usize,
    /// What timely sends to each other process; taken when the workers start.
    data: Option<Vec<Option<std::net::TcpStream>>>,
    others: Vec<UnboundedSender<Out>>,
    /// The plan of process 0, or that a process is lost; taken by the one who shares.
    plan: Option<Receiver<Result<Vec<u8>, Lost>>>,
    stopping: Arc<AtomicBool>,
    /// Set when this process has said goodbye: that the others end is no loss then.
    leaving: Arc<AtomicBool>,
}

impl Cluster {
    /// This process and no other: no connection is opened.
    pub fn alone(workers: usize) -> Cluster {
        // Never asked: process 0 gives, and does not take.
        let (_, plan) = mpsc::channel();
        Cluster {
            process: 0,
            workers,
            data: None,
            others: Vec::new(),
            plan: Some(plan),
            stopping: Arc::default(),
            leaving: Arc::default(),
        }
    }

    /// Waits until all processes are there and connected with each other; then watches
    /// over them until the process ends. `lost` is called when one is lost, at most
    /// once.
    ///
    /// `terms` are settings and their values that have to be the same everywhere; they
    /// are shown, and must hold no secret. `connections` is what the panic hook calls. Setting
    /// `stopping` ends the wait.
    ///
    /// # Errors
    /// When a process is set otherwise than another, when the address of this one cannot
    /// be listened on, when `patience` is over, or when the run is stopped.
    pub fn connect(
        place: Place,
        terms: Vec<(String, String)>,
        patience: Patience,
        connections: &DataConnections,
        stopping: Arc<AtomicBool>,
        lost: impl FnOnce(ClusterError) + Send + 'static,
    ) -> Result<Cluster, ClusterError> {
        if place.addresses.len() <= 1 {
            return Ok(Cluster::alone(place.workers));
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let us = Hello {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            process: place.process,
            processes: place.addresses.len(),
            workers: place.workers,
            incarnation: rand::random(),
            terms,
        };
        let (tell, mut news) = unbounded_channel();
        let rendezvous = Rendezvous::hold(
            place.clone(),
            us,
            patience,
            &stopping,
            (tell.clone(), &mut news),
        );
        let mut peers = match runtime.block_on(rendezvous) {
            Ok(peers) => peers,
            Err(error) => {
                // A name that is being resolved is not waited for.
                runtime.shutdown_background();
                return Err(error);
            }
        };
        tracing::info!("all {} processes are here", place.addresses.len());
        connections.tell(tell);

        let (planned, plan) = mpsc::channel();
        let take = |peer: &mut Option<rendezvous::Peer>| peer.as_mut()?.data.take();
        let data = peers.iter_mut().map(take).collect();
        let early = peers
            .iter_mut()
            .flatten()
            .filter_map(|peer| peer.plan.take());
        for plan in early {
            // The receiver is in this very function.
            let _ = planned.send(Ok(plan));
        }
        let others = peers.iter().flatten();
        let cluster = Cluster {
            process: place.process,
            workers: place.workers,
            data: Some(data),
            others: others.map(|peer| peer.link.outbox.clone()).collect(),
            plan: Some(plan),
            stopping,
            leaving: Arc::default(),
        };
        let leaving = Arc::clone(&cluster.leaving);
        let watch = async move {
            // Whoever had to hear of it may have heard of it otherwise.
            let tell = |plan| drop(planned.send(Ok(plan)));
            let gone = watch::watch(place.process, &place.addresses, &peers, &mut news, tell).await;
            if let Some(gone) = gone
                && !leaving.load(Ordering::SeqCst)
            {
                // Nobody may share any more.
                let _ = planned.send(Err(gone.clone()));
                lost(ClusterError::Lost(gone));
            }
            // Links are attended to as long as there is something to say.
            std::future::pending::<()>().await
        };
        std::thread::Builder::new()
            .name("cluster".to_owned())
            .spawn(move || runtime.block_on(watch))?;
        Ok(cluster)
    }

    /// Gives what process 0 has planned to all processes: process 0 gives it here, all
    /// others wait for it and get it from here. Once in a run, before the workers start.
    ///
    /// # Errors
    /// When a process is lost or the run is stopped while it is waited for; when process
    /// 0 gives nothing or more than 256 MiB; when it is called once more.
    pub fn share(&mut self, plan: Option<Vec<u8>>) -> Result<Vec<u8>, ClusterError> {
        let Some(plans) = self.plan.take() else {
            return Err(ClusterError::Plan("it has been shared already"));
        };
        if self.process == 0 {
            let plan = plan.ok_or(ClusterError::Plan("there is none"))?;
            if !Frame::holds(plan.len()) {
                return Err(ClusterError::Plan("it is too long"));
            }
            for other in &self.others {
                // If it is gone, that ends the run by itself.
                let _ = other.send(Out::Say(Frame::Plan(plan.clone())));
            }
            return Ok(plan);
        }
        loop {
            match plans.recv_timeout(LOOK_UP) {
                Ok(Ok(plan)) => return Ok(plan),
                Ok(Err(lost)) => return Err(ClusterError::Lost(lost)),
                Err(RecvTimeoutError::Timeout) if self.stopping.load(Ordering::Relaxed) => {
                    return Err(ClusterError::Stopped);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(ClusterError::Plan("process 0 has ended without one"));
                }
            }
        }
    }

    /// What timely's workers talk through, and what has to live as long as they do.
    ///
    /// # Errors
    /// When the system has no thread for it, or it is called once more.
    pub fn network(&mut self) -> std::io::Result<(Vec<AllocatorBuilder>, Box<dyn Any + Send>)> {
        let hooks = Hooks::default();
        let workers = ProcessBuilder::new_typed_vector(
            self.workers,
            hooks.refill.clone(),
            hooks.spill.clone(),
        );
        if self.others.is_empty() {
            let workers = workers.into_iter().map(AllocatorBuilder::Process);
            return Ok((workers.collect(), Box::new(())));
        }
        let taken = || std::io::Error::other("the connections are in use already");
        let data = self.data.take().ok_or_else(taken)?;
        let (workers, guard) =
            initialize_networking_from_sockets(workers, data, self.process, self.workers, hooks)?;
        let workers = workers.into_iter().map(AllocatorBuilder::Tcp);
        Ok((workers.collect(), Box::new(guard)))
    }

    /// Tells the others that this process ends: well, or because of `failure`. Waits
    /// until that has left, for half a second at the most.
    pub fn goodbye(&self, failure: Option<Failure<'_>>) {
        self.leaving.store(true, Ordering::SeqCst);
        let goodbye = match failure {
            // Others may still wait for workers that will never be.
            None if self.data.is_some() => Goodbye::Stopped,
            None => Goodbye::Done,
            Some(Failure::Own(why)) => Goodbye::Failed(why),
            Some(Failure::Lost(lost)) => Goodbye::Lost {
                process: lost.process,
                what: lost.how.what(),
            },
        };
        let (sent, leaving) = mpsc::channel();
        for other in &self.others {
            // If it is gone, there is nobody to tell.
            let _ = other.send(Out::Last(Frame::Goodbye(goodbye.clone()), sent.clone()));
        }
        drop(sent);
        let until = Instant::now() + FAREWELL;
        while let Ok(()) = leaving.recv_timeout(until.saturating_duration_since(Instant::now())) {}
    }
}

/// Why a process ends, where it ends otherwise than well.
#[derive(Debug)]
pub enum Failure<'a> {
    /// By itself: in its own words.
    Own(String),
    /// Another one is lost.
    Lost(&'a Lost),
}
