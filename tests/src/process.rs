//! A child process whose output is kept, and shown when a test fails.

use crate::poll::eventually;
use crate::services::workspace;
use std::fs::{File, create_dir_all};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// A running program under test.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    /// Where it runs; nothing is there before it starts.
    directory: TempDir,
}

/// The path of a binary of this workspace, built with the same profile as the
/// test that asks.
///
/// # Panics
/// When it has not been built.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let profile = test.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
    let path = profile.join(name);
    assert!(
        path.exists(),
        "{} is missing: run cargo build --workspace first",
        path.display()
    );
    path
}

impl Process {
    /// Starts a binary of this workspace. `name` is for the reader of a failure.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(
        binary_name: &str,
        name: &str,
        arguments: &[String],
        environment: &[(&str, &str)],
    ) -> Process {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = workspace().join("target/e2e/logs");
        create_dir_all(&directory).expect("a directory for logs");
        let log = directory.join(format!("{name}-{}-{number}.log", std::process::id()));
        let output = File::create(&log).expect("a log file");
        let mut command = Command::new(binary(binary_name));
        // What configures the services of the tests would configure the pipeline too.
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("TIDEMARK_") {
                command.env_remove(variable);
            }
        }
        let directory = TempDir::new().expect("a directory");
        let child = command
            .current_dir(directory.path())
            // So that what it leaves in the system's place for such files is found,
            // and goes away with it.
            .env("TMPDIR", directory.path())
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a second handle"))
            .stderr(output)
            .spawn()
            .expect("the binary starts");
        Process {
            name: name.to_owned(),
            child,
            log,
            directory,
        }
    }

    /// The directory that it was started in.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Its number in the system.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has printed something; gives all that it has printed.
    ///
    /// # Panics
    /// When it does not within `patience`.
    pub fn says(&self, what: &str, patience: Duration) -> String {
        let name = &self.name;
        eventually(&format!("{name} says {what:?}"), patience, || {
            let output = self.output();
            match output.contains(what) {
                true => Ok(output),
                false => Err(output),
            }
        })
    }

    /// Everything that it has printed, both streams.
    pub fn output(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Ends it at once, as `kill -9` does.
    pub fn kill(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.child.kill();
        self.child.wait().expect("an exit status");
    }

    /// What Ctrl-C sends.
    pub fn interrupt(&self) {
        self.signal("INT");
    }

    /// Freezes it: it holds its connections and does nothing.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Thaws it.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        signal_to(self.child.id(), signal);
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the child's status")
    }

    /// Its exit code.
    ///
    /// # Panics
    /// When it has not ended within `patience`.
    pub fn exit_code(&mut self, patience: Duration) -> Option<i32> {
        let what = format!("{} ends", self.name);
        eventually(&what, patience, || {
            self.ended().ok_or("it still runs".to_owned())
        })
        .code()
    }

    /// # Panics
    /// When it has ended.
    pub fn assert_running(&mut self) {
        if let Some(status) = self.ended() {
            panic!(
                "{} has ended with {status}:\n{}",
                self.name,
                tail(&self.output(), 40)
            );
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!(
                "--- {} printed:\n{}",
                self.log.display(),
                tail(&self.output(), 60)
            );
        } else {
            // A log that nobody will ask for.
            let _ = std::fs::remove_file(&self.log);
        }
    }
}

/// Sends a signal, such as `KILL`, to a process by its number.
///
/// # Panics
/// When there is no such process.
pub fn signal_to(id: u32, signal: &str) {
    let order = format!("kill -{signal} {id}");
    let status = Command::new("sh")
        .args(["-c", &order])
        .status()
        .expect("a shell");
    assert!(status.success(), "{order} failed");
}

/// Whether a process of this number runs, or is stopped. One that has ended and that
/// nobody has asked about yet does not.
pub fn is_alive(id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The state follows the name, which is in parentheses.
    let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
    !state.is_empty() && !state.starts_with('Z')
}

/// The last `count` lines.
fn tail(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// A port that nobody listens on now.
///
/// # Panics
/// When the system gives none.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}
