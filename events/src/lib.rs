//! The contract with Kafka: what a message of each topic holds.
//!
//! A message is a JSON object. [`Topic::decode`] turns its bytes into the struct of
//! its topic, and [`encode`] turns one back:
//!
//! ```text
//!   bytes ──▶ Topic::decode ──▶ Transaction { transaction_id: Id, date_time: Timestamp, … }
//!                  │
//!                  └──▶ Malformed: which field, what was expected, what was found
//! ```
//!
//! Decoding copies nothing: texts point into the message ([`Text`]), ids are sixteen
//! bytes ([`Id`]), times and money are integers ([`Timestamp`], [`Money`]). Only when
//! it fails is the message read a second time, slowly, to say why.
//!
//! What is required, and what is not:
//!
//! - A *required* field is one that identifies the event or that some view reads.
//!   It must be there, once, of its type and in its range.
//! - An *optional* field is one that no view reads. It never costs an event: if it is
//!   absent, null or of another type, it is `None`.
//! - A field that is not named here is passed over.
//! - A field that is named here must not be given twice, since then nothing says
//!   which one counts.
//!
//! ```
//! use events::{Topic, Transactions};
//!
//! let json = br#"{"transaction_id": "t1", "customer_id": "c1", "product_id": "p1",
//!     "quantity": 2, "date_time": "2024-11-02T13:45:11", "status": "cancelled"}"#;
//! let sale = Transactions::decode(json)?;
//! assert_eq!(sale.quantity, 2);
//! assert_eq!(sale.status, "canceled");
//!
//! let error = Transactions::decode(br#"{"transaction_id": "t1"}"#).unwrap_err();
//! assert_eq!(error.to_string(), "`customer_id` is missing");
//! # Ok::<(), events::Malformed>(())
//! ```

#[cfg(test)]
mod agreement;
mod customer;
mod decode;
mod diagnose;
mod fields;
pub mod forms;
mod malformed;
mod money;
mod product;
mod product_view;
mod quick;
mod system_log;
mod text;
mod time;
mod topic;
mod transaction;
mod user_interaction;

pub use customer::{Customer, Customers};
pub use decode::encode;
pub use fields::{Field, Kind as FieldKind};
pub use malformed::Malformed;
pub use model::Id;
pub use money::{Money, NotMoney};
pub use product::{Product, Products};
pub use product_view::{ProductView, ProductViews};
pub use system_log::{SystemLog, SystemLogs};
pub use text::Text;
pub use time::{NotATime, Timestamp};
pub use topic::{TOPICS, TimeField, Topic, fields_of, is_event_of};
pub use transaction::{Transaction, Transactions};
pub use user_interaction::{UserInteraction, UserInteractions};
