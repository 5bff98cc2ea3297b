//! Sessions and prepared transactions that hold locks which the run has to wait for.

use super::{Case, Subject};
use crate::facts::BlockingSession;
use crate::phrase;
use crate::{Code, Finding, Severity, quote_literal};

/// Transactions younger than this are the application's daily work: they are counted, not named.
const LONG_S: u64 = 60;

/// Locks that go along with the fence's SHARE ROW EXCLUSIVE (PostgreSQL docs, 13.3.1): only the cutover waits for them.
const HARMLESS_TO_FENCE: [&str; 2] = ["AccessShareLock", "RowShareLock"];

pub(super) fn check(case: &Case, subject: Subject) -> Vec<Finding> {
    let (named, brief): (Vec<&BlockingSession>, Vec<&BlockingSession>) = subject
        .found
        .sessions
        .iter()
        .filter(|session| case.same_database() || stops_fence(session))
        .partition(|session| session.gid.is_some() || session.age_s >= LONG_S);
    let mut findings: Vec<Finding> = named
        .into_iter()
        .map(|session| finding(case, session))
        .collect();
    findings.extend(in_passing(case, &brief));
    findings
}

fn stops_fence(session: &BlockingSession) -> bool {
    !HARMLESS_TO_FENCE.contains(&session.lock.as_str())
}

fn waits(case: &Case) -> String {
    format!(
        "Each attempt waits {} for its lock, {} at the most, so that the application never queues behind it for long; \
         then the run stops and can be resumed.",
        lock_timeout(case.options.lock_timeout_ms),
        phrase::count(u64::from(case.options.lock_attempts_max), "attempt")
    )
}

fn lock_timeout(timeout_ms: u64) -> String {
    if timeout_ms.is_multiple_of(1_000) {
        phrase::seconds(timeout_ms / 1_000)
    } else {
        format!("{timeout_ms} ms")
    }
}

/// The step that has to wait.
fn step(session: &BlockingSession) -> &'static str {
    if stops_fence(session) {
        "The fence waits for it."
    } else {
        "The fence goes along with it, but the cutover waits for it."
    }
}

fn finding(case: &Case, session: &BlockingSession) -> Finding {
    let role = session
        .role
        .as_ref()
        .map_or(String::new(), |role| format!(" of role {role}"));
    let held = format!(
        "holds {} on {} for {}",
        session.lock,
        session.relation.plain(),
        phrase::seconds(session.age_s)
    );
    if let Some(gid) = &session.gid {
        let gid_sql = quote_literal(gid);
        return Finding::new(
            Code::BlockingSession,
            Severity::Block,
            format!("prepared transaction \"{gid}\"{role} {held}"),
        )
        .object(gid.clone())
        .detail(format!(
            "{} It holds its locks until somebody ends it, across restarts too. Ask its transaction manager which way; \
             then one of:",
            step(session)
        ))
        .resolve(format!("COMMIT PREPARED {gid_sql};"))
        .resolve(format!("ROLLBACK PREPARED {gid_sql};"));
    }
    let application = session
        .application
        .as_ref()
        .filter(|name| !name.is_empty())
        .map_or(String::new(), |name| format!(", application \"{name}\""));
    let pid = session.pid.map_or("?".to_owned(), |pid| pid.to_string());
    Finding::new(
        Code::BlockingSession,
        Severity::Warn,
        format!(
            "session {pid}{role}{application} ({}) {held}",
            session.state
        ),
    )
    .object(format!("pid {pid}"))
    .detail(format!("{} {}", step(session), waits(case)))
    .resolve(format!("SELECT pg_terminate_backend({pid});"))
}

fn in_passing(case: &Case, sessions: &[&BlockingSession]) -> Option<Finding> {
    let oldest_s = sessions.iter().map(|session| session.age_s).max()?;
    Some(
        Finding::new(
            Code::BlockingSession,
            Severity::Info,
            format!(
                "{} hold locks for less than {LONG_S} s, the longest for {}",
                phrase::count_of(sessions, "other transaction"),
                phrase::seconds(oldest_s)
            )
            .replace("1 other transaction hold ", "1 other transaction holds "),
        )
        .detail(waits(case)),
    )
}
