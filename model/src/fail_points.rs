//! Points at which a test may end the process, as if it had been killed there.
//!
//! ```text
//!   FAILPOINTS='write.commit=4*off->return'      the fifth time that it gets there
//! ```
//!
//! Between any two steps of what is promised there is one. Passing one does nothing unless the
//! program has been [armed](arm), as that of the tests is, and nothing at all in a release. `fail`'s
//! syntax says when: an action that has come to `return` aborts, so that nothing is flushed,
//! dropped or said.

use std::sync::atomic::{AtomicBool, Ordering};

static IS_ARMED: AtomicBool = AtomicBool::new(false);

/// Whether this is a program of the tests, which does what its environment asks for. Never in a
/// release, which is built without debug assertions.
pub fn is_armed() -> bool {
    cfg!(debug_assertions) && IS_ARMED.load(Ordering::Relaxed)
}

/// Passes a point: aborts the process here if that has been asked for.
#[cfg(debug_assertions)]
pub fn fail_point(name: &str) {
    if !is_armed() {
        return;
    }
    fail::fail_point!(name, |_| {
        eprintln!("fail point {name}: the process is aborted");
        std::process::abort()
    });
}

/// Passes a point: nothing at all in a release.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn fail_point(_: &str) {}

/// Makes this a program of the tests: takes what has been asked for from the environment
/// (`FAILPOINTS`). It holds until what is returned is dropped. A release has no points all the same.
///
/// # Panics
/// When it is not in `fail`'s syntax.
pub fn arm() -> fail::FailScenario<'static> {
    IS_ARMED.store(true, Ordering::Relaxed);
    fail::FailScenario::setup()
}
