//! Which partitions hold a view's watermark, and how far they are behind.

use super::{PartitionTime, ViewTime};
use model::Holding;

/// What tells the partitions that hold a view from those that do not.
#[derive(Debug)]
pub struct Holders<'a> {
    view: &'a ViewTime,
    /// The least watermark of those that hold it; `Some(None)`: one of them has none.
    least: Option<Option<i64>>,
    /// The least Kafka timestamp of those that hold it by that.
    least_kafka: Option<Option<i64>>,
    furthest: Option<i64>,
    furthest_kafka: Option<i64>,
}

impl<'a> Holders<'a> {
    /// Those of a view.
    pub fn of(view: &'a ViewTime) -> Self {
        let all = || view.partitions.iter();
        // What is none is less than anything that there is.
        Self {
            view,
            least: all().filter(|p| p.counts()).map(|p| p.watermark).min(),
            least_kafka: all()
                .filter(|p| p.holding == Holding::Yes)
                .map(|p| p.kafka)
                .min(),
            furthest: all().filter_map(|p| p.watermark).max(),
            furthest_kafka: all().filter_map(|p| p.kafka).max(),
        }
    }

    /// Whether the view would come further if this partition did.
    pub fn has(&self, partition: &PartitionTime) -> bool {
        if self.view.lateness.is_none() {
            // What holds it is the setting.
            false
        } else if self.view.waits_for.is_some() {
            partition.holding == Holding::Yes && Some(partition.kafka) == self.least_kafka
        } else {
            partition.counts() && Some(partition.watermark) == self.least
        }
    }

    /// How far a partition is behind the furthest of the view, in milliseconds: by
    /// its watermark, or, where its topic is joined, by its Kafka timestamps. `None`
    /// where it has shown none.
    pub fn behind(&self, partition: &PartitionTime) -> Option<i64> {
        if partition.is_joined {
            Some(self.furthest_kafka?.saturating_sub(partition.kafka?))
        } else {
            Some(self.furthest?.saturating_sub(partition.watermark?) / 1_000)
        }
    }
}

impl PartitionTime {
    /// Whether its watermark counts when the least is sought.
    pub(super) fn counts(&self) -> bool {
        !self.is_joined
            && match self.holding {
                Holding::Yes => true,
                Holding::Idle => false,
                Holding::Ended => self.event_time.is_some(),
            }
    }

    /// Whether it is read, idle or ended, as a word.
    pub fn state(&self) -> &'static str {
        match self.holding {
            Holding::Yes => "reading",
            Holding::Idle => "idle",
            Holding::Ended => "ended",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{partition_time, view_time};
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn held(view: &ViewTime) -> Vec<i32> {
        let holders = Holders::of(view);
        let held = view.partitions.iter().filter(|p| holders.has(p));
        held.map(|p| p.partition).collect()
    }

    #[test]
    fn the_least_watermark_holds_unless_it_is_idle() {
        let mut view = view_time(vec![
            partition_time(0, Some(10 * HOUR), Holding::Yes),
            partition_time(1, Some(7 * HOUR), Holding::Yes),
            partition_time(2, Some(3 * HOUR), Holding::Idle),
            partition_time(3, Some(7 * HOUR), Holding::Ended),
            partition_time(4, None, Holding::Ended),
        ]);
        assert_eq!(held(&view), [1, 3]);
        let holders = Holders::of(&view);
        let behind = view.partitions.iter().map(|p| holders.behind(p));
        let behind: Vec<_> = behind.collect();
        let hours = |hours| Some(hours * HOUR);
        assert_eq!(behind, [hours(0), hours(3), hours(7), hours(3), None]);

        view.partitions.push(partition_time(5, None, Holding::Yes));
        assert_eq!(held(&view), [5]);
        view.lateness = None;
        assert!(held(&view).is_empty());
    }

    #[test]
    fn what_is_joined_holds_while_a_window_waits_for_it() {
        let joined = |number, at| PartitionTime {
            is_joined: true,
            topic: "products".to_owned(),
            event_time: None,
            watermark: None,
            ..partition_time(number, at, Holding::Yes)
        };
        let mut view = view_time(vec![
            partition_time(0, Some(10 * HOUR), Holding::Yes),
            joined(1, Some(4 * HOUR)),
            joined(2, Some(5 * HOUR)),
        ]);
        assert_eq!(held(&view), [0]);
        assert_eq!(
            Holders::of(&view).behind(&view.partitions[1]),
            Some(6 * HOUR)
        );
        view.waits_for = Some(8 * HOUR);
        assert_eq!(held(&view), [1]);
    }
}
