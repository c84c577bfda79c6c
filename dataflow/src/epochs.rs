//! What is kept by epoch, until its epochs are complete.

use crate::Epoch;
use std::collections::BTreeMap;

/// Takes all epochs before `frontier`, and all there are when it is `None`: the
/// end of time.
pub(crate) fn take_before<V>(
    epochs: &mut BTreeMap<Epoch, V>,
    frontier: Option<Epoch>,
) -> BTreeMap<Epoch, V> {
    let later = match frontier {
        Some(frontier) => epochs.split_off(&frontier),
        None => BTreeMap::new(),
    };
    std::mem::replace(epochs, later)
}
