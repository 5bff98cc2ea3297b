//! Checks on what hangs on the table: views, materialized views, functions, rules, triggers, policies.
//!
//! Publications have a file of their own.

use super::{Case, Subject};
use crate::facts::{
    FunctionDependent, License, MaterializedView, Policy, Rule, TableFacts, Trigger, View,
};
use crate::phrase;
use crate::{Code, Finding, Severity, quote_ident, quote_literal};

pub(super) fn check(case: &Case, subject: Subject) -> Vec<Finding> {
    let found = subject.found;
    let same_database = case.same_database();
    let mut findings: Vec<Finding> = Vec::new();
    if same_database {
        findings.extend(found.views.iter().map(view));
        findings.extend(found.materialized_views.iter().map(materialized_view));
        findings.extend(found.functions.iter().map(function));
    } else {
        findings.extend(found.views.iter().map(view_elsewhere));
        findings.extend(
            found
                .materialized_views
                .iter()
                .map(materialized_view_elsewhere),
        );
        findings.extend(found.functions.iter().map(function_elsewhere));
    }
    findings.extend(found.rules.iter().map(rule));
    findings.extend(
        found
            .triggers
            .iter()
            .filter(|trigger| trigger.name != crate::sql::FENCE_TRIGGER)
            .map(trigger),
    );
    findings.extend(row_security(case, found));
    findings
}

fn view(view: &View) -> Finding {
    Finding::new(
        Code::View,
        Severity::Info,
        format!("view {} reads the table", view.relation.plain()),
    )
    .object(view.relation.plain())
    .detail(
        "It is replaced in the cutover's transaction so that it reads the hypertable; its grants, owner and whatever \
         reads it stay.",
    )
}

fn view_elsewhere(view: &View) -> Finding {
    Finding::new(
        Code::View,
        Severity::Warn,
        format!(
            "view {} reads the table and is not made on the target",
            view.relation.plain()
        ),
    )
    .object(view.relation.plain())
    .detail("Make it there after the run, if it is wanted:")
    .resolve(format!(
        "CREATE VIEW {} AS {};",
        view.relation,
        one_line(&view.definition)
    ))
}

/// A definition as the server prints it spans lines; pasted SQL is easier to handle in one.
fn one_line(definition: &str) -> String {
    let definition = definition.trim().trim_end_matches(';');
    // Line breaks inside of literals or comments mean something: then the text stays as it is.
    if definition.contains('\'') || definition.contains("--") {
        return definition.to_owned();
    }
    let lines: Vec<&str> = definition.lines().map(str::trim).collect();
    lines.join(" ")
}

fn create_materialized(view: &MaterializedView) -> String {
    let create = format!(
        "CREATE MATERIALIZED VIEW {} AS {};",
        view.relation,
        one_line(&view.definition)
    );
    let indexes = view.indexes.iter().map(|index| format!(" {index};"));
    let grants = view.grants.iter().map(|grant| {
        let grantee = grant
            .grantee
            .as_ref()
            .map_or("PUBLIC".to_owned(), |role| quote_ident(role));
        format!(
            " GRANT {} ON {} TO {grantee};",
            grant.privilege, view.relation
        )
    });
    std::iter::once(create)
        .chain(indexes)
        .chain(grants)
        .collect()
}

fn materialized_view(view: &MaterializedView) -> Finding {
    Finding::new(
        Code::MaterializedView,
        Severity::Block,
        format!(
            "materialized view {} ({}, {}) reads the table and can't be re-pointed",
            view.relation.plain(),
            phrase::bytes(view.size_bytes),
            phrase::count_of(&view.indexes, "index")
        ),
    )
    .object(view.relation.plain())
    .detail(
        "There is no CREATE OR REPLACE for it. If you accept it, it goes on reading the old table: REFRESH shows no row \
         that is written after cutover, and cleanup can't drop the old table while it is there. Make it anew after \
         cutover:",
    )
    .resolve("--accept materialized_view")
    .resolve(format!(
        "BEGIN; DROP MATERIALIZED VIEW {}; {} COMMIT;",
        view.relation,
        create_materialized(view)
    ))
    .acceptable()
}

fn materialized_view_elsewhere(view: &MaterializedView) -> Finding {
    Finding::new(
        Code::MaterializedView,
        Severity::Warn,
        format!(
            "materialized view {} reads the table and is not made on the target",
            view.relation.plain()
        ),
    )
    .object(view.relation.plain())
    .detail("Make it there after the run, if it is wanted:")
    .resolve(create_materialized(view))
}

fn function(function: &FunctionDependent) -> Finding {
    let consequence = match function.tie.as_str() {
        "body" => "goes on reading or writing the old table, which refuses writes",
        _ => {
            "goes on taking or giving rows of the old table's type, and refuses rows of the hypertable"
        }
    };
    Finding::new(
        Code::Function,
        Severity::Block,
        format!(
            "function {} is tied to the table by its {}",
            function.signature, function.tie
        ),
    )
    .object(function.signature.clone())
    .detail(format!(
        "It is bound to the table itself, not to its name: after cutover it {consequence}. Save its definition before the \
         run and run that again right after cutover; cleanup can't drop the old table while it is tied to that."
    ))
    .resolve(format!("{};  -- save this before the run", definition_sql(function)))
    .resolve("--accept function")
    .acceptable()
}

fn definition_sql(function: &FunctionDependent) -> String {
    format!(
        "SELECT pg_get_functiondef({}::regprocedure)",
        quote_literal(&function.signature)
    )
}

fn function_elsewhere(function: &FunctionDependent) -> Finding {
    Finding::new(
        Code::Function,
        Severity::Warn,
        format!(
            "function {} is tied to the table by its {} and is not made on the target",
            function.signature, function.tie
        ),
    )
    .object(function.signature.clone())
    .detail(
        "Make it there after the run, if it is wanted; this prints its definition on the source:",
    )
    .resolve(format!("{};", definition_sql(function)))
}

fn rule(rule: &Rule) -> Finding {
    Finding::new(
        Code::Rule,
        Severity::Block,
        format!("rule {} is on the table", quote_ident(&rule.name)),
    )
    .object(rule.name.clone())
    .detail(format!(
        "TimescaleDB refuses rules (\"hypertables do not support rules\"). If you accept it, the rule stays on the old \
         table and no longer acts on what the application does: {}. A trigger may do the same work.",
        one_line(&rule.definition)
    ))
    .resolve("--accept rule")
    .acceptable()
}

fn trigger(trigger: &Trigger) -> Finding {
    let name = quote_ident(&trigger.name);
    if let Some(leaf) = &trigger.leaf {
        return Finding::new(
            Code::Trigger,
            Severity::Warn,
            format!("trigger {name} is on partition {} only", leaf.plain()),
        )
        .object(trigger.name.clone())
        .detail(
            "It is not carried over, since chunks take their triggers from the hypertable. If every row shall fire it, \
             make it on the table before the plan.",
        );
    }
    if trigger.for_each_row && trigger.transition_tables {
        return Finding::new(
            Code::Trigger,
            Severity::Block,
            format!("row trigger {name} uses transition tables"),
        )
        .object(trigger.name.clone())
        .detail(
            "TimescaleDB refuses it (\"ROW triggers with transition tables are not supported on hypertables\"); \
             statement triggers with transition tables work. Rewrite it FOR EACH STATEMENT, or drop it before the run.",
        )
        .resolve(format!(
            "DROP TRIGGER {name} ON {};",
            on_relation(&trigger.definition)
        ));
    }
    if let Some(finding) = trigger_state(trigger) {
        return finding;
    }
    Finding::new(
        Code::Trigger,
        Severity::Info,
        format!("trigger {name} is on the table"),
    )
    .object(trigger.name.clone())
    .detail(
        "It is put on the hypertable at cutover, so it does not fire for the rows that are copied.",
    )
}

/// TimescaleDB refuses to enable or disable a hypertable's triggers ("hypertables do not support enabling or disabling
/// triggers"): each fires for the application's writes, and only for those.
fn trigger_state(trigger: &Trigger) -> Option<Finding> {
    let (state, consequence) = match trigger.enabled {
        'D' => (
            "is disabled",
            "It is left out. Should it fire again one day, make it then:",
        ),
        'R' => (
            "fires for replicated changes only",
            "It is left out. Should it fire for every change, make it after the cutover:",
        ),
        'A' => (
            "fires always, for replicated changes too",
            "It is put on the hypertable at cutover, where it does not fire for changes that a subscription brings.",
        ),
        _ => return None,
    };
    let finding = Finding::new(
        Code::Trigger,
        Severity::Warn,
        format!("trigger {} {state}", quote_ident(&trigger.name)),
    )
    .object(trigger.name.clone())
    .detail(format!(
        "A hypertable's triggers cannot be enabled or disabled. {consequence}"
    ));
    Some(if trigger.enabled == 'A' {
        finding
    } else {
        finding.resolve(format!("{};", trigger.definition))
    })
}

/// The table's name in a trigger's definition: what stands between ` ON ` and the next space outside of quotes.
fn on_relation(definition: &str) -> String {
    let after = definition.split_once(" ON ").map_or("", |(_, after)| after);
    let mut quoted = false;
    let end = after.find(|letter: char| {
        quoted ^= letter == '"';
        letter == ' ' && !quoted
    });
    after[..end.unwrap_or(after.len())].to_owned()
}

fn row_security(case: &Case, found: &TableFacts) -> Option<Finding> {
    if found.policies.is_empty() && !found.row_security {
        return None;
    }
    let state = match (found.row_security, found.force_row_security) {
        (true, true) => "row security is forced, for the owner too",
        (true, false) => "row security is on",
        (false, _) => "row security is off",
    };
    let names: Vec<&String> = found
        .policies
        .iter()
        .map(|Policy { name, .. }| name)
        .collect();
    let policies = if names.is_empty() {
        "no policy".to_owned()
    } else {
        format!(
            "{} ({})",
            phrase::count_of(&names, "policy"),
            phrase::list(&names)
        )
    };
    let community = case
        .facts
        .target
        .timescale
        .as_ref()
        .is_some_and(|timescale| timescale.license == License::Community);
    let finding = Finding::new(
        Code::RowSecurity,
        if community && found.row_security {
            Severity::Warn
        } else {
            Severity::Info
        },
        format!("{state}, with {policies}"),
    );
    let carried = "Both are carried over at cutover.";
    Some(if community && found.row_security {
        finding.detail(format!(
            "{carried} TimescaleDB refuses the columnstore on tables with row security, so this hypertable can't be \
             compressed."
        ))
    } else {
        finding.detail(carried)
    })
}
