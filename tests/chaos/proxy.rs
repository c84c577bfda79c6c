//! Stands before a node, or between two processes, and cuts or holds the connections
//! of the pipeline.
//!
//! ```text
//!   pipeline ─────▶ ┌───────┐
//!                   │ proxy │ ─▶ node        cut: they end, and new ones are turned away
//!   other members ▶ └───────┘                held: they stay, and nothing gets through
//! ```
//!
//! Members of a replica set find each other where a driver finds them, and so through
//! the same proxies. What is between them is left alone: it is the pipeline whose
//! network is broken here, not the database's.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// What a driver of Rust says of itself at first, and a member of the set does not.
const DRIVER: &[u8] = b"mongo-rust-driver";
/// What the harness's own driver says of itself.
pub(crate) const HARNESS: &str = "chaos-harness";

/// What is done to the connections.
#[derive(Debug, Clone, Copy, Default)]
struct Orders {
    /// Nothing gets through.
    held: bool,
    /// New ones are turned away.
    refused: bool,
    /// How often all have been cut.
    cuts: u64,
}

/// Whose connections are the pipeline's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// All of them.
    Everybody,
    /// Those of a MongoDB driver that is not the harness's.
    Driver,
}

/// Passes on what comes to its port. It goes on until it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    orders: watch::Sender<Orders>,
    // Ends the connections when it goes.
    _runtime: Runtime,
}

impl Proxy {
    /// Listens on `port` of this machine, or on any free one where that is 0, and passes
    /// on to `to`.
    ///
    /// # Panics
    /// When it cannot listen there.
    pub(crate) fn start(port: u16, to: u16, whose: Whose) -> Proxy {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", port)));
        let listener = listener.expect("the port of a proxy is free");
        let port = listener.local_addr().expect("its address").port();
        let (orders, heard) = watch::channel(Orders::default());
        runtime.spawn(async move {
            loop {
                // Out of files for a moment; whoever wants to connect tries again.
                let Ok((client, _)) = listener.accept().await else {
                    continue;
                };
                let now = *heard.borrow();
                if !(now.refused && whose == Whose::Everybody) {
                    tokio::spawn(serve(client, to, whose, (heard.clone(), now.cuts)));
                }
            }
        });
        Proxy {
            port,
            orders,
            _runtime: runtime,
        }
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Ends all connections and turns away new ones, until [`Proxy::heal`].
    pub(crate) fn cut(&self) {
        self.orders.send_modify(|orders| {
            orders.cuts += 1;
            orders.refused = true;
        });
    }

    /// Lets nothing through, until [`Proxy::heal`]: then what has been sent arrives.
    pub(crate) fn hold(&self) {
        self.orders.send_modify(|orders| orders.held = true);
    }

    /// Passes everything on again.
    pub(crate) fn heal(&self) {
        self.orders.send_modify(|orders| {
            orders.held = false;
            orders.refused = false;
        });
    }
}

/// Passes on one connection until either end closes it, or it is cut: when there have
/// been more `cuts` than at its beginning.
async fn serve(
    mut client: TcpStream,
    to: u16,
    whose: Whose,
    (mut orders, mut cuts): (watch::Receiver<Orders>, u64),
) {
    // A node that is away is no answer either.
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", to)).await else {
        return;
    };
    if whose == Whose::Driver {
        let mut first = vec![0; 4096];
        let Ok(length) = client.read(&mut first).await else {
            return;
        };
        first.truncate(length);
        if !says(&first, DRIVER) || says(&first, HARNESS.as_bytes()) {
            (orders, cuts) = (watch::channel(Orders::default()).1, 0);
        } else if orders.borrow().refused {
            return;
        }
        if server.write_all(&first).await.is_err() {
            return;
        }
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let passing = [
        tokio::spawn(pass(from_client, to_server, orders.clone(), cuts)),
        tokio::spawn(pass(from_server, to_client, orders.clone(), cuts)),
    ];
    let ends = passing.each_ref().map(|task| task.abort_handle());
    let [asked, answered] = passing;
    tokio::select! {
        _ = asked => {}
        _ = answered => {}
        () = cut(&mut orders, cuts) => {}
    }
    for end in ends {
        end.abort();
    }
}

fn says(message: &[u8], word: &[u8]) -> bool {
    message.windows(word.len()).any(|part| part == word)
}

/// Waits until the connection is cut.
async fn cut(orders: &mut watch::Receiver<Orders>, cuts: u64) {
    // Without a proxy, nobody cuts.
    if orders.wait_for(|orders| orders.cuts != cuts).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Passes on one direction, but not while it is held, nor once it is cut.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut orders: watch::Receiver<Orders>,
    cuts: u64,
) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => 0,
            Ok(read) => read,
        };
        // Also an end is not heard of while it is held.
        let _ = orders.wait_for(|orders| !orders.held).await;
        let is_over = read == 0 || orders.borrow().cuts != cuts;
        if is_over || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    /// A proxy before a server that says again whatever is said to it.
    fn echo(whose: Whose) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut back = stream.try_clone().unwrap();
                std::thread::spawn(move || std::io::copy(&mut stream, &mut back));
            }
        });
        Proxy::start(0, port, whose)
    }

    fn client(proxy: &Proxy) -> TcpStream {
        TcpStream::connect(("127.0.0.1", proxy.port())).unwrap()
    }

    /// What comes back, or nothing when the connection has ended.
    fn say(client: &mut TcpStream, word: &[u8]) -> Vec<u8> {
        let mut answer = vec![0; word.len()];
        let said = client.write_all(word);
        match said.and_then(|()| client.read_exact(&mut answer)) {
            Ok(()) => answer,
            Err(_) => Vec::new(),
        }
    }

    #[test]
    fn what_is_cut_ends_and_nobody_comes_in_until_it_heals() {
        let proxy = echo(Whose::Everybody);
        let mut old = client(&proxy);
        assert_eq!(say(&mut old, b"one"), b"one");
        proxy.cut();
        assert_eq!(say(&mut old, b"two"), b"");
        assert_eq!(say(&mut client(&proxy), b"three"), b"");
        proxy.heal();
        assert_eq!(say(&mut client(&proxy), b"four"), b"four");
    }

    #[test]
    fn what_is_held_arrives_when_it_heals() {
        let proxy = echo(Whose::Everybody);
        let mut client = client(&proxy);
        assert_eq!(say(&mut client, b"one"), b"one");
        proxy.hold();
        client.write_all(b"two").unwrap();
        let mut answer = [0; 3];
        let short = Some(Duration::from_millis(100));
        client.set_read_timeout(short).unwrap();
        assert!(client.read_exact(&mut answer).is_err());
        proxy.heal();
        client.set_read_timeout(None).unwrap();
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"two");
    }

    #[test]
    fn only_the_pipelines_driver_is_cut() {
        let proxy = echo(Whose::Driver);
        let names = ["mongo-rust-driver", "MongoDB Internal Client"];
        let harness = format!("mongo-rust-driver {HARNESS}");
        let first = [names[0], names[1], &harness].map(str::to_owned);
        let mut clients = first.clone().map(|name| {
            let mut client = client(&proxy);
            assert_eq!(say(&mut client, name.as_bytes()), name.as_bytes());
            client
        });
        proxy.cut();
        assert_eq!(say(&mut clients[0], b"more"), b"");
        assert_eq!(say(&mut clients[1], b"more"), b"more");
        assert_eq!(say(&mut clients[2], b"more"), b"more");
        let mut again = client(&proxy);
        assert_eq!(say(&mut again, first[0].as_bytes()), b"");
    }
}
