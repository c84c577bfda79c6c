//! The updates that flow between the operators of the views: what changes, in
//! which epoch, and by how much.

use super::extremes::Extreme;
use super::key::Key;
use super::sums::Sums;
use crate::Epoch;
use model::Datum;

/// A change of a row's sums. The empty value makes it an update of an arrangement.
pub type SumsChange = ((Key, ()), Epoch, Sums);
/// A member that a row has seen.
pub type MemberChange = ((Key, Datum), Epoch, isize);
/// A value of which a row keeps the first.
pub type ExtremeChange = ((Key, Extreme), Epoch, isize);

/// What something adds to a row, or takes away from it.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// To its sums.
    Sums(Key, Sums),
    /// A member, of one of the view's aggregates over distinct values, so often.
    Member(usize, Key, Datum, isize),
    /// A value of which the first counts, so often.
    Extreme(Key, Extreme, isize),
}
