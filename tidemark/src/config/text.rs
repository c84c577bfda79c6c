//! A setting is a text that takes something.
//!
//! The same setting comes from a flag, an environment variable or a file. In
//! each it is read from its text by the same [`FromText`], so that it takes the
//! same values everywhere and a wrong one is answered by the same sentence.

use std::{
    collections::BTreeSet, fmt, net::SocketAddr, num::NonZero, path::PathBuf, str::FromStr,
    time::Duration,
};

use jiff::{Span, SpanRelativeTo};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use dataflow::tally::Limit;

use super::{Http, Lateness, LogFilter, LogFormat, OnExpired, Rate, Secret, Status};

/// A value that can be given as a text.
pub(super) trait FromText: Sized {
    /// What it takes, to end the sentence "it takes …".
    const TAKES: &'static str;

    /// The value, or `None` if it is not what it takes.
    fn from_text(text: &str) -> Option<Self>;
}

/// A value together with the text it was read from. Deliberately without
/// `Debug` and `Display`, for the text may be a secret.
#[derive(Clone)]
pub(super) struct Text<T> {
    /// What it says.
    pub(super) value: T,
    text: String,
}

impl<T: FromText> FromStr for Text<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let value = T::from_text(text).ok_or_else(|| format!("it takes {}", T::TAKES))?;
        let text = text.to_owned();
        Ok(Self { value, text })
    }
}

/// Names, with commas between.
#[derive(Clone)]
pub(super) struct Names(pub(super) BTreeSet<String>);

impl FromText for Names {
    const TAKES: &'static str = "names, with commas between";

    fn from_text(text: &str) -> Option<Self> {
        let names: BTreeSet<_> = text.split(',').map(|name| name.trim().to_owned()).collect();
        (!names.contains("")).then_some(Names(names))
    }
}

/// Writes the text, as the layer of the flags is merged with the others.
impl<T> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de, T: FromText> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor(std::marker::PhantomData))
    }
}

/// Takes whatever has a text: TOML's own numbers and booleans too.
struct TextVisitor<T>(std::marker::PhantomData<T>);

impl<T: FromText> TextVisitor<T> {
    fn read<E: de::Error>(text: &str) -> Result<Text<T>, E> {
        text.parse()
            .map_err(|takes| E::custom(format!("{text:?}: {takes}")))
    }
}

impl<T: FromText> de::Visitor<'_> for TextVisitor<T> {
    type Value = Text<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::TAKES)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<T>, E> {
        Self::read(text)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Text<T>, E> {
        Self::read(&value.to_string())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Text<T>, E> {
        Self::read(&value.to_string())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Text<T>, E> {
        Self::read(&value.to_string())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Text<T>, E> {
        Self::read(&value.to_string())
    }
}

/// Reads a length of time such as `100ms`, `2h` or `1d`; a day has 24 hours.
fn duration(text: &str) -> Option<Duration> {
    let span: Span = text.trim().parse().ok()?;
    let signed = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(signed).ok()
}

impl FromText for Duration {
    const TAKES: &'static str = "a length of time of at least 1ms, such as 100ms, 2h or 1d";

    fn from_text(text: &str) -> Option<Self> {
        duration(text).filter(|length| *length >= Duration::from_millis(1))
    }
}

impl FromText for Lateness {
    const TAKES: &'static str = "a length of time such as 90s, 2h or 1d, or \"forever\"";

    fn from_text(text: &str) -> Option<Self> {
        if text == "forever" {
            return Some(Lateness::Forever);
        }
        duration(text).map(Lateness::Within)
    }
}

impl FromText for Rate {
    const TAKES: &'static str = "a whole number of at least 1, or max";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "max" => Some(Rate::Max),
            number => number.parse().ok().map(Rate::PerSecond),
        }
    }
}

impl FromText for NonZero<usize> {
    const TAKES: &'static str = "a whole number of at least 1";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl FromText for NonZero<u64> {
    const TAKES: &'static str = "a whole number of at least 1";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl FromText for usize {
    const TAKES: &'static str = "a whole number, counted from 0";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl FromText for u64 {
    const TAKES: &'static str = "a whole number";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl FromText for bool {
    const TAKES: &'static str = "true or false";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl FromText for String {
    const TAKES: &'static str = "a text";

    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl FromText for PathBuf {
    const TAKES: &'static str = "the path of a file";

    fn from_text(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| PathBuf::from(text))
    }
}

impl FromText for Limit {
    const TAKES: &'static str =
        "a number of dead letters such as 100, or a share of the messages such as 1%";

    fn from_text(text: &str) -> Option<Self> {
        text.trim().parse().ok()
    }
}

impl FromText for Secret {
    const TAKES: &'static str = "a text";

    fn from_text(text: &str) -> Option<Self> {
        Some(Secret::new(text))
    }
}

impl FromText for OnExpired {
    const TAKES: &'static str = "error or skip";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "error" => Some(OnExpired::Error),
            "skip" => Some(OnExpired::Skip),
            _ => None,
        }
    }
}

impl FromText for Status {
    const TAKES: &'static str = "auto or off";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "auto" => Some(Status::Auto),
            "off" => Some(Status::Off),
            _ => None,
        }
    }
}

impl FromText for LogFormat {
    const TAKES: &'static str = "text or json";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            _ => None,
        }
    }
}

impl FromText for LogFilter {
    const TAKES: &'static str =
        "off, error, warn, info, debug or trace, or a list such as info,dataflow=debug";

    fn from_text(text: &str) -> Option<Self> {
        LogFilter::parse(text)
    }
}

impl FromText for Http {
    const TAKES: &'static str =
        "an address such as 127.0.0.1:8080, a port of this machine such as 8080, or off";

    fn from_text(text: &str) -> Option<Self> {
        if text == "off" {
            return Some(Http::Off);
        }
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let address = match text.strip_prefix("localhost:") {
            Some(port) => local(port.parse().ok()?),
            None => match text.parse() {
                Ok(port) => local(port),
                Err(_) => text.parse().ok()?,
            },
        };
        Some(Http::At(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_as_people_write_them() {
        let ms = |text| Duration::from_text(text).map(|d| d.as_millis());
        assert_eq!(ms("100ms"), Some(100));
        assert_eq!(ms("2h"), Some(7_200_000));
        assert_eq!(ms("1d"), Some(86_400_000));
        assert_eq!(ms("1h 30m"), Some(5_400_000));
        for wrong in ["", "5", "0ms", "-1h", "1 month", "banana", "10us"] {
            assert_eq!(ms(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn lateness_may_be_nothing_or_endless() {
        assert_eq!(Lateness::from_text("forever"), Some(Lateness::Forever));
        let none = Lateness::Within(Duration::ZERO);
        assert_eq!(Lateness::from_text("0s"), Some(none));
        assert_eq!(Lateness::from_text("never"), None);
    }

    #[test]
    fn http_takes_an_address_a_port_or_off() {
        let at = |text: &str| Http::At(text.parse().expect("an address"));
        assert_eq!(Http::from_text("off"), Some(Http::Off));
        assert_eq!(Http::from_text("9000"), Some(at("127.0.0.1:9000")));
        assert_eq!(
            Http::from_text("localhost:9000"),
            Some(at("127.0.0.1:9000"))
        );
        assert_eq!(Http::from_text("0.0.0.0:80"), Some(at("0.0.0.0:80")));
        assert_eq!(Http::from_text("[::1]:80"), Some(at("[::1]:80")));
        assert_eq!(Http::from_text("example.org"), None);
        assert_eq!(Http::from_text("99999"), None);
    }
}
