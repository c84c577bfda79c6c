//! Which log is this? What was read belongs to one cluster, one incarnation of each topic,
//! and its partitions. Where Kafka has another one under the same names, the run says so
//! and ends, and nothing in the database changes.

mod adopting;
mod elsewhere;
mod reset;
mod restart;
mod running;
mod states;
