//! The few words of `mongosh` that the documentation uses.
//!
//! So the same text can be pasted into a shell by a person and run by a test. It
//! is JavaScript cut down to what queries need:
//!
//! ```text
//!   const NAME = EXPRESSION        (a line or more each; `//` begins a comment)
//!   EXPRESSION
//!
//!   db.COLLECTION.find(filter, projection).sort(order).limit(number)
//!                .findOne(filter)   .aggregate(stages)   .watch(stages, options)
//!   ….next()   ….toArray()
//!   db.getMongo().startSession().getDatabase(db.getName())
//!                               .startTransaction(options)   .commitTransaction()
//! ```
//!
//! with objects, lists, texts, numbers, `ISODate("…")`, and names and their
//! fields. Anything else is an error, so that nothing is passed over.

mod parse;
mod shell;

pub use parse::{Expression, Statement, parse};
pub use shell::Shell;
