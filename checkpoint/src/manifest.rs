//! A manifest: the one object that makes files a checkpoint.
//!
//! ```text
//!   {"format":3,"checksum":"1c291ca3","manifest":{…}}
//! ```
//!
//! It is JSON on one line, so that a person can read it. The checksum is that of the
//! bytes between the last colon of the three and the last brace; what is around them
//! can only be written in one way, so that no byte can be changed unnoticed.

use super::error::CheckpointError;
use super::file::FileEntry;
use model::Epoch;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeSet;

/// The format that this program writes, and the only one it reads.
const FORMAT: u32 = 3;

/// A checkpoint: what the state was as of an epoch, and the files that add up to it. `S` is what
/// is known beside the files.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Manifest<S> {
    /// Its number, one more than that of the checkpoint before.
    pub sequence: u64,
    /// Which start of the pipeline took it.
    pub generation: u64,
    /// The epoch as of whose end it is.
    pub epoch: Epoch,
    /// When it was taken, in milliseconds since the UNIX epoch.
    pub made_at: i64,
    /// What is known beside the files.
    pub state: S,
    /// The files whose records add up to the state.
    pub files: Vec<FileEntry>,
}

/// What is around a manifest.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    format: u32,
    checksum: String,
    #[serde(borrow)]
    manifest: &'a RawValue,
}

/// Only the format, of whatever else.
#[derive(Deserialize)]
struct AnyFormat {
    format: u32,
}

impl<S: Serialize> Manifest<S> {
    /// Its bytes.
    pub(super) fn write(&self) -> Result<Vec<u8>, CheckpointError> {
        let inner = serde_json::to_string(self).map_err(|error| CheckpointError::Storage {
            action: "writing",
            object: format!("manifest {}", self.sequence),
            detail: error.to_string(),
            temporary: false,
        })?;
        Ok(render(&inner).into_bytes())
    }
}

impl<S: DeserializeOwned> Manifest<S> {
    /// The manifest number `sequence` with these bytes. `object` names it in errors.
    pub(super) fn read(
        object: &str,
        sequence: u64,
        bytes: &[u8],
    ) -> Result<Manifest<S>, CheckpointError> {
        let damaged = |detail: String| CheckpointError::damaged(object, detail);
        // A newer format may be anything else but this.
        if let Ok(AnyFormat { format }) = serde_json::from_slice(bytes)
            && format != FORMAT
        {
            return Err(CheckpointError::Version {
                object: object.to_owned(),
                found: format,
                reads: FORMAT,
            });
        }
        let envelope: Envelope<'_> = serde_json::from_slice(bytes)
            .map_err(|error| damaged(format!("it is no manifest: {error}")))?;
        debug_assert_eq!(envelope.format, FORMAT);
        let inner = envelope.manifest.get();
        if envelope.checksum != checksum(inner) || render(inner).as_bytes() != bytes {
            return Err(damaged("it has another checksum".to_owned()));
        }
        let manifest: Manifest<S> = serde_json::from_str(inner)
            .map_err(|error| damaged(format!("it is no manifest: {error}")))?;
        if manifest.sequence != sequence {
            let number = manifest.sequence;
            return Err(damaged(format!(
                "it is number {number} under another's name"
            )));
        }
        let names: BTreeSet<&str> = manifest.names().collect();
        if names.len() != manifest.files.len() {
            return Err(damaged("it names a file twice".to_owned()));
        }
        Ok(manifest)
    }
}

impl<S> Manifest<S> {
    /// The names of its files.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.name.as_str())
    }

    /// The length of its files, in bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

fn checksum(inner: &str) -> String {
    format!("{:08x}", crc32fast::hash(inner.as_bytes()))
}

fn render(inner: &str) -> String {
    let checksum = checksum(inner);
    format!("{{\"format\":{FORMAT},\"checksum\":\"{checksum}\",\"manifest\":{inner}}}\n")
}

/// The name of manifest number `sequence`: names order as numbers do.
pub(super) fn name(sequence: u64) -> String {
    format!("{sequence:020}.json")
}

/// The number of the manifest with this name, if it is one's.
pub(super) fn sequence_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".json")?;
    let all_digits = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| all_digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::manifest;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn it_comes_back() {
        let manifest = manifest(7, &[]);
        let bytes = manifest.write().unwrap();
        assert_eq!(Manifest::<Value>::read("m", 7, &bytes).unwrap(), manifest);
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(text.starts_with("{\"format\":3,\"checksum\":\""), "{text}");
        let other = Manifest::<Value>::read("m", 8, &bytes)
            .unwrap_err()
            .to_string();
        assert!(other.contains("number 7 under another's name"), "{other}");
    }

    #[test]
    fn a_newer_format_is_said_to_be_one() {
        let error = Manifest::<Value>::read("m", 7, b"{\"format\":4,\"else\":[]}").unwrap_err();
        let said = error.to_string();
        assert!(
            said.starts_with("m has format 4, and this program reads format 3"),
            "{said}"
        );
        assert!(!error.is_temporary());
    }

    #[test]
    fn names_are_numbers() {
        assert_eq!(name(18), "00000000000000000018.json");
        assert_eq!(sequence_of(&name(u64::MAX)), Some(u64::MAX));
        for other in [
            "18.json",
            "+0000000000000000018.json",
            "00000000000000000018.json#1",
            "x",
        ] {
            assert_eq!(sequence_of(other), None);
        }
    }

    proptest! {
        #[test]
        fn a_bit_that_flips_is_an_error(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut bytes = manifest(7, &["a", "b"]).write().unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(Manifest::<Value>::read("m", 7, &bytes).is_err());
        }

        #[test]
        fn a_cut_is_an_error(at in any::<prop::sample::Index>(), more in 0usize..3) {
            let bytes = manifest(7, &["a"]).write().unwrap();
            prop_assert!(Manifest::<Value>::read("m", 7, &bytes[..at.index(bytes.len())]).is_err());
            let longer = [&bytes[..], &b"\n\n\n"[..more]].concat();
            prop_assert_eq!(Manifest::<Value>::read("m", 7, &longer).is_err(), more > 0);
        }
    }
}
