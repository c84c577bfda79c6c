//! Tidemark: a shop's analytics, continuously correct.

pub mod ask;
mod checkpoints;
pub mod config;
pub mod embedded;
mod names;
mod print;
pub mod program;
pub mod run;
mod signal;
pub mod supervise;

/// What a view is: for programs with views of their own.
pub use dataflow::views;
/// Windows, ids and values.
pub use model;
/// The topics and views of the shop.
pub use shop;
