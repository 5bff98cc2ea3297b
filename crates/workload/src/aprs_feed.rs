//! A server with the manners of APRS-IS that plays recorded packets: for tests of a client, and to show one at work.
//!
//! ```text
//!   packets ─ player: at their pace ─┐                     client: banner, login, logresp, then lines
//!   commands: say a line ────────────┼─ hall ─ lines ─> bounded bytes ─> socket
//!   every 20 s: a `#` line ──────────┘          full: the client reads too slowly, and is disconnected
//! ```
//!
//! As on APRS-IS, what is said while a client is away is gone for it. Filters are accepted and told, not applied: who asks for one
//! has to bear more. On command the server is silent, drops its clients, or can't be reached.

mod client;
mod clock;
mod hall;
mod player;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::soar::SoarPacket;
use client::serve;
use hall::Hall;

pub use hall::FeedCounts;
pub use player::{Pace, Stamps};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 128;

/// How the server behaves.
#[derive(Clone, Debug)]
pub struct FeedOptions {
    /// Its name in the answer to a login.
    pub server_name: String,
    /// How often it shows that it is there: APRS-IS does every 20 seconds.
    pub keepalive_every: Duration,
    /// How long it waits for a login.
    pub login_max: Duration,
    /// Clients at once; further ones are told that it is full.
    pub clients_max: usize,
    /// Bytes that wait for a client; one that leaves more is disconnected.
    pub client_bytes_max: usize,
    /// The socket's own send buffer in bytes; the system's default is a few MiB, after which slowness begins to show.
    pub socket_bytes: Option<u32>,
    /// How fast packets are played.
    pub pace: Pace,
    /// Which times the packets have.
    pub stamps: Stamps,
}

impl Default for FeedOptions {
    fn default() -> Self {
        Self {
            server_name: "HYPERFEED".to_owned(),
            keepalive_every: Duration::from_secs(20),
            login_max: Duration::from_secs(30),
            clients_max: 64,
            client_bytes_max: 1 << 20,
            socket_bytes: None,
            pace: Pace::PerSecond(1_000.0),
            stamps: Stamps::AsRecorded,
        }
    }
}

/// A login that was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedLogin {
    /// Call sign.
    pub call_sign: String,
    /// The filter, if one was asked for.
    pub filter: Option<String>,
}

/// A running server. It ends when this is dropped.
#[derive(Debug)]
pub struct Feed {
    address: SocketAddr,
    hall: Arc<Hall>,
    /// Whether it shall take connections.
    door: watch::Sender<bool>,
    /// Whether it does.
    listening: watch::Receiver<bool>,
    played: watch::Receiver<bool>,
    _tasks: JoinSet<()>,
}

impl Feed {
    /// Listens at `listen` (port 0: any that is free), and plays `packets` from the first login on.
    ///
    /// # Errors
    ///
    /// If it can't listen there.
    pub async fn start(
        listen: SocketAddr,
        options: FeedOptions,
        packets: impl Iterator<Item = SoarPacket> + Send + 'static,
    ) -> io::Result<Self> {
        let listener = bind(listen, &options)?;
        let address = listener.local_addr()?;
        let hall = Arc::new(Hall::new(options));
        let (door, wanted) = watch::channel(true);
        let (is_listening, listening) = watch::channel(true);
        let (is_played, played) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(keep_door(
            Arc::clone(&hall),
            address,
            listener,
            wanted,
            is_listening,
        ));
        tasks.spawn(keep_alive(Arc::clone(&hall), address));
        tasks.spawn(player::play(Arc::clone(&hall), packets, is_played));
        Ok(Self {
            address,
            hall,
            door,
            listening,
            played,
            _tasks: tasks,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a line to every client, its end added. Any bytes go.
    pub fn say(&self, line: &[u8]) {
        self.hall.say(&[line, b"\r\n"].concat(), 1);
    }

    /// Sends bytes to every client as they are: lines without an end, several in one, halves.
    pub fn say_bytes(&self, bytes: &[u8]) {
        self.hall.say(bytes, 0);
    }

    /// While silent it sends nothing, and keeps its connections.
    pub fn be_silent(&self, is_silent: bool) {
        self.hall.be_silent(is_silent);
    }

    /// Ends all connections, whatever they are waiting for.
    pub fn drop_clients(&self) {
        self.hall.drop_clients();
    }

    /// Opens or closes the port; returns when it is. Connections stay.
    pub async fn open_door(&mut self, is_open: bool) {
        self.door.send_replace(is_open);
        // The task that listens is gone only with this.
        let _ = self
            .listening
            .wait_for(|listening| *listening == is_open)
            .await;
    }

    /// What it did so far.
    pub fn counts(&self) -> FeedCounts {
        self.hall.counts()
    }

    /// Clients that are logged in.
    pub fn client_count(&self) -> usize {
        self.hall.client_count()
    }

    /// Waits until so many logins were let in since the start.
    pub async fn logged_in(&self, count: u64) {
        self.hall.logged_in(count).await;
    }

    /// The last logins, up to 64.
    pub fn logins(&self) -> Vec<FeedLogin> {
        self.hall.logins()
    }

    /// Waits until every packet was played.
    pub async fn played(&mut self) {
        // As with the door.
        let _ = self.played.wait_for(|played| *played).await;
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.hall.drop_clients();
    }
}

fn bind(listen: SocketAddr, options: &FeedOptions) -> io::Result<TcpListener> {
    let socket = match listen {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // The port is taken again after it was closed, while old connections linger.
    socket.set_reuseaddr(true)?;
    if let Some(bytes) = options.socket_bytes {
        socket.set_send_buffer_size(bytes)?;
    }
    socket.bind(listen)?;
    socket.listen(BACKLOG)
}

/// Takes connections while the door is open.
async fn keep_door(
    hall: Arc<Hall>,
    address: SocketAddr,
    listener: TcpListener,
    mut wanted: watch::Receiver<bool>,
    is_listening: watch::Sender<bool>,
) {
    let mut listener = Some(listener);
    loop {
        let is_open = *wanted.borrow_and_update();
        if !is_open {
            listener = None;
        } else if listener.is_none() {
            listener = bind(address, hall.options()).ok();
        }
        is_listening.send_replace(listener.is_some());
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { return },
            stream = accept(listener.as_ref()) => {
                let hall = Arc::clone(&hall);
                tokio::spawn(serve(hall, stream));
            }
        }
    }
}

/// The next connection; never one while there is no listener.
async fn accept(listener: Option<&TcpListener>) -> tokio::net::TcpStream {
    loop {
        match listener {
            None => std::future::pending().await,
            Some(listener) => match listener.accept().await {
                Ok((stream, _)) => return stream,
                // Out of file descriptors, or the client is gone already: the next one may do.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
        }
    }
}

/// Shows every now and then that the server is there.
async fn keep_alive(hall: Arc<Hall>, address: SocketAddr) {
    let every = hall.options().keepalive_every;
    loop {
        tokio::time::sleep(every).await;
        let name = &hall.options().server_name;
        let line = format!(
            "# {} {} {name} {address}\r\n",
            client::SOFTWARE,
            clock::http_date()
        );
        hall.say(line.as_bytes(), 0);
    }
}
