//! From Kafka's log into the dataflow.
//!
//! ```text
//!  discovery (a thread)          clock (worker 0 of process 0)
//!    which partitions exist        which epoch is open
//!        │                               │
//!        ▼                               ▼
//!  kafka (each worker) ──message──▶ operator ──▶ contributions, dead letters, positions
//!    the worker's partitions,         decodes, adds up, sends at the end
//!    one queue each, in turns         of the epoch; holds back when too
//!                                     much is in flight
//! ```

pub mod advertised;
pub mod answers;
pub mod client;
pub mod clock;
pub mod context;
mod describe;
pub mod difference;
pub mod discovery;
mod ends;
mod fault;
mod flight;
pub mod gate;
pub mod identity;
pub mod in_process;
pub mod inquiry;
pub mod kafka;
pub mod lanes;
pub mod last_read;
pub mod memory;
pub mod missing;
pub mod operator;
mod outputs;
mod partition;
mod partitions;
pub mod problem;
mod queue;
mod reading;
pub mod source;
pub mod transactions;
pub mod watch;
