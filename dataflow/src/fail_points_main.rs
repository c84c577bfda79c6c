//! The pipeline's program with its fail points, for tests alone: `FAILPOINTS` in its
//! environment says where it is to end, as [`sinks::fail_points`] tells. With
//! `fail-points` as its only argument it prints the names of all there are.

use std::process::ExitCode;

/// As in the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if std::env::args().skip(1).eq(["fail-points"]) {
        tidemark::fail_points::names().for_each(|name| println!("{name}"));
        return ExitCode::SUCCESS;
    }
    let _armed = sinks::fail_points::arm();
    tidemark::program::main()
}
