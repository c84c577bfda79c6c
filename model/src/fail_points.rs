//! Points at which a test may end the process, as if it had been killed there.
//!
//! ```text
//!   FAILPOINTS='write.commit=4*off->return'      the fifth time that it gets there
//! ```
//!
//! Between any two steps of what is promised there is one. Only with the feature
//! `fail-points`, which is for a program of the tests alone, does passing one do
//! anything at all. `fail`'s syntax says when: an action that has come to `return` aborts,
//! so that nothing is flushed, dropped or said.

/// Passes a point: aborts the process here if that has been asked for.
#[cfg(feature = "fail-points")]
pub fn fail_point(name: &str) {
    fail::fail_point!(name, |_| {
        eprintln!("fail point {name}: the process is aborted");
        std::process::abort()
    });
}

/// Passes a point: nothing at all, without the feature `fail-points`.
#[cfg(not(feature = "fail-points"))]
#[inline(always)]
pub fn fail_point(_: &str) {}

/// Takes what has been asked for from the environment (`FAILPOINTS`); it holds until
/// what is returned is dropped.
///
/// # Panics
/// When it is not in `fail`'s syntax.
#[cfg(feature = "fail-points")]
pub fn arm() -> fail::FailScenario<'static> {
    fail::FailScenario::setup()
}
