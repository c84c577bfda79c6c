//! What each kind of fault does, and how it is undone.

use crate::cast::Cast;
use crate::disk::Disk;
use crate::plan::{Kind, Shape, Step, Target};
use crate::proxy::Proxy;
use end_to_end::Services;
use end_to_end::mongo::{Mongo, block_on};
use end_to_end::process::signal_to;
use mongodb::bson::doc;
use std::thread::JoinHandle;
use std::time::Instant;

/// All that can be broken.
pub(crate) struct World {
    pub(crate) services: Services,
    pub(crate) mongo: Mongo,
    pub(crate) cast: Cast,
    pub(crate) disk: Disk,
    /// Before the brokers.
    pub(crate) kafka_lines: Vec<Proxy>,
    /// Before the members of the replica set.
    pub(crate) mongodb_lines: Vec<Proxy>,
    /// Names of the members, by the port where clients find them.
    pub(crate) members: Vec<(u16, String)>,
}

/// A fault that has begun.
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    /// When it is to end.
    pub(crate) until: Instant,
    /// Whether it has been undone, or is being.
    pub(crate) is_ended: bool,
    /// Whom it has hit.
    pub(crate) on: String,
    /// The node that it has hit.
    node: Option<String>,
    /// Brings a node back.
    returning: Option<JoinHandle<()>>,
}

impl World {
    /// Whether a fault can begin now; if not, whoever has to come for it is sent for.
    pub(crate) fn is_ready_for(&mut self, step: &Step) -> bool {
        if step.kind.target() != Target::Pipeline {
            return true;
        }
        let needs_two = matches!(step.kind, Kind::CutPeers | Kind::HoldPeers);
        let needs_no_supervisor = needs_two || step.kind == Kind::TakeOver;
        let Some(run) = self.cast.run() else {
            return false;
        };
        let shape = run.shape;
        let fits = !(needs_two && shape.processes < 2 || needs_no_supervisor && shape.supervised);
        if fits {
            // Who has not begun to write cannot be replaced: it would be its turn.
            let begun = step.kind != Kind::TakeOver || run.is_ready();
            return begun && !run.workers().is_empty() && run.uneven.is_none();
        }
        run.kill_all();
        self.cast.want(Shape {
            processes: if needs_two { 2 } else { shape.processes },
            workers: shape.workers,
            supervised: false,
        });
        false
    }

    /// Does it.
    ///
    /// # Panics
    /// When it cannot be done.
    pub(crate) fn begin(&mut self, step: &Step) -> Fault {
        let pick = usize::try_from(step.pick >> 1).unwrap_or(0);
        let mut fault = Fault {
            kind: step.kind,
            until: Instant::now() + step.lasts,
            is_ended: false,
            on: String::new(),
            node: None,
            returning: None,
        };
        match step.kind {
            Kind::KillBroker | Kind::FreezeBroker => {
                let node = format!("kafka-{}", 1 + pick % 2);
                self.hit(&mut fault, node);
            }
            Kind::KillPrimary | Kind::FreezePrimary => {
                let node = self.primary().unwrap_or_else(|| {
                    // Between two primaries any may be the next.
                    self.members[pick % self.members.len()].1.clone()
                });
                self.hit(&mut fault, node);
            }
            Kind::FullDisk => self.disk.fill(),
            Kind::ReadOnlyDisk => self.disk.make_read_only(),
            Kind::CutMongodb => self.mongodb_lines.iter().for_each(Proxy::cut),
            Kind::HoldMongodb => self.mongodb_lines.iter().for_each(Proxy::hold),
            Kind::CutKafka => self.kafka_lines.iter().for_each(Proxy::cut),
            Kind::HoldKafka => self.kafka_lines.iter().for_each(Proxy::hold),
            _ => fault.on = self.hit_run(step.kind, pick),
        }
        fault
    }

    fn hit(&self, fault: &mut Fault, node: String) {
        let kill = matches!(fault.kind, Kind::KillBroker | Kind::KillPrimary);
        let signal = if kill { "KILL" } else { "STOP" };
        signal_to(self.services.pid(&node), signal);
        fault.on.clone_from(&node);
        fault.node = Some(node);
    }

    /// Hits the run, which there is; says whom.
    fn hit_run(&mut self, kind: Kind, pick: usize) -> String {
        let run = self.cast.run().expect("there is a run");
        let workers = run.workers();
        let shape = run.shape;
        let Some(chosen) = workers.get(pick % workers.len().max(1)).copied() else {
            return format!("nobody: a run {shape} has just ended");
        };
        let one = format!("{chosen} of {shape}");
        match kind {
            Kind::KillProcess => run.kill(chosen),
            Kind::FreezeProcess => run.freeze(chosen),
            Kind::KillRun => run.kill_all(),
            Kind::Interrupt => run.interrupt(),
            Kind::CutPeers => run.peers().into_iter().for_each(Proxy::cut),
            Kind::HoldPeers => run.peers().into_iter().for_each(Proxy::hold),
            _ => {
                workers.iter().for_each(|pid| run.freeze(*pid));
                self.cast.take_over();
            }
        }
        match kind {
            Kind::KillProcess | Kind::FreezeProcess => one,
            _ => shape.to_string(),
        }
    }

    /// Ends a fault; a node that was killed comes back in a while.
    pub(crate) fn end(&mut self, fault: &mut Fault) {
        fault.is_ended = true;
        match fault.kind {
            Kind::FreezeProcess | Kind::TakeOver => self.cast.thaw(),
            Kind::CutPeers | Kind::HoldPeers => {
                let peers = self.cast.run().and_then(|run| run.peers());
                peers.into_iter().for_each(Proxy::heal);
            }
            Kind::FreezeBroker | Kind::FreezePrimary => {
                let node = fault.node.as_deref().unwrap_or_default();
                signal_to(self.services.pid(node), "CONT");
            }
            Kind::KillBroker | Kind::KillPrimary => {
                let (services, node) = (self.services.clone(), fault.node.take());
                let start = move || services.start(&node.unwrap_or_default());
                fault.returning = Some(std::thread::spawn(start));
            }
            Kind::FullDisk => self.disk.make_room(),
            Kind::ReadOnlyDisk => self.disk.make_writable(),
            Kind::CutMongodb | Kind::HoldMongodb => {
                self.mongodb_lines.iter().for_each(Proxy::heal);
            }
            Kind::CutKafka | Kind::HoldKafka => self.kafka_lines.iter().for_each(Proxy::heal),
            Kind::KillProcess | Kind::KillRun | Kind::Interrupt => {}
        }
    }

    /// The member of the replica set that is its primary now.
    fn primary(&self) -> Option<String> {
        let hello = self.mongo.database().run_command(doc! {"hello": 1});
        let hello = block_on(async { hello.await }).ok()?;
        let primary = hello.get_str("primary").ok()?;
        let port: u16 = primary.rsplit(':').next()?.parse().ok()?;
        let member = self.members.iter().find(|(known, _)| *known == port)?;
        Some(member.1.clone())
    }
}

impl Fault {
    /// Whether nothing is left of it.
    ///
    /// # Panics
    /// When a node does not come back.
    pub(crate) fn is_over(&mut self) -> bool {
        match self.returning.take() {
            Some(thread) if thread.is_finished() => {
                let back = thread.join();
                assert!(back.is_ok(), "{} does not come back", self.on);
                true
            }
            Some(thread) => {
                self.returning = Some(thread);
                false
            }
            None => true,
        }
    }
}
