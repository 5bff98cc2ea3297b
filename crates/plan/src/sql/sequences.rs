//! Sequences that feed the table's columns: made on another server, and kept where they are when tables change schemas.

use crate::facts::{OwnedSequence, TableFacts};
use crate::{TablePlan, Topology, quote_ident};

/// Makes the sequences that the defaults of the table use and the target does not have (another database only).
pub(crate) fn create_sequences(table: &TableFacts, topology: Topology) -> Vec<String> {
    match topology {
        Topology::SameDatabase => Vec::new(),
        Topology::OtherDatabase => {
            let create = |sequence: &OwnedSequence| {
                format!(
                    "CREATE SEQUENCE {} AS {} {}",
                    sequence.relation,
                    sequence.type_sql,
                    sequence_options(sequence)
                )
            };
            table.sequences.iter().map(create).collect()
        }
    }
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
