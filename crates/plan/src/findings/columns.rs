//! Generated, identity and serial columns: how each is carried over.

use super::{Case, Subject};
use crate::facts::{Column, Identity, OwnedSequence};
use crate::phrase;
use crate::{Code, Finding, Severity, quote_ident};

pub(super) fn check(case: &Case, subject: Subject) -> Vec<Finding> {
    let found = subject.found;
    let mut findings = Vec::from_iter(generated(subject));
    findings.extend(
        found
            .columns
            .iter()
            .filter_map(|column| Some(identity(column, column.identity.as_ref()?))),
    );
    findings.extend(
        found
            .sequences
            .iter()
            .map(|sequence| serial(case, sequence)),
    );
    findings
}

fn generated(subject: Subject) -> Option<Finding> {
    let generated: Vec<(&Column, &str)> = subject
        .found
        .columns
        .iter()
        .filter_map(|column| {
            let generation = column.generation.as_ref()?;
            Some((
                column,
                if generation.stored {
                    "stored"
                } else {
                    "virtual"
                },
            ))
        })
        .collect();
    let names: Vec<&String> = generated.iter().map(|(column, _)| &column.name).collect();
    let described: Vec<String> = generated
        .iter()
        .map(|(column, kind)| {
            format!(
                "{} ({}, {kind})",
                quote_ident(&column.name),
                column.type_sql
            )
        })
        .collect();
    (!names.is_empty()).then(|| {
        Finding::new(
            Code::GeneratedColumn,
            Severity::Info,
            format!(
                "{} computed by the target: {}",
                if names.len() == 1 {
                    "1 generated column is".to_owned()
                } else {
                    format!("{} generated columns are", names.len())
                },
                described.join(", ")
            ),
        )
        .object(phrase::list(&names))
        .detail("Their values are not copied; verification compares them with their expressions.")
    })
}

fn position(sequence: &OwnedSequence) -> String {
    sequence
        .last_value
        .map_or(String::new(), |value| format!(", which stands at {value}"))
}

fn identity(column: &Column, identity: &Identity) -> Finding {
    let kind = if identity.always {
        "ALWAYS"
    } else {
        "BY DEFAULT"
    };
    Finding::new(
        Code::Sequence,
        Severity::Info,
        format!(
            "{} is GENERATED {kind} AS IDENTITY from sequence {}{}",
            quote_ident(&column.name),
            identity.sequence.relation.plain(),
            position(&identity.sequence)
        ),
    )
    .object(column.name.clone())
    .detail("Values are copied as they are, and the hypertable's sequence goes on where this one stands under the fence.")
}

fn serial(case: &Case, sequence: &OwnedSequence) -> Finding {
    let detail = match (case.same_database(), sequence.owned) {
        (true, true) => {
            "Values are copied as they are. The hypertable goes on with the very same sequence and owns it from cutover on."
        }
        (true, false) => {
            "Values are copied as they are. The hypertable goes on with the very same sequence, and whoever else uses it \
             is not disturbed."
        }
        (false, true) => {
            "Values are copied as they are. The sequence is made on the target and goes on where this one stands under the \
             fence."
        }
        (false, false) => {
            "Values are copied as they are. The sequence is made on the target and goes on where this one stands under the \
             fence; other tables that use it on the source go on there, so the two will give the same numbers."
        }
    };
    Finding::new(
        Code::Sequence,
        if sequence.owned || case.same_database() {
            Severity::Info
        } else {
            Severity::Warn
        },
        format!(
            "{} takes its values from sequence {}{}",
            quote_ident(&sequence.column),
            sequence.relation.plain(),
            position(sequence)
        ),
    )
    .object(sequence.relation.plain())
    .detail(detail)
}
