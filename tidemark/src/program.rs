//! The program, from its command line to its exit code.

use crate::ask;
use crate::checkpoints;
use crate::config::{self, Command, KnownView};
use crate::print;
use crate::run::{self, RunError};
use crate::supervise;
use dataflow::views::view::View;
use shop::ProgramViews;
use std::process::ExitCode;

/// Does what the command line, the environment and the configuration file say.
pub fn main() -> ExitCode {
    main_with(Vec::new)
}

/// The same with views of one's own beside those that are built in.
pub fn main_with(own: fn() -> Vec<View>) -> ExitCode {
    main_of(ProgramViews::and(own))
}

/// The same with just these views.
pub fn main_of(views: ProgramViews) -> ExitCode {
    match start(views) {
        Ok(()) => ExitCode::SUCCESS,
        Err(RunError::Config(error)) => error.report(),
        Err(error) => {
            print::failure(&error);
            error.exit_code()
        }
    }
}

fn start(views: ProgramViews) -> Result<(), RunError> {
    let catalog = shop::catalog_with(&Default::default(), views)?;
    let known: Vec<_> = catalog
        .definitions
        .iter()
        .map(|view| KnownView {
            name: &view.name,
            times: view.times.iter().map(String::as_str).collect(),
        })
        .collect();
    match config::load(std::env::args_os(), std::env::vars_os(), &known)? {
        Command::Views(settings) => run::views(&settings, views),
        Command::Why(question) => Ok(ask::why(&question)?),
        Command::Checkpoint(question) => Ok(checkpoints::answer(&question)?),
        Command::Supervise(plan) => Ok(supervise::supervise(&plan)?),
        Command::Generate(what) => what.write().map_err(|source| RunError::System {
            what: "writing what was asked for",
            source,
        }),
        Command::Run(settings) => run::run(&settings, views),
    }
}
