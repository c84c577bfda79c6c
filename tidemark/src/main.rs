//! The pipeline's program.
//!
//! ```text
//!   Kafka ─▶ ingest ─▶ views ─▶ sink ─▶ MongoDB, or an SQLite file
//! ```
//!
//! What it is told comes from [`config`](tidemark::config), how it runs is in
//! [`run`](tidemark::run), and the picture above is the dataflow that
//! [`pipeline`](dataflow::pipeline) builds.

use std::process::ExitCode;

/// The allocations of a dataflow are many, small, and freed on other threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tidemark::program::main()
}
