//! Money, exactly.
//!
//! A price is a decimal number. Read as a binary fraction it would be off by a
//! little, and sums would depend on the order of their parts; so it is read
//! digit by digit into an integer of billionths, and a price that needs more
//! than nine decimals is refused, never rounded.

use std::fmt;

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

/// An amount in units of 10⁻⁹ of the currency; up to 9,223,372,036.854775807.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Money(pub i64);

/// Why a text is no amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotMoney {
    /// It is not a JSON number.
    #[error("not a number")]
    NotANumber,
    /// Less than zero.
    #[error("negative")]
    Negative,
    /// More than fits.
    #[error("more than 9223372036.854775807")]
    TooLarge,
    /// More than nine decimals that are not zero.
    #[error("more than nine decimals")]
    TooManyDecimals,
}

impl Money {
    /// Decimals of the integer.
    pub const SCALE: u32 = 9;

    /// Billionths.
    #[inline]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Reads a JSON number, also one with an exponent, without rounding.
    pub fn parse(token: &str) -> Result<Money, NotMoney> {
        let number = Number::split(token).ok_or(NotMoney::NotANumber)?;
        number.nanos().map(Money)
    }
}

/// The parts of a JSON number.
struct Number<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> Number<'a> {
    /// `-? digits [. digits] [e sign? digits]`
    fn split(token: &'a str) -> Option<Number<'a>> {
        let (negative, rest) = match token.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, token),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, read_exponent(exponent)?),
            None => (rest, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (mantissa, None),
        };
        let good = is_digits(whole)
            && fraction.is_none_or(is_digits)
            && (whole.len() == 1 || !whole.starts_with('0'));
        good.then(|| Number {
            negative,
            whole: whole.as_bytes(),
            fraction: fraction.unwrap_or("").as_bytes(),
            exponent,
        })
    }

    fn nanos(&self) -> Result<i64, NotMoney> {
        let mut value: i64 = 0;
        // The power of ten of the next digit, counted in billionths. Numbers
        // longer than an exponent's limits do not exist.
        let length = i64::try_from(self.whole.len()).map_err(|_| NotMoney::TooLarge)?;
        let mut power = self
            .exponent
            .saturating_add(length + i64::from(Self::DECIMALS));
        let mut refused = None;
        let mut is_zero = true;
        for digit in self.whole.iter().chain(self.fraction) {
            power = power.saturating_sub(1);
            let digit = i64::from(digit - b'0');
            if digit == 0 {
                continue;
            }
            is_zero = false;
            if power < 0 {
                refused = refused.or(Some(NotMoney::TooManyDecimals));
                continue;
            }
            let share = u32::try_from(power)
                .ok()
                .and_then(|power| 10i64.checked_pow(power))
                .and_then(|unit| unit.checked_mul(digit));
            match share.and_then(|share| value.checked_add(share)) {
                Some(sum) => value = sum,
                None => refused = Some(NotMoney::TooLarge),
            }
        }
        match refused {
            // Minus zero is zero.
            _ if self.negative && !is_zero => Err(NotMoney::Negative),
            Some(reason) => Err(reason),
            None => Ok(value),
        }
    }

    const DECIMALS: u32 = Money::SCALE;
}

/// An exponent, cut off where it is beyond all numbers.
fn read_exponent(text: &str) -> Option<i64> {
    const BEYOND: i64 = 1 << 50;
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !is_digits(digits) {
        return None;
    }
    let size = digits.parse().map_or(BEYOND, |size: i64| size.min(BEYOND));
    Some(if text.starts_with('-') { -size } else { size })
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for Money {
    /// The shortest exact decimal: `12`, `12.5`, `0.000000001`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = 10u64.pow(Money::SCALE);
        let size = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}", size / unit)?;
        let (mut fraction, mut width) = (size % unit, Money::SCALE as usize);
        if fraction == 0 {
            return Ok(());
        }
        while fraction % 10 == 0 {
            fraction /= 10;
            width -= 1;
        }
        write!(f, ".{fraction:0width$}")
    }
}

impl Serialize for Money {
    /// An exact number for people (JSON); billionths for machines (bincode).
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return serializer.serialize_i64(self.0);
        }
        let text = self.to_string();
        let number: &RawValue = serde_json::from_str(&text).map_err(serde::ser::Error::custom)?;
        number.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
        if !deserializer.is_human_readable() {
            return i64::deserialize(deserializer).map(Money);
        }
        let token: &RawValue = Deserialize::deserialize(deserializer)?;
        Money::parse(token.get()).map_err(D::Error::custom)
    }
}
