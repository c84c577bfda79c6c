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
//! | `/api/dataflow` | what each operator has done |
//! | `/api/why/NAME/WINDOW` | why a window of a view is still open |
//! | `/api` | what paths there are |
//! | `/` | the shop, for people; `/shop/CHART.csv` and `.json` its numbers |
//! | `/pipeline` | the pipeline, for people |
//!
//! It runs on a thread of its own and reads what has been acknowledged, so that
//! no request ever waits for the dataflow nor the dataflow for a request.

mod access;
mod dashboard;
mod health;
mod json;
mod listen;
mod operators;
mod query;
mod routes;
mod settings;
#[cfg(test)]
mod tests;
mod tls;
mod views;
mod watermarks;
mod why;

pub use settings::{Http, HttpAccess, HttpTls};

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use axum_server::tls_rustls::RustlsConfig;
use cluster::Place;
use sinks::Reader;
use tokio::sync::oneshot;
use tracing::{error, info};

use telemetry::{Telemetry, ViewInfo};

/// How long a client may take to ask.
const PATIENCE: Duration = Duration::from_secs(10);

/// What products are called, for people who look at pages: no view has names.
pub trait ProductNames: Send + Sync {
    /// What the product with this id is called, as far as it is known.
    fn name_of(&self, id: &str) -> Option<String>;
}

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
    /// A certificate or a key cannot be used.
    #[error("{setting} {}: {reason}", file.display())]
    Certificate {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        file: PathBuf,
        /// Why not.
        reason: String,
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

/// Serves HTTP where `http` says, to whom `access` says, and says where that is. `None`
/// where it says `off`.
///
/// `views` are told in the order of the storage's tables: a view's number is
/// that of its table for `reader`.
///
/// # Errors
///
/// [`ServeError`]; an address that the user named and that is taken is one.
pub fn start(
    http: Http,
    access: &HttpAccess,
    telemetry: Arc<Telemetry>,
    reader: Arc<dyn Reader>,
    views: Arc<Vec<ViewInfo>>,
    names: Arc<dyn ProductNames>,
    place: Place,
) -> Result<Option<Server>, ServeError> {
    // What is wrong with them is said also where nothing is served.
    let certificates = access.tls.as_ref().map(tls::config).transpose()?;
    let Some(listener) = listen::listen(http)? else {
        return Ok(None);
    };
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let app = routes::App {
        telemetry,
        reader,
        views,
        live: dashboard::Live::new(),
        names,
        place,
    };
    let who = access::Access::new(http, access);
    let scheme = match certificates {
        Some(_) => "https",
        None => "http",
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = async move {
        // Told to stop, or nobody is left to tell: both end it. Connections that
        // are open are not waited for: they may be kept alive for ever.
        let followed = app.live.clone().follow(app.clone());
        let routes = routes::router(app, who).into_make_service();
        let served = async {
            match certificates {
                Some(config) => {
                    let config = RustlsConfig::from_config(Arc::new(config));
                    let server = axum_server::from_tcp_rustls(listener, config)?;
                    patient(server).serve(routes).await
                }
                None => {
                    patient(axum_server::from_tcp(listener)?)
                        .serve(routes)
                        .await
                }
            }
        };
        tokio::select! {
            served = served => served,
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
    info!("serving {scheme}://{address}");
    Ok(Some(Server {
        address,
        stop: Some(stop),
        thread: Some(thread),
    }))
}

/// A connection on which nothing is asked, or a part of something, is not held open: each
/// is a file that the pipeline could not open.
fn patient<A: axum_server::Address, B>(
    server: axum_server::Server<A, B>,
) -> axum_server::Server<A, B> {
    let mut server = server.first_request_timeout(PATIENCE);
    let http = server.http_builder();
    http.http1().header_read_timeout(PATIENCE);
    server
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
