//! Fake shop data into Kafka.
//!
//! ```text
//!   Options ─▶ Profile ─▶ Shop ── one round after the other ──▶ Record (topic, key, value, timestamp)
//!                                                                  │
//!   run: topics are there? ─▶ pace ─▶ producer ─▶ Kafka ─▶ acknowledged ─▶ Report
//! ```
//!
//! A [`Shop`] is a deterministic source: what it makes follows from its [`Profile`]
//! alone, and it needs no Kafka, so that tests, benchmarks and a pipeline without Kafka
//! read it from memory. [`run`] sends what it makes and counts what the brokers
//! acknowledge.

mod clock;
mod damage;
mod error;
mod known;
mod options;
mod phrases;
mod producer;
mod progress;
mod report;
mod run;
mod send;
mod shop;
mod topics;

pub use error::Error;
pub use options::{Options, Profile, Times};
pub use report::{Report, TopicReport};
pub use run::run;
pub use send::{SendOptions, send};
pub use shop::{Record, Shop};
