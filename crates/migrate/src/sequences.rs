//! Sequences: the target's go on where the source's stand.

use crate::Error;
use crate::context::Context;
use crate::steps::{Direction, Lane};
use hyperhaul_catalog as catalog;
use hyperhaul_plan::{CarriedSequence, Relation, Step, quote_literal};

/// Moves the target's sequences on, then marks the step. Doing it twice is harmless: writers are off.
pub(crate) async fn carry(
    context: &Context,
    step: &Step,
    index: usize,
    sequences: &[CarriedSequence],
) -> Result<(), Error> {
    let table = context
        .plan
        .tables
        .get(index)
        .ok_or_else(|| Error::unexpected("a step names no table of the plan"))?;
    let source = context.source("sequences").await?;
    let mut statements = Vec::new();
    for sequence in sequences {
        let position = catalog::sequence_position(&source, &sequence.source).await?;
        let target = target_sql(sequence, &table.staging);
        statements.push(format!(
            "SELECT setval({target}, {}, {})",
            position.last_value, position.called
        ));
    }
    let mut lane = Lane::open(context).await?;
    lane.run(step, &statements, Direction::Forward).await
}

fn target_sql(sequence: &CarriedSequence, staging: &Relation) -> String {
    match &sequence.target {
        Some(target) => format!("{}::regclass", quote_literal(&target.to_string())),
        None => format!(
            "pg_get_serial_sequence({}, {})::regclass",
            quote_literal(&staging.to_string()),
            quote_literal(&sequence.column)
        ),
    }
}
