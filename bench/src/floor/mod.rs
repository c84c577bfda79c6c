//! What one would write by hand: one thread, hash maps, bulk upserts, and nothing for
//! the day on which it is killed.
//!
//! ```text
//!   log ─▶ decode ─▶ Table (a hash map, and what has changed) ─▶ update commands
//!                └─▶ Revenue (the join) ─────┘
//! ```
//!
//! It knows no lateness, closes no window and sends nothing again: what Tidemark costs
//! more than this is the price of all that.

mod revenue;
mod shop;
mod table;
mod write;

pub use shop::{Shop, topics};
pub use write::Database;
