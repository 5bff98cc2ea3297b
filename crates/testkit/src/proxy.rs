//! A TCP proxy in front of a server, which loses the connection at a chosen moment.
//!
//! ```text
//!   client --messages--> ClientStream --(cut here?)--> server
//!   client <--(cut or kept back?)-- ServerStream <--bytes-- server
//! ```
//!
//! It runs on a thread of its own, so that a test may block its runtime. One task serves a connection in both
//! directions; no side is read while the other is written to, which suffices for clients that do
//! not send and receive a lot at the same time. No TLS: a request for it is answered with "no".

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::wire::{ClientMessage, ClientStream, Meaning, ServerStream, contains_words};
use crate::{Error, ServerUrl};

const READ_BYTES: usize = 64 * 1024;

/// The moment at which a connection is lost. Texts are looked for as whole words and without regard
/// to case, in the statement that is executed, by either protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    /// The statement is not passed on: the server never sees it.
    Before(String),
    /// The server executes the statement, and the client never hears of it: the connection is cut when
    /// the server has answered, and nothing of the answer was passed on.
    AnswerTo(String),
    /// The same for a statement that is nothing but this.
    AnswerToWhole(String),
    /// So many bytes from the client were passed on, counted on each connection since arming.
    AfterClientBytes(u64),
    /// So many bytes from the server were passed on, counted on each connection since arming.
    AfterServerBytes(u64),
}

/// A running proxy. Dropping it cuts everything.
#[derive(Debug)]
pub struct Proxy {
    url: String,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the proxy's owner and its connections both see.
#[derive(Debug)]
struct Shared {
    upstream: (String, u16),
    armed: Mutex<Armed>,
    fired_count: AtomicUsize,
    accepted_count: AtomicUsize,
    open_count: AtomicUsize,
    refusing: AtomicBool,
    orders: watch::Sender<Orders>,
}

#[derive(Debug, Default)]
struct Armed {
    cut: Option<Cut>,
    /// Tells connections that byte counts begin anew.
    generation: u64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Orders {
    cut_all_count: u64,
    stop: bool,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 and passes everything on to the server of `server_url`.
    pub fn start(server_url: &str) -> Result<Self, Error> {
        let failed = |error: std::io::Error| Error::new("could not start a proxy").because(error);
        let server = ServerUrl::parse(server_url)?;
        let (host, port) = server.address();
        let upstream = (host.to_owned(), port);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address: SocketAddr = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared {
            upstream,
            armed: Mutex::default(),
            fired_count: AtomicUsize::new(0),
            accepted_count: AtomicUsize::new(0),
            open_count: AtomicUsize::new(0),
            refusing: AtomicBool::new(false),
            orders: watch::Sender::default(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("testkit-proxy".into())
            .spawn(move || runtime.block_on(accept(listener, for_thread)))
            .map_err(failed)?;
        Ok(Self {
            url: server.with_address("127.0.0.1", address.port()).to_string(),
            shared,
            thread: Some(thread),
        })
    }

    /// The server's connection string, with the proxy in the server's place.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sets the next cut. It happens once, to the first connection that meets it; those that come later pass,
    /// so that a client may recover.
    pub fn arm(&self, cut: Cut) {
        let mut armed = self.shared.armed();
        armed.cut = Some(cut);
        armed.generation += 1;
    }

    /// How many armed cuts have happened. A test that armed one asserts this, or it proves nothing.
    pub fn fired_count(&self) -> usize {
        self.shared.fired_count.load(Ordering::SeqCst)
    }

    /// How many connections were ever accepted.
    pub fn connections(&self) -> usize {
        self.shared.accepted_count.load(Ordering::SeqCst)
    }

    /// How many connections are open now.
    pub fn open_connections(&self) -> usize {
        self.shared.open_count.load(Ordering::SeqCst)
    }

    /// Cuts every connection that is open now.
    pub fn cut_all(&self) {
        self.shared
            .orders
            .send_modify(|orders| orders.cut_all_count += 1);
    }

    /// While true, new connections are closed as soon as they are made. Open ones stay.
    pub fn refuse(&self, refuse: bool) {
        self.shared.refusing.store(refuse, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.orders.send_modify(|orders| orders.stop = true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            eprintln!("the proxy's thread panicked");
        }
    }
}

impl Shared {
    fn armed(&self) -> std::sync::MutexGuard<'_, Armed> {
        // The value is whole at any moment, so a panic elsewhere does not spoil it.
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the armed cut if `met` says that its moment has come.
    fn take_cut(&self, met: impl FnOnce(&Cut) -> bool) -> Option<Cut> {
        let mut armed = self.armed();
        if !armed.cut.as_ref().is_some_and(met) {
            return None;
        }
        self.fired_count.fetch_add(1, Ordering::SeqCst);
        armed.cut.take()
    }
}

async fn accept(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let Ok(listener) = TcpListener::from_std(listener) else {
        eprintln!("the proxy could not listen");
        return;
    };
    let mut orders = shared.orders.subscribe();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = orders.wait_for(|orders| orders.stop) => return,
        };
        let Ok((client, _)) = accepted else { continue };
        shared.accepted_count.fetch_add(1, Ordering::SeqCst);
        if !shared.refusing.load(Ordering::SeqCst) {
            tokio::spawn(serve(client, Arc::clone(&shared)));
        }
    }
}

/// One connection, from accept to close. Every way out closes both sockets.
async fn serve(client: TcpStream, shared: Arc<Shared>) {
    shared.open_count.fetch_add(1, Ordering::SeqCst);
    let mut orders = shared.orders.subscribe();
    let cuts_before = orders.borrow_and_update().cut_all_count;
    let ordered = orders.wait_for(|orders| orders.stop || orders.cut_all_count > cuts_before);
    tokio::select! {
        result = Connection::pass(client, &shared) => {
            // A lost connection is this tool's daily business; the peers hear of it by themselves.
            let _: std::io::Result<()> = result;
        }
        _ = ordered => {}
    }
    shared.open_count.fetch_sub(1, Ordering::SeqCst);
}

/// What one connection has seen so far.
struct Connection<'a> {
    shared: &'a Shared,
    client: TcpStream,
    server: TcpStream,
    from_client: ClientStream,
    from_server: ServerStream,
    /// ReadyForQuery messages that the server owes for what was passed on.
    expected_ready_count: u64,
    /// Whether the last statement was executed by the extended protocol.
    extended: bool,
    /// Set when an answer is to be lost: nothing from the server is passed on any more.
    losing: bool,
    /// Whether the lost answer's end is asked for, by the simple query itself or by a Sync.
    losing_ends: bool,
    generation: u64,
    client_bytes: u64,
    server_bytes: u64,
}

/// Whether a connection goes on.
#[derive(PartialEq, Eq)]
enum Flow {
    On,
    Cut,
}

impl<'a> Connection<'a> {
    async fn pass(client: TcpStream, shared: &'a Shared) -> std::io::Result<()> {
        let (host, port) = &shared.upstream;
        let server = TcpStream::connect((host.as_str(), *port)).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let mut connection = Self {
            shared,
            client,
            server,
            from_client: ClientStream::default(),
            from_server: ServerStream::default(),
            expected_ready_count: 0,
            extended: false,
            losing: false,
            losing_ends: false,
            generation: 0,
            client_bytes: 0,
            server_bytes: 0,
        };
        let mut client_buffer = vec![0; READ_BYTES];
        let mut server_buffer = vec![0; READ_BYTES];
        loop {
            let flow = tokio::select! {
                count = connection.client.read(&mut client_buffer) => match count? {
                    0 => Flow::Cut,
                    count => connection.client_sent(&client_buffer[..count]).await?,
                },
                count = connection.server.read(&mut server_buffer) => match count? {
                    0 => Flow::Cut,
                    count => connection.server_sent(&server_buffer[..count]).await?,
                },
            };
            if flow == Flow::Cut {
                return Ok(());
            }
        }
    }

    async fn client_sent(&mut self, bytes: &[u8]) -> std::io::Result<Flow> {
        self.from_client.push(bytes);
        while let Some(message) = self.from_client.next() {
            if self.client_message(message).await? == Flow::Cut {
                return Ok(Flow::Cut);
            }
        }
        Ok(Flow::On)
    }

    async fn client_message(&mut self, message: ClientMessage) -> std::io::Result<Flow> {
        if let Meaning::Query(sql) | Meaning::Execute(sql) = &message.meaning {
            let fired = self.shared.take_cut(|cut| match cut {
                Cut::Before(text) | Cut::AnswerTo(text) => contains_words(sql, text),
                Cut::AnswerToWhole(text) => sql.trim() == text,
                Cut::AfterClientBytes(_) | Cut::AfterServerBytes(_) => false,
            });
            match fired {
                Some(Cut::AnswerTo(_) | Cut::AnswerToWhole(_)) => self.losing = true,
                Some(_) => return Ok(Flow::Cut),
                None => {}
            }
        }
        match &message.meaning {
            Meaning::Query(_) => self.extended = false,
            Meaning::Execute(_) => self.extended = true,
            _ => {}
        }
        match message.meaning {
            Meaning::EncryptionRequest => {
                self.client.write_all(b"N").await?;
                return Ok(Flow::On);
            }
            Meaning::Startup => self.expected_ready_count += 1,
            Meaning::Query(_) | Meaning::Sync => {
                self.expected_ready_count += 1;
                self.losing_ends |= self.losing;
            }
            Meaning::Cancel | Meaning::Execute(_) | Meaning::Other => {}
        }
        let passed = self.within_limit(message.bytes.len(), |cut, connection| match cut {
            Cut::AfterClientBytes(limit) => Some(limit.saturating_sub(connection.client_bytes)),
            _ => None,
        });
        self.server.write_all(&message.bytes[..passed]).await?;
        self.client_bytes += passed as u64;
        Ok(if passed == message.bytes.len() {
            Flow::On
        } else {
            Flow::Cut
        })
    }

    async fn server_sent(&mut self, bytes: &[u8]) -> std::io::Result<Flow> {
        let copies_before = self.from_server.copy_in_count();
        self.from_server.push(bytes);
        if self.extended {
            // While it reads the data of a COPY, a server ignores Sync: the one behind Execute gets no answer.
            self.expected_ready_count -= self.from_server.copy_in_count() - copies_before;
        }
        if self.losing {
            let answered = self.from_server.ready_count() >= self.expected_ready_count;
            return Ok(if self.losing_ends && answered {
                Flow::Cut
            } else {
                Flow::On
            });
        }
        let passed = self.within_limit(bytes.len(), |cut, connection| match cut {
            Cut::AfterServerBytes(limit) => Some(limit.saturating_sub(connection.server_bytes)),
            _ => None,
        });
        self.client.write_all(&bytes[..passed]).await?;
        self.server_bytes += passed as u64;
        Ok(if passed == bytes.len() {
            Flow::On
        } else {
            Flow::Cut
        })
    }

    /// How many of `count` bytes still pass; fewer than all of them means that the cut is here.
    fn within_limit(
        &mut self,
        count: usize,
        bytes_left: impl Fn(&Cut, &Self) -> Option<u64>,
    ) -> usize {
        let generation = self.shared.armed().generation;
        if generation != self.generation {
            self.generation = generation;
            self.client_bytes = 0;
            self.server_bytes = 0;
        }
        let mut passed = count;
        self.shared.take_cut(|cut| match bytes_left(cut, self) {
            Some(left) if left < count as u64 => {
                passed = usize::try_from(left).unwrap_or(count);
                true
            }
            _ => false,
        });
        passed
    }
}
