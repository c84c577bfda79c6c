//! Sends fake shop data to Kafka: see `--help`.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Parser, Subcommand};
use generator::{Error, Options, Report, SendOptions, run, send};

/// Sends the events of a made-up shop to Kafka
#[derive(Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,

    // None where there is a command.
    #[command(flatten)]
    options: Option<Options>,
}

#[derive(Subcommand)]
enum Command {
    /// Send messages of your own: each line of standard input, as it is
    Send(SendOptions),
}

fn main() -> ExitCode {
    match Arguments::parse() {
        Arguments {
            command: Some(Command::Send(options)),
            ..
        } => {
            warn_of_secrets(&options.properties);
            tell(&options.brokers, send(&options, std::io::stdin().lock()))
        }
        Arguments {
            options: Some(options),
            ..
        } => {
            warn_of_secrets(&options.properties);
            let stop = Arc::new(AtomicBool::new(false));
            stop_on_signal(Arc::clone(&stop));
            tell(&options.brokers, run(&options, &stop))
        }
        // The brokers have to be given, so that there are options.
        Arguments { .. } => ExitCode::from(2),
    }
}

/// Everybody on this machine may read a command line.
fn warn_of_secrets(properties: &[(String, String)]) {
    for (name, _) in properties
        .iter()
        .filter(|(name, _)| client::is_secret(name))
    {
        let instead = client::file_instead(name).unwrap_or("a property that names a file");
        complain(&format!(
            "warning: -X {name} stands in the list of processes, for all on this machine to read: \
             give it in {instead}"
        ));
    }
}

/// A line on standard error; nobody may be there to read it.
fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Says how it went.
fn tell(brokers: &str, result: Result<Report, Error>) -> ExitCode {
    match result {
        Ok(report) => {
            // Whoever has read enough and closes it is no error.
            let _ = writeln!(std::io::stdout(), "{report}");
            if report.is_complete() {
                return ExitCode::SUCCESS;
            }
            let lost = report.sent() - report.acknowledged();
            let reason = report.failure.as_deref().unwrap_or("it was stopped before");
            complain(&format!(
                "error: {lost} events were not acknowledged by {brokers}: {reason}"
            ));
        }
        Err(error) => {
            complain(&format!("error: {error}"));
            if error.is_usage() {
                return ExitCode::from(2);
            }
        }
    }
    ExitCode::FAILURE
}

/// The first Ctrl-C (or SIGTERM) drains, a second one stops at once.
fn stop_on_signal(stop: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            signal().await;
            stop.store(true, Ordering::Relaxed);
            signal().await;
            std::process::exit(1);
        });
    });
}

async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};

    // Without handlers the signals keep their usual effect.
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
