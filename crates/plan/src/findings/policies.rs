//! What becomes of each declaration on the target's edition, and what a first run of the retention drops.

use super::{Case, Subject, columnstore};
use crate::expiry::placed;
use crate::policies::{Aggregate, Keeper};
use crate::{Code, Finding, Severity, phrase, quote_ident, sql};
use std::collections::BTreeSet;

pub(super) fn check(case: &Case, subject: Subject) -> Vec<Finding> {
    let keeper = Keeper::of(case.facts);
    let aggregates = subject.table.policies.aggregates.iter();
    let aggregates = aggregates.map(|aggregate| {
        let name = aggregate.relation.plain();
        let every = phrase::interval(aggregate.schedule_us);
        let finding = match keeper {
            Keeper::Server => Finding::new(
                Code::Aggregate,
                Severity::Info,
                format!("{name} becomes a continuous aggregate, refreshed every {every}"),
            )
            .detail("It is computed over all history after the cutover, before anything is dropped."),
            Keeper::Maintain => Finding::new(
                Code::Aggregate,
                Severity::Info,
                format!("{name} becomes an ordinary table, since this edition has no continuous aggregates"),
            )
            .detail(format!(
                "It is empty until hyperhaul maintain rolls history up; have that run every {every}."
            ))
            .resolve("hyperhaul maintain --install systemd --dry-run"),
        };
        finding.object(name)
    });
    let closed = subject
        .table
        .policies
        .aggregates
        .iter()
        .filter(|aggregate| {
            let mut closed = case.facts.closed_schemas.iter();
            closed.any(|schema| *schema == aggregate.relation.schema)
        });
    let closed = closed.map(|aggregate| no_place(aggregate, &case.facts.target.role));
    columnstore::check(case, subject)
        .into_iter()
        .chain(cannot_leave_out(case, subject))
        .chain(retention(case, subject, keeper))
        .chain(aggregates)
        .chain(closed)
        .collect()
}

/// It would show at the very end of the run.
fn no_place(aggregate: &Aggregate, role: &str) -> Finding {
    let (name, schema) = (
        aggregate.relation.plain(),
        quote_ident(&aggregate.relation.schema),
    );
    let role = quote_ident(role);
    let message = format!(
        "{name} cannot be made: the role may make nothing in schema {schema}, or it is not there"
    );
    Finding::new(Code::Aggregate, Severity::Block, message)
        .object(name)
        .resolve(format!("CREATE SCHEMA IF NOT EXISTS {schema};"))
        .resolve(format!("GRANT USAGE, CREATE ON SCHEMA {schema} TO {role};"))
}

fn retention(case: &Case, subject: Subject, keeper: Keeper) -> Option<Finding> {
    let policies = &subject.table.policies;
    let age = phrase::interval(policies.retention_us?);
    let expired = Expired::of(subject, case.facts.target.clock_us - policies.retention_us?);
    let by = match keeper {
        Keeper::Server => "a job of the server",
        Keeper::Maintain => "hyperhaul maintain",
    };
    let when = match keeper {
        Keeper::Server => format!(
            "The job's first run is {} after the run; pause it before with alter_job(job_id, scheduled => false).",
            phrase::interval(policies.retention_schedule_us())
        ),
        Keeper::Maintain => "Nothing is dropped before hyperhaul maintain is run, and its --dry-run tells what would be.".to_owned(),
    };
    let (severity, message, loss) = if expired.chunks == 0 {
        let message = format!("chunks older than {age} are dropped by {by}: none is by now");
        (Severity::Info, message, "")
    } else {
        let about = if expired.exact { "" } else { "about " };
        let message = format!(
            "the first run of the retention of {age}, by {by}, drops {about}{} in {} of {}",
            phrase::count(expired.rows, "row"),
            phrase::grouped(expired.chunks),
            phrase::count_of(&subject.table.chunks, "chunk")
        );
        if subject.table.skip_before_us.is_some() {
            return Some(left_out(&expired, &age));
        }
        let loss = if subject.table.attached.is_empty() {
            "They are moved, and then gone for good; the old table keeps them until cleanup. "
        } else {
            "Partitions that are attached have no second copy: what is dropped of them is gone for good at once, and a \
             rollback leaves those partitions out. "
        };
        (Severity::Warn, message, loss)
    };
    let referring: Vec<String> = sql::referencing(subject.found, case.tables)
        .filter(|_| case.same_database())
        .map(|key| format!("{} of {}", key.name, key.relation.plain()))
        .collect();
    let refused = if referring.is_empty() {
        String::new()
    } else {
        let job = match keeper {
            Keeper::Server => " The job fails at each run until then.",
            Keeper::Maintain => "",
        };
        format!(
            " TimescaleDB drops no chunk while a foreign key refers to the table ({}): hyperhaul maintain deletes the rows \
             that nothing refers to instead.{job}",
            phrase::list(&referring)
        )
    };
    Some(Finding::new(Code::Retention, severity, message).detail(format!("{loss}{when}{refused}")))
}

/// Where expired rows were to be left out and are not.
fn cannot_leave_out(case: &Case, subject: Subject) -> Option<Finding> {
    let why = match subject.table.policies.retention_us {
        _ if !case.options.skip_expired || subject.table.skip_before_us.is_some() => return None,
        None => "no retention is declared for it",
        Some(_) => "foreign keys of other tables refer to it, and would miss the rows",
    };
    let message = format!("--skip-expired leaves no row of this table out: {why}");
    Some(Finding::new(Code::Retention, Severity::Info, message).object("--skip-expired"))
}

/// What `--skip-expired` leaves behind.
fn left_out(expired: &Expired, age: &str) -> Finding {
    let about = if expired.exact { "" } else { "about " };
    let message = format!(
        "{about}{} in {} are older than {age} and are left out",
        phrase::count(expired.rows, "row"),
        phrase::count(expired.chunks, "chunk")
    );
    Finding::new(Code::Retention, Severity::Warn, message).detail(
        "As --skip-expired asks. The old table keeps them until cleanup, then they are gone; rollback has them still.",
    )
}

/// Rows that are too old already, chunk by whole chunk.
struct Expired {
    rows: u64,
    chunks: u64,
    /// Whether the rows were counted.
    exact: bool,
}

impl Expired {
    fn of(subject: Subject, cutoff_us: i64) -> Expired {
        let interval_us = subject.table.chunk_interval_us;
        let mut expired = Expired {
            rows: 0,
            chunks: 0,
            exact: true,
        };
        let mut chunks = BTreeSet::new();
        for leaf in &subject.found.leaves {
            for (chunk, rows, exact) in placed(leaf, interval_us) {
                if chunk.end_us <= cutoff_us && rows > 0 {
                    chunks.insert(chunk);
                    expired.rows += rows;
                    expired.exact &= exact;
                }
            }
        }
        expired.chunks = chunks.len() as u64;
        expired
    }
}
