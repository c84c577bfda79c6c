//! Being told to stop.

/// Ends at the next Ctrl-C or SIGTERM. Must be called within a runtime of tokio.
pub(crate) async fn signal() {
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
