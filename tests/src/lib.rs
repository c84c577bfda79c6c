//! End-to-end tests on a real Kafka and a real MongoDB.
//!
//! A test is a [`Scene`]: topics of its own, a database of its own. It produces
//! messages, runs the pipeline as a user would, and then asks the [`oracle`],
//! which reads the same topics, recomputes every view naively and compares every
//! document, field by field and type by type:
//!
//! ```text
//!   samples, generator ──▶ Kafka ──▶ tidemark ──▶ MongoDB
//!                            │                      │
//!                            └──▶ oracle ── equal? ─┘
//! ```
//!
//! The oracle shares no code with the pipeline. The services come from
//! `scripts/services start`.

pub mod broker;
pub mod checkpoint;
pub mod http;
pub mod kafka;
pub mod mongo;
pub mod mongosh;
pub mod oracle;
pub mod page;
pub mod pipeline;
pub mod poll;
pub mod process;
pub mod samples;
pub mod scene;
pub mod secured;
pub mod segment;
pub mod services;
pub mod sqlite;
pub mod watcher;

pub use oracle::{Ending, Rules};
pub use pipeline::Pipeline;
pub use poll::eventually;
pub use process::Process;
pub use samples::Sample;
pub use scene::Scene;
pub use services::Services;
pub use watcher::Watcher;

/// The topics that the pipeline reads, without a prefix.
pub const TOPICS: [&str; 6] = [
    "customers",
    "products",
    "transactions",
    "product_views",
    "user_interactions",
    "system_logs",
];
