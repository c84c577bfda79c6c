//! Stands between a client and a MongoDB server, and holds commands back: their
//! client loses its connection, and the server gets them later.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use mongodb::bson::Document;

/// Passes everything on, except for what it is told to hold back.
pub struct Proxy {
    port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// How the commands begin that are to be held back.
    wanted: Vec<Vec<u8>>,
    held: VecDeque<Vec<u8>>,
}

impl Proxy {
    /// In front of the server at `port` of this machine.
    pub fn before(port: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy {
            port: listener.local_addr().unwrap().port(),
            state: Arc::default(),
        };
        let state = Arc::clone(&proxy.state);
        // It ends with the test's process.
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let state = Arc::clone(&state);
                std::thread::spawn(move || serve(client.unwrap(), port, &state));
            }
        });
        proxy
    }

    pub fn uri(&self) -> String {
        format!("mongodb://127.0.0.1:{}/?directConnection=true", self.port)
    }

    /// Holds back the next command of this name to this collection.
    pub fn hold(&self, command: &str, collection: &str) {
        // The first field of a command: a string with its length before it.
        let length = u32::try_from(collection.len() + 1).unwrap();
        let mut wanted = vec![2];
        wanted.extend_from_slice(command.as_bytes());
        wanted.push(0);
        wanted.extend_from_slice(&length.to_le_bytes());
        wanted.extend_from_slice(collection.as_bytes());
        wanted.push(0);
        self.state.lock().unwrap().wanted.push(wanted);
    }

    /// Gives the first command that is held back to the server at `port`, and
    /// returns its answer.
    #[track_caller]
    pub fn deliver(&self, port: u16) -> Document {
        let held = self.state.lock().unwrap().held.pop_front();
        let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
        server
            .write_all(&held.expect("nothing was held back"))
            .unwrap();
        let reply = message(&mut server).unwrap();
        // Behind the header come four bytes of flags and the kind of the one section.
        Document::from_reader(&reply[21..]).unwrap()
    }
}

/// Passes on what one connection says, until either end closes it.
fn serve(mut client: TcpStream, port: u16, state: &Mutex<State>) {
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
        if state.lock().unwrap().holds_back(&message) || server.write_all(&message).is_err() {
            break;
        }
    }
    for end in [client, server] {
        drop(end.shutdown(Shutdown::Both));
    }
}

impl State {
    fn holds_back(&mut self, message: &[u8]) -> bool {
        let begins = |wanted: &Vec<u8>| message.windows(wanted.len()).any(|part| part == wanted);
        let Some(place) = self.wanted.iter().position(begins) else {
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
