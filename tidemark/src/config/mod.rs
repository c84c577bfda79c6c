//! What the user wants, from the command line, the environment and a file.
//!
//! ```text
//!   --flags ──────────┐
//!   TIDEMARK_… ───────┼─▶ layers (who says what) ─▶ settings (checked) ─▶ Settings
//!   --config FILE ────┘
//! ```
//!
//! Everything wrong is found here, before anything is connected to, and is
//! answered with the setting as the user wrote it and what it takes.

mod checkpoint;
mod cli;
mod cluster;
mod error;
mod generated;
mod help;
mod http;
mod layers;
mod question;
mod settings;
mod store;
mod supervision;
#[cfg(test)]
mod tests;
mod text;
mod views;

use std::{collections::BTreeMap, ffi::OsString};

use clap::Parser;

pub use checkpoint::CheckpointQuestion;
pub use error::ConfigError;
pub use generated::Generated;
pub use model::Secret;
pub use question::{Endpoint, Question};
pub use serve::{Http, HttpAccess, HttpTls};
pub use settings::{Lateness, OnExpired, Rate, Settings, Source, Store, ViewOverride};
pub use supervision::Supervision;
pub use telemetry::{LogFilter, LogFormat, Status};
pub use views::KnownView;

/// What to do, and with which settings.
#[derive(Debug, Clone)]
pub enum Command {
    /// Run the pipeline.
    Run(Box<Settings>),
    /// Print the views.
    Views(Box<Settings>),
    /// Start processes and watch over them.
    Supervise(Supervision),
    /// Ask a running pipeline why a window is still open.
    Why(Question),
    /// Ask what a checkpoint is, or whether it is whole.
    Checkpoint(CheckpointQuestion),
    /// Print what follows from the command line alone.
    Generate(Generated),
}

/// Reads the command line `args` (the program's name first), the environment
/// `env` and the file that one of them names.
///
/// `known` are the views whose settings the file may change.
///
/// # Errors
///
/// Whatever the user has to change, and also what `--help` and `--version`
/// print: [`ConfigError::report`] says it and knows the exit code.
pub fn load(
    args: impl IntoIterator<Item = OsString>,
    env: impl IntoIterator<Item = (OsString, OsString)>,
    known: &[KnownView<'_>],
) -> Result<Command, ConfigError> {
    let mut cli = cli::Cli::try_parse_from(args).map_err(Box::new)?;
    let command = cli.command.take();
    // Variables that are not Unicode are none of ours.
    let env: BTreeMap<String, String> = env
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let settings = |cli: cli::Cli| {
        let (supervised, restarted) = (cli.supervised, cli.restarted);
        let layers = layers::Layers::merge(cli, &env)?;
        let settings = Settings::new(layers, known)?.supervised(supervised, restarted)?;
        Ok(Box::new(settings))
    };
    Ok(match command {
        None => Command::Run(settings(cli)?),
        Some(cli::Command::Views) => Command::Views(settings(cli)?),
        Some(cli::Command::Supervise(given)) => {
            let of_a_process = |arguments: Vec<OsString>| {
                let line = std::iter::once(OsString::from("tidemark")).chain(arguments);
                let cli = cli::Cli::try_parse_from(line).map_err(Box::new)?;
                match cli.command {
                    None => settings(cli),
                    Some(_) => Err(ConfigError::setting(
                        "supervise",
                        "behind -- it takes the arguments of a run, and no other command",
                    )),
                }
            };
            Command::Supervise(Supervision::new(given, cli.config, of_a_process)?)
        }
        Some(cli::Command::Why {
            view,
            window,
            mut at,
        }) => {
            cli.options.http_token_file = at.http_token_file.take().or(cli.options.http_token_file);
            let layers = layers::Layers::merge(cli, &env)?;
            Command::Why(Question::new(view, window, at, &layers)?)
        }
        Some(cli::Command::Checkpoint { question }) => Command::Checkpoint(question.into()),
        Some(cli::Command::Completions { shell }) => {
            Command::Generate(Generated::Completions(shell))
        }
        Some(cli::Command::Man { folder }) => Command::Generate(Generated::Manual(folder)),
    })
}
