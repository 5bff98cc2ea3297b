//! Comparing what the hypertable is with what the plan wanted: columns, keys, indexes, foreign keys.

use crate::Error;
use crate::context::Context;
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
