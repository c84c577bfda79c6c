//! What all of Tidemark speaks of. No I/O, and nothing of any shop.

mod causes;
mod data_type;
mod datum;
pub mod exact;
mod fail_points;
pub mod hex;
mod holding;
mod id;
mod lock;
mod secret;
mod shown;
mod slot;
mod stamp;
mod window;

pub use causes::with_causes;
pub use data_type::DataType;
pub use datum::{Datum, Scalar};
pub use fail_points::{arm, fail_point, is_armed};
pub use holding::Holding;
pub use id::Id;
pub use lock::lock;
pub use secret::Secret;
pub use shown::shown;
pub use slot::Slot;
pub use stamp::Stamp;
pub use window::{FIRST_DATE, LAST_DATE, Lateness, Span, Window, WindowCursor, WindowError};

/// The timely timestamp: a tick of ingestion. An epoch is a set of offset
/// ranges, one for each partition; past its frontier it is complete, and only
/// then is it written.
pub type Epoch = u64;
