//! Which events a view accepts: those of its topic that are neither late nor from
//! the future.
//!
//! Both are a matter of what came before in the same partition, so each partition
//! is walked by itself, in the order of its offsets.

use super::clock::Sent;
use super::dead_letters::Reason;
use super::decode::Judged;
use super::event::Event;
use super::rules::{Lateness, Rules};
use super::time;
use super::views::View;
use super::watermark::Course;
use super::window::window;
use std::collections::BTreeMap;

/// What a view makes of the events of its topic.
#[derive(Debug, Default)]
pub(super) struct Accepted<'a> {
    /// Those that count.
    pub(super) events: Vec<&'a Event>,
    /// Those that do not.
    pub(super) refused: Vec<(&'a Event, Reason)>,
    /// Every partition of the topic.
    pub(super) courses: BTreeMap<i32, Course>,
}

/// Shows a view all events of its topic.
pub(super) fn accept<'a>(view: &View, judged: &'a Judged, rules: &Rules) -> Accepted<'a> {
    let mut accepted = Accepted::default();
    for &(topic, partition) in &judged.partitions {
        if topic == view.topic {
            let last = judged.last.get(&(topic, partition)).copied();
            accepted.courses.insert(partition, Course::until(last));
        }
    }
    let of_topic = judged
        .events
        .iter()
        .filter(|event| event.topic == view.topic);
    for event in of_topic {
        let course = accepted.courses.entry(event.stamp.partition).or_default();
        match refusal(view, event, course, rules) {
            Some(reason) => accepted.refused.push((event, reason)),
            None => accepted.events.push(event),
        }
        if is_placed(view, event, rules) {
            course.see(view.time_of(event).expect("a time"), event);
        }
    }
    accepted
}

/// Why the view refuses an event that comes in a partition that has come so far.
fn refusal(view: &View, event: &Event, course: &Course, rules: &Rules) -> Option<Reason> {
    if let Some(field) = from_the_future(view, event, rules) {
        return Some(Reason::FromTheFuture { field });
    }
    if !is_placed(view, event, rules) {
        return Some(Reason::Malformed { fields: Vec::new() });
    }
    let window = window(view.time_of(event)?, rules.windows[view.name]);
    let watermark = course.watermark(rules.lateness[view.name])?;
    (window.1 <= watermark).then_some(Reason::Late { window, watermark })
}

/// Whether there is a window for it: it has a time that is believed, and the window is one
/// of the calendar.
fn is_placed(view: &View, event: &Event, rules: &Rules) -> bool {
    let years = time::FIRST_SECOND * 1_000..time::LAST_SECOND * 1_000 + 1_000;
    let is_of_calendar = |time| {
        let (start, end) = window(time, rules.windows[view.name]);
        years.contains(&start) && years.contains(&end)
    };
    let is_believed = from_the_future(view, event, rules).is_none();
    is_believed && view.time_of(event).is_some_and(is_of_calendar)
}

/// What a dead letter has to name of an event that is too far ahead of its message, or whose
/// message is of the clock. Where no window ever closes, none is.
pub(super) fn from_the_future(view: &View, event: &Event, rules: &Rules) -> Option<&'static str> {
    if rules.lateness[view.name] == Lateness::Forever {
        return None;
    }
    let latest = match event.reading.sent {
        Sent::Ahead(_) => return Some("timestamp"),
        Sent::At(sent) => sent.saturating_add(rules.max_ahead),
        Sent::Never | Sent::OtherUnit => event.reading.limit,
    };
    view.time.filter(|field| event.time(field) > latest)
}

#[cfg(test)]
mod tests {
    use super::super::decode::judge;
    use super::super::testing::{Shop, clock};
    use super::super::views::view;
    use super::*;

    const LOGS: &str = "log_analysis";

    /// Places of the events that a view accepts, and of those that it refuses.
    fn accepts(name: &str, shop: &Shop, rules: &Rules) -> [Vec<(i32, i64)>; 2] {
        let judged = judge(shop.log(), "", rules);
        let accepted = accept(view(name), &judged, rules);
        let place = |event: &Event| (event.stamp.partition, event.stamp.offset);
        [
            accepted.events.iter().map(|event| place(event)).collect(),
            accepted
                .refused
                .iter()
                .map(|(event, _)| place(event))
                .collect(),
        ]
    }

    fn refusals(name: &str, shop: &Shop, rules: &Rules) -> Vec<Reason> {
        let judged = judge(shop.log(), "", rules);
        let refused = accept(view(name), &judged, rules).refused;
        refused.into_iter().map(|(_, reason)| reason).collect()
    }

    /// Log lines of these times, each sent an hour after midnight.
    fn lines(times: &[i64]) -> Shop {
        let mut shop = Shop::default();
        for &time in times {
            shop.line(0, clock("01:00:00"), time);
        }
        shop
    }

    #[test]
    fn late_is_what_comes_when_the_watermark_has_reached_the_end() {
        // The window from ten to eleven, with a lateness of two hours.
        let just_in_time = lines(&[clock("12:59:59.999"), clock("10:59:59")]);
        assert_eq!(
            accepts(LOGS, &just_in_time, &Rules::default()),
            [vec![(0, 0), (0, 1)], vec![]]
        );
        let just_too_late = lines(&[clock("13:00:00"), clock("10:59:59")]);
        assert_eq!(
            accepts(LOGS, &just_too_late, &Rules::default()),
            [vec![(0, 0)], vec![(0, 1)]]
        );
        assert_eq!(
            refusals(LOGS, &just_too_late, &Rules::default()),
            [Reason::Late {
                window: (clock("10:00:00"), clock("11:00:00")),
                watermark: clock("11:00:00"),
            }]
        );
    }

    #[test]
    fn the_window_counts_and_not_the_event() {
        // Three hours and more behind, and the window is open for another moment.
        let shop = lines(&[clock("12:59:59"), clock("10:00:00")]);
        assert_eq!(accepts(LOGS, &shop, &Rules::default())[1], []);
        let wide = Rules::default().with_window(LOGS, 24 * 3_600_000);
        let shop = lines(&[clock("23:00:00"), clock("00:00:00")]);
        assert_eq!(accepts(LOGS, &shop, &Rules::default())[1], [(0, 1)]);
        assert_eq!(accepts(LOGS, &shop, &wide)[1], []);
    }

    #[test]
    fn each_view_has_its_own_lateness() {
        let shop = lines(&[clock("13:00:00"), clock("10:59:59")]);
        let rules = |lateness| Rules::default().with_lateness(LOGS, lateness);
        let refused = |lateness| accepts(LOGS, &shop, &rules(lateness))[1].len();
        assert_eq!(refused(Lateness::Within(2 * 3_600_000)), 1);
        assert_eq!(refused(Lateness::Within(2 * 3_600_000 + 1)), 0);
        assert_eq!(refused(Lateness::Forever), 0);
        let other =
            Rules::default().with_lateness("sales_analysis", Lateness::Within(24 * 3_600_000));
        assert_eq!(accepts(LOGS, &shop, &other)[1].len(), 1);
    }

    #[test]
    fn what_is_late_leaves_the_watermark_where_it_is() {
        let times = ["13:00:00", "09:00:00", "10:30:00", "11:00:00"].map(clock);
        assert_eq!(
            accepts(LOGS, &lines(&times), &Rules::default()),
            [vec![(0, 0), (0, 3)], vec![(0, 1), (0, 2)]]
        );
    }

    #[test]
    fn partitions_do_not_know_of_each_other() {
        let mut shop = Shop::default();
        shop.line(0, clock("13:00:00"), clock("13:00:00"));
        shop.line(1, clock("13:00:00"), clock("09:00:00"));
        shop.line(1, clock("13:00:00"), clock("11:00:00"));
        shop.line(1, clock("13:00:00"), clock("09:00:00"));
        assert_eq!(accepts(LOGS, &shop, &Rules::default())[1], []);
    }

    #[test]
    fn from_the_future_is_what_is_more_than_so_far_ahead() {
        let sent = clock("01:00:00");
        let day = 24 * 3_600_000;
        let shop = lines(&[sent + day, sent + day + 1]);
        assert_eq!(
            accepts(LOGS, &shop, &Rules::default()),
            [vec![(0, 0)], vec![(0, 1)]]
        );
        assert_eq!(
            refusals(LOGS, &shop, &Rules::default()),
            [Reason::FromTheFuture { field: "timestamp" }]
        );
        let further = Rules::default().with_max_ahead(day + 1);
        assert_eq!(accepts(LOGS, &shop, &further)[1], []);
    }

    #[test]
    fn what_is_from_the_future_moves_no_watermark() {
        let future = clock("01:00:00") + 48 * 3_600_000;
        let shop = lines(&[clock("10:00:00"), future, clock("10:30:00")]);
        assert_eq!(
            accepts(LOGS, &shop, &Rules::default()),
            [vec![(0, 0), (0, 2)], vec![(0, 1)]]
        );
        let only = lines(&[future]);
        let judged = judge(only.log(), "", &Rules::default());
        let accepted = accept(view(LOGS), &judged, &Rules::default());
        assert_eq!(accepted.courses[&0].largest(), None);
    }

    #[test]
    fn what_is_late_and_from_the_future_is_from_the_future() {
        // Ahead of its own message, and far behind the one before.
        let mut shop = Shop::default();
        shop.line(0, clock("23:00:00"), clock("23:00:00"));
        shop.line(0, clock("01:00:00") - 48 * 3_600_000, clock("01:30:00"));
        assert_eq!(
            refusals(LOGS, &shop, &Rules::default()),
            [Reason::FromTheFuture { field: "timestamp" }]
        );
    }

    #[test]
    fn one_view_accepts_what_another_refuses() {
        let mut shop = Shop::default();
        let sale = |shop: &mut Shop, sent, time| shop.sale(0, sent, "s", "p", 1, time);
        sale(&mut shop, clock("13:00:00"), clock("13:00:00"));
        // Late by its own time, not by its message's.
        sale(&mut shop, clock("13:01:00"), clock("10:00:00"));
        // Late by its message's time, not by its own.
        sale(&mut shop, clock("10:00:00"), clock("13:00:00"));
        // By both.
        sale(&mut shop, clock("10:00:00"), clock("10:00:00"));
        // From the future by its own; a message never is.
        sale(&mut shop, clock("13:02:00"), clock("14:00:00") + 86_400_000);
        let refused = |name| accepts(name, &shop, &Rules::default())[1].clone();
        assert_eq!(refused("revenue_analysis"), [(0, 1), (0, 3), (0, 4)]);
        assert_eq!(refused("sales_analysis"), [(0, 2), (0, 3)]);
    }

    #[test]
    fn what_is_malformed_has_no_time() {
        // Its message does have one, by which the view of products goes.
        let mut shop = Shop::default();
        shop.product(0, clock("10:00:00"), "p", "Books", "1");
        shop.send("products", 0, clock("23:00:00"), Some("{}"));
        shop.send("products", 0, clock("23:00:00"), None);
        shop.product(0, clock("10:00:00"), "p", "Books", "1");
        assert_eq!(
            accepts("product_analysis", &shop, &Rules::default()),
            [vec![(0, 0), (0, 3)], vec![]]
        );
    }

    #[test]
    fn every_partition_is_there_also_when_it_is_empty() {
        let mut shop = lines(&[clock("10:00:00")]);
        shop.partitions("system_logs", 3);
        let judged = judge(shop.log(), "", &Rules::default());
        let courses = accept(view(LOGS), &judged, &Rules::default()).courses;
        let largest: Vec<_> = courses.values().map(Course::largest).collect();
        assert_eq!(largest, [Some(clock("10:00:00")), None, None]);
    }
}
