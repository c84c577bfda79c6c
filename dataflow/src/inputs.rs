//! The inputs of an operator whose frontiers are read together: by name, not by the order in
//! which they were added.

use crate::Epoch;
use timely::Container;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::ParallelizationContract;
use timely::dataflow::operators::generic::InputHandleCore;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::frontier::MutableAntichain;

/// Some inputs of an operator.
#[derive(Default)]
pub(crate) struct Inputs(Vec<usize>);

impl Inputs {
    /// Adds an input to the operator, and to these.
    pub(crate) fn add<'scope, C: Container, P: ParallelizationContract<Epoch, C>>(
        &mut self,
        builder: &mut OperatorBuilder<'scope, Epoch>,
        stream: Stream<'scope, Epoch, C>,
        pact: P,
    ) -> InputHandleCore<Epoch, C, P::Puller> {
        self.0.push(builder.shape().inputs());
        builder.new_input(stream, pact)
    }

    /// The first epoch that one of these inputs has not passed yet; `None` when all have ended.
    /// `frontiers` are those of all inputs of the operator.
    pub(crate) fn earliest(&self, frontiers: &[MutableAntichain<Epoch>]) -> Option<Epoch> {
        earliest(self.0.iter().map(|input| &frontiers[*input]))
    }
}

/// The first epoch that an input has not passed yet; `None` when all have ended.
pub(crate) fn earliest<'a>(
    frontiers: impl IntoIterator<Item = &'a MutableAntichain<Epoch>>,
) -> Option<Epoch> {
    let frontiers = frontiers.into_iter();
    let first = frontiers.filter_map(|frontier| frontier.frontier().first().copied());
    first.min()
}
