//! Running the pipeline as a user would.

use crate::oracle::Rules;
use crate::poll::eventually;
use crate::process::{Process, free_port};
use crate::scene::Scene;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::NamedTempFile;

/// How long a run over a test's few messages may take, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The program with fail points: the same one otherwise.
pub const FAILING: &str = "tidemark-fail-points";

/// The number of the signal that ends a process which aborts.
const SIGABRT: i32 = 6;

/// A command line of `tidemark` in the making.
#[derive(Debug, Clone)]
pub struct Pipeline {
    name: String,
    arguments: Vec<String>,
    workers: usize,
    processes: usize,
    /// Where its processes abort, in the words of `FAILPOINTS`.
    fail_points: Option<String>,
    /// The file that says how far ahead its clock is.
    clock: Option<String>,
    /// The file that says whether nothing is read for backfills.
    held: Option<String>,
    /// The form of the view that it has beside those built in.
    own_view: Option<&'static str>,
    /// Whether it takes all topics for such as have no ids.
    without_topic_ids: bool,
    /// Further variables of its environment.
    environment: Vec<(String, String)>,
    /// The configuration files that its arguments name.
    files: Vec<Arc<NamedTempFile>>,
}

/// One or more processes of `tidemark`, running.
#[derive(Debug)]
pub struct Run {
    processes: Vec<Process>,
    /// Read by the processes when they start; live as long as they do.
    _hosts: Option<NamedTempFile>,
    _files: Vec<Arc<NamedTempFile>>,
}

impl Pipeline {
    /// For the topics and the database of a scene.
    pub fn of(scene: &Scene) -> Pipeline {
        Pipeline::bare(scene.name())
            .flag("--brokers", &scene.services.brokers)
            .flag("--mongodb-uri", &scene.services.mongodb_uri)
            .flag("--database", &scene.database)
            .flag("--topic-prefix", &scene.prefix)
            .ruled_by(&scene.rules)
    }

    /// Without any argument but the workers.
    pub fn bare(name: &str) -> Pipeline {
        Pipeline {
            name: name.to_owned(),
            arguments: Vec::new(),
            workers: 1,
            processes: 1,
            fail_points: None,
            clock: None,
            held: None,
            own_view: None,
            without_topic_ids: false,
            environment: Vec::new(),
            files: Vec::new(),
        }
    }

    /// With an argument and its value; a later one replaces an earlier one.
    #[must_use]
    pub fn flag(mut self, flag: &str, value: &str) -> Pipeline {
        if let Some(place) = self.arguments.iter().position(|known| known == flag) {
            self.arguments.drain(place..=place + 1);
        }
        self.arguments.extend([flag.to_owned(), value.to_owned()]);
        self
    }

    /// Configured by a file to follow these rules, unless it does so by itself.
    ///
    /// # Panics
    /// When the file cannot be written.
    #[must_use]
    pub fn ruled_by(mut self, rules: &Rules) -> Pipeline {
        let text = rules.file();
        if text.is_empty() {
            return self;
        }
        let mut file = tempfile::Builder::new()
            .suffix(".toml")
            .tempfile()
            .expect("a configuration file");
        file.write_all(text.as_bytes())
            .expect("a configuration file");
        let path = file.path().to_string_lossy().into_owned();
        self.files.push(Arc::new(file));
        self.flag("--config", &path)
    }

    /// With an argument that has no value.
    #[must_use]
    pub fn switch(mut self, flag: &str) -> Pipeline {
        self.arguments.push(flag.to_owned());
        self
    }

    /// Workers of each process.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Pipeline {
        self.workers = workers;
        self
    }

    /// Processes.
    #[must_use]
    pub fn processes(mut self, processes: usize) -> Pipeline {
        self.processes = processes;
        self
    }

    /// Aborting, as if it were killed, when one of its processes has come to a fail point
    /// for this time, counted from 1. It takes the program that has them.
    #[must_use]
    pub fn aborting_at(mut self, point: &str, passing: u32) -> Pipeline {
        self.fail_points = Some(match passing {
            0 | 1 => format!("{point}=return"),
            more => format!("{point}={}*off->return", more - 1),
        });
        self
    }

    /// With a clock that is so many milliseconds ahead as the file `path` says, at any
    /// moment. It takes the program that has fail points.
    #[must_use]
    pub fn clock_from(mut self, path: &Path) -> Pipeline {
        self.clock = Some(path.to_string_lossy().into_owned());
        self
    }

    /// Reading nothing for backfills as long as the file `path` is there. It takes the program
    /// that has fail points.
    #[must_use]
    pub fn holding_backfills(mut self, path: &Path) -> Pipeline {
        self.held = Some(path.to_string_lossy().into_owned());
        self
    }

    /// Taking all topics for such as brokers give no ids. It takes the program with fail
    /// points.
    #[must_use]
    pub fn without_topic_ids(mut self) -> Pipeline {
        self.without_topic_ids = true;
        self
    }

    /// With a variable in its environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Pipeline {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A program with a view of its own, `own_sales`, in this form: `first`, `column`,
    /// `group` or `code`. It takes the program with fail points.
    #[must_use]
    pub fn own_view(mut self, form: &'static str) -> Pipeline {
        self.own_view = Some(form);
        self
    }

    /// Starts a process.
    fn process(&self, name: &str, arguments: &[String]) -> Process {
        let mut environment = Vec::new();
        if let Some(armed) = &self.fail_points {
            environment.push(("FAILPOINTS", armed.as_str()));
        }
        if let Some(clock) = &self.clock {
            environment.push(("FAKE_CLOCK", clock.as_str()));
        }
        if let Some(held) = &self.held {
            environment.push(("HELD_BACKFILL", held.as_str()));
        }
        if let Some(form) = self.own_view {
            environment.push(("OWN_VIEW", form));
        }
        if self.without_topic_ids {
            environment.push(("TIDEMARK_WITHOUT_TOPIC_IDS", "1"));
        }
        let program = match environment.is_empty() {
            true => "tidemark",
            false => FAILING,
        };
        let own = self.environment.iter();
        environment.extend(own.map(|(name, value)| (name.as_str(), value.as_str())));
        Process::start(program, name, arguments, &environment)
    }

    /// Ending by itself once everything that the topics hold is written.
    #[must_use]
    pub fn until_caught_up(self) -> Pipeline {
        self.switch("--until-caught-up")
    }

    /// Starts it.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(&self) -> Run {
        let mut common = self.arguments.clone();
        common.extend(["-w".to_owned(), self.workers.to_string()]);
        if self.processes == 1 {
            let processes = vec![self.process(&self.name, &common)];
            return Run {
                processes,
                _hosts: None,
                _files: self.files.clone(),
            };
        }
        let hosts = host_file(self.processes);
        let start = |index| self.start_one(index, &hosts);
        let processes = (0..self.processes).map(start).collect();
        Run {
            processes,
            _hosts: Some(hosts),
            _files: self.files.clone(),
        }
    }

    /// Starts one of its processes, whose addresses are in `hosts`.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start_one(&self, index: usize, hosts: &NamedTempFile) -> Process {
        let mut arguments = self.arguments.clone();
        for (flag, value) in [
            ("-w", self.workers.to_string()),
            ("-n", self.processes.to_string()),
            ("-p", index.to_string()),
            ("-h", hosts.path().to_string_lossy().into_owned()),
        ] {
            arguments.extend([flag.to_owned(), value]);
        }
        self.process(&format!("{}-p{index}", self.name), &arguments)
    }

    /// Starts a supervisor of its processes, with arguments of the supervisor's own.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn supervise(&self, own: &[&str]) -> Process {
        let (processes, workers) = (self.processes.to_string(), self.workers.to_string());
        let mut arguments = vec!["supervise", "-n", &processes, "-w", &workers];
        arguments.extend(own);
        arguments.push("--");
        arguments.extend(self.arguments.iter().map(String::as_str));
        let arguments: Vec<_> = arguments.into_iter().map(ToOwned::to_owned).collect();
        let name = format!("{}-supervisor", self.name);
        Process::start("tidemark", &name, &arguments, &[])
    }

    /// Starts it and waits until it has ended well.
    ///
    /// # Panics
    /// When it does not.
    pub fn run(&self) {
        self.start().succeed();
    }
}

/// A file that names an address of this machine for each process.
///
/// # Panics
/// When it cannot be written.
pub fn host_file(processes: usize) -> NamedTempFile {
    let mut hosts = NamedTempFile::new().expect("a host file");
    for _ in 0..processes {
        writeln!(hosts, "127.0.0.1:{}", free_port()).expect("a host file");
    }
    hosts
}

impl Run {
    /// Waits until every process has ended with exit code 0.
    ///
    /// # Panics
    /// When one does not.
    pub fn succeed(mut self) {
        for process in &mut self.processes {
            assert_eq!(
                process.exit_code(PATIENCE),
                Some(0),
                "the pipeline's exit code"
            );
        }
    }

    /// Waits until the process has ended with 1, and its last words name all of these.
    ///
    /// # Panics
    /// When it ends otherwise, or says something else.
    pub fn fail(mut self, named: &[&str]) {
        let process = self.process();
        let code = process.exit_code(PATIENCE);
        let output = process.output();
        assert_eq!(code, Some(1), "{output}");
        let said = output.split("tidemark: ").last().unwrap_or_default();
        for word in named {
            assert!(said.contains(word), "{word:?} is not in {said:?}");
        }
    }

    /// Waits until a process has aborted at its fail point, and ends the others at once.
    ///
    /// # Panics
    /// When none comes there in time, or all have ended otherwise.
    pub fn await_abort(mut self) {
        let aborted = eventually("it comes to the fail point", PATIENCE, || {
            let ended = self.processes.iter_mut().map(Process::ended);
            let ended: Vec<_> = ended.collect();
            let mut signals = ended.iter().flatten().map(ExitStatusExt::signal);
            let aborted = signals.any(|signal| signal == Some(SIGABRT));
            match aborted || ended.iter().all(Option::is_some) {
                true => Ok(aborted),
                false => Err("it still runs, and has not".to_owned()),
            }
        });
        assert!(aborted, "all have ended, and none has aborted");
        self.kill();
    }

    /// Interrupts every process, as Ctrl-C does, and waits until it has ended with 0.
    ///
    /// # Panics
    /// When one does not.
    pub fn drain(self) {
        self.interrupt();
        self.succeed();
    }

    /// Interrupts every process, as Ctrl-C does.
    pub fn interrupt(&self) {
        self.processes.iter().for_each(Process::interrupt);
    }

    /// Ends every process at once.
    pub fn kill(mut self) {
        for process in &mut self.processes {
            process.kill();
        }
    }

    /// The first process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.processes[0]
    }

    /// A process by its number.
    pub fn member(&mut self, index: usize) -> &mut Process {
        &mut self.processes[index]
    }

    /// The last process.
    ///
    /// # Panics
    /// Never: there is at least one.
    pub fn last(&mut self) -> &mut Process {
        self.processes.last_mut().expect("a process")
    }

    /// Waits until the first process has named something in its output.
    ///
    /// # Panics
    /// When it does not in time.
    pub fn says(&mut self, what: &str) {
        eventually(&format!("it says {what:?}"), PATIENCE, || {
            let output = self.process().output();
            if output.contains(what) {
                Ok(())
            } else {
                Err(output)
            }
        });
    }

    /// # Panics
    /// When a process has ended.
    pub fn assert_running(&mut self) {
        for process in &mut self.processes {
            process.assert_running();
        }
    }
}
