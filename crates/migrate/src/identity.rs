//! Whether what was named is what was planned: the databases, and the tables in them. Names alone prove nothing: after the
//! cutover the hypertable has the old table's.

use crate::Error;
use crate::context::Context;
use hyperhaul_catalog as catalog;
use hyperhaul_pg::Session;
use hyperhaul_plan::facts::ServerFacts;
use hyperhaul_plan::{Relation, StepId};
use std::collections::BTreeSet;

/// Refuses to go on unless both ends are the databases that were planned.
///
/// # Errors
///
/// If one is another, or can't be reached.
pub(crate) async fn check_databases(context: &Context) -> Result<(), Error> {
    let facts = &context.plan.facts;
    let target = context.connections.target("look").await?;
    check_database(&target, "target", &facts.target).await?;
    let source = context.connections.source("look").await?;
    check_database(&source, "source", &facts.source).await
}

/// Refuses to go on unless a session is in the database that was planned as `side`.
///
/// # Errors
///
/// If it is in another one.
pub(crate) async fn check_database(
    session: &Session,
    side: &str,
    planned: &ServerFacts,
) -> Result<(), Error> {
    let found = catalog::identity(session).await?;
    // An identifier that one of the two could not read proves nothing.
    let same_system = match (planned.system_identifier, found.system_identifier) {
        (Some(planned), Some(found)) => planned == found,
        _ => true,
    };
    if same_system && found.database_oid == planned.database_oid {
        return Ok(());
    }
    let describe = |name: &str, oid: u32, system: Option<i64>| {
        let system = system.map_or("unknown".to_owned(), |identifier| identifier.to_string());
        format!("{name} (oid {oid}, system {system})")
    };
    Err(Error::usage(format!(
        "the {side} is not the database that was planned"
    ))
    .detail(format!(
        "Planned was {}, this is {}.",
        describe(
            &planned.database,
            planned.database_oid,
            planned.system_identifier
        ),
        describe(&found.database, found.database_oid, found.system_identifier)
    ))
    .hint(
        "Give --source and --target as they were given to hyperhaul plan or migrate; hyperhaul status names the source.",
    ))
}

/// Refuses to go on unless the tables with the old rows are the ones that were planned, and, after the cutover, hypertables
/// are in their places.
///
/// # Errors
///
/// If one is gone, or another one has its name.
pub(crate) async fn check_tables(
    context: &Context,
    steps_done: &BTreeSet<StepId>,
) -> Result<(), Error> {
    let target = context.target("look").await?;
    let source = context.source("look").await?;
    let hypertables = catalog::hypertables(&target).await?;
    for (table, found) in context.plan.tables.iter().zip(&context.plan.facts.tables) {
        let places = context.places(table, steps_done);
        let oid = catalog::relation_oid(&source, places.source).await?;
        if oid != Some(found.oid) {
            return Err(lost(places.source, oid.is_some()));
        }
        if context.is_cut_over(steps_done) && !hypertables.contains(places.target) {
            return Err(Error::blocked(format!(
                "{} is no hypertable any more",
                places.target.plain()
            ))
            .hint("Put the hypertable back under its name first."));
        }
    }
    Ok(())
}

fn lost(table: &Relation, is_there: bool) -> Error {
    let name = table.plain();
    if is_there {
        Error::blocked(format!("{name} is not the table that was planned"))
            .hint("Another one has its name: put the old table back under its name first.")
    } else {
        Error::blocked(format!("the old table {name} is gone"))
            .hint("It was dropped or renamed: without it there is nothing to go back to, or to compare with.")
    }
}
