use super::*;
use jiff::civil::{Date, date};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;

const HOUR: i64 = 3_600 * SECOND;

fn fixed(slide: i64, size: i64, offset: i64) -> Window {
    let [slide, size, offset] = [slide, size, offset].map(Span::micros);
    Window::hopping(slide, size, offset, None).unwrap()
}

fn time(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_microsecond()
}

/// What holds of all windows.
fn check(window: Window, micros: i64) {
    let holding = window.holding(micros);
    let (first, last) = (*holding.start(), *holding.end());
    assert_eq!(last - first + 1, window.overlap());
    for index in holding {
        assert!(window.start_micros(index) <= micros && micros < window.end_micros(index));
        assert_eq!(
            window.start_millis(index) * 1_000,
            window.start_micros(index)
        );
        assert_eq!(window.end_millis(index) * 1_000, window.end_micros(index));
        assert_eq!(
            window.index_starting(window.start_millis(index)),
            Some(index)
        );
        assert_eq!(window.index_starting(window.start_millis(index) + 1), None);
    }
    assert!(window.end_micros(first - 1) <= micros && micros < window.start_micros(last + 1));
    let before = window.last_before(micros);
    assert!(window.end_micros(before) <= micros && micros < window.end_micros(before + 1));
    assert_eq!(window.last_before(window.end_micros(last)), last);
    assert_eq!(window.last_before(window.end_micros(last) - 1), last - 1);
    assert_eq!(WindowCursor::new(window).index_of(micros), last);
}

/// Zones with days of 23 and 25 hours, of offsets that are no hours, that change at midnight, by
/// half an hour, and one that skipped a day.
const ZONES: [&str; 6] = [
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Pacific/Apia",
];

fn zone_of(name: &str) -> TimeZone {
    TimeZoneDatabase::bundled().get(name).unwrap()
}

/// The number of the cell that a date is of, by the dates alone.
fn period(day: Date, span: Span) -> i64 {
    match span {
        Span {
            months: 0, days, ..
        } => i64::from((day - date(1970, 1, 1)).get_days()).div_euclid(days),
        Span { months, .. } => {
            (i64::from(day.year() - 1970) * 12 + i64::from(day.month()) - 1).div_euclid(months)
        }
    }
}

/// The first microsecond of the cell of a time, by asking for the local date again and again.
fn slow_start(zone: &TimeZone, span: Span, micros: i64) -> i64 {
    let of = |micros| {
        let time = Timestamp::from_microsecond(micros).unwrap();
        period(zone.to_datetime(time).date(), span)
    };
    let own = of(micros);
    let mut is_not = micros - (span.days + 32 * span.months + 2) * DAY;
    assert!(of(is_not) < own);
    let mut is = micros;
    while is - is_not > 1 {
        let middle = is_not + (is - is_not) / 2;
        match of(middle) < own {
            true => is_not = middle,
            false => is = middle,
        }
    }
    is
}

fn spans() -> impl Strategy<Value = Span> {
    let days = prop::sample::select(vec![1, 2, 7, 30]).prop_map(Span::days);
    let months = prop::sample::select(vec![1, 3, 12]).prop_map(Span::months);
    prop_oneof![days, months]
}

/// When the clocks of these zones change.
const CHANGES: [&str; 10] = [
    "2024-03-31T01:00:00Z",
    "2024-10-27T01:00:00Z",
    "2024-03-10T07:00:00Z",
    "2024-11-03T06:00:00Z",
    "1985-12-31T18:30:00Z",
    "2018-02-18T02:00:00Z",
    "2018-11-04T03:00:00Z",
    "2024-04-06T15:00:00Z",
    "2024-10-05T15:30:00Z",
    "2011-12-30T10:00:00Z",
];

/// Any time from 1971 to 2040, or one near a change of a zone's clocks.
fn times() -> impl Strategy<Value = i64> {
    let near = (prop::sample::select(&CHANGES[..]), -3 * DAY..3 * DAY);
    let close = (prop::sample::select(&CHANGES[..]), -2i64..2);
    prop_oneof![
        time("1971-06-01T00:00:00Z")..time("2040-01-01T00:00:00Z"),
        near.prop_map(|(change, after)| time(change) + after),
        close.prop_map(|(change, after)| time(change) + after),
    ]
}

proptest! {
    #[test]
    fn a_time_lies_in_its_windows(
        micros in FIRST_DATE..LAST_DATE,
        seconds in 1i64..100_000,
        cells in 1i64..20,
        offset in -200_000_000i64..200_000_000,
    ) {
        check(fixed(seconds * SECOND, cells * seconds * SECOND, offset * 1_000), micros);
    }

    #[test]
    fn fixed_windows_are_those_that_counting_finds(
        micros in -500 * SECOND..500 * SECOND,
        slide in 1i64..60,
        cells in 1i64..5,
        offset in -100i64..100,
    ) {
        let window = fixed(slide * SECOND, cells * slide * SECOND, offset * SECOND);
        let starts = (-1_000..1_000).map(|number| (number * slide + offset) * SECOND);
        let holds = |start: &i64| *start <= micros && micros < start + cells * slide * SECOND;
        let expected: Vec<_> = starts.filter(holds).collect();
        let found: Vec<_> = window.holding(micros).map(|index| window.start_micros(index)).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn calendar_windows_begin_where_the_local_date_changes(
        name in prop::sample::select(&ZONES[..]),
        span in spans(),
        cells in 1i64..5,
        micros in times(),
    ) {
        let size = Span { months: span.months * cells, days: span.days * cells, micros: 0 };
        let window = Window::hopping(span, size, Span::ZERO, Some(name)).unwrap();
        let zone = zone_of(name);
        let last = window.index_of(micros);
        prop_assert_eq!(window.start_micros(last), slow_start(&zone, span, micros));
        // The ends are the starts of others, which the oracle finds one after the other.
        let mut end = window.start_micros(last);
        for index in (last - cells + 1..=last).rev() {
            prop_assert_eq!(window.start_micros(index), end);
            end = slow_start(&zone, span, end - 1);
        }
        check(window, micros);
    }

    #[test]
    fn days_that_begin_at_another_hour(
        name in prop::sample::select(&ZONES[..5]),
        hours in -5i64..20,
        micros in times(),
    ) {
        let offset = Span::micros(hours * HOUR);
        let window = Window::tumbling(Span::days(1), offset, Some(name)).unwrap();
        let start = Timestamp::from_microsecond(window.start_micros(window.index_of(micros)));
        let shown = zone_of(name).to_datetime(start.unwrap());
        let expected = shown.date().at(0, 0, 0, 0) + hours.rem_euclid(24).hours();
        // Where the clocks jump over that hour, the day begins with the jump.
        let later = (shown - expected).total(jiff::Unit::Minute).unwrap();
        prop_assert!((0.0..=60.0).contains(&later), "{shown} {expected}");
        check(window, micros);
    }

    #[test]
    fn months_that_begin_later(
        months in 1i64..30,
        cells in 1i64..4,
        offset_months in -40i64..40,
        offset_days in -27i64..28,
        micros in FIRST_DATE..LAST_DATE,
    ) {
        let offset = Span { months: offset_months, days: offset_days, micros: 0 };
        let size = Span::months(months * cells);
        let window = Window::hopping(Span::months(months), size, offset, None).unwrap();
        check(window, micros);
        let last = window.index_of(micros);
        let Ok(start) = Timestamp::from_microsecond(window.start_micros(last)) else {
            return Ok(());
        };
        let day = TimeZone::UTC.to_datetime(start).date() - offset_days.days();
        prop_assert_eq!(day.day(), 1);
        let number = period(day, Span::months(1));
        prop_assert_eq!((number - offset_months).rem_euclid(months), 0);
    }

    #[test]
    fn a_cursor_finds_what_windows_have(
        name in prop::sample::select(&ZONES[..]),
        span in spans(),
        times in prop::collection::vec(times(), 1..20),
    ) {
        for window in [
            Window::tumbling(span, Span::ZERO, Some(name)).unwrap(),
            Window::tumbling(span, Span::ZERO, None).unwrap(),
            Window::ALL,
        ] {
            let mut cursor = WindowCursor::new(window);
            for micros in &times {
                prop_assert_eq!(cursor.index_of(*micros), window.index_of(*micros));
            }
        }
    }

    #[test]
    fn no_number_is_too_large(micros: i64, index: i64) {
        let month = Window::tumbling(Span::months(1), Span::ZERO, Some("Europe/Berlin"));
        for window in [Window::HOUR, fixed(HOUR, 3 * HOUR, HOUR / 2), month.unwrap(), Window::ALL] {
            let last = window.last_before(micros);
            window.end_millis(last);
            prop_assert!(window.start_micros(index) <= window.end_micros(index));
        }
    }
}

#[test]
fn windows_of_the_calendar_begin_and_end_in_it() {
    let zoned = |span| Window::tumbling(span, Span::ZERO, Some("Pacific/Auckland")).unwrap();
    let fixed = [1, 3_600, 86_400, 864_000_000].map(|size| fixed(size * SECOND, size * SECOND, 0));
    let more = [
        super::tests::fixed(HOUR, 24 * HOUR, HOUR / 2),
        zoned(Span::days(1)),
        zoned(Span::months(1)),
        Window::tumbling(Span::months(12), Span::ZERO, None).unwrap(),
    ];
    for window in fixed.into_iter().chain(more) {
        let (first, last) = window.of_calendar();
        let starts = |index| window.start_micros(index) >= FIRST_DATE;
        let ends = |index| window.end_micros(index) <= LAST_DATE;
        assert!(starts(first) && !starts(first - 1), "{window}");
        assert!(ends(last) && !ends(last + 1), "{window}");
    }
}

#[test]
fn days_are_as_long_as_the_clocks_make_them() {
    let length = |zone, at: &str| {
        let window = Window::tumbling(Span::days(1), Span::ZERO, Some(zone)).unwrap();
        let index = window.index_of(time(at));
        let start = Timestamp::from_millisecond(window.start_millis(index)).unwrap();
        let hours = (window.end_micros(index) - window.start_micros(index)) / (HOUR / 10);
        (start.to_string(), hours)
    };
    let of = |start: &str, tenths| (start.to_owned(), tenths);
    let berlin = "Europe/Berlin";
    let spring = of("2024-03-30T23:00:00Z", 230);
    assert_eq!(length(berlin, "2024-03-31T00:00:00Z"), spring);
    let autumn = of("2024-10-26T22:00:00Z", 250);
    assert_eq!(length(berlin, "2024-10-27T22:59:59Z"), autumn);
    // At midnight the clocks are set to one o'clock.
    let spring = of("2018-11-04T03:00:00Z", 230);
    assert_eq!(length("America/Sao_Paulo", "2018-11-04T03:00:00Z"), spring);
    let autumn = of("2018-02-17T02:00:00Z", 250);
    assert_eq!(length("America/Sao_Paulo", "2018-02-18T02:59:59Z"), autumn);
    let spring = of("2024-10-05T13:30:00Z", 235);
    assert_eq!(
        length("Australia/Lord_Howe", "2024-10-06T00:00:00Z"),
        spring
    );
    // Of 30 December there is nothing; the 31st follows.
    let last = of("2011-12-29T10:00:00Z", 240);
    assert_eq!(length("Pacific/Apia", "2011-12-30T09:59:59Z"), last);
    let next = of("2011-12-30T10:00:00Z", 240);
    assert_eq!(length("Pacific/Apia", "2011-12-30T10:00:00Z"), next);
}

#[test]
fn weeks_begin_on_thursdays_and_with_an_offset_on_mondays() {
    let days = |zone| Window::tumbling(Span::days(1), Span::ZERO, zone).unwrap();
    let berlin = days(Some("europe/berlin"));
    assert_eq!(berlin.time_zone(), Some("Europe/Berlin"));
    assert!(
        berlin
            .time_zones()
            .is_some_and(|version| version.starts_with("20"))
    );
    assert_eq!(
        (days(None).time_zone(), days(None).time_zones()),
        (None, None)
    );
    let weekday = |offset, zone| {
        let window = Window::tumbling(Span::days(7), Span::days(offset), zone).unwrap();
        let start = window.start_micros(window.index_of(time("2024-11-27T12:00:00Z")));
        Timestamp::from_microsecond(start).unwrap().to_string()
    };
    assert_eq!(weekday(0, None), "2024-11-21T00:00:00Z");
    assert_eq!(weekday(4, None), "2024-11-25T00:00:00Z");
    assert_eq!(weekday(4, Some("Europe/Berlin")), "2024-11-24T23:00:00Z");
    assert_eq!(weekday(4, Some("America/New_York")), "2024-11-25T05:00:00Z");
}

#[test]
fn one_window_for_all_time_never_ends() {
    let all = Window::ALL;
    assert_eq!(all.holding(i64::MIN), 0..=0);
    assert_eq!(
        (all.start_millis(0), all.end_millis(0)),
        (i64::MIN, i64::MAX)
    );
    assert_eq!(all.last_before(i64::MAX), i64::MIN);
    assert_eq!((all.of_calendar(), all.index_starting(0)), ((0, 0), None));
    assert_eq!(all.lateness(Lateness::Millis(1)), Lateness::Forever);
    assert!(!all.starts_on_seconds());
}

#[test]
fn windows_print_as_people_write_them() {
    assert_eq!(Window::HOUR.to_string(), "1h");
    assert_eq!(Window::DAY.to_string(), "1d");
    let of = |millis| Window::of(Duration::from_millis(millis)).unwrap();
    assert_eq!(of(90_000).to_string(), "90s");
    assert_eq!(of(1_500).to_string(), "1500ms");
    assert_eq!(Window::ALL.to_string(), "all time");
    let hop = |slide, size, offset, zone| {
        let window = Window::hopping(slide, size, offset, zone);
        window.unwrap().to_string()
    };
    let hour = Span::micros(HOUR);
    let quarter = Span::micros(HOUR / 4);
    assert_eq!(hop(quarter, hour, Span::ZERO, None), "1h every 15m");
    assert_eq!(hop(hour, hour, quarter, None), "1h offset 15m");
    assert_eq!(
        hop(
            Span::days(1),
            Span::days(7),
            Span::ZERO,
            Some("europe/berlin")
        ),
        "7d every 1d in Europe/Berlin"
    );
    assert_eq!(
        hop(Span::days(7), Span::days(7), Span::days(4), None),
        "7d offset 4d"
    );
    assert_eq!(hop(hour, hour, Span::ZERO, Some("Europe/Berlin")), "1h");
    let offset = Span {
        months: 3,
        days: 5,
        micros: 6 * HOUR,
    };
    assert_eq!(
        hop(
            Span::months(12),
            Span::months(24),
            offset,
            Some("Asia/Kathmandu")
        ),
        "2 years every 1 year offset 3 months 5d 6h in Asia/Kathmandu"
    );
    assert_eq!(
        hop(Span::months(1), Span::months(1), Span::ZERO, Some("UTC")),
        "1 month"
    );
    assert_eq!(Lateness::Millis(7_200_000).to_string(), "2h");
    assert_eq!(Lateness::Millis(0).to_string(), "0ms");
}

#[test]
fn windows_that_are_none_are_refused() {
    assert_eq!(Window::of(Duration::from_millis(999)), None);
    assert_eq!(Window::of(Duration::from_micros(1_000_500)), None);
    assert_eq!(Window::of(Duration::from_secs(10_001 * 86_400)), None);
    assert!(Window::of(Duration::from_secs(10_000 * 86_400)).is_some());

    let hop = |slide, size, offset, zone| Window::hopping(slide, size, offset, zone).unwrap_err();
    let (hour, none) = (Span::micros(HOUR), Span::ZERO);
    let day = Span::days(1);
    assert_eq!(
        hop(hour, Span::micros(HOUR * 3 / 2), none, None),
        WindowError::Multiple
    );
    assert_eq!(
        hop(hour, Span::micros(1_001 * HOUR), none, None),
        WindowError::Multiple
    );
    assert_eq!(hop(none, hour, none, None), WindowError::Length);
    assert_eq!(
        hop(Span::days(-1), day, none, Some("Asia/Kathmandu")),
        WindowError::Length
    );
    assert_eq!(
        hop(hour, day, none, Some("Asia/Kathmandu")),
        WindowError::Mixed
    );
    assert_eq!(hop(day, Span::months(1), none, None), WindowError::Mixed);
    assert_eq!(
        hop(Span::months(1), Span::days(30), none, None),
        WindowError::Mixed
    );
    assert_eq!(hop(day, day, Span::months(1), None), WindowError::Offset);
    assert_eq!(hop(hour, hour, Span::micros(1), None), WindowError::Offset);
    let nowhere = WindowError::Zone("Europe/Bonn".to_owned());
    assert_eq!(hop(day, day, none, Some("Europe/Bonn")), nowhere);
    // Days of no zone are of 24 hours.
    assert_eq!(
        fixed(HOUR, 24 * HOUR, 0),
        Window::hopping(hour, day, none, None).unwrap()
    );
    assert_eq!(Window::tumbling(day, none, None), Ok(Window::DAY));
}
