//! What roles may do with what a run needs besides its tables: schemas, owners, tables that foreign keys refer to.

use std::collections::BTreeSet;

use hyperhaul_pg::Session;
use hyperhaul_plan::Relation;
use hyperhaul_plan::facts::{TableFacts, TargetSchema};

use crate::Error;
use crate::fetch::{fetch, schemas_and_names};

const SUPERUSERS: &str =
    "SELECT json_agg(rolname ORDER BY rolname)::text FROM pg_roles WHERE rolsuper";

/// $1 are roles. Those that do not exist are found elsewhere. From PostgreSQL 16 on, giving something away takes the
/// membership's SET option.
const FOREIGN_OWNERS: &str = "\
SELECT coalesce(json_agg(rolname ORDER BY rolname), '[]')::text FROM pg_roles
WHERE rolname = ANY ($1::text[]) AND NOT pg_has_role(oid, {option})";

const SET_OPTION_VERSION_MIN: i32 = 160_000;

/// $1 are schemas, $2 are roles.
const SCHEMAS: &str = "\
SELECT coalesce(json_agg(json_build_object('name', s, 'exists', n.oid IS NOT NULL, 'creators', (
    SELECT coalesce(json_agg(r.rolname ORDER BY r.rolname), '[]') FROM pg_roles AS r
    WHERE r.rolname = ANY ($2::text[] || current_user::text) AND has_schema_privilege(r.oid, n.oid, 'CREATE'))) ORDER BY s), '[]')::text
FROM unnest($1::text[]) AS s LEFT JOIN pg_namespace AS n ON n.nspname = s";

/// $1 and $2 are schemas and names of relations. A privilege on columns is taken to be on the right ones.
const UNREFERENCABLE: &str = "\
SELECT coalesce(json_agg(json_build_object('schema', s, 'name', r) ORDER BY s, r), '[]')::text
FROM unnest($1::text[], $2::text[]) AS u (s, r)
JOIN pg_namespace AS n ON n.nspname = s JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = r
WHERE NOT has_any_column_privilege(c.oid, 'REFERENCES')";

/// The server's superusers.
pub(crate) async fn superusers(session: &Session) -> Result<Vec<String>, Error> {
    fetch(session, "superusers", SUPERUSERS, &[]).await
}

/// The tables' owners that the role can give nothing to.
pub(crate) async fn foreign_owners(
    target: &Session,
    tables: &[TableFacts],
) -> Result<Vec<String>, Error> {
    let option = if target.server_version_num() < SET_OPTION_VERSION_MIN {
        "'MEMBER'"
    } else {
        "'SET'"
    };
    let sql = FOREIGN_OWNERS.replace("{option}", option);
    fetch(target, "owners", &sql, &[&owners(tables)]).await
}

/// The schemas of the tables, their sequences and statistics, and who may create in them.
pub(crate) async fn schemas(
    target: &Session,
    tables: &[TableFacts],
) -> Result<Vec<TargetSchema>, Error> {
    let names: BTreeSet<&str> = tables
        .iter()
        .flat_map(|table| {
            let sequences = table.sequences.iter().map(|sequence| &sequence.relation);
            let statistics = table.statistics.iter().map(|one| &one.relation);
            std::iter::once(&table.relation)
                .chain(sequences)
                .chain(statistics)
        })
        .map(|relation| relation.schema.as_str())
        .collect();
    let names: Vec<&str> = names.into_iter().collect();
    fetch(target, "schemas", SCHEMAS, &[&names, &owners(tables)]).await
}

/// The relations that foreign keys of the tables refer to and that the target's role may not refer to.
pub(crate) async fn unreferencable(
    target: &Session,
    tables: &[TableFacts],
) -> Result<Vec<Relation>, Error> {
    let keys = tables.iter().flat_map(|table| &table.foreign_keys);
    let referred: BTreeSet<&Relation> = keys.map(|key| &key.references).collect();
    let (schemas, names) = schemas_and_names(referred);
    fetch(
        target,
        "referenced tables",
        UNREFERENCABLE,
        &[&schemas, &names],
    )
    .await
}

fn owners(tables: &[TableFacts]) -> Vec<&str> {
    let sequences = tables.iter().flat_map(|table| &table.sequences);
    let owners: BTreeSet<&str> = tables
        .iter()
        .map(|table| table.owner.as_str())
        .chain(sequences.map(|sequence| sequence.owner.as_str()))
        .collect();
    owners.into_iter().collect()
}
