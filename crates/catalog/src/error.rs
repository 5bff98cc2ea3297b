//! The one error of this crate.

use std::fmt;

use hyperhaul_pg::Disposition;
use hyperhaul_plan::Relation;
use hyperhaul_plan::facts::BlockingSession;

/// Facts could not be gathered.
#[derive(Debug, Clone)]
pub struct Error(Box<Kind>);

#[derive(Debug, Clone)]
enum Kind {
    /// The server said no, or went away.
    Server(hyperhaul_pg::Error),
    /// There is no such relation.
    Missing {
        relation: Relation,
        similar: Vec<Relation>,
    },
    /// Somebody holds a lock that even looking has to wait for.
    Locked {
        relation: Relation,
        holders: Vec<BlockingSession>,
        cause: hyperhaul_pg::Error,
    },
    /// An answer that this crate does not understand.
    Answer {
        subject: &'static str,
        reason: String,
    },
}

impl Error {
    pub(crate) fn missing(relation: &Relation, similar: Vec<Relation>) -> Error {
        Error(Box::new(Kind::Missing {
            relation: relation.clone(),
            similar,
        }))
    }

    pub(crate) fn locked(
        relation: &Relation,
        holders: Vec<BlockingSession>,
        cause: hyperhaul_pg::Error,
    ) -> Error {
        Error(Box::new(Kind::Locked {
            relation: relation.clone(),
            holders,
            cause,
        }))
    }

    pub(crate) fn answer(subject: &'static str, reason: impl fmt::Display) -> Error {
        Error(Box::new(Kind::Answer {
            subject,
            reason: reason.to_string(),
        }))
    }

    /// The relation does not exist: a mistake in what was asked for.
    pub fn is_missing(&self) -> bool {
        matches!(*self.0, Kind::Missing { .. })
    }

    /// The connection's own error, where that is what failed.
    pub fn server_error(&self) -> Option<&hyperhaul_pg::Error> {
        match &*self.0 {
            Kind::Server(error) | Kind::Locked { cause: error, .. } => Some(error),
            Kind::Missing { .. } | Kind::Answer { .. } => None,
        }
    }

    /// What to do about it.
    pub fn disposition(&self) -> Disposition {
        self.server_error()
            .map_or(Disposition::Fix, hyperhaul_pg::Error::disposition)
    }

    /// More about it: the server's detail, or who holds the lock.
    pub fn detail(&self) -> Option<String> {
        match &*self.0 {
            Kind::Server(error) => error.detail().map(str::to_owned),
            Kind::Missing { .. } | Kind::Answer { .. } => None,
            Kind::Locked { holders, .. } => {
                let holders: Vec<String> = holders.iter().map(describe).collect();
                (!holders.is_empty()).then(|| holders.join("; "))
            }
        }
    }

    /// What could be done, as a sentence.
    pub fn hint(&self) -> Option<String> {
        match &*self.0 {
            Kind::Server(error) => error.hint().map(str::to_owned),
            Kind::Missing { similar, .. } if similar.is_empty() => Some(
                "Write schema.table; names with capitals or spaces stand in double quotes."
                    .to_owned(),
            ),
            Kind::Missing { similar, .. } => {
                let names: Vec<String> = similar.iter().map(Relation::plain).collect();
                Some(format!("Did you mean {}?", names.join(" or ")))
            }
            Kind::Locked { .. } => Some("End that transaction, or try again later.".to_owned()),
            Kind::Answer { .. } => Some(
                "Please report this, with the versions of PostgreSQL and TimescaleDB.".to_owned(),
            ),
        }
    }
}

fn describe(holder: &BlockingSession) -> String {
    let who = match (holder.pid, &holder.gid) {
        (Some(pid), _) => format!("process {pid}"),
        (None, Some(gid)) => format!("prepared transaction \"{gid}\""),
        (None, None) => "a prepared transaction".to_owned(),
    };
    let role = holder.role.as_deref().unwrap_or("an unknown role");
    format!(
        "{who} of {role} ({}, for {} s) holds {} on {}",
        holder.state,
        holder.age_s,
        holder.lock,
        holder.relation.plain()
    )
}

impl From<hyperhaul_pg::Error> for Error {
    fn from(error: hyperhaul_pg::Error) -> Error {
        Error(Box::new(Kind::Server(error)))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Kind::Server(error) => error.fmt(f),
            Kind::Missing { relation, .. } => {
                write!(f, "table {} does not exist", relation.plain())
            }
            Kind::Locked { relation, .. } => {
                write!(f, "cannot look at {}: it is locked", relation.plain())
            }
            Kind::Answer { subject, reason } => {
                write!(
                    f,
                    "could not understand the server's answer about {subject}: {reason}"
                )
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.server_error().map(|error| error as _)
    }
}
