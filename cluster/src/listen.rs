//! A process listens on its own address, as soon as that is one of its machine's.
//!
//! Where names of machines are given out when these start (Kubernetes, for one), a process may
//! be there before its own name is, or while that still leads to where it was before.

use super::ClusterError;
use std::fmt::Write as _;
use std::future::Future;
use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Between two attempts.
const AGAIN: Duration = Duration::from_millis(250);
/// Between two lines about it.
const LINE: Duration = Duration::from_secs(5);
/// How soon a stop is heard.
const LOOK_UP: Duration = Duration::from_millis(50);

/// Listens on the address of this process, by `bind`, which gets it as it was given.
///
/// # Errors
/// When another process listens there, or this one may not; when the address is none of this
/// machine's `within` that time; when the run is stopped.
pub(super) async fn listen<'a, L, F: Future<Output = Result<L, Error>>>(
    process: usize,
    address: &'a str,
    within: Option<Duration>,
    stopping: &AtomicBool,
    bind: impl Fn(&'a str) -> F,
) -> Result<L, ClusterError> {
    let begun = Instant::now();
    let mut next_line = begun;
    loop {
        let error = match until_stopped(bind(address), stopping).await {
            None => return Err(ClusterError::Stopped),
            Some(Ok(listener)) => return Ok(listener),
            Some(Err(_)) if stopping.load(Ordering::Relaxed) => return Err(ClusterError::Stopped),
            Some(Err(error)) => error,
        };
        let Some(problem) = passing(&error, process, address) else {
            return Err(refused(&error, process, address));
        };
        if within.is_some_and(|within| begun.elapsed() + AGAIN >= within) {
            let seconds = within.unwrap_or_default().as_secs();
            return Err(ClusterError::NotHere { problem, seconds });
        }
        if Instant::now() >= next_line {
            tracing::warn!("{problem} yet; trying again until it is");
            next_line = Instant::now() + LINE;
        }
        sleep(AGAIN).await;
    }
}

/// What is wrong, where it may pass: a clause that can be followed by "yet".
fn passing(error: &Error, process: usize, address: &str) -> Option<String> {
    let mut problem = match error.kind() {
        ErrorKind::AddrNotAvailable => {
            format!("{address}, the address of this process ({process}), is none of this machine's")
        }
        // What the system's resolver says has no kind of its own.
        _ if error.raw_os_error().is_none() => {
            format!("{address}, the address of this process ({process}), cannot be resolved")
        }
        _ => return None,
    };
    // Writing to a String does not fail.
    let _ = write!(problem, " ({error})");
    Some(problem)
}

fn refused(error: &Error, process: usize, address: &str) -> ClusterError {
    let hint = match error.kind() {
        ErrorKind::AddrInUse => format!(
            "Another process listens there: is one running with --process {process}? --hostfile \
             sets the addresses"
        ),
        _ => "--hostfile sets the addresses".to_owned(),
    };
    ClusterError::Listen {
        process,
        address: address.to_owned(),
        problem: error.to_string(),
        hint,
    }
}

/// What comes of something, unless the run is stopped first: a resolver may take its time.
async fn until_stopped<T>(future: impl Future<Output = T>, stopping: &AtomicBool) -> Option<T> {
    let mut future = std::pin::pin!(future);
    loop {
        if let Ok(done) = timeout(LOOK_UP, &mut future).await {
            return Some(done);
        }
        if stopping.load(Ordering::Relaxed) {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use tokio::net::TcpListener;

    fn run<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(future)
    }

    const SHORT: Option<Duration> = Some(Duration::from_millis(600));

    #[test]
    fn a_name_that_comes_late_and_leads_elsewhere_at_first_is_waited_for() {
        let unknown = || Error::other("failed to lookup address information");
        let elsewhere = || Error::from(ErrorKind::AddrNotAvailable);
        let answers = RefCell::new(vec![Ok("listening"), Err(elsewhere()), Err(unknown())]);
        let bind = |_: &str| std::future::ready(answers.borrow_mut().pop().unwrap());
        let stopping = AtomicBool::new(false);
        let listener = run(listen(1, "node-1:2101", None, &stopping, bind));
        assert_eq!(listener.unwrap(), "listening");
    }

    #[test]
    fn an_address_that_never_is_this_machine_s_is_named() {
        let stopping = AtomicBool::new(false);
        for (address, what) in [
            ("no-such-host.invalid:2101", "cannot be resolved"),
            // One that is kept for documentation.
            ("192.0.2.1:2101", "is none of this machine's"),
        ] {
            let listener = run(listen(1, address, SHORT, &stopping, TcpListener::bind));
            let error = listener.map(|_| "listening").unwrap_err();
            assert!(matches!(error, ClusterError::NotHere { .. }), "{error}");
            let said = error.to_string();
            assert!(said.contains(address) && said.contains(what), "{said}");
            assert!(said.contains("--hostfile"), "{said}");
            assert!(!said.contains("nother process"), "{said}");
        }
    }

    #[test]
    fn a_port_that_is_taken_is_another_process() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let stopping = AtomicBool::new(false);
        let listener = run(listen(1, &address, None, &stopping, TcpListener::bind));
        let error = listener.map(|_| "listening").unwrap_err();
        let said = error.to_string();
        assert!(said.contains("Another process listens there"), "{said}");
        assert_eq!(error.exit_code(), std::process::ExitCode::from(2));
    }

    #[test]
    fn a_stop_ends_the_wait() {
        let stopping = AtomicBool::new(true);
        let never = |_: &str| std::future::pending::<Result<(), Error>>();
        let stopped = run(listen(1, "node-1:2101", None, &stopping, never));
        assert!(matches!(stopped, Err(ClusterError::Stopped)));
        let unknown = |_: &str| std::future::ready(Err::<(), _>(Error::other("no such name")));
        let stopped = run(listen(1, "node-1:2101", None, &stopping, unknown));
        assert!(matches!(stopped, Err(ClusterError::Stopped)));
    }
}
