//! What the operator that reads the log sends, and when.

use super::reading::Reading;
use super::source::Source;
use crate::Epoch;
use crate::output::Output;
use crate::saving::SavedPartition;
use crate::tally::Tally;
use crate::time::Mark;
use crate::views::changes::{LatestChange, MemberChange, SumsChange};
use crate::views::join::{CustomerChange, OrderDiff, ProductChange, SaleChange};
use sinks::DeadLetter;
use timely::dataflow::StreamVec;
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

/// The operator's outputs.
pub(super) struct Outputs {
    sums: Output<SumsChange>,
    members: Output<MemberChange>,
    latest: Output<LatestChange>,
    sales: Output<SaleChange>,
    customers: Output<CustomerChange>,
    products: Output<ProductChange>,
    letters: Output<DeadLetter>,
    marks: Output<Mark>,
    partitions: Output<SavedPartition>,
    tallies: Output<Tally>,
}

/// The streams that they make.
pub(super) struct Streams<'scope> {
    pub(super) sums: StreamVec<'scope, Epoch, SumsChange>,
    pub(super) members: StreamVec<'scope, Epoch, MemberChange>,
    pub(super) latest: StreamVec<'scope, Epoch, LatestChange>,
    pub(super) sales: StreamVec<'scope, Epoch, SaleChange>,
    pub(super) customers: StreamVec<'scope, Epoch, CustomerChange>,
    pub(super) products: StreamVec<'scope, Epoch, ProductChange>,
    pub(super) letters: StreamVec<'scope, Epoch, DeadLetter>,
    pub(super) marks: StreamVec<'scope, Epoch, Mark>,
    pub(super) partitions: StreamVec<'scope, Epoch, SavedPartition>,
    pub(super) tallies: StreamVec<'scope, Epoch, Tally>,
}

impl Outputs {
    /// All outputs of an operator that has none yet, and their streams.
    pub(super) fn new<'scope>(
        builder: &mut OperatorBuilder<'scope, Epoch>,
    ) -> (Outputs, Streams<'scope>) {
        let (sums, sums_stream) = Output::new(builder);
        let (members, members_stream) = Output::new(builder);
        let (latest, latest_stream) = Output::new(builder);
        let (sales, sales_stream) = Output::new(builder);
        let (customers, customers_stream) = Output::new(builder);
        let (products, products_stream) = Output::new(builder);
        let (letters, letters_stream) = Output::new(builder);
        let (marks, marks_stream) = Output::new(builder);
        let (partitions, partitions_stream) = Output::new(builder);
        let (tallies, tallies_stream) = Output::new(builder);
        let outputs = Outputs {
            sums,
            members,
            latest,
            sales,
            customers,
            products,
            letters,
            marks,
            partitions,
            tallies,
        };
        let streams = Streams {
            sums: sums_stream,
            members: members_stream,
            latest: latest_stream,
            sales: sales_stream,
            customers: customers_stream,
            products: products_stream,
            letters: letters_stream,
            marks: marks_stream,
            partitions: partitions_stream,
            tallies: tallies_stream,
        };
        (outputs, streams)
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
        let members = contributions.take_members();
        self.members
            .send(capabilities, members.map(|member| (member, epoch, 1)));
        let latest = contributions.take_latest();
        self.latest
            .send(capabilities, latest.map(|latest| (latest, epoch, 1)));
        let sales = contributions.take_sales();
        self.sales
            .send(capabilities, sales.map(|sale| (sale, epoch, 1)));
        let customers = contributions.take_customers();
        let customers = customers.map(|version| (version, epoch, OrderDiff::ONE));
        self.customers.send(capabilities, customers);
        let products = contributions.take_products();
        let products = products.map(|version| (version, epoch, OrderDiff::ONE));
        self.products.send(capabilities, products);
    }

    pub(super) fn send_letters(&mut self, open: &Open, reading: &mut Reading) {
        if !reading.letters.is_empty() {
            self.letters
                .send(&open.capabilities, reading.letters.drain(..));
        }
    }
}
