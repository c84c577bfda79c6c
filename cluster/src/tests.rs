//! Processes that meet, played by threads of one.

use super::*;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;

/// How long a test waits for what has to come.
const SOON: Duration = Duration::from_secs(60);

/// Addresses of this machine that nobody listens on.
fn addresses(processes: usize) -> Vec<String> {
    let listeners: Vec<_> = (0..processes)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let address = |listener: &TcpListener| listener.local_addr().unwrap().to_string();
    listeners.iter().map(address).collect()
}

/// A process in the making.
#[derive(Clone)]
struct Setup {
    place: Place,
    terms: Vec<(String, String)>,
    patience: Patience,
    stopping: Arc<AtomicBool>,
}

impl Setup {
    fn new(addresses: &[String], process: usize) -> Setup {
        Setup {
            place: Place {
                process,
                addresses: addresses.to_vec(),
                workers: 1,
            },
            terms: vec![("--epoch".to_owned(), "100ms".to_owned())],
            patience: Patience {
                start: None,
                silence: SOON,
            },
            stopping: Arc::default(),
        }
    }

    /// Connects on a thread of its own; losses are told to `lost`.
    fn connect(&self, lost: &Sender<ClusterError>) -> JoinHandle<Result<Cluster, ClusterError>> {
        let (setup, lost) = (self.clone(), lost.clone());
        std::thread::spawn(move || {
            Cluster::connect(
                setup.place,
                setup.terms,
                setup.patience,
                &DataConnections::default(),
                setup.stopping,
                move |error| lost.send(error).unwrap(),
            )
        })
    }
}

/// All of so many processes, connected; and what they lose.
fn connected(processes: usize) -> (Vec<Cluster>, Receiver<ClusterError>) {
    let addresses = addresses(processes);
    let (lost, losses) = mpsc::channel();
    let connecting: Vec<_> = (0..processes)
        .map(|process| Setup::new(&addresses, process).connect(&lost))
        .collect();
    let clusters = connecting.into_iter();
    let clusters = clusters.map(|connecting| connecting.join().unwrap().unwrap());
    (clusters.collect(), losses)
}

fn failure(connecting: JoinHandle<Result<Cluster, ClusterError>>) -> ClusterError {
    match connecting.join().unwrap() {
        Ok(_) => panic!("connected"),
        Err(error) => error,
    }
}

#[test]
fn the_plan_of_process_0_reaches_all() {
    let (mut clusters, _) = connected(3);
    let plan: Vec<u8> = (0..3_000_000_u32)
        .map(|byte| byte.to_le_bytes()[0])
        .collect();
    let given = clusters[0].share(Some(plan.clone())).unwrap();
    assert!(given == plan);
    for other in &mut clusters[1..] {
        assert!(other.share(None).unwrap() == plan);
        let again = other.share(None).unwrap_err();
        assert!(matches!(again, ClusterError::Plan(_)), "{again}");
    }
}

#[test]
fn alone_it_shares_with_itself_and_opens_no_connection() {
    let place = Setup::new(&["nowhere:1".to_owned()], 0);
    let (lost, _losses) = mpsc::channel();
    let mut alone = place.connect(&lost).join().unwrap().unwrap();
    assert_eq!(alone.share(Some(vec![1])).unwrap(), [1]);
    assert_eq!(alone.network().unwrap().0.len(), 1);
    alone.goodbye(None);
}

#[test]
fn a_difference_ends_both() {
    let addresses = addresses(2);
    let (lost, _losses) = mpsc::channel();
    let one = Setup::new(&addresses, 0);
    let mut two = Setup::new(&addresses, 1);
    two.terms[0].1 = "1s".to_owned();
    let (one, two) = (one.connect(&lost), two.connect(&lost));
    let (one, two) = (failure(one).to_string(), failure(two).to_string());
    assert!(
        one.contains("--epoch 1s, and this one with --epoch 100ms"),
        "{one}"
    );
    assert!(
        two.contains("--epoch 100ms, and this one with --epoch 1s"),
        "{two}"
    );
}

#[test]
fn strangers_disturb_nobody() {
    let addresses = addresses(2);
    let (lost, losses) = mpsc::channel();
    let waiting = Setup::new(&addresses, 0).connect(&lost);
    let stranger = || loop {
        if let Ok(stream) = TcpStream::connect(&addresses[0]) {
            break stream;
        }
    };
    // Some say nothing, some say something else, some begin like one of ours.
    let mut half = stranger();
    half.write_all(b"TIDEMARK").unwrap();
    let mut wrong = stranger();
    wrong.write_all(&frame::opening()).unwrap();
    wrong.write_all(&[1, 255, 255, 255, 255]).unwrap();
    let mut early = stranger();
    early.write_all(&frame::opening()).unwrap();
    early
        .write_all(&Frame::Goodbye(Goodbye::Done).bytes())
        .unwrap();
    let mut http = stranger();
    http.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // It is cut off, perhaps with what it has said unheard; but told nothing.
    let _ = http.read_to_end(&mut answer);
    assert!(answer.is_empty());
    // Last, since some of so many are turned away.
    let silent: Vec<_> = (0..GREETED_AND_MORE).map(|_| stranger()).collect();
    drop(silent);
    let other = Setup::new(&addresses, 1).connect(&lost);
    let (one, two) = (waiting.join().unwrap(), other.join().unwrap());
    assert!(one.is_ok() && two.is_ok());
    assert!(losses.try_recv().is_err());
}

/// More than are greeted at a time.
const GREETED_AND_MORE: usize = 100;

#[test]
fn a_second_process_of_the_same_number_is_sent_away() {
    let addresses = addresses(3);
    let (lost, _losses) = mpsc::channel();
    let zero = Setup::new(&addresses, 0).connect(&lost);
    let two = Setup::new(&addresses, 2).connect(&lost);
    // The other one of number 2 listens elsewhere, as on another machine.
    let mut elsewhere = addresses.clone();
    elsewhere[2] = super::tests::addresses(1).remove(0);
    let mut again = Setup::new(&elsewhere, 2);
    // Whichever of the two comes first stays.
    again.patience.start = Some(SOON);
    let again = again.connect(&lost);
    let first = loop {
        if again.is_finished() {
            break again;
        }
        if two.is_finished() {
            break two;
        }
        std::thread::yield_now();
    };
    let error = failure(first);
    assert!(
        matches!(error, ClusterError::Taken { process: 2, .. }),
        "{error}"
    );
    let one = Setup::new(&addresses, 1).connect(&lost);
    assert!(zero.join().unwrap().is_ok() && one.join().unwrap().is_ok());
}

#[test]
fn others_wait_on_when_one_goes_and_another_comes_in_its_place() {
    let addresses = addresses(3);
    let (lost, losses) = mpsc::channel();
    let zero = Setup::new(&addresses, 0).connect(&lost);
    let mut impatient = Setup::new(&addresses, 1);
    impatient.patience.start = Some(Duration::from_millis(500));
    let error = failure(impatient.connect(&lost));
    assert!(matches!(error, ClusterError::Missing { .. }), "{error}");
    let one = Setup::new(&addresses, 1).connect(&lost);
    let two = Setup::new(&addresses, 2).connect(&lost);
    for connecting in [zero, one, two] {
        assert!(connecting.join().unwrap().is_ok());
    }
    assert!(losses.try_recv().is_err());
}

#[test]
fn a_stop_ends_the_wait() {
    let (lost, _losses) = mpsc::channel();
    let setup = Setup::new(&addresses(2), 1);
    let waiting = setup.connect(&lost);
    setup.stopping.store(true, Ordering::Relaxed);
    assert!(matches!(failure(waiting), ClusterError::Stopped));
}

#[test]
fn patience_may_have_an_end() {
    let (lost, _losses) = mpsc::channel();
    let addresses = addresses(2);
    let mut setup = Setup::new(&addresses, 1);
    setup.patience.start = Some(Duration::from_millis(100));
    let error = failure(setup.connect(&lost)).to_string();
    assert!(
        error.contains(&format!("process 0 ({}", addresses[0])),
        "{error}"
    );
}

#[test]
fn a_failure_is_told_to_the_others() {
    let (clusters, losses) = connected(3);
    clusters[1].goodbye(Some(Failure::Own("no space".to_owned())));
    for _ in 0..2 {
        let ClusterError::Lost(lost) = losses.recv_timeout(SOON).unwrap() else {
            panic!("something else")
        };
        let by_itself = lost.how == How::Failed("no space".to_owned());
        assert!(lost.process == 1 && by_itself, "{lost:?}");
    }
}

#[test]
fn a_stop_before_the_work_is_told_as_one() {
    let (clusters, losses) = connected(2);
    clusters[0].goodbye(None);
    let ClusterError::Lost(lost) = losses.recv_timeout(SOON).unwrap() else {
        panic!("something else")
    };
    assert_eq!((lost.process, lost.how), (0, How::Stopped));
}

#[test]
fn silence_is_a_loss_and_whoever_was_silent_may_hear_of_it_later() {
    let addresses = addresses(2);
    let (lost, losses) = mpsc::channel();
    let mut one = Setup::new(&addresses, 0);
    one.patience.silence = Duration::from_secs(1);
    let one = one.connect(&lost);
    // Process 1 says its hello, and that it is ready, and then nothing any more.
    let us = Hello {
        processes: 2,
        workers: 1,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        terms: Setup::new(&addresses, 1).terms,
        ..Hello::example(1)
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut dialed = runtime.block_on(async {
        loop {
            if let Ok(mut dialed) = greet::dial(0, &addresses[0], &us).await {
                greet::answer(&mut dialed.control, &Frame::Ready)
                    .await
                    .unwrap();
                return dialed;
            }
        }
    });
    let one = one.join().unwrap().unwrap();
    let ClusterError::Lost(lost) = losses.recv_timeout(SOON).unwrap() else {
        panic!("something else")
    };
    assert_eq!(lost.process, 1);
    assert!(matches!(lost.how, How::Silent(_)), "{lost:?}");
    one.goodbye(Some(Failure::Lost(&lost)));
    let goodbye = runtime.block_on(async {
        loop {
            match frame::read(&mut dialed.control).await.unwrap() {
                Frame::Beat | Frame::Ready => {}
                other => return other,
            }
        }
    });
    let what = lost.how.what();
    assert_eq!(goodbye, Frame::Goodbye(Goodbye::Lost { process: 1, what }));
}
