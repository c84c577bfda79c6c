//! What the operator that reads the log sends, and when.

use super::operator::Ingested;
use super::reading::Reading;
use super::source::Source;
use crate::Epoch;
use crate::output::Output;
use crate::saving::SavedPartition;
use crate::tally::Tally;
use crate::time::Mark;
use crate::views::Catalog;
use crate::views::changes::{ExtremeChange, MemberChange, SumsChange};
use crate::views::join::{EntryChange, ToJoin, VersionChange};
use crate::views::maintain::Contributed;
use sinks::DeadLetter;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

/// The open epoch, and a capability for it on each output.
pub(super) struct Open {
    pub(super) capabilities: Vec<Capability<Epoch>>,
    pub(super) epoch: Epoch,
}

impl Open {
    pub(super) fn advance(&mut self, epoch: Epoch) {
        self.epoch = epoch;
        for capability in &mut self.capabilities {
            capability.downgrade(&epoch);
        }
    }
}

/// The operator's outputs. Those of contributions are by the number of the arrangement.
pub(super) struct Outputs {
    sums: Output<SumsChange>,
    members: Vec<Output<MemberChange>>,
    extremes: Option<Output<ExtremeChange>>,
    tables: Vec<Output<VersionChange>>,
    lookups: Vec<Output<EntryChange>>,
    letters: Output<DeadLetter>,
    marks: Output<Mark>,
    partitions: Output<SavedPartition>,
    tallies: Output<Tally>,
}

impl Outputs {
    /// All outputs of an operator that has none yet, as the views of `catalog` need them, and what
    /// comes of them.
    pub(super) fn new<'scope>(
        builder: &mut OperatorBuilder<'scope, Epoch>,
        catalog: &Catalog,
    ) -> (Outputs, Ingested<'scope>) {
        let (of_members, has_extremes, of_tables, of_lookups) = catalog.arrangements();
        let (sums, sums_stream) = Output::new(builder);
        let members = (0..of_members).map(|_| Output::new(builder));
        let (members, members_streams) = members.unzip();
        let extremes = has_extremes.then(|| Output::new(builder));
        let (extremes, extremes_stream) = extremes.unzip();
        let (tables, tables_streams) = (0..of_tables).map(|_| Output::new(builder)).unzip();
        let (lookups, lookups_streams) = (0..of_lookups).map(|_| Output::new(builder)).unzip();
        let (letters, dead_letters) = Output::new(builder);
        let (marks, marks_stream) = Output::new(builder);
        let (partitions, partitions_stream) = Output::new(builder);
        let (tallies, tallies_stream) = Output::new(builder);
        let outputs = Outputs {
            sums,
            members,
            extremes,
            tables,
            lookups,
            letters,
            marks,
            partitions,
            tallies,
        };
        let ingested = Ingested {
            contributed: Contributed {
                sums: sums_stream,
                members: members_streams,
                extremes: extremes_stream,
                to_join: ToJoin {
                    tables: tables_streams,
                    lookups: lookups_streams,
                },
            },
            dead_letters,
            marks: marks_stream,
            partitions: partitions_stream,
            tallies: tallies_stream,
        };
        (outputs, ingested)
    }

    /// Sends everything that belongs to the open epoch. `saves`: where partitions
    /// stand is to be saved. `ended`: there will be no more.
    pub(super) fn finish_epoch(
        &mut self,
        open: &Open,
        reading: &mut Reading,
        source: &mut dyn Source,
        saves: bool,
        ended: bool,
    ) {
        self.send_contributions(open, reading);
        self.send_letters(open, reading);
        source.positions(&mut |position| reading.partitions.reached(&position));
        reading.report();
        let capabilities = &open.capabilities;
        self.tallies
            .send(capabilities, reading.counting.take().into_iter());
        self.marks
            .send(capabilities, reading.partitions.marks(ended));
        if saves {
            self.partitions
                .send(capabilities, reading.partitions.save());
        }
    }

    pub(super) fn send_contributions(&mut self, open: &Open, reading: &mut Reading) {
        let Open {
            capabilities,
            epoch,
        } = open;
        let epoch = *epoch;
        let contributions = &mut reading.contributions;
        let sums = contributions.take_sums();
        self.sums.send(
            capabilities,
            sums.map(|(key, sums)| ((key, ()), epoch, sums)),
        );
        for (number, output) in self.members.iter_mut().enumerate() {
            let members = contributions.take_members(number);
            output.send(capabilities, members.map(|member| (member, epoch, 1)));
        }
        if let Some(output) = &mut self.extremes {
            let extremes = contributions.take_extremes();
            output.send(capabilities, extremes.map(|extreme| (extreme, epoch, 1)));
        }
        for (number, output) in self.tables.iter_mut().enumerate() {
            let versions = contributions.take_table(number);
            output.send(capabilities, versions.map(|version| (version, epoch, 1)));
        }
        for (number, output) in self.lookups.iter_mut().enumerate() {
            let entries = contributions.take_lookup(number);
            output.send(
                capabilities,
                entries.map(|(entry, sums)| (entry, epoch, sums)),
            );
        }
    }

    pub(super) fn send_letters(&mut self, open: &Open, reading: &mut Reading) {
        if !reading.letters.is_empty() {
            self.letters
                .send(&open.capabilities, reading.letters.drain(..));
        }
    }
}
