//! Locks that one transaction of the run takes, against the server's lock table.
//!
//! Multipliers measured on TimescaleDB 2.19.3 with 100 chunks, counting distinct relations in `pg_locks`:
//! validating a foreign key, changing the owner and an unfiltered SELECT lock every chunk with each of its indexes;
//! adding a foreign key that refers to the hypertable locks every chunk and its key's index; dropping one that refers
//! to a partitioned table locks every partition.

use super::{Case, Subject};
use crate::facts::ServerFacts;
use crate::phrase;
use crate::{Code, Finding, Severity};

/// Catalogs, referenced tables, sequences, views: what a transaction locks besides leaves and chunks.
const OTHER_RELATIONS: u64 = 50;

/// The share of the lock table that one transaction may take without others being squeezed: a quarter.
const COMFORTABLE_SHARE: u64 = 4;

pub(super) fn check(case: &Case) -> Vec<Finding> {
    let (source, target) = (&case.facts.source, &case.facts.target);
    let fence = case.subjects().map(fence_locks).max().unwrap_or(0);
    let on_target = target_locks(case);
    if case.same_database() {
        return vec![compare(fence.max(on_target), target, "server")];
    }
    vec![
        compare(fence, source, "source"),
        compare(on_target, target, "target"),
    ]
}

/// The most relations that one transaction of the run locks on the target.
fn target_locks(case: &Case) -> u64 {
    let validation = case.subjects().map(validation_locks).max().unwrap_or(0);
    let cutover: u64 = case.subjects().map(cutover_locks).sum();
    validation.max(cutover) + OTHER_RELATIONS
}

fn length<T>(items: &[T]) -> u64 {
    u64::try_from(items.len()).unwrap_or(u64::MAX)
}

/// Chunks that the hypertable will have at the least: those known beforehand, else one for each leaf.
fn chunk_count(subject: Subject) -> u64 {
    length(&subject.table.chunks).max(length(&subject.found.leaves))
}

fn fence_locks(subject: Subject) -> u64 {
    length(&subject.found.leaves) + length(&subject.found.branches) + OTHER_RELATIONS
}

fn validation_locks(subject: Subject) -> u64 {
    let found = subject.found;
    let index_count = length(&found.unique_keys) + length(&found.indexes);
    chunk_count(subject) * (1 + index_count)
}

fn cutover_locks(subject: Subject) -> u64 {
    length(&subject.found.leaves) + 2 * chunk_count(subject)
}

fn capacity(server: &ServerFacts) -> u64 {
    u64::from(server.settings.max_locks_per_transaction) * sessions(server)
}

fn sessions(server: &ServerFacts) -> u64 {
    let settings = &server.settings;
    u64::from(settings.max_connections) + u64::from(settings.max_prepared_transactions)
}

fn compare(needed: u64, server: &ServerFacts, name: &str) -> Finding {
    let capacity = capacity(server);
    let settings = &server.settings;
    let message = format!(
        "one transaction of the run locks up to {} on the {name}, whose lock table holds {}",
        phrase::count(needed, "relation"),
        phrase::grouped(capacity)
    );
    let table = format!(
        "The lock table holds max_locks_per_transaction ({}) x (max_connections ({}) + max_prepared_transactions ({})), \
         for all sessions together.",
        settings.max_locks_per_transaction,
        settings.max_connections,
        settings.max_prepared_transactions
    );
    let severity = if needed > capacity {
        Severity::Block
    } else if needed.saturating_mul(COMFORTABLE_SHARE) > capacity {
        Severity::Warn
    } else {
        return Finding::new(Code::Locks, Severity::Info, message).detail(table);
    };
    let enough = sufficient(needed, server);
    Finding::new(Code::Locks, severity, message)
        .detail(format!(
            "{table} When it is full, statements fail with \"out of shared memory\", the application's too. Validating \
             constraints locks every chunk with each of its indexes, and so will every query without a condition on the \
             time. A longer chunk interval needs fewer locks; the setting takes effect when the server is restarted."
        ))
        .resolve(format!(
            "ALTER SYSTEM SET max_locks_per_transaction = {enough};"
        ))
}

/// The setting with which the need is a comfortable share, rounded up to a multiple of 64.
fn sufficient(needed: u64, server: &ServerFacts) -> u64 {
    let per_session = needed
        .saturating_mul(COMFORTABLE_SHARE)
        .div_ceil(sessions(server).max(1));
    per_session.max(64).next_multiple_of(64)
}
