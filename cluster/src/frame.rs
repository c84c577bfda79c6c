//! What processes say to each other, as bytes.
//!
//! ```text
//!   ┌─ opening, once a direction ─┐┌─ frame ────────────────────────┐┌─ frame …
//!   │ TIDEMARK │ protocol: 4 bytes ││ kind: 1 │ length: 4 │ content  ││
//! ```
//!
//! Numbers are big-endian. Nobody answers to a connection that does not open like
//! this, and nothing longer than a frame may be is ever held for it.

use super::hello::Hello;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

/// What every connection begins with, in both directions.
const MAGIC: [u8; 8] = *b"TIDEMARK";

/// Changes whenever what is said here changes.
pub(super) const PROTOCOL: u32 = 1;

/// The longest frame of somebody who has not been recognised, in bytes.
const LONGEST_OF_A_STRANGER: usize = 1 << 20;

/// The longest frame of another process, in bytes.
const LONGEST: usize = 1 << 28;

/// Bytes before the content of a frame.
const HEADER: usize = 5;

/// One thing said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// Who I am, and how I am set. Opens a control connection; its answer too.
    Hello(Hello),
    /// Opens a data connection. The answer is `Welcome`.
    Join(Join),
    /// This connection is what it was meant to be.
    Welcome,
    /// There is another process of your number, from this address.
    Taken(String),
    /// I am alive.
    Beat,
    /// I am connected with everybody.
    Ready,
    /// What process 0 has planned.
    Plan(Vec<u8>),
    /// I end, and this is why.
    Goodbye(Goodbye),
}

/// Which process a data connection belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Join {
    pub(super) process: usize,
    /// That of its `Hello`.
    pub(super) incarnation: u64,
}

/// Why a process ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Goodbye {
    /// All is done.
    Done,
    /// It was asked to stop before the work began.
    Stopped,
    /// It failed by itself.
    Failed(String),
    /// It has lost another process.
    Lost {
        /// Number of that one.
        process: usize,
        /// What happened to it.
        what: String,
    },
}

/// Bytes that no process of ours says.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("it does not speak as a tidemark process does")]
    Stranger,
    #[error("it sent a frame of {0} bytes")]
    TooLong(usize),
    #[error("it sent a frame that cannot be read (kind {kind}: {problem})")]
    Malformed { kind: u8, problem: String },
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// What a connection begins with.
pub(super) fn opening() -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(PROTOCOL.to_be_bytes());
    bytes
}

/// Reads what a connection has to begin with; gives the protocol's number.
pub(super) async fn read_opening(from: &mut (impl AsyncRead + Unpin)) -> Result<u32, FrameError> {
    // Byte by byte as it were: a stranger who says less than this is heard no longer
    // than it takes to see that he is one.
    let mut magic = [0; MAGIC.len()];
    for (at, expected) in MAGIC.iter().enumerate() {
        from.read_exact(&mut magic[at..=at]).await?;
        if magic[at] != *expected {
            return Err(FrameError::Stranger);
        }
    }
    Ok(from.read_u32().await?)
}

/// Reads one frame of somebody who has not been recognised.
pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> Result<Frame, FrameError> {
    let kind = from.read_u8().await?;
    let length = from.read_u32().await? as usize;
    if length > LONGEST_OF_A_STRANGER {
        return Err(FrameError::TooLong(length));
    }
    let mut content = vec![0; length];
    from.read_exact(&mut content).await?;
    Frame::of(kind, &content)
}

/// Takes the first frame of `bytes` away, if all of it is there.
pub(super) fn take(bytes: &mut Vec<u8>) -> Result<Option<Frame>, FrameError> {
    let Some((header, content)) = bytes.split_first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let [kind, length @ ..] = *header;
    let length = u32::from_be_bytes(length) as usize;
    if length > LONGEST {
        return Err(FrameError::TooLong(length));
    }
    let Some(content) = content.get(..length) else {
        return Ok(None);
    };
    let frame = Frame::of(kind, content)?;
    bytes.drain(..HEADER + length);
    Ok(Some(frame))
}

impl Frame {
    /// The frame as bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let (kind, content) = match self {
            Frame::Hello(hello) => (1, json(hello)),
            Frame::Join(join) => (2, json(join)),
            Frame::Welcome => (3, Vec::new()),
            Frame::Taken(by) => (4, by.as_bytes().to_vec()),
            Frame::Beat => (5, Vec::new()),
            Frame::Ready => (6, Vec::new()),
            Frame::Plan(plan) => (7, plan.clone()),
            Frame::Goodbye(goodbye) => (8, json(goodbye)),
        };
        // `Cluster::share` refuses what would be longer.
        let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let mut bytes = Vec::with_capacity(HEADER + content.len());
        bytes.push(kind);
        bytes.extend(length.to_be_bytes());
        bytes.extend(content);
        bytes
    }

    /// Whether a plan of so many bytes can be sent.
    pub(super) fn holds(plan: usize) -> bool {
        plan <= LONGEST
    }

    fn of(kind: u8, content: &[u8]) -> Result<Frame, FrameError> {
        let malformed = |problem: String| FrameError::Malformed { kind, problem };
        let wrong = |error: serde_json::Error| malformed(error.to_string());
        Ok(match kind {
            1 => Frame::Hello(serde_json::from_slice(content).map_err(wrong)?),
            2 => Frame::Join(serde_json::from_slice(content).map_err(wrong)?),
            3 => Frame::Welcome,
            4 => Frame::Taken(String::from_utf8_lossy(content).into_owned()),
            5 => Frame::Beat,
            6 => Frame::Ready,
            7 => Frame::Plan(content.to_vec()),
            8 => Frame::Goodbye(serde_json::from_slice(content).map_err(wrong)?),
            _ => return Err(malformed("unknown".to_owned())),
        })
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // Structs of texts and numbers: serde_json fails on neither.
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames() -> Vec<Frame> {
        vec![
            Frame::Hello(Hello::example(1)),
            Frame::Join(Join {
                process: 3,
                incarnation: u64::MAX,
            }),
            Frame::Welcome,
            Frame::Taken("10.0.0.1:5".to_owned()),
            Frame::Beat,
            Frame::Ready,
            Frame::Plan(vec![0, 255, 7]),
            Frame::Goodbye(Goodbye::Done),
            Frame::Goodbye(Goodbye::Stopped),
            Frame::Goodbye(Goodbye::Failed("no space".to_owned())),
            Frame::Goodbye(Goodbye::Lost {
                process: 2,
                what: "silent".to_owned(),
            }),
        ]
    }

    #[test]
    fn frames_come_out_as_they_went_in_however_they_are_cut() {
        let sent: Vec<u8> = frames().iter().flat_map(Frame::bytes).collect();
        for piece in [1, 2, 7, sent.len()] {
            let (mut bytes, mut heard) = (Vec::new(), Vec::new());
            for part in sent.chunks(piece) {
                bytes.extend(part);
                while let Some(frame) = take(&mut bytes).unwrap() {
                    heard.push(frame);
                }
            }
            assert_eq!(heard, frames());
            assert!(bytes.is_empty());
        }
    }

    #[test]
    fn what_is_half_there_is_not_taken() {
        let mut bytes = Frame::Plan(vec![1; 100]).bytes();
        bytes.pop();
        assert_eq!(take(&mut bytes).unwrap(), None);
    }

    #[test]
    fn garbage_is_an_error() {
        for mut garbage in [
            vec![99, 0, 0, 0, 0],
            vec![5, 255, 255, 255, 255],
            vec![1, 0, 0, 0, 2, b'{', b'x'],
        ] {
            take(&mut garbage).unwrap_err();
        }
    }

    #[tokio::test]
    async fn a_stranger_is_known_by_his_first_byte() {
        let mut http: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
        let error = read_opening(&mut http).await.unwrap_err();
        assert!(matches!(error, FrameError::Stranger));
        assert_eq!(http.len(), 17);
        let mut ours: &[u8] = &opening();
        assert_eq!(read_opening(&mut ours).await.unwrap(), PROTOCOL);
    }

    #[tokio::test]
    async fn no_more_is_held_for_a_stranger_than_a_hello_needs() {
        let mut long: &[u8] = &[1, 0, 255, 255, 255, b'{'];
        let error = read(&mut long).await.unwrap_err();
        assert!(matches!(error, FrameError::TooLong(_)));
    }
}
