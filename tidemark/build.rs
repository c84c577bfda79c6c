//! Tells the program from which commit it is built.
//!
//! Only where it is built for use: in a debug build each commit would compile everything
//! again.

use std::process::Command;

fn main() {
    let package = env!("CARGO_PKG_VERSION");
    println!("cargo::rerun-if-env-changed=SOURCE_COMMIT");
    let version = match std::env::var("PROFILE").as_deref() {
        Ok("release") => match commit() {
            Some(commit) => format!("{package} ({commit})"),
            None => package.to_owned(),
        },
        _ => {
            println!("cargo::rerun-if-changed=build.rs");
            format!("{package} (debug build)")
        }
    };
    println!("cargo::rustc-env=TIDEMARK_VERSION={version}");
}

/// The commit as whoever builds says, or else as git does; there may be neither.
fn commit() -> Option<String> {
    if let Ok(commit) = std::env::var("SOURCE_COMMIT")
        && !commit.is_empty()
    {
        return Some(commit);
    }
    // Where the branch is, and what it points to.
    for path in ["HEAD", "logs/HEAD"] {
        println!(
            "cargo::rerun-if-changed={}",
            git(&["rev-parse", "--git-path", path])?
        );
    }
    let commit = git(&["rev-parse", "--short=10", "HEAD"])?;
    let date = git(&["show", "--no-patch", "--format=%cs", "HEAD"])?;
    let changed = !git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    let changed = if changed { ", changed" } else { "" };
    Some(format!("{commit} {date}{changed}"))
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
