//! The pipeline's program.
//!
//! ```text
//!   Kafka ─▶ ingest ─▶ views ─▶ sink ─▶ MongoDB, or an SQLite file
//! ```
//!
//! What it is told comes from [`config`], how it runs is in [`run`], and the
//! picture above is the dataflow that [`pipeline`](tidemark::pipeline) builds.

use std::process::ExitCode;
use tidemark::ask;
use tidemark::checkpoint;
use tidemark::config::{self, Command, KnownView};
use tidemark::run::{self, RunError};
use tidemark::supervise;
use tidemark::views;

/// The allocations of a dataflow are many, small, and freed on other threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(RunError::Config(error)) => error.report(),
        Err(error) => {
            eprintln!("tidemark: {error}");
            error.exit_code()
        }
    }
}

fn start() -> Result<(), RunError> {
    let catalog = views::catalog(&Default::default())?;
    let known: Vec<_> = catalog
        .definitions
        .iter()
        .map(|view| KnownView {
            name: view.name,
            times: &view.times,
        })
        .collect();
    match config::load(std::env::args_os(), std::env::vars_os(), &known)? {
        Command::Views(settings) => run::views(&settings),
        Command::Why(question) => Ok(ask::why(&question)?),
        Command::Checkpoint(question) => Ok(checkpoint::answer(&question)?),
        Command::Supervise(plan) => Ok(supervise::supervise(&plan)?),
        Command::Run(settings) => run::run(&settings),
    }
}
