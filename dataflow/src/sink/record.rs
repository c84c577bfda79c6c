//! How far rows may reach, written down before they are.
//!
//! Rows of an epoch are written in many transactions, and a run may end in their
//! middle. Whoever goes on has to know which offsets may have had an effect. So
//! worker 0 records the offsets of an epoch first, and no worker writes a row of it
//! before that is acknowledged: the frontier of this operator's output is a gate.
//!
//! Before it records them, Kafka has to confirm that the topics are still the ones that
//! were read: all these offsets were read before it is asked. A database that takes an
//! epoch as a whole needs no record, and there this is all that is done.

use super::WriteError;
use super::catch_up::Place;
use crate::Epoch;
use crate::background::{Background, Held};
use crate::epochs::take_before;
use crate::ingest::answers::Read;
use crate::ingest::identity::IdentityCheck;
use crate::inputs::earliest;
use crate::time::Mark;
use sinks::{LastRead, Limit, Log, WriteIntent, Writer};
use std::collections::BTreeMap;
use std::sync::Arc;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::frontier::MutableAntichain;

/// How far an earlier run may have written.
#[derive(Clone, Debug, Default)]
pub struct Before {
    /// Of each partition, the offset below which messages may have had an effect.
    pub targets: BTreeMap<Place, i64>,
    /// Of each partition, the last message below that.
    pub last_read: BTreeMap<Place, LastRead>,
    /// Of each partition, which timestamps were believed.
    pub limits: BTreeMap<Place, Vec<Limit>>,
}

/// How it is recorded.
pub struct Recording {
    /// What an earlier run has recorded.
    pub before: Before,
    /// Full names of the topics, by number.
    pub topics: Arc<[String]>,
    /// The way into the database, where there is anything to record.
    pub writer: Option<Box<dyn Writer>>,
    /// Confirms that the log is still the one that was read.
    pub identity: Arc<dyn IdentityCheck>,
}

/// Records on worker 0 how far each epoch reaches, and which timestamps it has come to
/// believe, and returns a stream without data: what its frontier has passed is recorded, and
/// of the log that was read.
///
/// When the database refuses, or the log is another one, `failed` is called, once, and the
/// frontier stays.
pub fn record<'scope>(
    marks: StreamVec<'scope, Epoch, Mark>,
    recording: Recording,
    failed: impl Fn(WriteError) + Clone + 'static,
) -> StreamVec<'scope, Epoch, ()> {
    let Recording {
        before,
        topics,
        mut writer,
        identity,
    } = recording;
    let mut known = Known::of(before);
    let scope = marks.scope();
    let mut builder = OperatorBuilder::new("Record".to_owned(), scope);
    let mut marks = builder.new_input(marks, Pipeline);
    let (_output, recorded) = builder.new_output::<Vec<()>>();
    let address = builder.operator_info().address;
    let wake = scope.worker().sync_activator_for(address.to_vec());
    let here = scope.index() == 0;

    builder.build(move |mut capabilities| {
        let mut held = Held::new(capabilities.pop().filter(|_| here));
        let background = here.then(|| {
            Background::start("record", wake, move |(reached, frontier)| {
                let Reached { read, mut reaching } = reached;
                if !read.is_empty() {
                    identity.check(&read)?;
                }
                if let Some(writer) = &mut writer {
                    reaching.log.identity = identity.identity();
                    writer.reach(&reaching)?;
                }
                Ok::<Option<Epoch>, WriteError>(frontier)
            })
        });
        let mut background = background.and_then(|started| started.map_err(&failed).ok());
        let mut coming: BTreeMap<Epoch, Vec<Mark>> = BTreeMap::new();

        move |frontiers: &[MutableAntichain<Epoch>]| {
            marks.for_each(|capability, marks| {
                if here && let Some(epoch) = capability.least() {
                    coming.entry(*epoch).or_default().append(marks);
                }
            });
            let Some(thread) = &mut background else {
                return;
            };
            let recorded = thread.go_on(&mut held, || {
                let frontier = earliest(frontiers);
                let mut last = None;
                let mut read = Read::new();
                for (epoch, marks) in take_before(&mut coming, frontier) {
                    for mark in marks {
                        if known.hear(&mark) {
                            read.insert((mark.topic, mark.fingerprint));
                        }
                        // Also where nothing has been read: windows may have closed.
                        last = Some(epoch);
                    }
                }
                let reached = last.map(|epoch| Reached {
                    read,
                    reaching: known.reaching(epoch, &topics),
                });
                (reached, frontier)
            });
            if let Err(error) = recorded {
                background = None;
                failed(error);
            }
        }
    });
    recorded
}

/// What is to be recorded.
struct Reached {
    /// Topics that something has been read of since the last time.
    read: Read,
    reaching: WriteIntent,
}

/// How far partitions have been read.
struct Known {
    /// By this run or by an earlier one.
    before: Before,
    /// By this run.
    read: BTreeMap<Place, i64>,
}

impl Known {
    fn of(before: Before) -> Known {
        Known {
            before,
            read: BTreeMap::new(),
        }
    }

    /// Takes in where a partition stands. Returns whether something has been read of it since
    /// the last time; what an earlier run has read is, by this one, for the first time.
    fn hear(&mut self, mark: &Mark) -> bool {
        let place = (mark.topic, mark.partition);
        let target = self.before.targets.entry(place).or_default();
        *target = mark.next.max(*target);
        if let Some(last) = mark.last_read {
            let known = self.before.last_read.entry(place).or_insert(last);
            if known.offset <= last.offset {
                *known = last;
            }
        }
        if !mark.limits.is_empty() {
            let limits = self.before.limits.entry(place).or_default();
            limits.extend(&mark.limits);
        }
        self.read.insert(place, mark.next).unwrap_or(0) != mark.next
    }

    fn reaching(&self, epoch: Epoch, topics: &[String]) -> WriteIntent {
        let (targets, last_read) = (&self.before.targets, &self.before.last_read);
        WriteIntent {
            epoch,
            offsets: by_name(targets, topics),
            limits: Some(by_name(&self.before.limits, topics)),
            log: Log {
                last_read: by_name(last_read, topics),
                ..Log::default()
            },
        }
    }
}

/// What is known by place, by the full names of topics.
pub(super) fn by_name<T: Clone>(
    known: &BTreeMap<Place, T>,
    topics: &[String],
) -> BTreeMap<String, BTreeMap<i32, T>> {
    let mut by_name: BTreeMap<String, BTreeMap<i32, T>> = BTreeMap::new();
    for ((topic, partition), of_partition) in known {
        let of_topic = by_name.entry(topics[*topic].clone()).or_default();
        of_topic.insert(*partition, of_partition.clone());
    }
    by_name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::difference::Difference;
    use crate::ingest::identity::IdentityError;
    use crate::time::{Holding, NEVER};
    use sinks::{Batch, LogIdentity, Progress, SinkError};
    use std::sync::Mutex;
    use timely::dataflow::operators::vec::Input;
    use timely::dataflow::operators::{Exchange as _, Probe};

    fn mark(next: i64) -> Mark {
        Mark {
            topic: 0,
            partition: 3,
            worker: 0,
            next,
            holding: Holding::Yes,
            kafka: NEVER,
            least: i64::MAX,
            untimed: false,
            limits: Vec::new(),
            views: Vec::new(),
            fingerprint: 7,
            backfill: None,
            last_read: Some(LastRead {
                offset: next - 1,
                timestamp: 0,
                leader_epoch: None,
                hash: None,
            }),
        }
    }

    /// What has happened, in its order.
    #[derive(Clone, Default)]
    struct Story(Arc<Mutex<Vec<String>>>);

    impl Story {
        fn tell(&self, what: impl Into<String>) {
            self.0.lock().unwrap().push(what.into());
        }
    }

    /// Says that the topic is another one once `left` questions are answered.
    struct Asked {
        story: Story,
        left: Mutex<usize>,
    }

    impl IdentityCheck for Asked {
        fn check(&self, read: &Read) -> Result<(), IdentityError> {
            self.story.tell(format!("check {read:?}"));
            let mut left = self.left.lock().unwrap();
            *left = left.checked_sub(1).ok_or(IdentityError::Different {
                difference: Box::new(Difference::TopicGone {
                    topic: "sales".into(),
                }),
                way_out: String::new(),
            })?;
            Ok(())
        }

        fn identity(&self) -> LogIdentity {
            LogIdentity {
                cluster_id: Some("c".into()),
                ..LogIdentity::default()
            }
        }
    }

    struct Written(Story);

    impl Writer for Written {
        fn write(&mut self, _: &Batch) -> Result<(), SinkError> {
            unreachable!("rows are another's")
        }

        fn reach(&mut self, reaching: &WriteIntent) -> Result<(), SinkError> {
            assert_eq!(reaching.log.identity.cluster_id.as_deref(), Some("c"));
            let (next, last) = (
                reaching.offsets["sales"][&3],
                reaching.log.last_read["sales"][&3],
            );
            self.0.tell(format!("reach {next} {}", last.offset));
            Ok(())
        }

        fn publish(&mut self, _: &Progress) -> Result<(), SinkError> {
            unreachable!("progress is another's")
        }
    }

    /// Sends marks of epochs 1, 2, …; `None` where there is none. Returns what happened, and
    /// the first epoch that is not let through.
    fn run(before: Before, records: bool, confirmed: usize, nexts: &[Option<i64>]) -> Vec<String> {
        let (story, nexts) = (Story::default(), nexts.to_vec());
        let told = story.clone();
        timely::execute_directly(move |worker| {
            let failing = story.clone();
            let (mut input, probe) = worker.dataflow::<Epoch, _, _>(|scope| {
                let (input, marks) = scope.new_input();
                let recording = Recording {
                    before,
                    topics: Arc::from(["sales".to_owned()]),
                    writer: records.then(|| Box::new(Written(story.clone())) as Box<dyn Writer>),
                    identity: Arc::new(Asked {
                        story: story.clone(),
                        left: Mutex::new(confirmed),
                    }),
                };
                let failed = move |error: WriteError| failing.tell(format!("failed: {error}"));
                let recorded = record(marks.exchange(|_| 0), recording, failed);
                let (probe, _) = recorded.probe();
                (input, probe)
            });
            for (epoch, next) in (1..).zip(nexts) {
                input.advance_to(epoch);
                if let Some(next) = next {
                    input.send(mark(next));
                }
                input.advance_to(epoch + 1);
                let is_over = || {
                    let story = story.0.lock().unwrap();
                    story.last().is_some_and(|last| last.starts_with("failed"))
                };
                while probe.less_than(&(epoch + 1)) && !is_over() {
                    worker.step_or_park(Some(std::time::Duration::from_millis(1)));
                }
                if is_over() {
                    // It stays where it is, and so would the worker.
                    for dataflow in worker.installed_dataflows() {
                        worker.drop_dataflow(dataflow);
                    }
                    return;
                }
                story.tell(format!("through {epoch}"));
            }
        });
        told.0.lock().unwrap().clone()
    }

    #[test]
    fn nothing_is_recorded_or_let_through_that_is_not_confirmed() {
        let nexts = [Some(5), Some(7), Some(9)];
        let story = run(Before::default(), true, 1, &nexts);
        assert_eq!(
            story[..4],
            ["check {(0, 7)}", "reach 5 4", "through 1", "check {(0, 7)}"]
        );
        assert!(
            story[4].starts_with("failed: topic sales was read"),
            "{story:?}"
        );
        assert_eq!(story.len(), 5);
    }

    #[test]
    fn where_nothing_was_read_nothing_is_asked() {
        let story = run(Before::default(), true, 2, &[Some(5), None, Some(5)]);
        let expected = [
            "check {(0, 7)}",
            "reach 5 4",
            "through 1",
            "through 2",
            "reach 5 4",
            "through 3",
        ];
        assert_eq!(story, expected);
    }

    #[test]
    fn what_an_earlier_run_has_read_is_confirmed_when_it_is_read_again() {
        let before = Before {
            targets: BTreeMap::from([((0, 3), 8)]),
            last_read: BTreeMap::from([((0, 3), mark(8).last_read.unwrap())]),
            limits: BTreeMap::new(),
        };
        let story = run(before, true, 2, &[Some(5), Some(9)]);
        let expected = [
            "check {(0, 7)}",
            "reach 8 7",
            "through 1",
            "check {(0, 7)}",
            "reach 9 8",
            "through 2",
        ];
        assert_eq!(story, expected);
    }

    #[test]
    fn without_a_record_it_is_confirmed_as_well() {
        let story = run(Before::default(), false, 1, &[Some(5), Some(6)]);
        assert_eq!(
            story[..3],
            ["check {(0, 7)}", "through 1", "check {(0, 7)}"]
        );
        assert!(story[3].starts_with("failed"), "{story:?}");
    }
}
