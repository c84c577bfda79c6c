//! Stands between a client and a MongoDB server, and holds commands back. Either their
//! client loses its connection, and the server gets them later; or their client waits, as
//! one does that was stopped before it sent them, and they go on when they are let.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use mongodb::bson::Document;

/// Passes everything on, except for what it is told to hold back.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Whenever something is paused, or let go on.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// How the commands begin that are to be held back.
    wanted: Vec<Vec<u8>>,
    held: VecDeque<Vec<u8>>,
    /// How the command begins that is to be paused.
    to_pause: Option<Vec<u8>>,
    /// How many like it go on before.
    before: usize,
    /// Whether that command waits to go on.
    paused: bool,
}

impl Proxy {
    /// In front of the server at `port` of this machine.
    pub fn before(port: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy {
            port: listener.local_addr().unwrap().port(),
            shared: Arc::default(),
        };
        let shared = Arc::clone(&proxy.shared);
        // It ends with the test's process.
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(client.unwrap(), port, &shared));
            }
        });
        proxy
    }

    pub fn uri(&self) -> String {
        format!("mongodb://127.0.0.1:{}/?directConnection=true", self.port)
    }

    /// Holds back the next command of this name to this collection.
    pub fn hold(&self, command: &str, collection: &str) {
        let wanted = to_collection(command, collection);
        self.shared.state.lock().unwrap().wanted.push(wanted);
    }

    /// Pauses before the next command of this name to this collection.
    pub fn pause(&self, command: &str, collection: &str) {
        let beginning = to_collection(command, collection);
        self.shared.state.lock().unwrap().to_pause = Some(beginning);
    }

    /// The same, when so many of them have gone on.
    pub fn pause_after(&self, before: usize, command: &str, collection: &str) {
        self.pause(command, collection);
        self.shared.state.lock().unwrap().before = before;
    }

    /// Pauses before the next commit of a transaction.
    pub fn pause_commit(&self) {
        // A 32-bit integer.
        let beginning = [&[16], "commitTransaction\0".as_bytes()].concat();
        self.shared.state.lock().unwrap().to_pause = Some(beginning);
    }

    /// Waits until the command has come that was to be paused.
    #[track_caller]
    pub fn wait_for_pause(&self) {
        let patience = Duration::from_secs(30);
        let state = self.shared.state.lock().unwrap();
        let (_state, waited) = self
            .shared
            .changed
            .wait_timeout_while(state, patience, |state| !state.paused)
            .unwrap();
        assert!(!waited.timed_out(), "no such command");
    }

    /// Lets what is paused go on.
    pub fn resume(&self) {
        self.shared.state.lock().unwrap().paused = false;
        self.shared.changed.notify_all();
    }

    /// Gives the first command that is held back to the server at `port`, and
    /// returns its answer.
    #[track_caller]
    pub fn deliver(&self, port: u16) -> Document {
        let held = self.shared.state.lock().unwrap().held.pop_front();
        let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
        server
            .write_all(&held.expect("nothing was held back"))
            .unwrap();
        let reply = message(&mut server).unwrap();
        // Behind the header come four bytes of flags and the kind of the one section.
        Document::from_reader(&reply[21..]).unwrap()
    }
}

/// How a command to a collection begins: its first field, a string with its length
/// before it.
fn to_collection(command: &str, collection: &str) -> Vec<u8> {
    let length = u32::try_from(collection.len() + 1).unwrap();
    let mut beginning = vec![2];
    beginning.extend_from_slice(command.as_bytes());
    beginning.push(0);
    beginning.extend_from_slice(&length.to_le_bytes());
    beginning.extend_from_slice(collection.as_bytes());
    beginning.push(0);
    beginning
}

/// Passes on what one connection says, until either end closes it.
fn serve(mut client: TcpStream, port: u16, shared: &Shared) {
    // A server that is away is no answer either.
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)) else {
        return;
    };
    let (mut answers, mut asker) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    std::thread::spawn(move || {
        drop(std::io::copy(&mut answers, &mut asker));
        drop(asker.shutdown(Shutdown::Both));
    });
    while let Ok(message) = message(&mut client) {
        shared.pause_at(&message);
        if shared.state.lock().unwrap().holds_back(&message) || server.write_all(&message).is_err()
        {
            break;
        }
    }
    for end in [client, server] {
        drop(end.shutdown(Shutdown::Both));
    }
}

impl Shared {
    fn pause_at(&self, message: &[u8]) {
        let mut state = self.state.lock().unwrap();
        let wanted = state.to_pause.as_ref();
        if !wanted.is_some_and(|wanted| begins(message, wanted)) {
            return;
        }
        if state.before > 0 {
            state.before -= 1;
            return;
        }
        state.to_pause = None;
        state.paused = true;
        self.changed.notify_all();
        drop(
            self.changed
                .wait_while(state, |state| state.paused)
                .unwrap(),
        );
    }
}

fn begins(message: &[u8], wanted: &[u8]) -> bool {
    message.windows(wanted.len()).any(|part| part == wanted)
}

impl State {
    fn holds_back(&mut self, message: &[u8]) -> bool {
        let Some(place) = self
            .wanted
            .iter()
            .position(|wanted| begins(message, wanted))
        else {
            return false;
        };
        self.wanted.remove(place);
        self.held.push_back(message.to_vec());
        true
    }
}

/// A whole message: its first four bytes are its length.
fn message(from: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let mut message = length.to_vec();
    message.resize(usize::try_from(u32::from_le_bytes(length)).unwrap(), 0);
    from.read_exact(&mut message[4..])?;
    Ok(message)
}
