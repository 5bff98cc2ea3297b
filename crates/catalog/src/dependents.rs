//! What hangs on a table: views, functions, triggers, rules, policies, publications.

use hyperhaul_pg::Session;
use hyperhaul_plan::facts::{
    FunctionDependent, LeafObject, MaterializedView, Policy, PublicationMember, Rule, Trigger, View,
};
use hyperhaul_plan::sql::LEDGER_SCHEMA;
use serde::Deserialize;

use crate::Error;
use crate::fetch::fetch;

const DEPENDENTS: &str = include_str!("sql/dependents.sql");
const LEAF_OBJECTS: &str = include_str!("sql/leaf_objects.sql");
const PUBLICATIONS: &str = include_str!("sql/publications.sql");
const PUBLICATIONS_14: &str = include_str!("sql/publications_14.sql");

/// Row filters, column lists and schemas in publications came with this version.
const PUBLICATION_DETAILS_VERSION_MIN: i32 = 150_000;

/// Everything but publications, as one query returns it.
#[derive(Deserialize)]
pub(crate) struct Dependents {
    pub(crate) views: Vec<View>,
    pub(crate) materialized_views: Vec<MaterializedView>,
    pub(crate) functions: Vec<FunctionDependent>,
    pub(crate) triggers: Vec<Trigger>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) policies: Vec<Policy>,
}

/// Looks them up; the triggers of our own fence are left out.
pub(crate) async fn dependents(session: &Session, table: u32) -> Result<Dependents, Error> {
    fetch(
        session,
        "what depends on the table",
        DEPENDENTS,
        &[&table, &LEDGER_SCHEMA],
    )
    .await
}

/// What hangs on single partitions.
pub(crate) async fn leaf_objects(session: &Session, table: u32) -> Result<Vec<LeafObject>, Error> {
    fetch(session, "what hangs on partitions", LEAF_OBJECTS, &[&table]).await
}

/// The publications that a table or one of its partitions is in.
pub(crate) async fn publications(
    session: &Session,
    table: u32,
) -> Result<Vec<PublicationMember>, Error> {
    let has_details = session.server_version_num() >= PUBLICATION_DETAILS_VERSION_MIN;
    let sql = if has_details {
        PUBLICATIONS
    } else {
        PUBLICATIONS_14
    };
    fetch(session, "publications", sql, &[&table]).await
}
