//! What an arrangement holds of the windows that close.
//!
//! Keys begin with their slot, so that everything of a window stands together:
//! one seek finds it, and the cost follows what is found.

use super::key::Key;
use super::rounds::Round;
use differential_dataflow::difference::Semigroup;
use differential_dataflow::trace::cursor::{Cursor, Navigable, cursor_list};

/// Calls `each` with every key and value of the windows that close in a round, and
/// with what their changes add up to by the end of it.
pub(super) fn closing_values<B, V, R>(round: &Round<'_, B>, mut each: impl FnMut(&Key, &V, R))
where
    B: Navigable + Clone,
    B::Cursor: for<'a> Cursor<Key<'a> = &'a Key, Val<'a> = &'a V, DiffGat<'a> = &'a R>,
    V: 'static,
    R: Semigroup + Default + 'static,
{
    for closing in round.closings {
        let (mut cursor, storage) = cursor_list(round.all());
        let first = Key::first(closing.first());
        cursor.seek_key(&storage, &first);
        while let Some(key) = cursor.get_key(&storage) {
            if !closing.has(key.slot) {
                break;
            }
            while let Some(value) = cursor.get_val(&storage) {
                let mut sum = R::default();
                cursor.map_times(&storage, |_, diff| sum.plus_equals(diff));
                if !sum.is_zero() {
                    each(key, value, sum);
                }
                cursor.step_val(&storage);
            }
            cursor.step_key(&storage);
        }
    }
}
