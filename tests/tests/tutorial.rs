//! `docs/tutorial` is true: its commands are run in their order in one shell, as a reader
//! does, its queries are asked, and what it shows as their answers is what comes.

use end_to_end::eventually;
use end_to_end::mongosh::Shell;
use end_to_end::page::{Block, Page};
use end_to_end::pipeline::PATIENCE;
use end_to_end::process::{binary, free_port};
use end_to_end::{Scene, services::workspace};
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// A shell that is fed block by block. What it started ends with it.
struct Bash {
    child: Child,
    input: ChildStdin,
    directory: tempfile::TempDir,
    blocks: usize,
}

impl Bash {
    /// In a folder with all that is in the project's, so that what it leaves behind is
    /// not left there.
    fn start() -> Bash {
        let directory = tempfile::tempdir().expect("a directory");
        let entries = std::fs::read_dir(workspace()).expect("the project");
        for entry in entries {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name");
            symlink(&path, directory.path().join(name)).expect("a link");
        }
        let log = File::create(directory.path().join("log")).expect("a log");
        let mut command = Command::new("bash");
        for (variable, _) in std::env::vars_os() {
            let name = variable.to_string_lossy();
            // What configures the tests is not there for a reader; and cargo within cargo
            // is to be as it is without.
            let is_ours = name.starts_with("TIDEMARK_") && name != "TIDEMARK_SERVICES_DIR";
            let is_kept = ["CARGO_HOME", "CARGO_INCREMENTAL"].contains(&&*name);
            if is_ours || name.starts_with("CARGO_") && !is_kept {
                command.env_remove(variable);
            }
        }
        let mut child = command
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("bash");
        let mut input = child.stdin.take().expect("its input");
        // Numbered jobs, as in a shell that people type into. Cargo has to know the project
        // by its own path, and to be asked for what the tests are built with, or it would
        // compile all of it again.
        let project = workspace();
        let project = project.display();
        let prelude = format!(
            "set -meu -o pipefail\n\
             trap 'jobs=$(jobs -p); [ -z \"$jobs\" ] || kill -KILL $jobs 2>/dev/null' EXIT\n\
             cargo() {{ here=$PWD; (cd '{project}' && command cargo \"$@\" --bins --example decode); }}\n"
        );
        input.write_all(prelude.as_bytes()).expect("it is taken");
        Bash {
            child,
            input,
            directory,
            blocks: 0,
        }
    }

    fn log(&self) -> String {
        let bytes = std::fs::read(self.directory.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Runs a block to its end, and gives what it has printed on standard output.
    fn run(&mut self, block: &Block, text: &str) -> String {
        self.blocks += 1;
        let file = format!("block-{}", self.blocks);
        let path = self.directory.path().join(&file);
        // Not in a subshell: what it sets and starts stays for those that follow.
        let script = format!("{{\n{text}\n}} > {file}.out\ntouch {file}.done\n");
        self.input
            .write_all(script.as_bytes())
            .expect("it is taken");
        self.input.flush().expect("it is taken");
        let done = path.with_extension("done");
        eventually(&format!("{} is run", block.name), 4 * PATIENCE, || {
            let ended = self.child.try_wait().map_err(|error| error.to_string())?;
            assert!(
                ended.is_none(),
                "{} failed:\n{text}\n{}\n{}",
                block.name,
                self.log(),
                output(&path)
            );
            match done.exists() {
                true => Ok(()),
                false => Err(self.log()),
            }
        });
        output(&path)
    }
}

fn output(path: &Path) -> String {
    std::fs::read_to_string(path.with_extension("out")).unwrap_or_default()
}

impl Drop for Bash {
    fn drop(&mut self) {
        // At its end it ends its jobs. If it hangs in one, nothing else is left to do.
        let _ = self.input.write_all(b"exit 0\n");
        let patience = std::time::Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) {
            if std::time::Instant::now() > patience {
                let _ = self.child.kill();
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

/// The page's own names, made this test's.
fn made_own(text: &str, scene: &Scene, port: u16) -> String {
    // The prefix first: the name of the database has one like it.
    let text = text.replace("tour-", &scene.prefix);
    let text = text.replace("--database tour", &format!("--database {}", scene.database));
    text.replace("8080", &port.to_string())
}

/// Whether `found` is as the page says; there, `…` stands for anything.
fn is_as_shown(found: &str, shown: &str) -> bool {
    let mut rest = found.trim();
    let mut parts = shown.trim().split('…');
    let first = parts.next().unwrap_or_default();
    let Some(after) = rest.strip_prefix(first) else {
        return false;
    };
    rest = after;
    let mut last = None;
    for part in parts {
        let Some(place) = rest.find(part) else {
            return false;
        };
        rest = &rest[place + part.len()..];
        last = Some(part);
    }
    rest.is_empty() || last == Some("")
}

#[test]
fn the_whole_of_it() {
    let blocks = Page::read("tutorial/README.md").blocks();
    let scene = Scene::without_topics("tour");
    let port = free_port();
    // That it is there; the page's own commands build it again, which is quick then.
    let _: PathBuf = binary("tidemark");
    let mut bash = Bash::start();
    let mut shell = Shell::new(&scene.mongo);
    let mut printed = String::new();
    let mut asked: Option<String> = None;
    for block in &blocks {
        let text = made_own(&block.text, &scene, port);
        match block.language.as_str() {
            "sh" => {
                printed = bash.run(block, &text);
                asked = None;
            }
            "js" => asked = Some(text),
            // What comes of the block before, which may take its time to be written.
            "text" => eventually(&format!("{} is as shown", block.name), PATIENCE, || {
                let found = match &asked {
                    Some(query) => {
                        let documents = shell.documents(query)?;
                        let lines = documents.iter().map(ToString::to_string);
                        lines.collect::<Vec<_>>().join("\n")
                    }
                    None => printed.clone(),
                };
                match is_as_shown(&found, &text) {
                    true => Ok(()),
                    false => Err(format!("{found}\n-- shown:\n{text}\n-- {}", bash.log())),
                }
            }),
            "rust" => {
                let example = workspace().join("examples/own_view/src/main.rs");
                let example = std::fs::read_to_string(example).expect("the example");
                assert!(example.contains(&block.text), "{} is not in it", block.text);
            }
            other => panic!("{other}: the page has no blocks of this language"),
        }
    }
    assert!(blocks.len() > 20, "{} blocks", blocks.len());
}

#[test]
fn what_is_shown_may_leave_something_out() {
    for (found, shown, expected) in [
        ("a b c\n", "a b c", true),
        ("a b c", "a … c", true),
        ("a b c", "a …", true),
        ("a b c", "a b", false),
        ("a b c", "… b", false),
        ("a b c", "b …", false),
    ] {
        assert_eq!(is_as_shown(found, shown), expected, "{found:?} {shown:?}");
    }
}
