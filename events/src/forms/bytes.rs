//! Forms that the bytes alone show.

use super::Form;

/// Bytes at the beginning, and what they say.
const BEGINNINGS: &[(&[u8], Form)] = &[
    (b"\x1f\x8b", Form::Compressed("gzip")),
    (b"\x28\xb5\x2f\xfd", Form::Compressed("zstd")),
    (b"\x04\x22\x4d\x18", Form::Compressed("lz4")),
    (b"LZ4Block", Form::Compressed("lz4")),
    (b"\xff\x06\x00\x00sNaPpY", Form::Compressed("snappy")),
    (b"\x82SNAPPY\x00", Form::Compressed("snappy")),
    (b"BZh", Form::Compressed("bzip2")),
    (b"\xfd7zXZ\x00", Form::Compressed("xz")),
    (b"PK\x03\x04", Form::Compressed("zip")),
    (b"Obj\x01", Form::Binary("an Avro file")),
    (b"\xc3\x01", Form::Binary("Avro")),
    (b"PAR1", Form::Binary("Parquet")),
    (b"ORC", Form::Binary("ORC")),
    (b"ARROW1", Form::Binary("Arrow")),
    (
        b"\xac\xed\x00\x05",
        Form::Binary("a serialized Java object"),
    ),
    (b":)\n", Form::Binary("Smile")),
    (b"\xe0\x01\x00\xea", Form::Binary("Amazon Ion")),
];

/// The form of bytes, where it shows whatever they hold as a text.
pub(super) fn recognise(value: &[u8]) -> Option<Form> {
    if let Some(encoding) = wide(value) {
        return Some(Form::Encoding(encoding));
    }
    if value.starts_with(b"\xef\xbb\xbf") {
        return Some(Form::ByteOrderMark);
    }
    let mut beginnings = BEGINNINGS.iter();
    if let Some((_, form)) = beginnings.find(|(magic, _)| value.starts_with(magic)) {
        return Some(form.clone());
    }
    if is_zlib(value) {
        return Some(Form::Compressed("zlib"));
    }
    if let Some(form) = registry(value) {
        return Some(form);
    }
    around_json(value)
}

/// The form of bytes that are no UTF-8 text, and of which nothing else is known.
pub(super) fn not_text(value: &[u8]) -> Form {
    if is_json_object(&latin1(value)) {
        return Form::Encoding("text in another encoding, such as ISO-8859-1 or Windows-1252");
    }
    Form::Binary(binary(value).unwrap_or("binary data"))
}

/// A binary format that looks right from its beginning to its end, or at its beginning.
pub(super) fn binary(value: &[u8]) -> Option<&'static str> {
    let length = value
        .first_chunk::<4>()
        .map(|four| u32::from_le_bytes(*four));
    let ends = value.ends_with(&[0]);
    match value {
        _ if ends && length.is_some_and(|length| length as usize == value.len()) => Some("BSON"),
        // A map whose first key is a text.
        [0x80..=0x8f, 0xa1..=0xbf | 0xd9, ..] | [0xde, _, _, 0xa1..=0xbf | 0xd9, ..] => {
            Some("MessagePack")
        }
        [0xa1..=0xb7 | 0xbf, 0x61..=0x78, ..] => Some("CBOR"),
        [0x80, 2..=5, ..] if value.ends_with(b".") => Some("a Python pickle"),
        _ if is_protobuf(value) => Some("Protobuf"),
        _ => None,
    }
}

/// The name of an encoding of two or four bytes a character.
fn wide(value: &[u8]) -> Option<&'static str> {
    if value.starts_with(&[0xff, 0xfe, 0, 0]) || value.starts_with(&[0, 0, 0xfe, 0xff]) {
        return Some("UTF-32");
    }
    if value.starts_with(&[0xff, 0xfe]) || value.starts_with(&[0xfe, 0xff]) {
        return Some("UTF-16");
    }
    // JSON begins with characters of ASCII: two of them show where their zero bytes are.
    let is_ascii = |byte: u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~');
    match *value.first_chunk::<8>()? {
        [0, 0, 0, a, 0, 0, 0, b] | [a, 0, 0, 0, b, 0, 0, 0] if is_ascii(a) && is_ascii(b) => {
            Some("UTF-32")
        }
        [0, a, 0, b, 0, c, 0, d] | [a, 0, b, 0, c, 0, d, 0]
            if [a, b, c, d].into_iter().all(is_ascii) =>
        {
            Some("UTF-16")
        }
        _ => None,
    }
}

/// Its first two bytes: the method deflate, a window, and a remainder that checks both.
fn is_zlib(value: &[u8]) -> bool {
    let [method, flags, _, ..] = *value else {
        return false;
    };
    let check = u16::from_be_bytes([method, flags]);
    // Texts may begin like this too.
    method == 0x78
        && matches!(flags, 0x01 | 0x5e | 0x9c | 0xda)
        && check % 31 == 0
        && std::str::from_utf8(value).is_err()
}

/// Frames of schema registries.
fn registry(value: &[u8]) -> Option<Form> {
    let begins = |at: usize| value.get(at) == Some(&b'{');
    match value {
        [0, id @ ..] if id.len() > 4 => {
            if !begins(5) && begins(9) {
                return Some(Form::Registry("Apicurio Registry"));
            }
            let id = id.first_chunk()?;
            Some(Form::SchemaRegistry {
                id: u32::from_be_bytes(*id),
            })
        }
        [1, ..] if value.len() > 17 && begins(17) => {
            Some(Form::Registry("a schema registry (by a schema's GUID)"))
        }
        [3, 0 | 5, ..] if value.len() > 18 => Some(Form::Registry("AWS Glue Schema Registry")),
        _ => None,
    }
}

/// A whole JSON object with a few bytes before it, or with something behind it.
fn around_json(value: &[u8]) -> Option<Form> {
    const FRAME: usize = 64;
    let is_control = |byte: &u8| byte.is_ascii_control() && !matches!(byte, b'\t' | b'\n' | b'\r');
    let beginning = &value[..value.len().min(FRAME)];
    let place = beginning.iter().position(|byte| *byte == b'{')?;
    let before = &value[..place];
    let is_frame = std::str::from_utf8(before).is_err() || before.iter().any(is_control);
    if is_frame && is_json_object_at(&value[place..]) {
        return Some(Form::Prefixed(place));
    }
    let rest = value[place..].trim_ascii_end();
    let end = rest.iter().rposition(|byte| *byte == b'}')? + 1;
    let behind = &rest[end..];
    let is_tail = std::str::from_utf8(behind).is_err() || behind.iter().any(is_control);
    let whole = std::str::from_utf8(&rest[..end]).ok()?;
    (before.trim_ascii().is_empty() && is_tail && is_json_object(whole)).then_some(Form::Suffixed)
}

fn is_json_object_at(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(is_json_object)
}

pub(super) fn is_json_object(text: &str) -> bool {
    text.trim_start().starts_with('{')
        && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// A text of one byte a character.
fn latin1(value: &[u8]) -> String {
    value.iter().copied().map(char::from).collect()
}

/// Whether the bytes are fields of a Protobuf message from beginning to end.
fn is_protobuf(mut rest: &[u8]) -> bool {
    let mut fields = 0;
    while !rest.is_empty() {
        let Some((tag, after)) = varint(rest) else {
            return false;
        };
        // Numbers of fields are small as a rule, and some are for nobody.
        if !(1..=1_000).contains(&(tag >> 3)) {
            return false;
        }
        let length = match tag & 7 {
            0 => match varint(after) {
                Some((_, behind)) => after.len() - behind.len(),
                None => return false,
            },
            1 => 8,
            2 => match varint(after) {
                Some((length, behind)) => usize::try_from(length)
                    .ok()
                    .and_then(|length| length.checked_add(after.len() - behind.len()))
                    .unwrap_or(usize::MAX),
                None => return false,
            },
            5 => 4,
            _ => return false,
        };
        let Some(behind) = after.get(length..) else {
            return false;
        };
        rest = behind;
        fields += 1;
    }
    fields > 0
}

/// The number at the beginning, and what is behind it.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    for (place, byte) in bytes.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f).checked_shl(7 * u32::try_from(place).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((number, &bytes[place + 1..]));
        }
    }
    None
}
