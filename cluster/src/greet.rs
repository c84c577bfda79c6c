//! Two processes recognise each other.
//!
//! ```text
//!   process 2 (the higher number dials)          process 1 (listens)
//!        │── control: opening, Hello ───────────────▶│ is it one of ours?
//!        │◀───────────────────────── opening, Hello ─│ (or Taken)
//!        │   both compare                            │
//!        │── data: opening, Join ───────────────────▶│ which Hello does it belong to?
//!        │◀─────────────────────── opening, Welcome ─│
//! ```
//!
//! Whoever listens says nothing until it knows that it is not spoken to by a
//! stranger, and hears nobody for longer than [`PATIENCE`].

use super::ClusterError;
use super::frame::{self, Frame, FrameError, Join, PROTOCOL};
use super::hello::Hello;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long each step of a greeting may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Why a greeting came to nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// It may be tried again: what was wrong.
    Passing(String),
    /// It need not.
    Final(ClusterError),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::Passing(match error.kind() {
            std::io::ErrorKind::UnexpectedEof => "it closed the connection".to_owned(),
            _ => error.to_string(),
        })
    }
}

impl From<FrameError> for Failure {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Io(error) => error.into(),
            other => Failure::Passing(other.to_string()),
        }
    }
}

/// Both connections to a process that listens.
pub(super) struct Dialed {
    pub(super) hello: Hello,
    pub(super) control: TcpStream,
    pub(super) data: TcpStream,
}

/// Connects to `process`, which listens at `address`.
pub(super) async fn dial(process: usize, address: &str, us: &Hello) -> Result<Dialed, Failure> {
    let hello = Frame::Hello(us.clone());
    let (control, answer) = ask(address, &hello).await?;
    let hello = match answer {
        Frame::Hello(hello) => hello,
        Frame::Taken(by) => {
            return Err(Failure::Final(ClusterError::Taken {
                process: us.process,
                address: by,
            }));
        }
        other => return Err(Failure::Passing(format!("it answers {other:?}"))),
    };
    us.agrees(&hello, address).map_err(Failure::Final)?;
    if hello.process != process {
        return Err(Failure::Final(ClusterError::Misplaced {
            address: address.to_owned(),
            found: hello.process,
            expected: format!("process {process}"),
        }));
    }
    let join = Frame::Join(Join {
        process: us.process,
        incarnation: us.incarnation,
    });
    match ask(address, &join).await? {
        (data, Frame::Welcome) => Ok(Dialed {
            hello,
            control,
            data,
        }),
        (_, other) => Err(Failure::Passing(format!("it answers {other:?}"))),
    }
}

/// Connects, says one thing, and hears the answer.
async fn ask(address: &str, question: &Frame) -> Result<(TcpStream, Frame), Failure> {
    let asking = async {
        let mut stream = TcpStream::connect(address).await?;
        // Who dials a port of this machine that nobody listens on may, by chance of
        // the port it is given itself, be connected with itself.
        if stream.local_addr()? == stream.peer_addr()? {
            return Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into());
        }
        stream.set_nodelay(true)?;
        stream.write_all(&frame::opening()).await?;
        stream.write_all(&question.bytes()).await?;
        let theirs = frame::read_opening(&mut stream).await?;
        check(theirs, address)?;
        let answer = frame::read(&mut stream).await?;
        Ok((stream, answer))
    };
    let late = || Failure::Passing("it does not answer".to_owned());
    timeout(PATIENCE, asking).await.map_err(|_| late())?
}

/// Hears what somebody who has connected wants: its first frame. The answer is
/// left to [`answer`].
pub(super) async fn hear(stream: &mut TcpStream, from: &str) -> Result<Frame, Failure> {
    let hearing = async {
        stream.set_nodelay(true)?;
        let theirs = frame::read_opening(stream).await?;
        // So that the other side finds out too.
        stream.write_all(&frame::opening()).await?;
        check(theirs, from)?;
        Ok(frame::read(stream).await?)
    };
    let late = || Failure::Passing("it says nothing".to_owned());
    timeout(PATIENCE, hearing).await.map_err(|_| late())?
}

/// Answers somebody who was heard.
pub(super) async fn answer(stream: &mut TcpStream, answer: &Frame) -> Result<(), Failure> {
    let bytes = answer.bytes();
    let late = || Failure::Passing("it takes no answer".to_owned());
    // It fits the buffer of a new connection: this waits for nobody.
    let writing = timeout(PATIENCE, stream.write_all(&bytes));
    Ok(writing.await.map_err(|_| late())??)
}

fn check(theirs: u32, address: &str) -> Result<(), Failure> {
    if theirs == PROTOCOL {
        return Ok(());
    }
    Err(Failure::Final(ClusterError::Protocol {
        address: address.to_owned(),
        theirs,
        ours: PROTOCOL,
    }))
}
