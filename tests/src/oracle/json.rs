//! A JSON object, its fields as they were written.
//!
//! Raw texts, because a parsed number may already have lost digits, and a list,
//! because a map would hide a field that is given twice.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

#[derive(Debug)]
pub(super) struct Object(Vec<(String, Box<RawValue>)>);

impl Object {
    /// The object that `bytes` are, if they are one and nothing else.
    pub(super) fn parse(bytes: &[u8]) -> Option<Object> {
        let text = std::str::from_utf8(bytes).ok()?;
        serde_json::from_str(text).ok()
    }

    /// The texts of all fields of this name.
    pub(super) fn get(&self, name: &str) -> Vec<&str> {
        let fields = self.0.iter().filter(|(field, _)| field == name);
        fields.map(|(_, value)| value.get()).collect()
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_text_and_the_repetition() {
        let object = Object::parse(br#" {"a": 1.50, "b": [{}], "a": "x"} "#).unwrap();
        assert_eq!(object.get("a"), ["1.50", "\"x\""]);
        assert_eq!(object.get("b"), ["[{}]"]);
        assert!(object.get("c").is_empty());
    }

    #[test]
    fn refuses_what_is_not_one_object() {
        for bytes in [
            &b""[..],
            b"[]",
            b"null",
            b"{} {}",
            b"{",
            b"{\"a\":\"\xff\"}",
            b"\xef\xbb\xbf{}",
        ] {
            assert!(Object::parse(bytes).is_none(), "{bytes:?}");
        }
    }
}
