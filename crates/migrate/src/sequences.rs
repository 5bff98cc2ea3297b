//! Sequences: the target's go on where the source's stand.

use crate::Error;
use crate::context::{Context, Places};
use crate::steps::{Direction, Lane};
use hyperhaul_catalog as catalog;
use hyperhaul_pg::Session;
use hyperhaul_plan::{Action, CarriedSequence, Step, sql};

/// Moves the target's sequences on, then marks the step. Doing it twice is harmless: writers are off.
pub(crate) async fn carry(
    context: &Context,
    step: &Step,
    index: usize,
    sequences: &[CarriedSequence],
) -> Result<(), Error> {
    let table = context.table(index)?;
    let source = context.source("sequences").await?;
    let mut statements = Vec::new();
    for sequence in sequences {
        let position = catalog::sequence_position(&source, &sequence.source).await?;
        let target = sql::carried_to(sequence, &table.staging);
        statements.push(format!(
            "SELECT setval({target}::regclass, {}, {})",
            position.last_value, position.called
        ));
    }
    let mut lane = Lane::open(context).await?;
    lane.run(step, &statements, Direction::Forward).await
}

/// Identity and serial columns whose next value would collide with what the source has given out.
pub(crate) async fn behind(
    context: &Context,
    target: &Session,
    index: usize,
    places: Places<'_>,
) -> Result<Vec<String>, Error> {
    let carried = context
        .plan
        .steps
        .iter()
        .filter(|step| step.table == Some(index))
        .filter_map(|step| match &step.action {
            Action::CarrySequences { sequences } => Some(sequences),
            _ => None,
        });
    let source = context.source("verify").await?;
    let mut behind = Vec::new();
    for sequence in carried.flatten() {
        // The old identity sequence moves with the old table.
        let old = sequence.source.in_schema(&places.source.schema);
        let old = if sequence.target.is_none() {
            &old
        } else {
            &sequence.source
        };
        let new = match &sequence.target {
            Some(new) => Some(new.clone()),
            None => catalog::column_sequence(target, places.target, &sequence.column).await?,
        };
        let Some(new) = new else {
            behind.push(format!("column {} has no sequence", sequence.column));
            continue;
        };
        let given = catalog::sequence_position(&source, old).await?;
        let next = catalog::sequence_position(target, &new).await?;
        if given.called && (!next.called || next.last_value < given.last_value) {
            behind.push(format!(
                "sequence {} stands behind the source's",
                new.plain()
            ));
        }
    }
    Ok(behind)
}
