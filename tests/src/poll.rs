//! Waiting for conditions, never for a time.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Tries `attempt` until it succeeds and returns what it found.
///
/// # Panics
/// When it has not succeeded within `patience`, with the reason of its last failure.
pub fn eventually<T>(
    what: &str,
    patience: Duration,
    mut attempt: impl FnMut() -> Result<T, String>,
) -> T {
    let deadline = Instant::now() + patience;
    loop {
        match attempt() {
            Ok(found) => return found,
            Err(reason) if Instant::now() > deadline => {
                panic!("{what}: not within {patience:?}: {reason}")
            }
            Err(_) => sleep(Duration::from_millis(50)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_what_was_found() {
        let mut tries = 0;
        let found = eventually("three tries", Duration::from_secs(5), || {
            tries += 1;
            if tries == 3 {
                Ok(tries)
            } else {
                Err("too early".to_owned())
            }
        });
        assert_eq!(found, 3);
    }

    #[test]
    #[should_panic(expected = "never: not within 1ms: no")]
    fn gives_the_last_reason() {
        eventually::<()>("never", Duration::from_millis(1), || Err("no".to_owned()));
    }
}
