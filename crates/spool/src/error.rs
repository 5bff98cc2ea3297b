//! The one error type of this crate. Its kinds are private: callers ask predicates.

use std::io;
use std::sync::Arc;

/// Why the spool did not do what was asked. Never contains bytes of records.
///
/// It can be cloned, since all whose records were in one group get the same answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{kind}")]
pub struct Error {
    #[source]
    kind: Kind,
}

/// What went wrong.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Kind {
    #[error("could not {doing} {name}: {source}")]
    Io {
        doing: &'static str,
        name: String,
        source: Arc<io::Error>,
    },
    #[error("could not make {name} durable: {source}")]
    Sync {
        name: String,
        source: Arc<io::Error>,
    },
    #[error("the spool takes nothing more: {0}")]
    Poisoned(Box<Kind>),
    #[error("no space is left on the spool's disk for {name}")]
    DiskFull {
        name: String,
        source: Arc<io::Error>,
    },
    #[error(
        "the spool is full: it holds {bytes} bytes and {wanted} more exceed its limit of {max}"
    )]
    Full { bytes: u64, wanted: u64, max: u64 },
    #[error("{bytes} bytes of records exceed the {max} that one append may hold")]
    TooLarge { bytes: u64, max: u64 },
    #[error("another process uses the spool in {0}")]
    Locked(String),
    #[error("segment {name} has format version {found}, this program reads {expected}", expected = crate::format::VERSION)]
    Version { name: String, found: u32 },
    #[error("segment {name} says of itself that it begins with position {found}")]
    Renamed { name: String, found: u64 },
    #[error("the spool's limits contradict themselves: {0}")]
    Limits(&'static str),
    #[error("position {0} is beyond the last one that there can be, {max}", max = crate::POSITION_MAX)]
    Position(u64),
    #[error("the queue in front of the spool is full")]
    Busy,
    #[error("the spool is closed")]
    Closed,
}

impl From<Kind> for Error {
    #[cold]
    fn from(kind: Kind) -> Self {
        Error { kind }
    }
}

impl Error {
    /// A failure of the disk; one for lack of space is told apart.
    #[cold]
    pub(crate) fn io(doing: &'static str, name: &str, source: io::Error) -> Self {
        let (name, source) = (name.to_owned(), Arc::new(source));
        let no_space = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        if no_space.contains(&source.kind()) {
            return Kind::DiskFull { name, source }.into();
        }
        Kind::Io {
            doing,
            name,
            source,
        }
        .into()
    }

    /// A sync that failed.
    #[cold]
    pub(crate) fn sync(name: &str, source: io::Error) -> Self {
        Kind::Sync {
            name: name.to_owned(),
            source: Arc::new(source),
        }
        .into()
    }

    /// What every call after this one gets.
    pub(crate) fn as_poison(&self) -> Self {
        Kind::Poisoned(Box::new(self.kind.clone())).into()
    }

    /// There is no room: the spool's limit is reached, or its disk is full. Nothing was taken; the same records can be taken once the
    /// consumer has released some, or the disk has space.
    pub fn is_full(&self) -> bool {
        matches!(self.kind, Kind::Full { .. } | Kind::DiskFull { .. })
    }

    /// The disk has no space left; the spool's own limit would allow more.
    pub fn is_disk_full(&self) -> bool {
        matches!(self.kind, Kind::DiskFull { .. })
    }

    /// A sync failed, now or before. Nothing can be acknowledged by this spool any more: the process has to end, and open it anew.
    pub fn is_poisoned(&self) -> bool {
        matches!(self.kind, Kind::Sync { .. } | Kind::Poisoned(_))
    }

    /// More is waiting in front of the spool than may: the disk is slower than the senders.
    pub fn is_busy(&self) -> bool {
        matches!(self.kind, Kind::Busy)
    }

    /// The keeper has ended.
    pub fn is_closed(&self) -> bool {
        matches!(self.kind, Kind::Closed)
    }

    /// Another process holds the folder.
    pub fn is_locked(&self) -> bool {
        matches!(self.kind, Kind::Locked(_))
    }

    /// A segment is not one that this program could have written there.
    pub fn is_foreign(&self) -> bool {
        matches!(self.kind, Kind::Version { .. } | Kind::Renamed { .. })
    }

    /// The caller asked for what cannot be: an append larger than a segment, limits that make no sense, a position
    /// that there is not.
    pub fn is_misuse(&self) -> bool {
        matches!(
            self.kind,
            Kind::TooLarge { .. } | Kind::Limits(_) | Kind::Position(_)
        )
    }

    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self.kind {
            Kind::Io { .. } => {
                "See the system's log for errors of the disk, and the permissions of the spool's folder."
            }
            Kind::Sync { .. } | Kind::Poisoned(_) => {
                "See the system's log for errors of the disk, then start again: what was acknowledged is read back."
            }
            Kind::DiskFull { .. } => {
                "Free space on the spool's disk, or bring the database back so that the spool empties."
            }
            Kind::Full { .. } => {
                "Bring the database back so that the spool empties, or raise the spool's limit."
            }
            Kind::TooLarge { .. } => "Send fewer records at a time, or raise the size of segments.",
            Kind::Locked(_) => "End the other process, or give this one a folder of its own.",
            Kind::Version { .. } => "Empty the spool with the program that wrote it.",
            Kind::Renamed { .. } => {
                "Give the file its name back: 20 digits, the position of its first record."
            }
            Kind::Limits(_) => {
                "Use segments of 1 KiB to 1 GiB, and a limit of at least two segments."
            }
            Kind::Position(_) => "Look into what remembers positions: none was ever that high.",
            Kind::Busy => "Send again later.",
            Kind::Closed => "Start the process again.",
        }
    }
}
