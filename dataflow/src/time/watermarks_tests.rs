use super::super::ViewMark;
use super::*;
use crate::shop::catalog;

const HOUR: i64 = 3_600_000_000;

/// All views, and one of them that is looked at.
struct Known {
    watermarks: Watermarks,
    view: u16,
    topic: usize,
    products: usize,
}

impl Known {
    fn of(view: &str) -> Known {
        let catalog = catalog(&BTreeMap::new()).unwrap();
        let number = catalog.definitions.iter().position(|d| d.name == view);
        let view = number.unwrap();
        let topic = |name: &str| catalog.routes.iter().position(|r| r.topic() == name);
        Known {
            watermarks: catalog.watermarks(),
            view: u16::try_from(view).unwrap(),
            topic: topic(&catalog.definitions[view].topic).unwrap(),
            products: topic("products").unwrap(),
        }
    }

    /// A partition of the view's topic whose watermark is at `hours`; `None` before
    /// any event.
    fn mark(&self, partition: i32, hours: Option<i64>, holding: Holding) -> Mark {
        let watermark = hours.map_or(NEVER, |hours| hours * HOUR);
        Mark {
            topic: self.topic,
            partition,
            worker: 0,
            next: 0,
            holding,
            kafka: NEVER,
            least: i64::MAX,
            untimed: false,
            limits: Vec::new(),
            views: vec![ViewMark {
                view: self.view,
                latest: watermark,
                watermark,
                passed: Vec::new(),
            }],
            last_read: None,
            fingerprint: 0,
            backfill: None,
        }
    }

    /// The same, sent at `kafka`, by which it has passed the window that ends there.
    fn sent(&self, partition: i32, hours: i64, kafka: i64) -> Mark {
        let mut mark = self.mark(partition, Some(hours), Holding::Yes);
        mark.kafka = kafka;
        mark.views[0].passed.push(Passed {
            through: hours - 1,
            moment: kafka,
            offset: 3,
        });
        mark
    }

    /// Products read up to a Kafka timestamp.
    fn products(&self, kafka: i64, holding: Holding) -> Mark {
        Mark {
            topic: self.products,
            kafka,
            views: Vec::new(),
            ..self.mark(0, None, holding)
        }
    }

    fn update<const N: usize>(&mut self, marks: [Mark; N]) -> Vec<Advanced> {
        let mut advanced = Vec::new();
        self.watermarks.update(marks, |one| advanced.push(one));
        advanced
    }

    /// The watermark, in hours.
    fn hours(&self) -> Option<i64> {
        let frontier = self.watermarks.frontiers().nth(usize::from(self.view));
        let watermark = frontier.unwrap().watermark;
        (watermark != NEVER).then(|| watermark.div_euclid(HOUR))
    }
}

fn moments(advanced: &Advanced) -> Vec<(i64, i64)> {
    let moments = advanced.moments.iter();
    moments.map(|moment| (moment.through, moment.at)).collect()
}

#[test]
fn a_view_is_as_far_as_the_last_of_its_partitions() {
    let mut known = Known::of("log_analysis");
    let marks = [
        known.mark(0, Some(5), Holding::Yes),
        known.mark(1, None, Holding::Yes),
    ];
    assert_eq!(known.update(marks), [], "one has shown nothing yet");
    let mark = known.mark(1, Some(3), Holding::Yes);
    let advanced = known.update([mark]);
    assert_eq!((advanced[0].watermark, advanced[0].through), (3 * HOUR, 2));
    let mark = known.mark(1, Some(9), Holding::Yes);
    known.update([mark]);
    assert_eq!(known.hours(), Some(5));
}

#[test]
fn an_idle_partition_does_not_count_until_it_speaks_and_nothing_goes_back() {
    let mut known = Known::of("log_analysis");
    let marks = [
        known.mark(0, Some(5), Holding::Yes),
        known.mark(1, Some(3), Holding::Idle),
        known.mark(2, None, Holding::Idle),
    ];
    known.update(marks);
    assert_eq!(known.hours(), Some(5));
    let marks = [
        known.mark(1, Some(4), Holding::Yes),
        known.mark(0, Some(8), Holding::Yes),
    ];
    assert_eq!(known.update(marks), []);
    assert_eq!(known.hours(), Some(5), "held, but not taken back");
}

#[test]
fn when_all_are_idle_the_furthest_counts() {
    let mut known = Known::of("log_analysis");
    let marks = [
        known.mark(0, Some(5), Holding::Idle),
        known.mark(1, Some(3), Holding::Idle),
    ];
    known.update(marks);
    assert_eq!(known.hours(), Some(5));
}

#[test]
fn what_has_ended_stays_where_it_is_and_does_not_count_without_any_time() {
    let mut known = Known::of("log_analysis");
    let marks = [
        known.mark(0, Some(5), Holding::Ended),
        known.mark(1, Some(3), Holding::Ended),
        known.mark(2, None, Holding::Ended),
    ];
    known.update(marks);
    assert_eq!(known.hours(), Some(3));
}

#[test]
fn a_joined_window_closes_as_of_its_moment_when_all_is_read_beyond_it() {
    let mut known = Known::of("revenue_analysis");
    let marks = [
        known.sent(0, 5, 100),
        known.sent(1, 4, 70),
        known.products(50, Holding::Yes),
    ];
    known.update(marks);
    assert_eq!(known.hours(), None, "products are not read up to 100");
    let products = known.products(100, Holding::Yes);
    known.update([products]);
    assert_eq!(
        known.hours(),
        None,
        "nor beyond it: more may be sent at 100"
    );

    let mut sales = known.mark(1, Some(4), Holding::Yes);
    sales.kafka = 101;
    let mut others = known.mark(0, Some(5), Holding::Yes);
    others.kafka = 101;
    let marks = [known.products(101, Holding::Yes), sales, others];
    let advanced = known.update(marks);
    // Both have passed the windows that end at four, the last of them at 100.
    assert_eq!(
        (advanced[0].through, moments(&advanced[0])),
        (3, vec![(3, 100)])
    );
    assert_eq!(known.hours(), Some(4));
    assert_eq!(advanced[0].horizon, 101);
}

#[test]
fn a_joined_topic_that_is_idle_is_not_waited_for() {
    let mut known = Known::of("revenue_analysis");
    let mut sales = known.sent(0, 5, 100);
    sales.holding = Holding::Idle;
    let marks = [sales, known.products(50, Holding::Idle)];
    let advanced = known.update(marks);
    assert_eq!(moments(&advanced[0]), [(4, 100)]);
}

#[test]
fn the_moment_of_a_window_leaves_out_nothing_of_a_partition_that_was_idle() {
    let mut known = Known::of("revenue_analysis");
    let mut idle = known.mark(1, Some(2), Holding::Idle);
    idle.kafka = 300;
    idle.views[0].passed.push(Passed {
        through: 1,
        moment: 30,
        offset: 2,
    });
    let mut sales = known.sent(0, 5, 100);
    sales.holding = Holding::Idle;
    let advanced = known.update([sales, idle]);
    // It had passed two o'clock at 30; by five, it had sent all that it has.
    assert_eq!(moments(&advanced[0]), [(1, 100), (4, 300)]);
    assert_eq!(advanced[0].moments[1].own, [(0, 4), (1, 0)]);
}

#[test]
fn a_stray_moment_is_lowered_by_what_comes_next() {
    let mut known = Known::of("revenue_analysis");
    let marks = [known.sent(0, 5, 9_000), known.products(200, Holding::Yes)];
    known.update(marks);
    let mut next = known.mark(0, Some(5), Holding::Yes);
    (next.kafka, next.least) = (101, 100);
    let advanced = known.update([next]);
    assert_eq!(moments(&advanced[0]), [(4, 100)]);
}

#[test]
fn partitions_without_timestamps_are_not_waited_for() {
    let mut known = Known::of("revenue_analysis");
    let mut products = known.products(NEVER, Holding::Yes);
    products.untimed = true;
    let mut sales = known.sent(0, 5, 100);
    sales.kafka = 101;
    let advanced = known.update([sales, products]);
    assert_eq!(moments(&advanced[0]), [(4, 100)]);

    // Where the sales have none, nothing says when: all that is known counts.
    let mut known = Known::of("revenue_analysis");
    let mut sales = known.sent(0, 5, NEVER);
    sales.untimed = true;
    let advanced = known.update([sales, known.products(50, Holding::Yes)]);
    assert_eq!(moments(&advanced[0]), [(4, i64::MAX)]);
}
