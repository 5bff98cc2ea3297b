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
