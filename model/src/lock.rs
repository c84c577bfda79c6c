//! A mutex whose last owner may have panicked.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks what is good whatever its last owner did: a thread that panicked while it held this must
/// not stop the others.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
