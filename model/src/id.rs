//! Ids in sixteen bytes.
//!
//! An id is an opaque string, compared byte for byte, but almost all are
//! lower-case UUIDs, whose 36 characters hold no more than 128 bits. Byte 8 of a
//! UUID of the usual (RFC 9562) variant has `10` as its upper two bits, so that
//! the other values of that byte are free to mark everything else:
//!
//! | byte 8 | the other fifteen bytes |
//! | --- | --- |
//! | `0x80`–`0xbf` | with byte 8: a UUID, written in lower case |
//! | `0x00`–`0x0f` | a string of so many bytes, padded with zeros |
//! | `0x20`–`0x3f` | a number or another value of a [`Datum`](crate::Datum), in the first eight; one more byte at the end |
//! | `0x40` | first eight: a pointer to a longer string, shared and counted; the last: what the string stands for, 0 for itself |
//!
//! A string has exactly one of these forms. So unless both are on the heap, two
//! ids are equal when their bytes are, and comparing or hashing one looks at
//! two integers.
#![allow(unsafe_code)]

use std::borrow::Cow;
use std::cell::RefCell;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::hex;

/// The longest string that is held in place.
const INLINE: usize = 15;
/// Byte 8 of an id whose string lives on the heap; its last byte says what the string stands for.
const HEAP: u64 = 0x40 << 56;
/// Byte 8 of a value that is no string and is held in place: this and the next 31.
const NUMBERS: u8 = 0x20;

/// In storage, the first byte of a UUID;
const STORED_UUID: u8 = 0x10;
/// of a string that is longer than those in place;
const STORED_LONG: u8 = 0x11;
/// of such a string that stands for something else;
const STORED_TAGGED: u8 = 0x12;
/// and of a value that is no string.
const STORED_NUMBER: u8 = 0x13;

/// An opaque string in sixteen bytes: see the module's table.
///
/// The order is total and the same in every process, but it is not the order of
/// the strings.
pub struct Id {
    /// Bytes 0 to 7, the first one uppermost; or the address of an [`Arc<str>`]'s
    /// [`Shared`] whose provenance was exposed.
    upper: u64,
    /// Bytes 8 to 15, the first one uppermost.
    lower: u64,
}

/// Long strings that each thread remembers, by their hash,
const RECENT_COUNT: usize = 64;
/// as far as they are not longer than so many bytes.
const RECENT_LENGTH: usize = 64;

thread_local! {
    /// The last long string of each hash.
    static RECENT: RefCell<[Id; RECENT_COUNT]> =
        RefCell::new(std::array::from_fn(|_| Id::default()));
}

/// What a long id points to: an `Arc` of it has a thin pointer.
type Shared = Box<str>;

const _: () = assert!(size_of::<Id>() == 16);

impl Id {
    /// The id of a string: any string, also an empty one.
    #[inline]
    pub fn new(text: &str) -> Id {
        Id::of_uuid(text.as_bytes()).unwrap_or_else(|| Id::other(text))
    }

    /// The id of the text of a UUID of the usual variant, in lower case; `None` for any
    /// other string.
    #[inline]
    pub fn of_uuid(text: &[u8]) -> Option<Id> {
        let (upper, lower) = hex::parse(text)?;
        // Not made at all where it is none: whatever is made is dropped, too.
        (lower >> 62 == 0b10).then(|| Id { upper, lower })
    }

    /// The id of the UUID with these 128 bits, the same as that of its text.
    pub fn from_uuid(bits: u128) -> Id {
        let halves = bits.to_be_bytes();
        let half = |at: usize| {
            let bytes: [u8; 8] = std::array::from_fn(|place| halves[at + place]);
            u64::from_be_bytes(bytes)
        };
        let (upper, lower) = (half(0), half(8));
        if lower >> 62 == 0b10 {
            return Id { upper, lower };
        }
        Id::new(std::str::from_utf8(&hex::format(upper, lower)).unwrap_or(""))
    }

    /// The id of a string that is not a UUID of the usual variant.
    fn other(text: &str) -> Id {
        let bytes = text.as_bytes();
        if bytes.len() > INLINE {
            return Id::long(text);
        }
        let mut upper = [0; 8];
        let mut lower = [0; 8];
        let (left, right) = bytes.split_at(bytes.len().min(8));
        upper[..left.len()].copy_from_slice(left);
        // At most 15, so that it is no UUID's and not the heap's.
        lower[0] = bytes.len().to_le_bytes()[0];
        lower[1..=right.len()].copy_from_slice(right);
        Id {
            upper: u64::from_be_bytes(upper),
            lower: u64::from_be_bytes(lower),
        }
    }

    /// The id of a string that is too long to be held in place. Names that come
    /// again and again, such as `wishlist_addition`, are allocated once.
    fn long(text: &str) -> Id {
        Id::on_heap(0, text)
    }

    /// A string on the heap, which stands for what `tag` says.
    fn on_heap(tag: u8, text: &str) -> Id {
        if text.len() > RECENT_LENGTH {
            return Id::allocate(tag, text);
        }
        RECENT.with_borrow_mut(|recent| {
            let hash = text.bytes().fold(0usize, |hash, byte| {
                hash.wrapping_mul(31).wrapping_add(usize::from(byte))
            });
            let place = &mut recent[hash % RECENT_COUNT];
            if place.shared() != Some(text) || place.tag() != tag {
                *place = Id::allocate(tag, text);
            }
            place.clone()
        })
    }

    fn allocate(tag: u8, text: &str) -> Id {
        let shared: Arc<Shared> = Arc::new(text.into());
        let address = Arc::into_raw(shared).expose_provenance() as u64;
        Id {
            upper: address,
            lower: HEAP | u64::from(tag),
        }
    }

    #[inline]
    fn is_uuid(&self) -> bool {
        self.lower >> 62 == 0b10
    }

    #[inline]
    fn is_heap(&self) -> bool {
        self.lower >> 56 == HEAP >> 56
    }

    /// A value that is no string: its kind (0 to 31), 64 bits, and a byte.
    pub(crate) fn number(kind: u8, bits: u64, byte: u8) -> Id {
        let marker = u64::from(NUMBERS | (kind & 0x1f)) << 56;
        Id {
            upper: bits,
            lower: marker | u64::from(byte),
        }
    }

    /// What [`Id::number`] has made of kind, bits and byte.
    #[inline]
    pub(crate) fn as_number(&self) -> Option<(u8, u64, u8)> {
        let [marker, .., byte] = self.lower.to_be_bytes();
        (marker >> 5 == NUMBERS >> 5).then_some((marker & 0x1f, self.upper, byte))
    }

    /// A string that stands for something else, of the kind `tag`, which is not 0.
    pub(crate) fn tagged(tag: u8, text: &str) -> Id {
        Id::on_heap(tag, text)
    }

    /// What [`Id::tagged`] has made.
    pub(crate) fn as_tagged(&self) -> Option<(u8, &str)> {
        let tag = self.tag();
        self.shared().filter(|_| tag != 0).map(|text| (tag, text))
    }

    /// Of an id on the heap: what its string stands for.
    #[inline]
    fn tag(&self) -> u8 {
        self.lower.to_be_bytes()[7]
    }

    /// The shared string of a long id.
    #[inline]
    fn shared(&self) -> Option<&str> {
        if !self.is_heap() {
            return None;
        }
        // SAFETY: only `allocate` makes an id with `HEAP`, out of `Arc::into_raw`, and
        // that reference is given up only by this id's `drop`: so the string lives
        // at least as long as `self`, and nothing ever changes it.
        Some(unsafe { &**self.pointer() })
    }

    /// Of a long id: the pointer that `Arc::into_raw` gave.
    fn pointer(&self) -> *const Shared {
        // On every target a pointer fits 64 bits, and this one came from a pointer.
        std::ptr::with_exposed_provenance(usize::try_from(self.upper).unwrap_or(0))
    }

    /// Hands the string to `read`, without allocating.
    pub(crate) fn with_str<R>(&self, read: impl FnOnce(&str) -> R) -> R {
        if self.is_uuid() {
            // Hexadecimal digits and hyphens are always text.
            return read(std::str::from_utf8(&hex::format(self.upper, self.lower)).unwrap_or(""));
        }
        if let Some(text) = self.shared() {
            return read(text);
        }
        let mut bytes = [0; INLINE];
        bytes[..8].copy_from_slice(&self.upper.to_be_bytes());
        bytes[8..].copy_from_slice(&self.lower.to_be_bytes()[1..]);
        // What is no string has none.
        let length = usize::from(self.lower.to_be_bytes()[0]);
        let length = Some(length).filter(|length| *length <= INLINE).unwrap_or(0);
        // They were copied from a `&str`, so they are always text.
        read(std::str::from_utf8(&bytes[..length]).unwrap_or(""))
    }

    /// Appends the form that it has in storage:
    ///
    /// | first byte | then |
    /// | --- | --- |
    /// | `0x00`–`0x0f` | a string of so many bytes |
    /// | `0x10` | the sixteen bytes of a UUID of the usual variant |
    /// | `0x11` | the length of a longer string, in eight bytes, the lowest first, and the string |
    /// | `0x12` | what it stands for, and the same |
    /// | `0x13` | kind, byte and the eight bytes of what is no string, the uppermost first |
    ///
    /// What is stored outlives this program, so that this form never changes.
    #[inline]
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let halves = (u128::from(self.upper) << 64) | u128::from(self.lower);
        if self.is_uuid() {
            let mut bytes = [STORED_UUID; 17];
            bytes[1..].copy_from_slice(&halves.to_be_bytes());
            out.extend_from_slice(&bytes);
        } else if let Some((kind, bits, byte)) = self.as_number() {
            out.extend_from_slice(&[STORED_NUMBER, kind, byte]);
            out.extend_from_slice(&bits.to_be_bytes());
        } else if let Some(text) = self.shared() {
            match self.tag() {
                0 => out.push(STORED_LONG),
                tag => out.extend_from_slice(&[STORED_TAGGED, tag]),
            }
            out.extend_from_slice(&(text.len() as u64).to_le_bytes());
            out.extend_from_slice(text.as_bytes());
        } else {
            self.with_str(|text| {
                // At most fifteen, or it would be on the heap.
                out.push(text.len().to_le_bytes()[0]);
                out.extend_from_slice(text.as_bytes());
            });
        }
    }

    /// Takes an id that [`Id::write_to`] has written from the front of `bytes`, or
    /// nothing where there is none; then what is left in `bytes` has no meaning.
    #[inline]
    pub fn read_from(bytes: &mut &[u8]) -> Option<Id> {
        let (&first, rest) = bytes.split_first()?;
        if first == STORED_UUID {
            let (stored, rest) = rest.split_first_chunk::<16>()?;
            *bytes = rest;
            let (upper, lower) = stored.split_at(8);
            let upper = u64::from_be_bytes(upper.try_into().ok()?);
            let lower = u64::from_be_bytes(lower.try_into().ok()?);
            return (lower >> 62 == 0b10).then(|| Id { upper, lower });
        }
        if first == STORED_NUMBER {
            let ([kind, byte], rest) = rest.split_first_chunk()?;
            let (bits, rest) = rest.split_first_chunk()?;
            *bytes = rest;
            return (*kind < 32).then(|| Id::number(*kind, u64::from_be_bytes(*bits), *byte));
        }
        if first == STORED_TAGGED {
            let (&tag, rest) = rest.split_first()?;
            let (length, rest) = rest.split_first_chunk::<8>()?;
            let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
            let (text, rest) = rest.split_at_checked(length)?;
            *bytes = rest;
            let text = std::str::from_utf8(text).ok()?;
            return (tag != 0).then(|| Id::tagged(tag, text));
        }
        let (length, rest) = match first {
            STORED_LONG => {
                let (length, rest) = rest.split_first_chunk::<8>()?;
                let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
                (Some(length).filter(|length| *length > INLINE)?, rest)
            }
            short => (
                Some(usize::from(short)).filter(|length| *length <= INLINE)?,
                rest,
            ),
        };
        let (text, rest) = rest.split_at_checked(length)?;
        *bytes = rest;
        let id = Id::new(std::str::from_utf8(text).ok()?);
        // A string that has a shorter form is not stored in the longer one.
        (!id.is_uuid()).then_some(id)
    }

    /// Appends the string to `out`.
    pub fn push_to(&self, out: &mut String) {
        self.with_str(|text| out.push_str(text));
    }
}

// SAFETY: an `Id` is plain integers or a reference-counted pointer to an immutable
// string, and behaves like `Arc<Box<str>>`, which is `Send` and `Sync`. (Two
// integers are so by themselves; this asserts it for what they may stand for.)
const _: () = {
    const fn sendable<T: Send + Sync>() {}
    sendable::<Arc<Shared>>();
    sendable::<Id>();
};

impl Clone for Id {
    #[inline]
    fn clone(&self) -> Id {
        if self.is_heap() {
            // SAFETY: the pointer came from `Arc::into_raw`, and this id's own
            // reference keeps the count above zero meanwhile. The new reference
            // belongs to the id that is returned.
            unsafe { Arc::increment_strong_count(self.pointer()) };
        }
        Id {
            upper: self.upper,
            lower: self.lower,
        }
    }
}

impl Drop for Id {
    #[inline]
    fn drop(&mut self) {
        if self.is_heap() {
            // SAFETY: the pointer came from `Arc::into_raw`, each id owns one
            // reference, and it is given up here once.
            unsafe { Arc::decrement_strong_count(self.pointer()) };
        }
    }
}

impl Default for Id {
    /// The empty string.
    fn default() -> Id {
        Id { upper: 0, lower: 0 }
    }
}

impl From<&str> for Id {
    fn from(text: &str) -> Id {
        Id::new(text)
    }
}

impl PartialEq for Id {
    #[inline]
    fn eq(&self, other: &Id) -> bool {
        if self.is_heap() && other.is_heap() {
            let is_same = self.upper == other.upper || self.shared() == other.shared();
            return is_same && self.lower == other.lower;
        }
        self.upper == other.upper && self.lower == other.lower
    }
}

impl Eq for Id {}

impl Ord for Id {
    /// Ids in place by their bytes, then those on the heap by their text.
    #[inline]
    fn cmp(&self, other: &Id) -> Ordering {
        // Sorting is most of what a dataflow does: the usual case is two integers.
        if self.is_heap() || other.is_heap() {
            let texts = self.shared().cmp(&other.shared());
            return texts.then(self.lower.cmp(&other.lower));
        }
        (self.upper, self.lower).cmp(&(other.upper, other.lower))
    }
}

impl PartialOrd for Id {
    #[inline]
    fn partial_cmp(&self, other: &Id) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Id {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        if let Some(text) = self.shared() {
            text.hash(state);
        } else {
            state.write_u64(self.upper);
            state.write_u64(self.lower);
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_str(|text| f.pad(text))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_str(|text| fmt::Debug::fmt(text, f))
    }
}

/// For formats that only machines read: the two halves, and the string where
/// they cannot hold it.
type Compact<'a> = (u64, u64, Option<Cow<'a, str>>);

impl Serialize for Id {
    /// Text for people (JSON); two integers and an option for machines (bincode).
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return self.with_str(|text| serializer.serialize_str(text));
        }
        let compact: Compact<'_> = match self.shared() {
            Some(text) => (0, self.lower, Some(text.into())),
            None => (self.upper, self.lower, None),
        };
        compact.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Id {
    /// The inverse of `serialize`; bytes that no id has are an error.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Id, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_str(TextVisitor);
        }
        match Compact::deserialize(deserializer)? {
            (_, HEAP, Some(text)) => Ok(Id::new(&text)),
            (_, lower, Some(text)) if lower & !0xff == HEAP => {
                let [.., tag] = lower.to_be_bytes();
                Ok(Id::tagged(tag, &text))
            }
            (upper, lower, None) => Id::from_halves(upper, lower)
                .ok_or_else(|| D::Error::custom("sixteen bytes that are no id")),
            _ => Err(D::Error::custom("an id both short and long")),
        }
    }
}

impl Id {
    /// The id with these halves, if they are those of an id that is in place.
    fn from_halves(upper: u64, lower: u64) -> Option<Id> {
        if lower >> 62 == 0b10 {
            return Some(Id { upper, lower });
        }
        let [marker, middle @ .., byte] = lower.to_be_bytes();
        if marker >> 5 == NUMBERS >> 5 {
            return (middle == [0; 6]).then(|| Id::number(marker & 0x1f, upper, byte));
        }
        let mut bytes = [0; INLINE];
        bytes[..8].copy_from_slice(&upper.to_be_bytes());
        bytes[8..].copy_from_slice(&lower.to_be_bytes()[1..]);
        let length = usize::from(lower.to_be_bytes()[0]);
        let id = Id::new(std::str::from_utf8(bytes.get(..length)?).ok()?);
        // Only the one form of a string counts: its padding is zeros.
        (id.upper == upper && id.lower == lower).then_some(id)
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Id;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    #[inline]
    fn visit_str<E>(self, text: &str) -> Result<Id, E> {
        Ok(Id::new(text))
    }
}
