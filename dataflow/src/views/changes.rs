//! The updates that flow between the operators of the views: what changes, in
//! which epoch, and by how much.

use super::key::Key;
use super::sums::Sums;
use crate::Epoch;
use events::Id;

/// A change of a row's sums. The empty value makes it an update of an arrangement.
pub type SumsChange = ((Key, ()), Epoch, Sums);
/// A member that a row has seen.
pub type MemberChange = ((Key, Id), Epoch, isize);
/// A latest time that a worker has seen of a row in an epoch.
pub type LatestChange = ((Key, i64), Epoch, isize);
