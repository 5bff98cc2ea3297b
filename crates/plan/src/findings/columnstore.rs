//! What becomes of a declared columnstore on the target's edition: when chunks go there, and what keeps them out.

use super::{Case, Subject};
use crate::policies::Keeper;
use crate::{
    Code, Columnstore, ColumnstoreBegins, Finding, Moment, Severity, ToColumnstore, phrase, sql,
};

pub(super) fn check(case: &Case, subject: Subject) -> Vec<Finding> {
    let Some(columnstore) = &subject.table.policies.columnstore else {
        return Vec::new();
    };
    let after = phrase::interval(columnstore.after_us);
    if Keeper::of(case.facts) == Keeper::Maintain {
        return vec![none_here(columnstore, &after)];
    }
    let begins = match subject.table.to_columnstore {
        None => later(&after),
        Some(chosen) => now(chosen, &after),
    };
    let secured =
        (subject.found.row_security || subject.found.force_row_security).then(row_security);
    std::iter::once(begins)
        .chain(secured)
        .chain(equal_values(columnstore, subject))
        .chain(referenced(case, subject))
        .collect()
}

fn none_here(columnstore: &Columnstore, after: &str) -> Finding {
    match columnstore.begins {
        ColumnstoreBegins::Later => Finding::new(
            Code::Columnstore,
            Severity::Warn,
            format!("chunks older than {after} cannot go to a columnstore: this edition has none"),
        )
        .detail("They stay as they are. The declaration is kept, and hyperhaul maintain tells about it at each run."),
        ColumnstoreBegins::Now => Finding::new(
            Code::Columnstore,
            Severity::Block,
            format!("chunks older than {after} cannot go to the columnstore during the run: this edition has none"),
        )
        .detail(
            "The columnstore belongs to the Community edition. Let the declaration wait for it, or take a server of that \
             edition as the target.",
        )
        .resolve("--columnstore later"),
    }
}

fn later(after: &str) -> Finding {
    Finding::new(
        Code::Columnstore,
        Severity::Info,
        format!("chunks older than {after} go to the columnstore, by a job of the server"),
    )
    .detail("Its first run begins right after the run.")
}

fn now(chosen: ToColumnstore, after: &str) -> Finding {
    let message = format!(
        "{} older than {after} ({}) go to the columnstore during the run, later ones by a job of the server",
        phrase::count(chosen.chunks, "chunk"),
        phrase::bytes(chosen.bytes)
    );
    let detail = match chosen.moment {
        Moment::BeforeIndexes => {
            "They go there when their rows, keys and foreign keys are in, each by itself, and are verified there before the \
             cutover. No other index is built over them, but for partitions that are staged. A rollback drops them with the hypertable."
        }
        Moment::AfterCutover => {
            "Partitions that are attached are the only copy of their rows, and are proved by their files: their chunks go \
             there after the cutover, each by itself, beside the application. A rollback brings them back first, which takes \
             about as long again."
        }
    };
    Finding::new(Code::Columnstore, Severity::Info, message).detail(detail)
}

/// The server has no columnstore for such tables, and says so only when it is turned on.
fn row_security() -> Finding {
    Finding::new(
        Code::Columnstore,
        Severity::Block,
        "the table has row level security, and TimescaleDB has no columnstore for such tables",
    )
    .detail("Leave columnstore_after out for this table, or take row level security off it.")
}

/// Chunks that come of age after the cutover.
fn referenced(case: &Case, subject: Subject) -> Option<Finding> {
    let keys: Vec<String> = sql::referencing(subject.found, case.tables)
        .filter(|_| case.same_database())
        .map(|key| format!("{} of {}", key.name, key.relation.plain()))
        .collect();
    if keys.is_empty() {
        return None;
    }
    let message = format!(
        "TimescaleDB puts no chunk into the columnstore that a foreign key refers to ({}): its job fails at each run",
        phrase::list(&keys)
    );
    let detail = match subject.table.to_columnstore {
        Some(_) => {
            "Chunks that are old enough go there during the run, before those keys are back; later ones cannot."
        }
        None => {
            "With --columnstore now, chunks that are old enough go there during the run, before those keys are back."
        }
    };
    Some(Finding::new(Code::Columnstore, Severity::Warn, message).detail(detail))
}

/// Types with values that are equal and not the same, as the server writes their names.
const LOOSELY_EQUAL: [&str; 9] = [
    "numeric",
    "real",
    "double precision",
    "interval",
    "citext",
    "jsonb",
    "bpchar",
    "numrange",
    "nummultirange",
];

/// Of those, the ones that chunks keep value by value where their column does not keep rows together (2.29 measured).
const KEPT_ONE_BY_ONE: [&str; 3] = ["numeric", "real", "double precision"];

/// Whether a column's chunks keep one of several equal values for all of them. Domains and composites are not seen through.
fn keeps_one(type_sql: &str, segments: bool) -> bool {
    let element = type_sql.trim_end_matches("[]");
    let unqualified = element.rsplit('.').next().unwrap_or(element);
    let is = |name: &&str| {
        let rest = unqualified.strip_prefix(*name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['(', ' ']))
    };
    let one_by_one = !segments && element == type_sql && KEPT_ONE_BY_ONE.iter().any(&is);
    LOOSELY_EQUAL.iter().any(is) && !one_by_one
}

/// Columns whose values may become others that are equal.
fn equal_values(columnstore: &Columnstore, subject: Subject) -> Option<Finding> {
    let mut columns = Vec::new();
    for column in &subject.found.columns {
        let segments = columnstore.segment_by.contains(&column.name);
        if keeps_one(&column.type_sql, segments) {
            let part = if segments { ", segment_by" } else { "" };
            columns.push(format!("\"{}\" ({}{part})", column.name, column.type_sql));
        }
    }
    if columns.is_empty() {
        return None;
    }
    let message = format!(
        "where values are equal but not the same, the columnstore keeps one of them for all: {}",
        phrase::list(&columns)
    );
    let looked_at = match subject.table.to_columnstore {
        Some(_) => {
            "Where that would change a row of a chunk that goes there during the run, the run stops; nobody looks at chunks that \
             go there later."
        }
        None => {
            "Nobody looks when the server's job does it. With --columnstore now, the run stops where that would change a row."
        }
    };
    let detail = format!(
        "1 mon and 30 days, or 1.0 and 1.00 in such a column, become the one that a chunk has first. {looked_at} If the \
         difference matters, leave columnstore_after out for this table, or such columns out of segment_by."
    );
    Some(Finding::new(Code::Columnstore, Severity::Warn, message).detail(detail))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::ColumnstoreBegins::{Later, Now};
    use crate::facts::License;
    use crate::testing::{column, declared, fixes, measured_fixes};

    #[test]
    fn types_whose_values_may_be_equal_and_not_the_same() {
        for (type_sql, segments, expected) in [
            ("interval", false, true),
            ("interval day to second(3)", false, true),
            ("interval[]", false, true),
            ("public.citext", false, true),
            ("jsonb", false, true),
            ("numeric(10,2)", false, false),
            ("numeric(10,2)", true, true),
            ("numeric(10,2)[]", false, true),
            ("double precision", true, true),
            ("double precision", false, false),
            ("timestamp with time zone", true, false),
            ("integer[]", false, false),
            ("text", true, false),
        ] {
            assert_eq!(keeps_one(type_sql, segments), expected, "{type_sql}");
        }
    }

    #[test]
    fn such_columns_are_told_before_the_run() {
        let said = |begins, type_sql: &str| {
            let (mut facts, mut options) = measured_fixes();
            let timescale = facts.target.timescale.as_mut().unwrap();
            (timescale.version, timescale.license) = ((2, 29, 2), License::Community);
            fixes(&mut facts)
                .columns
                .push(column("lasted", 40, type_sql));
            options.tables[0].policies = declared();
            let columnstore = options.tables[0].policies.columnstore.as_mut().unwrap();
            columnstore.begins = begins;
            let mut findings = crate::plan(facts, options).unwrap().findings.into_iter();
            findings.find(|found| found.message.contains("keeps one of them"))
        };
        let now = said(Now, "interval").unwrap();
        assert_eq!(
            (now.code, now.severity),
            (Code::Columnstore, Severity::Warn)
        );
        assert!(
            now.message.ends_with("\"lasted\" (interval)"),
            "{}",
            now.message
        );
        assert!(
            now.detail.contains("the run stops; nobody"),
            "{}",
            now.detail
        );
        let later = said(Later, "interval").unwrap();
        assert!(
            later.detail.contains("Nobody looks when"),
            "{}",
            later.detail
        );
        assert_eq!(said(Now, "text"), None);
    }
}
