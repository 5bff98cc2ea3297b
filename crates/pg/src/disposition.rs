//! What a failure asks for: SQLSTATE codes sorted into groups, and each group's disposition.
//! Codes are those of PostgreSQL's Appendix A, "PostgreSQL Error Codes".

/// What to do about a failed call. Every caller matches on it without a wildcard arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// Nothing happened, and the same transaction may succeed when it is tried again:
    /// serialization failure, deadlock, lock timeout, too many connections.
    Retry,
    /// The connection is gone or the server is starting or stopping. Reconnect. What was running
    /// may or may not have been committed: read the ledger before doing it again.
    Reconnect,
    /// The server ran out of disk, memory or a configured limit. A person must free some; then
    /// the same call can go on.
    FreeResources,
    /// A person must change something: a privilege, a name, the data, the configuration. The same
    /// call would fail again.
    Fix,
    /// The statement was cancelled, by a user or by a timeout. The transaction is rolled back.
    Cancelled,
}

/// SQLSTATE codes that ask for the same thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    SerializationFailure,
    LockNotAvailable,
    TooManyConnections,
    ConnectionLost,
    ServerUnavailable,
    SessionTerminated,
    OutOfResources,
    QueryCancelled,
    Everything,
}

impl Group {
    fn of(sqlstate: &str) -> Group {
        match sqlstate {
            // serialization_failure, deadlock_detected
            "40001" | "40P01" => Group::SerializationFailure,
            "55P03" => Group::LockNotAvailable,
            "53300" => Group::TooManyConnections,
            // admin_shutdown, crash_shutdown, cannot_connect_now
            "57P01" | "57P02" | "57P03" => Group::ServerUnavailable,
            // idle_session_timeout and the timeouts that end the session with the transaction
            "57P05" | "25P03" | "25P04" => Group::SessionTerminated,
            // statement_completion_unknown
            "40003" => Group::ConnectionLost,
            // protocol_violation: another protocol, or a pooler that refuses a parameter
            "08P01" => Group::Everything,
            "57014" => Group::QueryCancelled,
            _ if sqlstate.starts_with("08") => Group::ConnectionLost,
            _ if sqlstate.starts_with("53") => Group::OutOfResources,
            _ => Group::Everything,
        }
    }

    fn disposition(self) -> Disposition {
        match self {
            Group::SerializationFailure | Group::LockNotAvailable | Group::TooManyConnections => {
                Disposition::Retry
            }
            Group::ConnectionLost | Group::ServerUnavailable | Group::SessionTerminated => {
                Disposition::Reconnect
            }
            Group::OutOfResources => Disposition::FreeResources,
            Group::QueryCancelled => Disposition::Cancelled,
            Group::Everything => Disposition::Fix,
        }
    }
}

/// The disposition of an error that the server reported with this SQLSTATE.
pub(crate) fn of_sqlstate(sqlstate: &str) -> Disposition {
    Group::of(sqlstate).disposition()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_of_codes_has_the_disposition_that_its_callers_rely_on() {
        let table = [
            ("40001", Disposition::Retry),
            ("40P01", Disposition::Retry),
            ("55P03", Disposition::Retry),
            ("53300", Disposition::Retry),
            ("57P01", Disposition::Reconnect),
            ("57P02", Disposition::Reconnect),
            ("57P03", Disposition::Reconnect),
            ("57P05", Disposition::Reconnect),
            ("25P03", Disposition::Reconnect),
            ("25P04", Disposition::Reconnect),
            ("08000", Disposition::Reconnect),
            ("08003", Disposition::Reconnect),
            ("08006", Disposition::Reconnect),
            ("08P01", Disposition::Fix),
            ("53000", Disposition::FreeResources),
            ("53100", Disposition::FreeResources),
            ("53200", Disposition::FreeResources),
            ("53400", Disposition::FreeResources),
            ("57014", Disposition::Cancelled),
            ("57P04", Disposition::Fix),
            ("23505", Disposition::Fix),
            ("23514", Disposition::Fix),
            ("28P01", Disposition::Fix),
            ("3D000", Disposition::Fix),
            ("42501", Disposition::Fix),
            ("42601", Disposition::Fix),
            ("42P01", Disposition::Fix),
            ("25P02", Disposition::Fix),
            ("XX000", Disposition::Fix),
            ("TS101", Disposition::Fix),
            ("P0001", Disposition::Fix),
        ];
        for (sqlstate, expected) in table {
            assert_eq!(of_sqlstate(sqlstate), expected, "{sqlstate}");
        }
    }
}
