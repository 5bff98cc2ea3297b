//! Times in which packets were not taken in: each is told with its reason, and none is passed over.

use serde::{Deserialize, Serialize};

/// Why packets are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapReason {
    /// The process did not run.
    NotRunning,
    /// No server could be reached.
    Connect,
    /// A server was reached, but did not let us in.
    Login,
    /// The server ended the connection.
    Closed,
    /// The connection broke.
    Broken,
    /// No line came for longer than a server is silent.
    Silent,
    /// Packets came faster than they could be stored, and the queue was full.
    Overflow,
}

impl GapReason {
    /// Whether it ends when a server has us in again.
    pub(crate) fn is_of_a_server(self) -> bool {
        match self {
            Self::Connect | Self::Login | Self::Closed | Self::Broken | Self::Silent => true,
            Self::NotRunning | Self::Overflow => false,
        }
    }

    /// Its name in rows and counters.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotRunning => "not-running",
            Self::Connect => "connect",
            Self::Login => "login",
            Self::Closed => "closed",
            Self::Broken => "broken",
            Self::Silent => "silent",
            Self::Overflow => "overflow",
        }
    }
}

/// A time in which packets are missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// When the last line came before it, or the first packet was dropped: microseconds since 1970, UTC.
    pub from_us: i64,
    /// When a server let us in again, or the last packet was dropped.
    pub to_us: i64,
    /// What began it.
    pub reason: GapReason,
    /// The server at which it began, if one was involved.
    pub server: Option<String>,
    /// Attempts to connect until it ended, the successful one included; 0 if none was needed.
    pub attempts: u32,
    /// Packets that are missing, where that is known.
    pub packets: Option<u64>,
}

/// An outage that has not ended.
#[derive(Clone, Debug)]
pub(super) struct Outage {
    pub(super) from_us: i64,
    pub(super) reason: GapReason,
    pub(super) server: Option<String>,
    pub(super) attempts: u32,
}

impl Outage {
    /// The gap that it was, if it ends at `to_us`. A clock that was set back makes it empty, not negative.
    pub(super) fn end(self, to_us: i64) -> Gap {
        Gap {
            from_us: self.from_us,
            to_us: to_us.max(self.from_us),
            reason: self.reason,
            server: self.server,
            attempts: self.attempts,
            packets: None,
        }
    }
}
