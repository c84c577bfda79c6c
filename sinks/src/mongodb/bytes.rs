//! BSON, written field by field behind what is there already.
//!
//! A command holds a thousand documents in operations in an array. Built of the
//! driver's documents, each is copied into the next one around it; here all of it is
//! written once, and a document's length is filled in when it ends.

use ::mongodb::bson::{Decimal128, RawDocumentBuf, error};

/// A document, and what is nested in it, as far as it is written.
#[derive(Debug, Default)]
pub struct Bytes {
    bytes: Vec<u8>,
}

/// Where a document or array begins that has no end yet.
#[derive(Debug)]
#[must_use = "a document without an end is none"]
pub struct Open(usize);

impl Bytes {
    /// Nothing yet, with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Bytes {
        Bytes {
            bytes: Vec::with_capacity(bytes),
        }
    }

    /// Begins the outermost document.
    pub fn begin(&mut self) -> Open {
        let open = Open(self.bytes.len());
        self.bytes.extend_from_slice(&[0; 4]);
        open
    }

    /// Begins a nested document.
    pub fn document(&mut self, name: &str) -> Open {
        self.name(0x03, name);
        self.begin()
    }

    /// Begins an array.
    pub fn array(&mut self, name: &str) -> Open {
        self.name(0x04, name);
        self.begin()
    }

    /// Begins a document that is number `place` of an array.
    pub fn item(&mut self, place: usize) -> Open {
        self.place(place);
        self.begin()
    }

    /// A document that has been built otherwise, number `place` of an array.
    pub fn raw_item(&mut self, place: usize, document: &RawDocumentBuf) {
        self.place(place);
        self.bytes.extend_from_slice(document.as_bytes());
    }

    /// Ends what was begun last. Returns its length in bytes.
    #[allow(clippy::needless_pass_by_value, reason = "it ends once")]
    pub fn end(&mut self, open: Open) -> usize {
        self.bytes.push(0);
        let length = self.bytes.len() - open.0;
        self.bytes[open.0..open.0 + 4].copy_from_slice(&size(length));
        length
    }

    /// A text.
    pub fn text(&mut self, name: &str, value: &str) {
        self.name(0x02, name);
        self.bytes.extend_from_slice(&size(value.len() + 1));
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(0);
    }

    /// No value.
    pub fn null(&mut self, name: &str) {
        self.name(0x0A, name);
    }

    /// A whole number of 32 bits.
    pub fn int(&mut self, name: &str, value: i32) {
        self.name(0x10, name);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// A whole number.
    pub fn long(&mut self, name: &str, value: i64) {
        self.name(0x12, name);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// A time, in milliseconds since the UNIX epoch.
    pub fn date(&mut self, name: &str, millis: i64) {
        self.name(0x09, name);
        self.bytes.extend_from_slice(&millis.to_le_bytes());
    }

    /// A number.
    pub fn double(&mut self, name: &str, value: f64) {
        self.name(0x01, name);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// A decimal number.
    pub fn decimal(&mut self, name: &str, value: Decimal128) {
        self.name(0x13, name);
        self.bytes.extend_from_slice(&value.bytes());
    }

    /// True or false.
    pub fn bool(&mut self, name: &str, value: bool) {
        self.name(0x08, name);
        self.bytes.push(u8::from(value));
    }

    /// A document that has been built otherwise.
    pub fn raw(&mut self, name: &str, document: &RawDocumentBuf) {
        self.name(0x03, name);
        self.bytes.extend_from_slice(document.as_bytes());
    }

    /// All of it, when the outermost document has ended.
    ///
    /// # Errors
    /// When it has not.
    pub fn finish(self) -> Result<RawDocumentBuf, error::Error> {
        RawDocumentBuf::from_bytes(self.bytes)
    }

    /// The name of a document that is number `place` of an array.
    fn place(&mut self, place: usize) {
        self.name(0x03, Place::default().name(place));
    }

    /// `name` holds no NUL: all names are this project's own, or were checked when a table
    /// was laid out.
    fn name(&mut self, kind: u8, name: &str) {
        self.bytes.push(kind);
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
    }
}

/// Room for the name of what is in an array: its number.
#[derive(Debug, Default)]
pub(super) struct Place([u8; 20]);

impl Place {
    /// The name of number `place`.
    pub(super) fn name(&mut self, place: usize) -> &str {
        let Place(digits) = self;
        let mut first = digits.len();
        let mut rest = place;
        loop {
            first -= 1;
            // What is left of a division by ten is a digit.
            digits[first] = b'0' + (rest % 10).to_le_bytes()[0];
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        // Digits are always text.
        str::from_utf8(&digits[first..]).unwrap_or_default()
    }
}

/// A length as BSON has it. One that does not fit is refused by whoever reads it.
fn size(length: usize) -> [u8; 4] {
    i32::try_from(length).unwrap_or(i32::MAX).to_le_bytes()
}
