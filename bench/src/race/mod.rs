//! Runs contestants in turns on the same topics, and tells what each has cost.

pub mod contestant;
pub mod documents;
pub mod indexes;
pub mod measure;
pub mod plot;
pub mod report;
pub mod running;
pub mod sqlite;
