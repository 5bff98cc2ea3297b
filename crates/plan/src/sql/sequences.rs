//! Sequences that feed the table's columns: made on another server, and kept where they are when tables change schemas.

use super::comment_on;
use super::grants::{Granted, grants, owned_by};
use crate::facts::{Facts, OwnedSequence, TableFacts};
use crate::{CarriedSequence, Relation, TablePlan, quote_ident, quote_literal};
use std::collections::BTreeSet;

/// The sequences that a table's step makes on another server, each once: what an earlier table uses too is there by then.
pub(crate) fn made_sequences(facts: &Facts, table: usize) -> Vec<&OwnedSequence> {
    let mut seen: BTreeSet<&Relation> = facts
        .tables
        .iter()
        .take(table)
        .flat_map(|earlier| &earlier.sequences)
        .map(|sequence| &sequence.relation)
        .collect();
    let tables = facts.tables.iter().skip(table).take(1);
    tables
        .flat_map(|found| &found.sequences)
        .filter(|sequence| seen.insert(&sequence.relation))
        .collect()
}

/// Makes a sequence that the defaults of the table use and the target does not have.
pub(crate) fn create_sequence(sequence: &OwnedSequence, facts: &Facts) -> Vec<String> {
    let name = &sequence.relation;
    let mut statements = vec![format!(
        "CREATE SEQUENCE {name} AS {} {}",
        sequence.type_sql,
        sequence_options(sequence)
    )];
    // Only a sequence of the same owner can become the table's own at cutover.
    statements.extend(owned_by(Granted::Sequence, name, &sequence.owner, facts));
    statements.extend(sequence_properties(name, sequence, facts));
    statements
}

/// An expression for the name of the target's sequence, as text: the one that is named, or the column's own.
pub fn carried_to(sequence: &CarriedSequence, staging: &Relation) -> String {
    match &sequence.target {
        Some(target) => quote_literal(&target.to_string()),
        None => format!(
            "pg_get_serial_sequence({}, {})",
            quote_literal(&staging.to_string()),
            quote_literal(&sequence.column)
        ),
    }
}

/// Privileges and comment.
pub(crate) fn sequence_properties(
    name: &Relation,
    sequence: &OwnedSequence,
    facts: &Facts,
) -> Vec<String> {
    let all = sequence.grants.iter().map(|grant| (grant, None));
    grants(Granted::Sequence, name, all, facts)
        .into_iter()
        .chain(comment_on(
            &format!("SEQUENCE {name}"),
            sequence.comment.as_ref(),
        ))
        .collect()
}

pub(crate) fn sequence_options(sequence: &OwnedSequence) -> String {
    let cycle = if sequence.cycle { "CYCLE" } else { "NO CYCLE" };
    format!(
        "START WITH {} INCREMENT BY {} MINVALUE {} MAXVALUE {} CACHE {} {cycle}",
        sequence.start, sequence.increment, sequence.min, sequence.max, sequence.cache
    )
}

/// A sequence moves with the table that owns it: the owner is changed around the move, so that it stays where it is.
pub(crate) fn release_sequences(found: &TableFacts) -> Vec<String> {
    let owned = found.sequences.iter().filter(|sequence| sequence.owned);
    owned
        .map(|sequence| format!("ALTER SEQUENCE {} OWNED BY NONE", sequence.relation))
        .collect()
}

pub(crate) fn own_sequences(table: &TablePlan, found: &TableFacts) -> Vec<String> {
    let owned = found.sequences.iter().filter(|sequence| sequence.owned);
    let own = |sequence: &OwnedSequence| {
        format!(
            "ALTER SEQUENCE {} OWNED BY {}.{}",
            sequence.relation,
            table.relation,
            quote_ident(&sequence.column)
        )
    };
    owned.map(own).collect()
}
