//! All processes find each other, however long it takes.
//!
//! A process listens on its own address and dials those of lower number, so that there
//! is one connection of each kind between each pair. Some come, some go and come
//! again; it is over when every process is connected with every other and has heard
//! that they are too. Until then, a process that goes is not missed, only waited for.

use super::error::How;
use super::frame::{Frame, Goodbye, Join};
use super::greet::{self, Dialed, Failure};
use super::hello::Hello;
use super::link::{Link, News, Out, What};
use super::{ClusterError, FAREWELL, Patience, Place, listen};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, TryRecvError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, interval_at, sleep};

/// Before the first line about who is missing, and then between two of them.
const FIRST_LINE: Duration = Duration::from_secs(1);
const LINE: Duration = Duration::from_secs(5);
/// Between two attempts to reach a process that is not there.
const REDIAL: Duration = Duration::from_millis(250);
/// How soon a stop is heard.
const LOOK_UP: Duration = Duration::from_millis(50);
/// Connections that are being greeted at a time; more are turned away.
const GREETED: usize = 64;

/// Another process, once it is met.
pub(super) struct Peer {
    pub(super) link: Link,
    /// What timely sends goes here; taken by whoever starts the workers.
    pub(super) data: Option<std::net::TcpStream>,
    /// What process 0 has planned, if it was quicker than this rendezvous.
    pub(super) plan: Option<Vec<u8>>,
}

/// What the tasks beside the rendezvous have found.
enum Arrival {
    /// Somebody has connected, and this is its first frame.
    Came(TcpStream, String, Frame),
    /// Somebody has connected who is none of ours.
    Stranger(String),
    /// A process of lower number is reached.
    Reached(usize, Dialed),
    /// It is not, and this is why; it is tried again.
    NotReached(usize, String),
    /// There can be no cluster.
    Impossible(ClusterError),
}

/// What is known of another process so far.
#[derive(Default)]
struct PeerSlot {
    link: Option<Link>,
    incarnation: u64,
    data: Option<std::net::TcpStream>,
    /// It has heard that this process is connected with everybody.
    told: bool,
    /// It is connected with everybody itself.
    ready: bool,
    plan: Option<Vec<u8>>,
    /// Why it could not be reached.
    problem: Option<String>,
}

pub(super) struct Rendezvous {
    place: Place,
    us: Arc<Hello>,
    silence: Duration,
    seats: Vec<PeerSlot>,
    links: u64,
    tell: UnboundedSender<News>,
    arrivals: UnboundedSender<Arrival>,
    /// Greetings and dialing.
    tasks: JoinSet<()>,
    greeted: usize,
}

impl Rendezvous {
    /// Meets all other processes of `place`. What is heard of them afterwards, and
    /// may have been heard already, is told to `tell`, which `news` belongs to. A
    /// process is lost after `silence`.
    ///
    /// # Errors
    /// When they do not fit together, `patience` is over, or `stopping` is set.
    pub(super) async fn hold(
        place: Place,
        us: Hello,
        patience: Patience,
        stopping: &AtomicBool,
        (tell, news): (UnboundedSender<News>, &mut UnboundedReceiver<News>),
    ) -> Result<Vec<Option<Peer>>, ClusterError> {
        let begun = Instant::now();
        let address = &place.addresses[place.process];
        let listener = listen::listen(
            place.process,
            address,
            patience.start,
            stopping,
            TcpListener::bind,
        );
        let listener = listener.await?;
        // It is one wait, whatever for.
        let left = patience
            .start
            .map(|all| all.saturating_sub(begun.elapsed()));
        let (arrivals, mut arriving) = unbounded_channel();
        let mut rendezvous = Rendezvous {
            us: Arc::new(us),
            silence: patience.silence,
            seats: place
                .addresses
                .iter()
                .map(|_| PeerSlot::default())
                .collect(),
            links: 0,
            tell,
            arrivals,
            tasks: JoinSet::new(),
            greeted: 0,
            place,
        };
        for process in 0..rendezvous.place.process {
            rendezvous.dial(process, Duration::ZERO);
        }
        let held = rendezvous.until_over(&listener, &mut arriving, news, left, stopping);
        match held.await {
            Ok(()) => Ok(rendezvous.peers()),
            Err(error) => {
                rendezvous.break_off(&error).await;
                Err(error)
            }
        }
    }

    async fn until_over(
        &mut self,
        listener: &TcpListener,
        arriving: &mut UnboundedReceiver<Arrival>,
        news: &mut UnboundedReceiver<News>,
        within: Option<Duration>,
        stopping: &AtomicBool,
    ) -> Result<(), ClusterError> {
        let begun = Instant::now();
        let mut lines = interval_at(begun + FIRST_LINE, LINE);
        let mut looks = interval(LOOK_UP);
        loop {
            self.tell_ready();
            if self.is_over() {
                return Ok(());
            }
            tokio::select! {
                came = listener.accept() => match came {
                    Ok((stream, from)) => self.greet(stream, from.to_string()),
                    Err(error) => {
                        // Too many open files, for example.
                        tracing::warn!("a connection of another process is not taken: {error}");
                        sleep(REDIAL).await;
                    }
                },
                Some(arrival) = arriving.recv() => self.arrive(arrival).await?,
                Some(heard) = news.recv() => self.hear(heard),
                Some(_) = self.tasks.join_next() => {}
                _ = lines.tick() => tracing::info!("waiting for {}", self.missing()),
                _ = looks.tick() => {
                    if stopping.load(Ordering::Relaxed) {
                        return Err(ClusterError::Stopped);
                    }
                    if within.is_some_and(|within| begun.elapsed() >= within) {
                        return Err(ClusterError::Missing {
                            seconds: begun.elapsed().as_secs(),
                            missing: self.missing(),
                        });
                    }
                }
            }
        }
    }

    /// Tells those that are here already why this process goes.
    async fn break_off(&self, error: &ClusterError) {
        let goodbye = Frame::Goodbye(Goodbye::Failed(error.to_string()));
        let (sent, leaving) = mpsc::channel();
        for link in self.seats.iter().filter_map(|seat| seat.link.as_ref()) {
            // If it is gone, there is nobody to tell.
            let _ = link.outbox.send(Out::Last(goodbye.clone(), sent.clone()));
        }
        drop(sent);
        let until = Instant::now() + FAREWELL;
        while leaving.try_recv() == Err(TryRecvError::Empty) && Instant::now() < until {
            sleep(Duration::from_millis(1)).await;
        }
    }

    fn others(&self) -> impl Iterator<Item = (usize, &PeerSlot)> {
        let us = self.place.process;
        let seats = self.seats.iter().enumerate();
        seats.filter(move |(process, _)| *process != us)
    }

    fn is_over(&self) -> bool {
        self.others()
            .all(|(_, seat)| seat.is_taken() && seat.told && seat.ready)
    }

    /// Once everybody is here, everybody is told, and whoever comes again.
    fn tell_ready(&mut self) {
        if !self.others().all(|(_, seat)| seat.is_taken()) {
            return;
        }
        for seat in &mut self.seats {
            if let Some(link) = &seat.link
                && !seat.told
            {
                link.say(Frame::Ready);
                seat.told = true;
            }
        }
    }

    fn peers(self) -> Vec<Option<Peer>> {
        let seats = self.seats.into_iter();
        seats
            .map(|seat| {
                Some(Peer {
                    link: seat.link?,
                    data: Some(seat.data?),
                    plan: seat.plan,
                })
            })
            .collect()
    }

    /// Those that are not here, where they were looked for, and what was found there.
    fn missing(&self) -> String {
        let missing = self.others().filter_map(|(process, seat)| {
            let address = &self.place.addresses[process];
            if !seat.is_taken() {
                let problem = seat.problem.as_ref();
                let problem = problem.map_or(String::new(), |problem| format!(": {problem}"));
                Some(format!("process {process} ({address}{problem})"))
            } else if !seat.ready {
                Some(format!("process {process} ({address}, which waits too)"))
            } else {
                None
            }
        });
        missing.collect::<Vec<_>>().join(", ")
    }

    /// Reaches a process of lower number, on a task that tries again and again.
    fn dial(&mut self, process: usize, pause: Duration) {
        let address = self.place.addresses[process].clone();
        let (us, arrivals) = (Arc::clone(&self.us), self.arrivals.clone());
        self.tasks.spawn(async move {
            sleep(pause).await;
            loop {
                let (arrival, again) = match greet::dial(process, &address, &us).await {
                    Ok(dialed) => (Arrival::Reached(process, dialed), false),
                    Err(Failure::Passing(why)) => (Arrival::NotReached(process, why), true),
                    Err(Failure::Final(error)) => (Arrival::Impossible(error), false),
                };
                // Nobody is there to take it when the rendezvous is over.
                if arrivals.send(arrival).is_err() || !again {
                    return;
                }
                sleep(REDIAL).await;
            }
        });
    }

    /// Hears what somebody wants who has connected, on a task of its own: it may take
    /// its time, or never say it.
    fn greet(&mut self, mut stream: TcpStream, from: String) {
        if self.greeted >= GREETED {
            tracing::debug!("{from} is turned away: too many connect at once");
            return;
        }
        self.greeted += 1;
        let arrivals = self.arrivals.clone();
        self.tasks.spawn(async move {
            let arrival = match greet::hear(&mut stream, &from).await {
                Ok(frame) => Arrival::Came(stream, from, frame),
                Err(Failure::Final(error)) => Arrival::Impossible(error),
                Err(Failure::Passing(why)) => Arrival::Stranger(format!("{from}: {why}")),
            };
            // Nobody is there to take it when the rendezvous is over.
            let _ = arrivals.send(arrival);
        });
    }

    async fn arrive(&mut self, arrival: Arrival) -> Result<(), ClusterError> {
        match arrival {
            Arrival::Impossible(error) => return Err(error),
            Arrival::Stranger(who) => {
                self.greeted -= 1;
                tracing::debug!("somebody connected who is no process of ours: {who}");
            }
            Arrival::NotReached(process, why) => self.seats[process].problem = Some(why),
            Arrival::Reached(process, dialed) => {
                match blocking(dialed.data) {
                    Ok(data) => {
                        self.seat(process, dialed.control, dialed.hello.incarnation);
                        self.seats[process].data = Some(data);
                    }
                    Err(why) => {
                        self.seats[process].problem = Some(why);
                        self.dial(process, REDIAL);
                    }
                };
            }
            Arrival::Came(stream, from, frame) => {
                self.greeted -= 1;
                match frame {
                    Frame::Hello(hello) => self.take_control(stream, from, hello).await?,
                    Frame::Join(join) => self.take_data(stream, join).await,
                    other => tracing::debug!("{from} begins with {other:?}"),
                }
            }
        }
        Ok(())
    }

    /// Whoever has a higher number has connected.
    async fn take_control(
        &mut self,
        mut stream: TcpStream,
        from: String,
        hello: Hello,
    ) -> Result<(), ClusterError> {
        let process = hello.process;
        let seat = self.seats.get(process);
        let other = seat.and_then(|seat| Some((seat.link.as_ref()?, seat.incarnation)));
        let taken = other.is_some_and(|(link, incarnation)| {
            incarnation != hello.incarnation && link.is_lively()
        });
        let answer = match taken {
            // It is the newcomer that has to go.
            true => Frame::Taken(self.place.addresses[process].clone()),
            false => Frame::Hello(Hello::clone(&self.us)),
        };
        if let Err(Failure::Passing(why)) = greet::answer(&mut stream, &answer).await {
            tracing::debug!("{from} went away: {why}");
            return Ok(());
        }
        if taken {
            tracing::warn!(
                "a second process with --process {process} came, from {from}; it is sent away"
            );
            return Ok(());
        }
        self.us.agrees(&hello, &from)?;
        if process <= self.place.process || process >= self.seats.len() {
            return Err(ClusterError::Misplaced {
                address: from,
                found: process,
                expected: format!("one above {}", self.place.process),
            });
        }
        self.seat(process, stream, hello.incarnation);
        Ok(())
    }

    /// The second connection of a process that has said its hello.
    async fn take_data(&mut self, mut stream: TcpStream, join: Join) {
        let seat = self.seats.get_mut(join.process);
        let Some(seat) =
            seat.filter(|seat| seat.link.is_some() && seat.incarnation == join.incarnation)
        else {
            // It will find its control connection closed, and come again.
            return;
        };
        if greet::answer(&mut stream, &Frame::Welcome).await.is_ok() {
            seat.data = blocking(stream).ok();
        }
    }

    /// A control connection stands.
    fn seat(&mut self, process: usize, control: TcpStream, incarnation: u64) {
        self.links += 1;
        let place = (process, self.links);
        let link = Link::attend(control, place, self.silence, self.tell.clone());
        // Whatever was known of a former connection is over.
        self.seats[process] = PeerSlot {
            link: Some(link),
            incarnation,
            ..PeerSlot::default()
        };
    }

    fn hear(&mut self, news: News) {
        let process = news.process;
        let seat = &mut self.seats[process];
        if seat
            .link
            .as_ref()
            .is_none_or(|link| link.number != news.link)
        {
            // Of a connection that is replaced already.
            return;
        }
        let why = match news.what {
            What::Ready => {
                seat.ready = true;
                return;
            }
            What::Plan(plan) => {
                seat.plan = Some(plan);
                return;
            }
            What::Goodbye(Goodbye::Failed(why)) => format!("it failed: {why}"),
            What::Goodbye(_) => "it ended".to_owned(),
            What::Over(How::Ended(why)) => why,
            What::Over(how) => how.what(),
            // No worker of this process has begun.
            What::DataOver(_) => return,
        };
        let address = &self.place.addresses[process];
        tracing::info!("process {process} ({address}) has gone: {why}");
        *seat = PeerSlot {
            problem: Some(why),
            ..PeerSlot::default()
        };
        if process < self.place.process {
            self.dial(process, REDIAL);
        }
    }
}

impl PeerSlot {
    fn is_taken(&self) -> bool {
        self.link.is_some() && self.data.is_some()
    }
}

/// The connection as timely takes it.
fn blocking(stream: TcpStream) -> Result<std::net::TcpStream, String> {
    let stream = stream.into_std();
    let stream = stream.and_then(|stream| stream.set_nonblocking(false).map(|()| stream));
    stream.map_err(|error| error.to_string())
}
