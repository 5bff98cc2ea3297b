//! The clients that are logged in, and what is said to all of them.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use super::{FeedLogin, FeedOptions};

/// Logins that are remembered.
const LOGINS_MAX: usize = 64;

/// What a server has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeedCounts {
    /// Connections, let in or not.
    pub connections: u64,
    /// Clients that were let in.
    pub logins: u64,
    /// Clients that were disconnected because they read too slowly.
    pub slow_readers: u64,
    /// Lines said while not silent, whoever was there to hear them: packets and those said on command.
    pub lines: u64,
}

/// All clients.
#[derive(Debug)]
pub(super) struct Hall {
    options: FeedOptions,
    state: Mutex<State>,
    logins: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    clients: HashMap<u64, Client>,
    next_client: u64,
    is_silent: bool,
    counts: FeedCounts,
    logins: VecDeque<FeedLogin>,
}

/// The hall's end of a client. When it is dropped, the client is disconnected.
#[derive(Debug)]
struct Client {
    lines: mpsc::UnboundedSender<Bytes>,
    queued_bytes: Arc<AtomicUsize>,
    _connected: watch::Sender<()>,
}

/// The connection's end.
pub(super) struct Seat {
    pub(super) number: u64,
    pub(super) lines: mpsc::UnboundedReceiver<Bytes>,
    pub(super) queued_bytes: Arc<AtomicUsize>,
    /// Fails when the hall has let go of the client.
    pub(super) connected: watch::Receiver<()>,
}

impl Hall {
    pub(super) fn new(options: FeedOptions) -> Self {
        Self {
            options,
            state: Mutex::default(),
            logins: watch::Sender::new(0),
        }
    }

    pub(super) fn options(&self) -> &FeedOptions {
        &self.options
    }

    pub(super) fn count_connection(&self) {
        self.state().counts.connections += 1;
    }

    /// Lets a client in; `greeting` is the first that it hears. `None` if all seats are taken.
    pub(super) fn enter(&self, login: FeedLogin, greeting: String) -> Option<Seat> {
        let mut state = self.state();
        if state.clients.len() >= self.options.clients_max {
            return None;
        }
        let (sender, lines) = mpsc::unbounded_channel();
        let (connected, is_connected) = watch::channel(());
        let queued_bytes = Arc::new(AtomicUsize::new(greeting.len()));
        // The receiver is here.
        let _ = sender.send(Bytes::from(greeting));
        let number = state.next_client;
        state.next_client += 1;
        state.clients.insert(
            number,
            Client {
                lines: sender,
                queued_bytes: Arc::clone(&queued_bytes),
                _connected: connected,
            },
        );
        state.counts.logins += 1;
        if state.logins.len() == LOGINS_MAX {
            state.logins.pop_front();
        }
        state.logins.push_back(login);
        self.logins.send_replace(state.counts.logins);
        Some(Seat {
            number,
            lines,
            queued_bytes,
            connected: is_connected,
        })
    }

    pub(super) fn leave(&self, number: u64) {
        self.state().clients.remove(&number);
    }

    /// Says `bytes` to every client, unless the server is silent. Who has not read enough of what was said before is let go.
    pub(super) fn say(&self, bytes: &[u8], lines: u64) {
        let mut state = self.state();
        if state.is_silent {
            return;
        }
        state.counts.lines += lines;
        if state.clients.is_empty() {
            return;
        }
        let bytes = Bytes::copy_from_slice(bytes);
        let before = state.clients.len();
        state.clients.retain(|_, client| {
            let queued = client.queued_bytes.fetch_add(bytes.len(), Ordering::AcqRel) + bytes.len();
            queued <= self.options.client_bytes_max && client.lines.send(bytes.clone()).is_ok()
        });
        state.counts.slow_readers += (before - state.clients.len()) as u64;
    }

    pub(super) fn be_silent(&self, is_silent: bool) {
        self.state().is_silent = is_silent;
    }

    pub(super) fn drop_clients(&self) {
        self.state().clients.clear();
    }

    pub(super) fn counts(&self) -> FeedCounts {
        self.state().counts
    }

    pub(super) fn client_count(&self) -> usize {
        self.state().clients.len()
    }

    pub(super) fn logins(&self) -> Vec<FeedLogin> {
        self.state().logins.iter().cloned().collect()
    }

    pub(super) async fn logged_in(&self, count: u64) {
        // The sender is ours.
        let _ = self
            .logins
            .subscribe()
            .wait_for(|logins| *logins >= count)
            .await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
