//! What each operator of the dataflow does, from timely's own logging.
//!
//! All workers have the same operators and channels. Each tells when it starts and stops an
//! operator, and of every batch of records that goes from one to another; here that is added
//! up. An operator's time is its own: what it starts within itself counts there.

use model::lock;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use timely::logging::{StartStop, TimelyEvent, TimelyEventBuilder};
use timely::worker::Worker;

/// Where an operator stands: the way from the dataflow's root, as timely counts it.
pub type Address = Vec<usize>;

/// What the operators of one process have done: of each worker for itself, so that none
/// waits for another.
#[derive(Debug, Default)]
pub(super) struct Operators(Mutex<BTreeMap<usize, Arc<Mutex<Told>>>>);

/// The operators of one process at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OperatorsSnapshot {
    /// Workers that have told of theirs.
    pub workers: Vec<usize>,
    /// By address.
    pub operators: Vec<OperatorSnapshot>,
    /// In the order of what they connect.
    pub channels: Vec<ChannelSnapshot>,
}

/// What an operator has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorSnapshot {
    /// Where it stands.
    pub address: Address,
    /// Its name.
    pub name: String,
    /// How often it was started, by all workers.
    pub activations: u64,
    /// How long it ran, by worker, in the order of [`OperatorsSnapshot::workers`].
    pub busy: Vec<Duration>,
}

/// What went through a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelSnapshot {
    /// The operator that it comes from.
    pub from: Address,
    /// The operator that it leads to.
    pub to: Address,
    /// Records sent by all workers.
    pub records: u64,
    /// Batches of them.
    pub batches: u64,
}

/// What one worker has told.
#[derive(Debug, Default)]
struct Told {
    operators: BTreeMap<usize, Operator>,
    channels: BTreeMap<usize, Channel>,
    /// Those that run, the innermost last: since when, and how long those within it ran.
    running: Vec<(usize, Duration, Duration)>,
}

#[derive(Debug)]
struct Operator {
    address: Address,
    name: String,
    activations: u64,
    busy: Duration,
}

#[derive(Debug)]
struct Channel {
    from: Address,
    to: Address,
    records: u64,
    batches: u64,
}

impl Operators {
    /// Lets a worker tell, from here on, what its operators do. To be called before its
    /// dataflow is built.
    pub(super) fn follow(&self, worker: &Worker) {
        let told = Arc::new(Mutex::new(Told::default()));
        lock(&self.0).insert(worker.index(), Arc::clone(&told));
        if let Some(mut log) = worker.log_register() {
            log.insert::<TimelyEventBuilder, _>("timely", move |_, events| {
                if let Some(events) = events {
                    lock(&told).hear_all(events);
                }
            });
        }
    }

    /// All of it, added up.
    pub(super) fn snapshot(&self) -> OperatorsSnapshot {
        let workers = lock(&self.0).clone();
        let mut operators: BTreeMap<Address, OperatorSnapshot> = BTreeMap::new();
        let mut channels: BTreeMap<(Address, Address), ChannelSnapshot> = BTreeMap::new();
        for (place, told) in workers.values().enumerate() {
            let told = lock(told);
            for own in told.operators.values() {
                let operator =
                    operators
                        .entry(own.address.clone())
                        .or_insert_with(|| OperatorSnapshot {
                            address: own.address.clone(),
                            name: own.name.clone(),
                            activations: 0,
                            busy: Vec::new(),
                        });
                operator.activations += own.activations;
                operator.busy.resize(place, Duration::ZERO);
                operator.busy.push(own.busy);
            }
            for own in told.channels.values() {
                let channel = channels
                    .entry((own.from.clone(), own.to.clone()))
                    .or_insert_with(|| ChannelSnapshot {
                        from: own.from.clone(),
                        to: own.to.clone(),
                        records: 0,
                        batches: 0,
                    });
                channel.records += own.records;
                channel.batches += own.batches;
            }
        }
        OperatorsSnapshot {
            workers: workers.keys().copied().collect(),
            operators: operators.into_values().collect(),
            channels: channels.into_values().collect(),
        }
    }
}

impl Told {
    fn hear_all(&mut self, events: &mut Vec<(Duration, TimelyEvent)>) {
        for (at, event) in events.drain(..) {
            self.hear(at, event);
        }
    }

    fn hear(&mut self, at: Duration, event: TimelyEvent) {
        match event {
            TimelyEvent::Operates(operator) => {
                let known = Operator {
                    address: operator.addr,
                    name: operator.name,
                    activations: 0,
                    busy: Duration::ZERO,
                };
                self.operators.insert(operator.id, known);
            }
            TimelyEvent::Channels(channel) => {
                // 0 is the scope itself, seen from within.
                let place = |index: usize| {
                    let inner = Some(index).filter(|index| *index > 0);
                    let scope = channel.scope_addr.iter().copied();
                    scope.chain(inner).collect()
                };
                let known = Channel {
                    from: place(channel.source.0),
                    to: place(channel.target.0),
                    records: 0,
                    batches: 0,
                };
                self.channels.insert(channel.id, known);
            }
            TimelyEvent::Messages(message) if message.is_send => {
                if let Some(channel) = self.channels.get_mut(&message.channel) {
                    channel.records += u64::try_from(message.record_count).unwrap_or(0);
                    channel.batches += 1;
                }
            }
            TimelyEvent::Schedule(schedule) => match schedule.start_stop {
                StartStop::Start => self.running.push((schedule.id, at, Duration::ZERO)),
                StartStop::Stop => self.stopped(schedule.id, at),
            },
            _ => {}
        }
    }

    fn stopped(&mut self, id: usize, at: Duration) {
        let Some((started_id, started, within)) = self.running.pop() else {
            return;
        };
        let took = at.saturating_sub(started);
        if let Some((_, _, within)) = self.running.last_mut() {
            *within += took;
        }
        if let Some(operator) = self.operators.get_mut(&id)
            && started_id == id
        {
            operator.activations += 1;
            operator.busy += took.saturating_sub(within);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use timely::logging::{ChannelsEvent, MessagesEvent, OperatesEvent, ScheduleEvent};

    const MS: Duration = Duration::from_millis(1);

    fn operates(id: usize, addr: &[usize], name: &str) -> TimelyEvent {
        OperatesEvent {
            id,
            addr: addr.to_vec(),
            name: name.to_owned(),
        }
        .into()
    }

    fn told() -> Vec<(Duration, TimelyEvent)> {
        let channel = ChannelsEvent {
            id: 7,
            scope_addr: vec![0],
            source: (1, 0),
            target: (2, 0),
            typ: String::new(),
        };
        let message = |is_send, record_count| MessagesEvent {
            is_send,
            channel: 7,
            source: 0,
            target: 0,
            seq_no: 0,
            record_count,
        };
        let events: Vec<TimelyEvent> = vec![
            operates(0, &[0], "Dataflow"),
            operates(1, &[0, 1], "Ingest"),
            operates(2, &[0, 2], "Views"),
            channel.into(),
            ScheduleEvent::start(0).into(),
            ScheduleEvent::start(1).into(),
            message(true, 40).into(),
            ScheduleEvent::stop(1).into(),
            ScheduleEvent::start(2).into(),
            message(false, 40).into(),
            ScheduleEvent::stop(2).into(),
            ScheduleEvent::stop(0).into(),
        ];
        (0..).map(|n| n * MS).zip(events).collect()
    }

    #[test]
    fn times_are_an_operators_own_and_added_up_by_worker() {
        let operators = Operators::default();
        for worker in [0, 3] {
            let mut known = Told::default();
            known.hear_all(&mut told());
            lock(&operators.0).insert(worker, Arc::new(Mutex::new(known)));
        }
        let snapshot = operators.snapshot();
        assert_eq!(snapshot.workers, [0, 3]);
        let names: Vec<_> = snapshot
            .operators
            .iter()
            .map(|operator| (operator.name.as_str(), operator.activations))
            .collect();
        assert_eq!(names, [("Dataflow", 2), ("Ingest", 2), ("Views", 2)]);
        // From 4 to 11 ms, of which two each are of those within.
        assert_eq!(snapshot.operators[0].busy, [3 * MS, 3 * MS]);
        assert_eq!(snapshot.operators[1].busy, [2 * MS, 2 * MS]);
        assert_eq!(
            snapshot.channels,
            [ChannelSnapshot {
                from: vec![0, 1],
                to: vec![0, 2],
                records: 80,
                batches: 2,
            }]
        );
    }

    #[test]
    fn a_worker_tells_of_its_dataflow() {
        use timely::dataflow::operators::{Inspect, ToStream};
        let telemetry = Arc::new(crate::Telemetry::new(1, &[], &[]));
        let seen = Arc::clone(&telemetry);
        timely::execute_directly(move |worker| {
            telemetry.follow(worker);
            worker.dataflow::<u64, _, _>(|scope| {
                (0..10)
                    .to_stream(scope)
                    .container::<Vec<_>>()
                    .inspect(|_| {});
            });
            while worker.step() {}
        });
        let snapshot = seen.operators();
        let names: Vec<_> = snapshot.operators.iter().map(|o| o.name.as_str()).collect();
        assert!(
            names.iter().any(|name| name.starts_with("ToStream")),
            "{names:?}"
        );
        assert_eq!(snapshot.channels.iter().map(|c| c.records).max(), Some(10));
        assert!(
            snapshot
                .operators
                .iter()
                .any(|o| o.busy[0] > Duration::ZERO)
        );
    }
}
