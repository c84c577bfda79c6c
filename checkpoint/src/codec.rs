//! The bytes of a value, written by hand.
//!
//! What lies in a checkpoint is read by later versions of this program. So its form
//! is decided here and where the traits are implemented, and not by how a struct happens to be declared
//! elsewhere: a field that is added there does not compile until it is decided how it
//! is written. And it is fast, since restarts wait for it.
//!
//! | what | how |
//! | --- | --- |
//! | unsigned integer | seven bits a byte, the lowest first; the upper bit says that more follow |
//! | signed integer | the same of `0, -1, 1, -2, 2, …` as `0, 1, 2, 3, 4, …` |
//! | id | see [`Id::write_to`] |
//! | struct | its fields, one after the other |

use model::{Datum, Id, Slot, Stamp};

/// A value that has a form in bytes.
pub trait Codec: Sized {
    /// Appends its bytes.
    fn put(&self, into: &mut Vec<u8>);

    /// Takes it from the front, or nothing where that is no such value; then what is
    /// left in `from` has no meaning.
    fn take(from: &mut &[u8]) -> Option<Self>;
}

/// Nothing: the value of rows.
impl Codec for () {
    #[inline]
    fn put(&self, _into: &mut Vec<u8>) {}

    #[inline]
    fn take(_from: &mut &[u8]) -> Option<()> {
        Some(())
    }
}

/// Takes an unsigned integer of a type.
macro_rules! take_unsigned {
    ($type:ty, $from:ident) => {{
        let mut value = 0;
        for shift in (0..<$type>::BITS).step_by(7) {
            let byte = byte($from)?;
            let bits = <$type>::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return None;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }};
}

impl Codec for u64 {
    #[inline]
    fn put(&self, into: &mut Vec<u8>) {
        let mut rest = *self;
        while rest >= 0x80 {
            into.push(low_bits(rest) | 0x80);
            rest >>= 7;
        }
        into.push(low_bits(rest));
    }

    #[inline]
    fn take(from: &mut &[u8]) -> Option<u64> {
        take_unsigned!(u64, from)
    }
}

impl Codec for u128 {
    #[inline]
    fn put(&self, into: &mut Vec<u8>) {
        let mut rest = *self;
        loop {
            // Most are small, and the same bytes.
            if let Ok(small) = u64::try_from(rest) {
                return small.put(into);
            }
            into.push(low_bits(rest) | 0x80);
            rest >>= 7;
        }
    }

    #[inline]
    fn take(from: &mut &[u8]) -> Option<u128> {
        take_unsigned!(u128, from)
    }
}

impl Codec for i64 {
    #[inline]
    fn put(&self, into: &mut Vec<u8>) {
        ((self << 1) ^ (self >> 63)).cast_unsigned().put(into);
    }

    #[inline]
    fn take(from: &mut &[u8]) -> Option<i64> {
        let folded = u64::take(from)?;
        Some((folded >> 1).cast_signed() ^ -(folded & 1).cast_signed())
    }
}

impl Codec for i128 {
    #[inline]
    fn put(&self, into: &mut Vec<u8>) {
        ((self << 1) ^ (self >> 127)).cast_unsigned().put(into);
    }

    #[inline]
    fn take(from: &mut &[u8]) -> Option<i128> {
        let folded = u128::take(from)?;
        Some((folded >> 1).cast_signed() ^ -(folded & 1).cast_signed())
    }
}

impl Codec for i32 {
    #[inline]
    fn put(&self, into: &mut Vec<u8>) {
        i64::from(*self).put(into);
    }

    #[inline]
    fn take(from: &mut &[u8]) -> Option<i32> {
        i64::take(from)?.try_into().ok()
    }
}

impl Codec for u16 {
    #[inline]
    fn put(&self, into: &mut Vec<u8>) {
        u64::from(*self).put(into);
    }

    #[inline]
    fn take(from: &mut &[u8]) -> Option<u16> {
        u64::take(from)?.try_into().ok()
    }
}

impl Codec for bool {
    #[inline]
    fn put(&self, into: &mut Vec<u8>) {
        into.push(u8::from(*self));
    }

    #[inline]
    fn take(from: &mut &[u8]) -> Option<bool> {
        match byte(from)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Codec for isize {
    #[inline]
    fn put(&self, into: &mut Vec<u8>) {
        // No machine has pointers of more than 64 bits.
        (*self as i64).put(into);
    }

    #[inline]
    fn take(from: &mut &[u8]) -> Option<isize> {
        i64::take(from)?.try_into().ok()
    }
}

impl Codec for Id {
    #[inline]
    fn put(&self, into: &mut Vec<u8>) {
        self.write_to(into);
    }

    #[inline]
    fn take(from: &mut &[u8]) -> Option<Id> {
        Id::read_from(from)
    }
}

impl Codec for Datum {
    #[inline]
    fn put(&self, into: &mut Vec<u8>) {
        self.as_id().write_to(into);
    }

    #[inline]
    fn take(from: &mut &[u8]) -> Option<Datum> {
        Id::read_from(from).map(Datum::from)
    }
}

/// How many there are, and then each.
impl Codec for Box<[Datum]> {
    fn put(&self, into: &mut Vec<u8>) {
        (self.len() as u64).put(into);
        self.iter().for_each(|datum| datum.put(into));
    }

    fn take(from: &mut &[u8]) -> Option<Box<[Datum]>> {
        let count = u64::take(from)?;
        (0..count).map(|_| Datum::take(from)).collect()
    }
}

/// A byte that says whether there is one, and then that one.
impl<T: Codec> Codec for Option<T> {
    fn put(&self, into: &mut Vec<u8>) {
        into.push(u8::from(self.is_some()));
        if let Some(one) = self {
            one.put(into);
        }
    }

    fn take(from: &mut &[u8]) -> Option<Option<T>> {
        match byte(from)? {
            0 => Some(None),
            1 => T::take(from).map(Some),
            _ => None,
        }
    }
}

/// The number of the window: the view is that of the section.
impl Codec for Slot {
    #[inline]
    fn put(&self, into: &mut Vec<u8>) {
        self.index().put(into);
    }

    #[inline]
    fn take(from: &mut &[u8]) -> Option<Slot> {
        Slot::checked(0, i64::take(from)?)
    }
}

/// Clock, partition, offset; and where `seen` is not the clock, the partition is negated
/// (bit by bit) and the difference follows. So a stamp of a program that had one time for
/// both reads as what it was.
impl Codec for Stamp {
    #[inline]
    fn put(&self, into: &mut Vec<u8>) {
        let Stamp {
            kafka,
            partition,
            offset,
            seen,
        } = self;
        kafka.put(into);
        if seen == kafka {
            partition.put(into);
            offset.put(into);
        } else {
            (!partition).put(into);
            offset.put(into);
            seen.wrapping_sub(*kafka).put(into);
        }
    }

    #[inline]
    fn take(from: &mut &[u8]) -> Option<Stamp> {
        let kafka = i64::take(from)?;
        let partition = i32::take(from)?;
        let offset = i64::take(from)?;
        let (partition, seen) = match partition {
            0.. => (partition, kafka),
            _ => (!partition, kafka.wrapping_add(i64::take(from)?)),
        };
        Some(Stamp {
            kafka,
            partition,
            offset,
            seen,
        })
    }
}

/// Some of the same kind, one after the other.
impl<T: Codec + Default, const N: usize> Codec for [T; N] {
    #[inline]
    fn put(&self, into: &mut Vec<u8>) {
        self.iter().for_each(|one| one.put(into));
    }

    #[inline]
    fn take(from: &mut &[u8]) -> Option<[T; N]> {
        let mut all: [T; N] = std::array::from_fn(|_| T::default());
        for one in &mut all {
            *one = T::take(from)?;
        }
        Some(all)
    }
}

/// The first byte, taken from the front.
#[inline]
pub fn byte(from: &mut &[u8]) -> Option<u8> {
    let (first, rest) = from.split_first()?;
    *from = rest;
    Some(*first)
}

/// The lowest seven bits.
#[inline]
fn low_bits<T: TryInto<u8> + std::ops::BitAnd<Output = T> + From<u8>>(value: T) -> u8 {
    // Seven bits always fit.
    (value & T::from(0x7f)).try_into().unwrap_or(0)
}

/// A struct is its fields, in this order. It is taken apart whole, so that a field that is added
/// to it does not compile until it has a place here, and the format of files another number.
#[macro_export]
macro_rules! codec_of_fields {
    ($name:ident { $($field:ident),+ $(,)? }) => {
        impl $crate::Codec for $name {
            #[inline]
            fn put(&self, into: &mut Vec<u8>) {
                let $name { $($field),+ } = self;
                $($crate::Codec::put($field, into);)+
            }

            #[inline]
            fn take(from: &mut &[u8]) -> Option<$name> {
                $(let $field = $crate::Codec::take(from)?;)+
                Some($name { $($field),+ })
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fmt::Debug;

    fn there_and_back<T: Codec + PartialEq + Debug>(value: &T) -> Result<(), TestCaseError> {
        let mut bytes = vec![];
        value.put(&mut bytes);
        bytes.push(7);
        let mut left = bytes.as_slice();
        let taken = T::take(&mut left);
        prop_assert_eq!(taken.as_ref(), Some(value));
        prop_assert_eq!(left, [7]);
        // No value is the beginning of another one.
        for length in 0..bytes.len() - 1 {
            prop_assert_eq!(T::take(&mut &bytes[..length]), None);
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn what_is_put_is_taken(a: u64, b: u128, c: i64, d: i128, e: i32, f: isize, text: String) {
            there_and_back(&a)?;
            there_and_back(&b)?;
            there_and_back(&c)?;
            there_and_back(&d)?;
            there_and_back(&e)?;
            there_and_back(&f)?;
            there_and_back(&Id::new(&text))?;
        }
    }

    #[test]
    fn the_ends_are_there_too() {
        for value in [0, 1, -1, 63, -64, 64, i64::MAX, i64::MIN] {
            there_and_back(&value).unwrap();
            there_and_back(&i128::from(value)).unwrap();
        }
        for value in [i128::MAX, i128::MIN] {
            there_and_back(&value).unwrap();
        }
        // The form that docs/checkpoint.md shows.
        let mut bytes = vec![];
        300u64.put(&mut bytes);
        (-2i64).put(&mut bytes);
        assert_eq!(bytes, [0xac, 0x02, 0x03]);
    }

    #[test]
    fn what_does_not_fit_is_no_value() {
        let long = [0xff; 40];
        assert_eq!(u64::take(&mut &long[..]), None);
        assert_eq!(u128::take(&mut &long[..]), None);
        let mut bytes = vec![];
        i64::MAX.put(&mut bytes);
        assert_eq!(i32::take(&mut bytes.as_slice()), None);
    }
}
