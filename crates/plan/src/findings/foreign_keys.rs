//! Checks on foreign keys, from the table and to it.

use super::{Case, Subject};
use crate::facts::{ForeignKey, ReferencedBy};
use crate::phrase;
use crate::{Code, Finding, Severity, quote_ident};
use std::collections::BTreeMap;

pub(super) fn check(case: &Case, subject: Subject) -> Vec<Finding> {
    let keys = subject.found.foreign_keys.iter();
    let mut findings: Vec<Finding> = keys
        .filter_map(|key| outgoing(case, subject, key))
        .collect();
    let others = subject.found.referenced_by.iter();
    // Foreign keys between tables of the run are seen from the referencing table.
    let others: Vec<&ReferencedBy> = others.filter(|key| !case.moves(&key.relation)).collect();
    if case.same_database() {
        findings.extend(others.iter().map(|key| incoming(subject, key)));
        findings.extend(several_keys_of_one_table(&others));
    } else {
        findings.extend(others.iter().map(|key| incoming_elsewhere(key)));
    }
    findings
}

fn outgoing(case: &Case, subject: Subject, key: &ForeignKey) -> Option<Finding> {
    let hypertable =
        key.references_hypertable || case.facts.target.hypertables.contains(&key.references);
    if case.moves(&key.references) || hypertable {
        Some(between_hypertables(case, subject, key))
    } else if case.facts.missing_relations.contains(&key.references) {
        Some(missing_table(subject, key))
    } else if !case.same_database() && key.validated {
        Some(rows_elsewhere(key))
    } else {
        None
    }
}

fn described(key: &ForeignKey) -> String {
    format!(
        "foreign key {} ({}) -> {} ({})",
        quote_ident(&key.name),
        key.columns.join(", "),
        key.references.plain(),
        key.referenced_columns.join(", ")
    )
}

fn between_hypertables(case: &Case, subject: Subject, key: &ForeignKey) -> Finding {
    let itself = key.references == subject.found.relation;
    let (why, instead) = if itself {
        ("refers to the hypertable itself", String::new())
    } else if case.moves(&key.references) {
        (
            "cannot exist: both tables become hypertables in this run",
            format!(
                " Or leave {} out of the run: a hypertable's foreign key may refer to a partitioned or an ordinary \
                 table.",
                key.references.plain()
            ),
        )
    } else {
        (
            "cannot exist: the table that it refers to is a hypertable already",
            String::new(),
        )
    };
    Finding::new(
        Code::HypertableForeignKey,
        Severity::Block,
        format!("{} {why}", described(key)),
    )
    .object(key.name.clone())
    .detail(format!(
        "TimescaleDB refuses it (\"hypertables cannot be used as foreign key references of hypertables\"). If you \
         accept it, the hypertable is made without this constraint: nothing is lost, but rows without a counterpart are \
         no longer refused, and ON DELETE no longer acts. The query below finds such rows afterwards.{instead}"
    ))
    .resolve("--accept hypertable_foreign_key")
    .resolve(format!("{};", crate::sql::orphans(&subject.found.relation, key)))
    .acceptable()
}

fn missing_table(subject: Subject, key: &ForeignKey) -> Finding {
    Finding::new(
        Code::ReferencedTableMissing,
        Severity::Block,
        format!(
            "{}: that table is missing on the target",
            described(key)
        ),
    )
    .object(key.name.clone())
    .detail(
        "Bring it over with its rows first. If you accept it, the constraint is left out; it can be added when the table \
         is there:",
    )
    .resolve(format!(
        "ALTER TABLE {} ADD CONSTRAINT {} {};",
        subject.found.relation,
        quote_ident(&key.name),
        key.definition
    ))
    .resolve("--accept referenced_table_missing")
    .acceptable()
}

fn rows_elsewhere(key: &ForeignKey) -> Finding {
    Finding::new(
        Code::ReferencedRows,
        Severity::Warn,
        format!(
            "{} is validated against the rows that the target has",
            described(key)
        ),
    )
    .object(key.name.clone())
    .detail(format!(
        "{} is not part of the run. If a row that is referred to is missing there, validation fails after the copy, and \
         the run stops until it has been brought over.",
        key.references.plain()
    ))
}

fn described_incoming(key: &ReferencedBy) -> String {
    format!(
        "foreign key {} of {} (about {}) refers to the table by ({})",
        quote_ident(&key.name),
        key.relation.plain(),
        phrase::count(key.rows_estimate, "row"),
        key.referenced_columns.join(", ")
    )
}

fn drop_sql(key: &ReferencedBy) -> String {
    format!(
        "ALTER TABLE {} DROP CONSTRAINT {};",
        key.relation,
        quote_ident(&key.name)
    )
}

fn incoming(subject: Subject, key: &ReferencedBy) -> Finding {
    let object = format!("{} of {}", key.name, key.relation.plain());
    if key.from_hypertable {
        return Finding::new(
            Code::HypertableForeignKey,
            Severity::Block,
            format!("{}, and {} is a hypertable", described_incoming(key), key.relation.plain()),
        )
        .object(object)
        .detail(
            "Once this table is a hypertable too, TimescaleDB refuses the constraint; it would go on looking into the old \
             table and refuse every row that refers to a new one. Drop it before the run.",
        )
        .resolve(drop_sql(key));
    }
    let time_column = &subject.table.time_column;
    if !key.referenced_columns.contains(time_column) {
        return Finding::new(
            Code::ReferencedBy,
            Severity::Block,
            format!(
                "{}, without the time column {}",
                described_incoming(key),
                quote_ident(time_column)
            ),
        )
        .object(object)
        .detail(
            "A foreign key needs a unique key of exactly these columns, and a hypertable can't have one without the time \
             column. Drop the constraint before the run, or give the referencing table a time column of its own and \
             refer to both.",
        )
        .resolve(drop_sql(key));
    }
    re_pointed(subject, key).object(object)
}

fn re_pointed(subject: Subject, key: &ReferencedBy) -> Finding {
    let validated = if key.partitioned {
        "added again to the hypertable in the same transaction and validated there, since PostgreSQL has no NOT VALID for \
         a partitioned table: both tables stay locked until all of its rows were looked up"
    } else if key.validated {
        "added again to the hypertable in the same transaction, and validated right after"
    } else {
        "added again to the hypertable in the same transaction; it stays NOT VALID, as it is today"
    };
    let retention = subject
        .found
        .partman
        .as_ref()
        .and_then(|partman| partman.retention.as_ref())
        .map_or(String::new(), |retention| {
            format!(
                " pg_partman's retention of {retention} can't simply become a retention policy."
            )
        });
    Finding::new(
        Code::ReferencedBy,
        Severity::Warn,
        format!("{}; it is re-pointed", described_incoming(key)),
    )
    .detail(format!(
        "At cutover it is dropped, {validated}. Know that TimescaleDB does not drop chunks of a hypertable while a \
         foreign key refers to it, not even chunks that no row refers to: drop_chunks and retention policies fail with \
         \"cannot drop constraint ... because other objects depend on it\" (seen on 2.19.3; timescaledb#8013).{retention} \
         To drop old chunks all the same, take the constraint off around it:"
    ))
    .resolve(format!(
        "BEGIN; {} SELECT drop_chunks({}, older_than => INTERVAL {}); ALTER TABLE {} ADD CONSTRAINT {} {}; COMMIT;",
        drop_sql(key),
        crate::quote_literal(&subject.found.relation.to_string()),
        crate::quote_literal(retention_of(subject)),
        key.relation,
        quote_ident(&key.name),
        crate::sql::definition_added(key)
    ))
}

fn retention_of(subject: Subject<'_>) -> &str {
    let partman = subject.found.partman.as_ref();
    partman
        .and_then(|partman| partman.retention.as_deref())
        .unwrap_or("30 days")
}

/// TimescaleDB copies only the first of several foreign keys of one table to a chunk (timescaledb#10055).
fn several_keys_of_one_table(keys: &[&ReferencedBy]) -> Vec<Finding> {
    let mut by_table: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for key in keys {
        by_table
            .entry(key.relation.plain())
            .or_default()
            .push(&key.name);
    }
    by_table
        .into_iter()
        .filter(|(_, names)| names.len() > 1)
        .map(|(table, names)| {
            Finding::new(
                Code::ReferencedBy,
                Severity::Warn,
                format!("{table} refers to the table by {} foreign keys: {}", names.len(), phrase::list(&names)),
            )
            .object(table)
            .detail(
                "TimescaleDB has a defect there (timescaledb#10055): deleting a row of the hypertable looks only at the \
                 first of them, so rows may be left that refer to nothing.",
            )
        })
        .collect()
}

fn incoming_elsewhere(key: &ReferencedBy) -> Finding {
    Finding::new(
        Code::ReferencedBy,
        Severity::Info,
        format!("{}; it stays on the source", described_incoming(key)),
    )
    .object(format!("{} of {}", key.name, key.relation.plain()))
    .detail("That table is not part of the run, and goes on referring to the old table.")
}
