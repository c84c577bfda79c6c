//! Random faults under load, and then whether everything is right: `scripts/test chaos`.
//!
//! ```text
//!   load ──▶ Kafka, two brokers ──▶ proxies ──▶ tidemark ──▶ proxies ──▶ MongoDB, three members
//!              ▲ killed, frozen      ▲ cut, held  ▲ killed, frozen,          ▲ killed, frozen
//!              │                                  │ taken over from               │
//!              │                                  ▼                               │
//!              │                                checkpoints: full disk, read-only │
//!              └────────── oracle: every document equal? ─────────────────────────┤
//!                          watching reader: never backwards, final is final? ─────┘
//! ```
//!
//! The seed, which is printed first, decides which faults come and on whom: see
//! [`plan`]. From time to time everything heals, and all that is in the database is
//! compared with what lies in Kafka: see [`verdict`].

mod cast;
mod closing;
mod disk;
mod faults;
mod load;
mod plan;
mod proxy;
mod report;
mod run;
mod verdict;

use clap::Parser;
use disk::Disk;
use end_to_end::mongo::{Mongo, block_on};
use end_to_end::services::{Proxied, workspace};
use end_to_end::{Scene, Services, TOPICS, Watcher};
use faults::{Fault, World};
use load::Load;
use plan::{Kind, Plan, Step, Target};
use proxy::{Proxy, Whose};
use report::Report;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use verdict::{How, TICK, Tally, look_after};

/// Faults come for this long in a short run.
const SHORT: Duration = Duration::from_secs(90);

/// Set by Ctrl-C: all that was started has to be ended.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Random faults under load, and whether every document is right all the same.
#[derive(Parser, Debug, Clone)]
#[command(name = "chaos", max_term_width = 100)]
struct Arguments {
    /// How long faults come [default: a minute and a half]
    #[arg(long)]
    minutes: Option<u64>,
    /// Which faults come: the same seed, the same sequence of them [default: a new one]
    #[arg(long)]
    seed: Option<u64>,
    /// Events a second
    #[arg(long, default_value_t = 2000)]
    rate: u64,
    /// Seconds between two comparisons of everything
    #[arg(long, default_value_t = 40)]
    every: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    std::thread::spawn(|| {
        let interrupted = block_on(async { tokio::signal::ctrl_c().await });
        INTERRUPTED.store(interrupted.is_ok(), Ordering::Relaxed);
    });
    let seed = arguments.seed.unwrap_or_else(|| {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        u64::from(now.subsec_nanos()) ^ u64::from(std::process::id())
    });
    println!("chaos: seed {seed}, {} events/s", arguments.rate);
    let home = workspace().join("target/chaos/services");
    let (services, proxied) = Services::own(&home);
    // What an earlier run has left.
    services.reset();
    let (services, proxied) = {
        drop((services, proxied));
        Services::own(&home)
    };
    let lines: Vec<_> = proxied
        .iter()
        .map(|node| (node.clone(), proxy(node)))
        .collect();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        services.start_all();
        Chaos::new(&arguments, seed, services.clone(), lines).play();
    }));
    match outcome {
        Ok(()) => {
            services.reset();
            println!("chaos: seed {seed}: nothing is wrong");
            ExitCode::SUCCESS
        }
        Err(_) => {
            services.stop_all();
            println!(
                "chaos: FAILED: seed {seed}; scripts/test chaos --seed {seed}{} deals the same faults. \
                 The logs are in target/e2e/logs, data and logs of Kafka and MongoDB in {}",
                arguments
                    .minutes
                    .map(|m| format!(" --minutes {m}"))
                    .unwrap_or_default(),
                home.display(),
            );
            ExitCode::FAILURE
        }
    }
}

fn proxy(node: &Proxied) -> Proxy {
    let whose = match node.node.starts_with("mongodb") {
        true => Whose::Driver,
        false => Whose::Everybody,
    };
    Proxy::start(node.port, node.to, whose)
}

/// A whole run of chaos.
struct Chaos {
    /// Never dropped: who looks into a failure wants its topics and its database.
    scene: &'static Scene,
    world: World,
    load: Load,
    watcher: Option<Watcher>,
    plan: Plan,
    report: Report,
    tally: Tally,
    active: Vec<Fault>,
    lasts: Duration,
    every: Duration,
}

impl Chaos {
    fn new(
        arguments: &Arguments,
        seed: u64,
        services: Services,
        lines: Vec<(Proxied, Proxy)>,
    ) -> Chaos {
        let mut of_harness = services.clone();
        of_harness.mongodb_uri += &format!("&appName={}", proxy::HARNESS);
        let scene: &'static Scene = Box::leak(Box::new(Scene::on(of_harness, "chaos")));
        for topic in TOPICS {
            scene.create(topic, 3, 2);
        }
        let disk = Disk::mount();
        let mut kinds = Kind::ALL.to_vec();
        if !disk.is_own() {
            println!("chaos: no disk can be mounted here: it is neither filled up nor read-only");
            kinds.retain(|kind| kind.target() != Target::Disk);
        }
        let (of_mongodb, of_kafka): (Vec<_>, Vec<_>) = lines
            .into_iter()
            .partition(|(node, _)| node.node.starts_with("mongodb"));
        let brokers: Vec<_> = of_kafka
            .iter()
            .map(|(node, _)| format!("127.0.0.1:{}", node.port))
            .collect();
        let command_line = [
            ("--brokers", brokers.join(",")),
            ("--mongodb-uri", services.mongodb_uri.clone()),
            ("--database", scene.database.clone()),
            ("--topic-prefix", scene.prefix.clone()),
            ("--checkpoint", disk.folder().url()),
            ("--checkpoint-interval", "1s".to_owned()),
            ("--max-in-flight", "20000".to_owned()),
            // What this machine is busy with must not decide what is late.
            ("--idle-timeout", "1h".to_owned()),
        ];
        let command_line = command_line
            .into_iter()
            .flat_map(|(flag, value)| [flag.to_owned(), value])
            .collect();
        let longest = Duration::from_secs(if arguments.minutes.is_some() { 15 } else { 6 });
        let minutes = arguments.minutes.map(|m| Duration::from_secs(60 * m));
        Chaos {
            load: Load::start(&services.brokers, &scene.prefix, seed, arguments.rate),
            watcher: Some(Watcher::follow(&scene.mongo)),
            plan: Plan::new(seed, kinds, longest),
            report: Report::new(),
            tally: Tally::default(),
            active: Vec::new(),
            lasts: minutes.unwrap_or(SHORT),
            every: Duration::from_secs(arguments.every),
            world: World {
                mongo: Mongo::connect(&scene.services.mongodb_uri, "admin"),
                cast: cast::Cast::new(command_line, seed),
                members: of_mongodb
                    .iter()
                    .map(|(node, _)| (node.port, node.node.clone()))
                    .collect(),
                kafka_lines: of_kafka.into_iter().map(|(_, proxy)| proxy).collect(),
                mongodb_lines: of_mongodb.into_iter().map(|(_, proxy)| proxy).collect(),
                services,
                disk,
            },
            scene,
        }
    }

    fn play(mut self) {
        let begun = Instant::now();
        let mut judged = Instant::now();
        while begun.elapsed() < self.lasts || !self.plan.all_dealt() {
            let step = self.plan.deal();
            self.strike(&step);
            self.pass(step.gap);
            if judged.elapsed() > self.every {
                let how = match self.tally.verdicts % 2 {
                    0 => How::Running,
                    _ => How::Drained,
                };
                self.judge(how);
                judged = Instant::now();
            }
        }
        self.judge(How::CaughtUp);
        let noticed = closing::made_again(&mut self.world, self.scene);
        self.report.line(&format!(
            "a topic made again is noticed after {:.1} s",
            noticed.as_secs_f64()
        ));
        let manifests = self.world.disk.folder().manifests();
        let newest = manifests.last().and_then(|path| path.file_stem());
        let newest = newest.and_then(|name| name.to_string_lossy().parse().ok());
        self.report
            .table(&self.tally, &self.world.cast, newest.unwrap_or(0));
    }

    /// Lets a fault begin, once nothing else has the same target.
    fn strike(&mut self, step: &Step) {
        let begun = Instant::now();
        loop {
            let target = step.kind.target();
            let is_free = self
                .active
                .iter()
                .all(|fault| fault.kind.target() != target);
            if is_free && self.world.is_ready_for(step) {
                break;
            }
            self.pass(TICK);
            assert!(
                begun.elapsed() < Duration::from_secs(180),
                "there is nobody for {step:?}"
            );
        }
        let fault = self.world.begin(step);
        self.report.fault(step.kind, step.lasts, &fault.on);
        self.active.push(fault);
    }

    /// Time passes: faults end, runs end and begin.
    fn pass(&mut self, time: Duration) {
        let until = Instant::now() + time;
        loop {
            assert!(!self.load.has_failed(), "the load has failed");
            assert!(!INTERRUPTED.load(Ordering::Relaxed), "interrupted");
            self.world.disk.keep_full();
            look_after(&mut self.world, TICK);
            self.tell();
            self.end_faults(false);
            if Instant::now() >= until {
                return;
            }
        }
    }

    /// Prints what the cast has to tell.
    fn tell(&mut self) {
        for news in self.world.cast.told.news.drain(..) {
            self.report.line(&news);
        }
    }

    /// Ends those that are due, or all.
    fn end_faults(&mut self, all: bool) {
        for mut fault in std::mem::take(&mut self.active) {
            if !fault.is_ended && (all || Instant::now() >= fault.until) {
                self.world.end(&mut fault);
            }
            if !(fault.is_ended && fault.is_over()) {
                self.active.push(fault);
            }
        }
    }

    /// Heals everything, and compares.
    fn judge(&mut self, how: How) {
        let begun = Instant::now();
        self.end_faults(true);
        while !self.active.is_empty() {
            self.pass(TICK);
        }
        self.load.rest();
        let watcher = self.watcher.take().expect("somebody watches");
        let watcher = self.tally.take(&mut self.world, self.scene, watcher, how);
        self.watcher = Some(watcher);
        self.tell();
        let (tally, faults) = (&self.tally, self.report.faults());
        self.report.line(&format!(
            "all is right ({how:?}, {:.1} s): {faults} faults, {} events, {} rows, {} dead letters",
            begun.elapsed().as_secs_f64(),
            tally.messages,
            tally.rows.1,
            tally.letters.1,
        ));
        if how != How::CaughtUp {
            self.load.go_on();
        }
    }
}
