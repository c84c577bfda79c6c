//! The control connection to one other process: what is said, what is heard, and
//! whether it lives.
//!
//! ```text
//!   outbox ─▶ speak ─▶ ┌────────────┐
//!   tick ──▶ (a beat)  │ connection │─▶ hear ─▶ news
//!     └─ too many ticks since something was heard: silent
//! ```
//!
//! Silence is counted in ticks of our own. A process that was itself stopped for a
//! while has missed its ticks, and does not take the others for silent when it wakes
//! up; it hears what they have said meanwhile.

use super::error::How;
use super::frame::{self, Frame, Goodbye};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::AbortHandle;
use tokio::time::MissedTickBehavior;

/// Between two heartbeats.
pub(super) const BEAT: Duration = Duration::from_millis(500);

/// Of which process, by which of the connections there have been, what.
#[derive(Debug)]
pub(super) struct News {
    pub(super) process: usize,
    pub(super) link: u64,
    pub(super) what: What,
}

/// What is heard of another process.
#[derive(Debug)]
pub(super) enum What {
    /// It is connected with everybody.
    Ready,
    /// It is process 0, and has planned.
    Plan(Vec<u8>),
    /// It ends, and this is why.
    Goodbye(Goodbye),
    /// The control connection is over.
    Over(How),
    /// The data connection is over.
    DataOver(String),
}

/// What is to be said to another process.
pub(super) enum Out {
    Say(Frame),
    /// The last that is said. When it has left, the sender is dropped.
    Last(Frame, Sender<()>),
}

/// The control connection to one other process.
pub(super) struct Link {
    pub(super) number: u64,
    pub(super) outbox: UnboundedSender<Out>,
    /// Ticks since something was heard.
    silent: Arc<AtomicU32>,
    task: AbortHandle,
}

/// Nobody attends to it any more: that closes the connection.
impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Link {
    /// Attends to a connection with `process` on the runtime of the caller, until it
    /// is over. It is over after `patience` without a sound.
    pub(super) fn attend(
        control: TcpStream,
        (process, number): (usize, u64),
        patience: Duration,
        news: UnboundedSender<News>,
    ) -> Link {
        let (outbox, inbox) = unbounded_channel();
        let silent = Arc::new(AtomicU32::new(0));
        // Whoever has lost interest in the news has lost it in this connection.
        let tell = move |what| {
            let link = number;
            let _ = news.send(News {
                process,
                link,
                what,
            });
        };
        let (beats, heard) = (outbox.clone(), Arc::clone(&silent));
        let task = tokio::spawn(async move {
            let (read, write) = control.into_split();
            let how = tokio::select! {
                how = hear(read, &heard, &tell) => how,
                never = tick(&beats, &heard, patience, &tell) => match never {},
                never = speak(write, inbox) => match never {},
            };
            tell(What::Over(how));
        });
        Link {
            number,
            outbox,
            silent,
            task: task.abort_handle(),
        }
    }

    /// Whether something was heard within the last few beats.
    pub(super) fn is_lively(&self) -> bool {
        self.silent.load(Ordering::Relaxed) <= 3
    }

    /// Says something, if anybody still listens.
    pub(super) fn say(&self, frame: Frame) {
        let _ = self.outbox.send(Out::Say(frame));
    }
}

async fn hear(mut from: OwnedReadHalf, silent: &AtomicU32, tell: &impl Fn(What)) -> How {
    let mut bytes = Vec::new();
    loop {
        match from.read_buf(&mut bytes).await {
            Ok(0) => return How::Ended("its connection ended".to_owned()),
            Ok(_) => silent.store(0, Ordering::Relaxed),
            Err(error) => return How::Ended(format!("its connection ended ({error})")),
        }
        loop {
            let what = match frame::take(&mut bytes) {
                Ok(None) => break,
                Ok(Some(Frame::Beat)) => continue,
                Ok(Some(Frame::Ready)) => What::Ready,
                Ok(Some(Frame::Plan(plan))) => What::Plan(plan),
                Ok(Some(Frame::Goodbye(goodbye))) => What::Goodbye(goodbye),
                Ok(Some(other)) => return How::Ended(format!("it said {other:?} out of turn")),
                Err(error) => return How::Ended(error.to_string()),
            };
            tell(what);
        }
    }
}

/// Never ends by itself: one that is silent may still hear why it was given up, when it
/// wakes up.
async fn tick(
    outbox: &UnboundedSender<Out>,
    silent: &AtomicU32,
    patience: Duration,
    tell: &impl Fn(What),
) -> Infallible {
    let mut ticks = tokio::time::interval(BEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let time = BEAT * silent.fetch_add(1, Ordering::Relaxed);
        if time >= patience {
            tell(What::Over(How::Silent(time)));
        }
        // It is over when the connection is.
        let _ = outbox.send(Out::Say(Frame::Beat));
    }
}

/// Never ends by itself. A connection that takes nothing is not over for that: what
/// the other side has said and is not heard yet decides.
async fn speak(mut to: OwnedWriteHalf, mut inbox: UnboundedReceiver<Out>) -> Infallible {
    while let Some(out) = inbox.recv().await {
        let (frame, last) = match out {
            Out::Say(frame) => (frame, None),
            Out::Last(frame, sent) => (frame, Some(sent)),
        };
        let said = to.write_all(&frame.bytes()).await;
        if last.is_some() {
            // The other side may have ended it already.
            let _ = to.shutdown().await;
        }
        if last.is_some() || said.is_err() {
            break;
        }
    }
    // Whoever waits for the last word to leave waits no longer.
    drop(inbox);
    std::future::pending().await
}
