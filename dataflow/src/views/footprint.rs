//! How much state arrangements hold.

use crate::Epoch;
use differential_dataflow::trace::TraceReader;
use differential_dataflow::trace::implementations::Vector;
use differential_dataflow::trace::implementations::ord_neu::{OrdKeyBatch, OrdValBatch};
use std::rc::Rc;
use std::sync::Arc;
use telemetry::Telemetry;

/// What a part of an arrangement takes.
pub(super) trait Footprint {
    /// Updates in it.
    fn records(&self) -> usize;

    /// Bytes that its containers use; not those that texts have elsewhere.
    fn bytes(&self) -> usize;
}

impl<K: Ord + Clone + 'static, R: Ord + Clone + 'static> Footprint
    for Rc<OrdKeyBatch<Vector<((K, ()), Epoch, R)>>>
where
    R: differential_dataflow::difference::Semigroup,
{
    fn records(&self) -> usize {
        self.updates
    }

    fn bytes(&self) -> usize {
        let updates = self.storage.upds.times.len() * (size_of::<Epoch>() + size_of::<R>());
        self.storage.keys.len() * (size_of::<K>() + size_of::<u32>()) + updates
    }
}

impl<K: Ord + Clone + 'static, V: Ord + Clone + 'static, R: Ord + Clone + 'static> Footprint
    for Rc<OrdValBatch<Vector<((K, V), Epoch, R)>>>
where
    R: differential_dataflow::difference::Semigroup,
{
    fn records(&self) -> usize {
        self.updates
    }

    fn bytes(&self) -> usize {
        let updates = self.storage.upds.times.len() * (size_of::<Epoch>() + size_of::<R>());
        let values = self.storage.vals.vals.len() * (size_of::<V>() + size_of::<u32>());
        self.storage.keys.len() * (size_of::<K>() + size_of::<u32>()) + values + updates
    }
}

/// Reports to the telemetry what the arrangements of a worker hold.
#[derive(Clone)]
pub struct Gauge {
    telemetry: Arc<Telemetry>,
    worker: usize,
}

impl Gauge {
    /// A gauge of the arrangements of a worker.
    pub fn new(telemetry: Arc<Telemetry>, worker: usize) -> Gauge {
        Gauge { telemetry, worker }
    }

    /// That of one arrangement.
    pub(super) fn of(&self, name: &str) -> NamedGauge {
        NamedGauge {
            gauge: self.clone(),
            name: name.to_owned(),
        }
    }
}

/// Reports what one arrangement of a worker holds.
pub(super) struct NamedGauge {
    gauge: Gauge,
    name: String,
}

impl NamedGauge {
    /// Reads how much a trace holds now.
    pub(super) fn read<Tr>(&self, trace: &Tr)
    where
        Tr: TraceReader<Time = Epoch, Batch: Footprint>,
    {
        let (mut records, mut bytes) = (0, 0);
        trace.map_spans(|span| {
            if let Some(batch) = &span.inner {
                records += batch.records();
                bytes += batch.bytes();
            }
        });
        let Gauge { telemetry, worker } = &self.gauge;
        telemetry.arrangement(&self.name, *worker, records, bytes);
    }
}
