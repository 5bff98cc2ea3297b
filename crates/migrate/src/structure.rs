//! Comparing what the hypertable is with what the plan wanted: columns, keys, indexes, foreign keys.

use crate::context::Context;
use crate::{Error, Kind};
use hyperhaul_catalog::{self as catalog, Depth};
use hyperhaul_pg::Session;
use hyperhaul_plan::{Relation, Structure, TableOptions, structure_differences, wanted_structure};

/// What differs, a line each.
pub(crate) async fn differences(
    context: &Context,
    target: &Session,
    index: usize,
    hypertable: &Relation,
) -> Result<Vec<String>, Error> {
    let table = context
        .plan
        .tables
        .get(index)
        .zip(context.plan.facts.tables.get(index));
    let (table, found) =
        table.ok_or_else(|| Error::unexpected("there is no such table in the plan"))?;
    let wanted = wanted_structure(table, found, &context.plan.tables, &context.plan.facts);
    let wanted_facts = TableOptions {
        relation: hypertable.clone(),
        time_column: Some(table.time_column.clone()),
        chunk_interval_us: table.chunk_interval_us,
        strategy: None,
        policies: Default::default(),
    };
    let present = catalog::table_facts(target, &wanted_facts, Depth::Catalog).await?;
    Ok(structure_differences(&wanted, &Structure::of(&present)))
}

/// Refuses a cutover to hypertables that are not what was planned: with rows they are compared together with those, but history
/// comes later.
///
/// # Errors
///
/// If one differs, or the target is lost.
pub(crate) async fn check_empty(context: &Context) -> Result<(), Error> {
    let target = context.target("look").await?;
    for (index, table) in context.plan.tables.iter().enumerate() {
        let list = differences(context, &target, index, &table.staging).await?;
        if !list.is_empty() {
            let name = table.staging.plain();
            return Err(Error::new(Kind::Differs, format!("{name} is not what was planned"))
                .detail(list.join("\n"))
                .hint("Nothing was cut over. Go back with hyperhaul rollback, then make a new plan."));
        }
    }
    Ok(())
}
