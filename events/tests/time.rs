//! Times agree with a library that has no shortcuts.

use events::Timestamp;
use jiff::civil;
use proptest::prelude::*;

const FIRST: i64 = -62_135_596_800_000_000;
const LAST: i64 = 253_402_300_799_999_999;

fn parse(text: &str) -> Option<i64> {
    Timestamp::parse(text).ok().map(Timestamp::as_micros)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn what_is_written_is_read(micros in FIRST..=LAST) {
        let time = Timestamp(micros);
        prop_assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
        let json = serde_json::to_string(&time).unwrap();
        prop_assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), time);
        let bytes = bincode::serialize(&time).unwrap();
        prop_assert_eq!(bincode::deserialize::<Timestamp>(&bytes).unwrap(), time);
    }

    #[test]
    fn writing_never_panics(micros in any::<i64>()) {
        let time = Timestamp(micros);
        let _ = time.to_string();
        prop_assert!(Timestamp::from_millis(time.as_millis()) <= time);
        let _ = Timestamp::from_millis(micros);
    }

    #[test]
    fn the_calendar_is_jiff_s(
        (year, month, day) in (1..=9999i16, 0..=13i8, 0..=32i8),
        (hour, minute, second) in (0..=24i8, 0..=60i8, 0..=59i8),
        fraction in "|\\.[0-9]{1,9}",
    ) {
        let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}");
        let digits = format!("{:0<9}", fraction.trim_start_matches('.'));
        let expected = civil::Date::new(year, month, day)
            .and_then(|date| Ok(date.to_datetime(civil::Time::new(hour, minute, second, digits.parse().unwrap())?)))
            .ok()
            .map(|time| {
                let epoch = civil::date(1970, 1, 1).at(0, 0, 0, 0);
                i64::try_from(time.duration_since(epoch).as_nanos().div_euclid(1000)).unwrap()
            });
        prop_assert_eq!(parse(&text), expected, "{}", text);
    }

    #[test]
    fn offsets_are_jiff_s(
        micros in FIRST + 90_000_000_000..=LAST - 180_000_000_000,
        sign in "[+-]",
        hour in 0..=23i64,
        minute in 0..=59i64,
    ) {
        let text = format!("{}{sign}{hour:02}:{minute:02}", Timestamp(micros));
        let expected: jiff::Timestamp = text.parse().unwrap();
        prop_assert_eq!(parse(&text), Some(expected.as_microsecond()));
    }

    #[test]
    fn digits_and_marks_never_panic(text in "[0-9TZ:. +-]{0,40}") {
        let _ = parse(&text);
    }

    #[test]
    fn any_text_never_panics(text in any::<String>()) {
        let _ = parse(&text);
    }

    #[test]
    fn one_wrong_character_is_seen(at in 0..26usize, with in "[^0-9]") {
        let mut text = String::from("2024-11-02T13:45:11.123456");
        text.replace_range(at..=at, &with);
        let still = "2024-11-02T13:45:11.123456".as_bytes()[at] == with.as_bytes()[0]
            || (at == 10 && with == " ")
            || (at == 25 && with == "Z");
        prop_assert_eq!(parse(&text).is_some(), still, "{}", text);
    }
}

#[test]
fn shapes() {
    let noon = 1_730_548_800_000_000;
    for (text, expected) in [
        ("2024-11-02T12:00:00", Some(noon)),
        ("2024-11-02 12:00:00", Some(noon)),
        ("2024-11-02T12:00:00Z", Some(noon)),
        ("2024-11-02T12:00:00+00:00", Some(noon)),
        ("2024-11-02T13:00:00+01:00", Some(noon)),
        ("2024-11-02T13:00:30.5+01:00:30", Some(noon + 500_000)),
        ("2024-11-01T22:30:00-13:30", Some(noon)),
        ("2024-11-02T12:00:00.1", Some(noon + 100_000)),
        ("2024-11-02T12:00:00.123456", Some(noon + 123_456)),
        ("2024-11-02T12:00:00.123456999Z", Some(noon + 123_456)),
        ("2024-11-02T12:00:00.1234567890", None),
        ("2024-11-02T12:00:00.", None),
        ("2024-11-02T12:00:00.Z", None),
        ("2024-11-02T12:00", None),
        ("2024-11-02", None),
        ("", None),
        ("2024-11-02T12:00:00+24:00", None),
        ("2024-11-02T12:00:00+0100", None),
        ("2024-11-02T12:00:60", None),
        ("2024-02-29T00:00:00", Some(1_709_164_800_000_000)),
        ("2023-02-29T00:00:00", None),
        ("1900-02-29T00:00:00", None),
        ("0000-12-31T00:00:00", None),
        ("0001-01-01T00:00:00", Some(FIRST)),
        ("0001-01-01T00:00:00+00:01", None),
        ("9999-12-31T23:59:59.999999", Some(LAST)),
        ("9999-12-31T23:59:59-00:01", None),
        (" 2024-11-02T12:00:00", None),
        ("２024-11-02T12:00:00", None),
    ] {
        assert_eq!(parse(text), expected, "{text}");
    }
}

#[test]
fn milliseconds_round_down() {
    assert_eq!(Timestamp(1999).as_millis(), 1);
    assert_eq!(Timestamp(-1).as_millis(), -1);
    assert_eq!(Timestamp::from_millis(5), Timestamp(5000));
    assert_eq!(Timestamp::from_millis(0).to_string(), "1970-01-01T00:00:00");
    assert_eq!(Timestamp(-1).to_string(), "1969-12-31T23:59:59.999999");
}
