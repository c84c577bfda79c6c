//! Sends fake shop data to Kafka: see `--help`.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use generator::{Control, Options, run};

/// Sends the events of a made-up shop to Kafka
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

fn main() -> ExitCode {
    let Arguments { options } = Arguments::parse();
    let stop = Arc::new(AtomicBool::new(false));
    stop_on_signal(Arc::clone(&stop));
    match run(&options, Control::new(&stop)) {
        Ok(report) => {
            println!("{report}");
            if report.is_complete() {
                return ExitCode::SUCCESS;
            }
            let lost = report.sent() - report.acknowledged();
            let reason = report.failure.as_deref().unwrap_or("it was stopped before");
            eprintln!(
                "error: {lost} events were not acknowledged by {}: {reason}",
                options.brokers
            );
        }
        Err(error) => eprintln!("error: {error}"),
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
