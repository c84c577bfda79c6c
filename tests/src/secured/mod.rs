//! A Kafka and a MongoDB that ask who is there, with certificates of a test's own.

mod authority;
mod kafka;
mod mongodb;

pub use authority::{Authority, Signed};
pub use kafka::{Misplaced, SecuredKafka};
pub use mongodb::SecuredMongodb;

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Whom they know.
pub const USER: &str = "shop";
/// By this.
pub const PASSWORD: &str = "correct-horse-battery-staple";

/// Starts a server whose output goes to `log`.
fn server(command: &mut Command, log: &Path) -> Child {
    let log = File::create(log).expect("a log");
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log)
        .spawn()
        .expect("it starts")
}
