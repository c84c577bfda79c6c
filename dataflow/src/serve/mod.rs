//! HTTP: what the pipeline says to programs and to people.
//!
//! | path | answer |
//! | --- | --- |
//! | `/healthz` | 200 while the process lives, 503 once it has failed |
//! | `/readyz` | 200 once it is ready, 503 with the reason before |
//! | `/metrics` | Prometheus |
//! | `/api/views` | what the views are |
//! | `/api/views/NAME` | a view's rows, filtered and in pages |
//! | `/api/watermarks` | how far event time has come, by view and partition |
//! | `/api/why/NAME/WINDOW` | why a window of a view is still open |
//! | `/api` | what paths there are |
//! | `/` | the shop, for people; `/shop/CHART.csv` and `.json` its numbers |
//! | `/pipeline` | the pipeline, for people |
//!
//! It runs on a thread of its own and reads what has been acknowledged, so that
//! no request ever waits for the dataflow nor the dataflow for a request.

mod dashboard;
mod health;
mod json;
mod listen;
mod names;
mod query;
mod routes;
#[cfg(test)]
mod tests;
mod views;
mod watermarks;
mod why;

pub use names::Names;

use std::{
    net::SocketAddr,
    sync::Arc,
    thread::{self, JoinHandle},
};

use sinks::Reader;
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use crate::{
    config::Http,
    observe::{Board, ViewInfo},
};

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address that was asked for cannot be had.
    #[error("--http {address}: cannot listen there: {source}; choose another address, or off")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The system gives no thread or no event queue.
    #[error("HTTP cannot be served: {0}")]
    Start(#[from] std::io::Error),
}

/// Serves until it is stopped or dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Serves HTTP where `http` says, and says where that is. `None` where it says
/// `off`.
///
/// `views` are told in the order of the storage's tables: a view's number is
/// that of its table for `reader`.
///
/// # Errors
///
/// [`ServeError`]; an address that the user named and that is taken is one.
pub fn start(
    http: Http,
    board: Arc<Board>,
    reader: Arc<dyn Reader>,
    views: Arc<Vec<ViewInfo>>,
    names: Names,
) -> Result<Option<Server>, ServeError> {
    let Some(listener) = listen::listen(http)? else {
        return Ok(None);
    };
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let app = routes::App {
        board,
        reader,
        views,
        live: dashboard::Live::new(),
        names,
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        // Told to stop, or nobody is left to tell: both end it. Connections that
        // are open are not waited for: they may be kept alive for ever.
        let followed = app.live.clone().follow(app.clone());
        tokio::select! {
            served = axum::serve(listener, routes::router(app)) => served,
            () = followed => Ok(()),
            _ = stopped => Ok(()),
        }
    };
    let thread = thread::Builder::new()
        .name("http".to_owned())
        .spawn(move || {
            if let Err(error) = runtime.block_on(serving) {
                error!(%error, "HTTP is no longer served");
            }
            // A query that is still waiting for its database is not waited for.
            runtime.shutdown_background();
        })?;
    info!("serving http://{address}");
    if !address.ip().is_loopback() {
        warn!("HTTP has no access control and is reachable from other machines");
    }
    Ok(Some(Server {
        address,
        stop: Some(stop),
        thread: Some(thread),
    }))
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops at once.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // If it panicked, that has been said, and there is nothing to save.
            let _ = thread.join();
        }
    }
}
