//! The usual message, read by hand.
//!
//! Nearly every message is a flat object of known fields, without an escape in it. For
//! just that there is a scanner here that knows which field it reads and in which form
//! it wants the value: no dispatch through a deserializer, and an id goes from its 36
//! characters to its sixteen bytes in one step.
//!
//! It never refuses. Whatever is not usual (an escape, a field that nobody knows or that
//! comes twice, a number with an exponent, bytes behind the object, …) it leaves to
//! `serde_json`, which decides. So it must take only what that takes, and read the same
//! from it; a property test compares the two.

use crate::{Id, Money, Text, Timestamp};
use model::hex;
use std::borrow::Cow;

/// An event that can be read by hand.
pub(crate) trait Quick<'a>: Sized {
    /// The event, if its message is of the usual form.
    fn quick(text: &'a str) -> Option<Self>;
}

/// Reads a struct of these fields, each by the method of [`Scanner`] that is named.
macro_rules! quick {
    ($event:ty { $($field:ident: $read:ident,)* }) => {
        impl<'a> crate::quick::Quick<'a> for $event {
            #[inline]
            fn quick(text: &'a str) -> Option<Self> {
                let mut scanner = crate::quick::Scanner::open(text)?;
                $(let mut $field = None;)*
                loop {
                    match scanner.key()? {
                        $(stringify!($field) if $field.is_none() => {
                            $field = Some(scanner.$read()?);
                        })*
                        _ => return None,
                    }
                    if !scanner.more()? {
                        break;
                    }
                }
                scanner.end()?;
                Some(Self { $($field: crate::quick::Given::or_absent($field)?,)* })
            }
        }
    };
}
pub(crate) use quick;

/// A field, when all of its message has been read.
pub(crate) trait Given: Sized {
    /// What it is if it was `read`, or was not there.
    fn or_absent(read: Option<Self>) -> Option<Self>;
}

impl<T> Given for Option<T> {
    #[inline]
    fn or_absent(read: Option<Self>) -> Option<Self> {
        Some(read.flatten())
    }
}

macro_rules! required {
    ($($kind:ty),*) => { $(
        impl Given for $kind {
            #[inline]
            fn or_absent(read: Option<Self>) -> Option<Self> {
                read
            }
        }
    )* };
}
required!(Id, Text<'_>, Timestamp, Money, i64);

const ONES: u64 = 0x0101_0101_0101_0101;
const TOPS: u64 = ONES * 0x80;

/// A message that is being read. Every method gives nothing where something else than
/// the usual stands.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    /// Up to the first field of an object.
    #[inline]
    pub(crate) fn open(text: &'a str) -> Option<Scanner<'a>> {
        let mut scanner = Scanner { text, at: 0 };
        scanner.take(b'{')?;
        Some(scanner)
    }

    /// The name of the next field.
    #[inline]
    pub(crate) fn key(&mut self) -> Option<&'a str> {
        self.space();
        let key = self.string()?;
        self.take(b':')?;
        self.space();
        Some(key)
    }

    /// Whether another field follows.
    #[inline]
    pub(crate) fn more(&mut self) -> Option<bool> {
        self.space();
        let next = self.peek()?;
        self.at += 1;
        match next {
            b',' => Some(true),
            b'}' => Some(false),
            _ => None,
        }
    }

    /// That nothing follows the object.
    #[inline]
    pub(crate) fn end(&mut self) -> Option<()> {
        self.space();
        (self.at == self.text.len()).then_some(())
    }

    #[inline]
    pub(crate) fn id(&mut self) -> Option<Id> {
        let bytes = self.text.as_bytes().get(self.at..)?;
        if let Some([b'"', uuid @ .., b'"']) = bytes.first_chunk::<{ hex::TEXT + 2 }>()
            && let Some(id) = Id::of_uuid(uuid)
        {
            self.at += hex::TEXT + 2;
            return Some(id);
        }
        self.string().map(Id::new)
    }

    #[inline]
    pub(crate) fn text(&mut self) -> Option<Text<'a>> {
        self.string().map(|text| Text(Cow::Borrowed(text)))
    }

    #[inline]
    pub(crate) fn status(&mut self) -> Option<Text<'a>> {
        let text = self.string()?;
        let american = if text == "cancelled" {
            "canceled"
        } else {
            text
        };
        Some(Text(Cow::Borrowed(american)))
    }

    #[inline]
    pub(crate) fn optional_text(&mut self) -> Option<Option<Text<'a>>> {
        match self.peek()? {
            b'"' => self.text().map(Some),
            _ => self.null(),
        }
    }

    #[inline]
    pub(crate) fn time(&mut self) -> Option<Timestamp> {
        Timestamp::parse(self.string()?).ok()
    }

    /// An integer that is not negative and has at most 18 digits.
    #[inline]
    pub(crate) fn count(&mut self) -> Option<i64> {
        let mut value = 0;
        for digit in self.number()?.bytes() {
            // The point of a decimal is no digit.
            let digit = digit.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            value = value * 10 + i64::from(digit);
        }
        Some(value)
    }

    #[inline]
    pub(crate) fn optional_int(&mut self) -> Option<Option<i64>> {
        match self.peek()? {
            b'n' => self.null(),
            _ => self.count().map(Some),
        }
    }

    #[inline]
    pub(crate) fn optional_number(&mut self) -> Option<Option<f64>> {
        match self.peek()? {
            b'n' => self.null(),
            _ => self.number()?.parse().ok().map(Some),
        }
    }

    #[inline]
    pub(crate) fn money(&mut self) -> Option<Money> {
        Money::parse(self.number()?).ok()
    }

    /// `digits [. digits]`, at most 18 characters, without needless zeros in front.
    #[inline]
    fn number(&mut self) -> Option<&'a str> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let digits = |from: usize| {
            let rest = rest.get(from..).unwrap_or_default();
            rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
        };
        let whole = digits(0);
        let mut length = whole;
        if rest.get(whole) == Some(&b'.') {
            let fraction = digits(whole + 1);
            if fraction == 0 {
                return None;
            }
            length += 1 + fraction;
        }
        let ends = !matches!(rest.get(length), Some(b'e' | b'E'));
        let good = whole > 0 && (whole == 1 || rest[0] != b'0') && length <= 18 && ends;
        let number = good.then(|| self.text.get(self.at..self.at + length))?;
        self.at += length;
        number
    }

    #[inline]
    fn null<T>(&mut self) -> Option<Option<T>> {
        let rest = self.text.as_bytes().get(self.at..)?;
        rest.starts_with(b"null").then(|| {
            self.at += 4;
            None
        })
    }

    /// A string without escapes: eight characters at a time are looked through for what
    /// ends it, or is not allowed in it.
    #[inline]
    fn string(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        if *bytes.get(self.at)? != b'"' {
            return None;
        }
        let from = self.at + 1;
        let mut at = from;
        loop {
            let Some(eight) = bytes.get(at..at + 8) else {
                // The last characters of a message.
                let special = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20);
                at += bytes.get(at..)?.iter().position(special)?;
                break;
            };
            let eight = u64::from_le_bytes(eight.try_into().ok()?);
            let found = equal(eight, b'"') | equal(eight, b'\\') | below_space(eight);
            if found != 0 {
                at += found.trailing_zeros() as usize / 8;
                break;
            }
            at += 8;
        }
        if bytes[at] != b'"' {
            return None;
        }
        self.at = at + 1;
        self.text.get(from..at)
    }

    #[inline]
    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn take(&mut self, byte: u8) -> Option<()> {
        self.space();
        (self.peek()? == byte).then(|| self.at += 1)
    }
}

/// The top bit of each byte that is `byte`. What is set above the lowest such bit may be
/// wrong: a difference borrows from the next byte.
#[inline]
fn equal(eight: u64, byte: u8) -> u64 {
    let differ = eight ^ (ONES * u64::from(byte));
    differ.wrapping_sub(ONES) & !differ & TOPS
}

/// Likewise of each byte below a space.
#[inline]
fn below_space(eight: u64) -> u64 {
    eight.wrapping_sub(ONES * 0x20) & !eight & TOPS
}
