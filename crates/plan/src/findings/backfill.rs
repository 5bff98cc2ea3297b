//! Checks on history that follows beside live rows: what would act on it a second time or refuse it, and what the application
//! sees meanwhile.

use super::{Case, Subject};
use crate::facts::{Index, KeyKind, ReferencedBy, Trigger, UniqueKey};
use crate::sql::{is_valid, lacks_time, referencing};
use crate::{Code, Finding, Mode, Severity, quote_ident};

pub(super) fn check(case: &Case, subject: Subject) -> Vec<Finding> {
    if case.options.mode != Mode::Backfill {
        return Vec::new();
    }
    let found = subject.found;
    let mut findings = vec![meanwhile(subject)];
    findings.extend(
        found
            .triggers
            .iter()
            .filter(|one| one.fires_for_new_rows())
            .map(trigger),
    );
    findings.extend(published(subject));
    findings.extend(forced_row_security(subject));
    findings.extend(never_validated(subject));
    findings.extend(refers_elsewhere(case, subject));
    findings.extend(keys_that_wait(subject));
    findings.extend(keys_of_expressions(subject));
    if case.same_database() {
        findings.extend(referencing(found, case.tables).map(refers));
    }
    findings
}

/// What holds for every table.
fn meanwhile(subject: Subject) -> Finding {
    let name = subject.table.relation.plain();
    Finding::new(
        Code::Backfill,
        Severity::Warn,
        "history follows after the cutover, newest first",
    )
    .detail(format!(
        "Until it is in, queries of {name} see what has come so far. INSERT and COPY go on; UPDATE, DELETE, TRUNCATE and \
         INSERT ... ON CONFLICT DO UPDATE are refused, since they would miss rows that are still to come. Where a live row \
         has the key of an old one, the live one stays."
    ))
}

/// On another server nothing keeps rows that history refers to. Within one database the old table's foreign keys do.
fn refers_elsewhere(case: &Case, subject: Subject) -> Option<Finding> {
    let keys = &subject.found.foreign_keys;
    let mut tables: Vec<String> = keys.iter().map(|key| key.references.plain()).collect();
    tables.sort_unstable();
    tables.dedup();
    if tables.is_empty() || case.same_database() {
        return None;
    }
    let finding = Finding::new(
        Code::Backfill,
        Severity::Warn,
        "the target cannot know what history refers to before it is there",
    );
    Some(finding.detail(format!(
        "Delete no rows of {} on the target until then, and change no keys of theirs: a slice that refers to them stops the run \
         until they are put back.",
        tables.join(", ")
    )))
}

fn trigger(trigger: &Trigger) -> Finding {
    block(format!(
        "trigger {} would fire for rows of the history once more",
        quote_ident(&trigger.name)
    ))
    .object(trigger.name.clone())
    .detail("It is on the hypertable when they come. In mode window it is put on after them.")
    .resolve(WINDOW)
}

fn published(subject: Subject) -> Option<Finding> {
    let member = subject.found.publications.first()?;
    let finding = block(format!(
        "rows of the history would be published once more, by {}",
        quote_ident(&member.publication)
    ));
    Some(
        finding
            .object(member.publication.clone())
            .detail("The hypertable is in the publication when they come.")
            .resolve(WINDOW),
    )
}

fn forced_row_security(subject: Subject) -> Option<Finding> {
    subject.found.force_row_security.then(|| {
        block("row security is forced on the table, also for its owner".to_owned())
            .detail("Its policies could refuse rows of the history, and COPY is refused at all.")
            .resolve(WINDOW)
    })
}

/// What was never held against the rows that are there could refuse some of them, late in the run.
fn never_validated(subject: Subject) -> Vec<Finding> {
    let found = subject.found;
    let keys = found.foreign_keys.iter().filter(|key| !key.validated);
    let checks = found.checks.iter().filter(|check| !is_valid(check));
    let names = keys
        .map(|key| &key.name)
        .chain(checks.map(|check| &check.name));
    let relation = &found.relation;
    let finding = |name: &String| {
        block(format!(
            "constraint {} was never validated: rows of the history could be refused",
            quote_ident(name)
        ))
        .object(name.clone())
        .detail("Live rows have to obey it, so that it is there before the history.")
        .resolve(format!(
            "ALTER TABLE {relation} VALIDATE CONSTRAINT {};",
            quote_ident(name)
        ))
        .resolve(WINDOW)
    };
    names.map(finding).collect()
}

/// The server takes no deferrable key as one that rows are held against before they are written.
fn keys_that_wait(subject: Subject) -> Vec<Finding> {
    let keys = subject.found.unique_keys.iter();
    let waits =
        |key: &&UniqueKey| key.kind != KeyKind::Exclusion && key.definition.contains(" DEFERRABLE");
    let finding = |key: &UniqueKey| {
        let (name, relation) = (quote_ident(&key.name), &subject.found.relation);
        block(format!(
            "constraint {name} is deferrable: rows of the history cannot stay out because of it"
        ))
        .object(key.name.clone())
        .detail("Where a live row has the key of an old one, the server has to find that at once.")
        .resolve(format!(
            "ALTER TABLE {relation} DROP CONSTRAINT {name}; then ADD it NOT DEFERRABLE"
        ))
        .resolve(WINDOW)
    };
    keys.filter(waits).map(finding).collect()
}

/// A row that such an index keeps out could not be told from one that was lost.
fn keys_of_expressions(subject: Subject) -> Vec<Finding> {
    let time_column = &subject.table.time_column;
    let indexes = subject.found.indexes.iter();
    let own = indexes.filter(|index| {
        index.unique
            && !lacks_time(&index.columns, time_column)
            && index.columns.iter().any(Option::is_none)
    });
    let finding = |index: &Index| {
        block(format!(
            "unique index {} has expressions: what it keeps out cannot be told from what is lost",
            quote_ident(&index.name)
        ))
        .object(index.name.clone())
        .detail(
            "The proof finds rows of the history that stayed out by the columns of unique keys.",
        )
        .resolve(WINDOW)
    };
    own.map(finding).collect()
}

/// Rows of other tables refer to history. A partitioned one's foreign key cannot be NOT VALID.
fn refers(key: &ReferencedBy) -> Finding {
    let name = key.relation.plain();
    let finding = block(format!(
        "rows of {name} refer to history, by foreign key {}",
        quote_ident(&key.name)
    ))
    .object(format!("{} of {name}", key.name));
    if key.partitioned {
        return finding
            .detail("It is partitioned, so that its foreign key cannot be added before the history is there.")
            .resolve(WINDOW);
    }
    finding
        .detail(
            "The foreign key is on the hypertable from the cutover on, and validated when the history is in. Until then, \
             new rows that refer to what is still to come are refused.",
        )
        .resolve("--accept backfill")
        .resolve(WINDOW)
        .acceptable()
}

/// What resolves everything here.
const WINDOW: &str = "--mode window";

fn block(message: String) -> Finding {
    Finding::new(Code::Backfill, Severity::Block, message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use crate::testing::soar;

    #[test]
    fn what_would_act_on_history_once_more_blocks_and_is_named() {
        let (mut facts, mut options) = soar();
        options.mode = Mode::Backfill;
        let fixes = &mut facts.tables[0];
        fixes.force_row_security = true;
        fixes.foreign_keys[0].validated = false;
        let name = fixes.foreign_keys[0].name.clone();
        let blocks = |facts: crate::facts::Facts, options: crate::Options| -> Vec<String> {
            let plan = crate::plan(facts, options).unwrap();
            let own = plan.findings.into_iter();
            own.filter(|one| one.code == Code::Backfill && one.severity == Severity::Block)
                .map(|one| one.message)
                .collect()
        };
        let found = blocks(facts.clone(), options.clone());
        assert!(
            found
                .iter()
                .any(|message| message.contains("row security is forced"))
        );
        assert!(found.iter().any(|message| message.contains(&name)));
        options.mode = Mode::Window;
        assert_eq!(blocks(facts, options), Vec::<String>::new());
    }
}
