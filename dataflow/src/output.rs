//! One of several outputs of an operator that holds its capabilities itself.

use crate::Epoch;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

/// What sends into a stream of items.
pub(crate) type Sender<D> = OutputBuilder<Epoch, CapacityContainerBuilder<Vec<D>>>;

/// One output: how to send, and the place of its capability.
pub(crate) struct Output<D: Clone + 'static> {
    sender: Sender<D>,
    place: usize,
}

impl<D: Clone + 'static> Output<D> {
    /// One more output of an operator, connected to no input.
    pub(crate) fn new<'scope>(
        builder: &mut OperatorBuilder<'scope, Epoch>,
    ) -> (Output<D>, StreamVec<'scope, Epoch, D>) {
        let place = builder.shape().outputs();
        let (output, stream) = builder.new_output_connection([]);
        let sender = OutputBuilder::from(output);
        (Output { sender, place }, stream)
    }

    /// Sends items; `capabilities` are those of all outputs.
    pub(crate) fn send(
        &mut self,
        capabilities: &[Capability<Epoch>],
        items: impl Iterator<Item = D>,
    ) {
        let mut output = self.sender.activate();
        output
            .session(&capabilities[self.place])
            .give_iterator(items);
    }
}
