//! Everything that a plan is made from: both servers, the tables, and what stands in the target.

use std::collections::BTreeSet;

use hyperhaul_pg::{Server, Session};
use hyperhaul_plan::facts::{Facts, TableFacts};
use hyperhaul_plan::sql::{archive_schema, staging_schema};
use hyperhaul_plan::{Options, Relation};

use crate::fetch::{fetch, schemas_and_names};
use crate::identity::identity;
use crate::{Depth, Error, privileges, server_facts, table_facts};

/// $1 and $2 are schemas and names of relations.
const OCCUPIED: &str = "\
SELECT coalesce(json_agg(json_build_object('schema', n.nspname, 'name', c.relname)
    ORDER BY n.nspname, c.relname), '[]')::text
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE (n.nspname, c.relname) IN (SELECT s, r FROM unnest($1::text[], $2::text[]) AS u (s, r))";

const ROLES: &str = "SELECT json_agg(rolname ORDER BY rolname)::text FROM pg_roles";

const MISSING_TYPES: &str = "\
SELECT coalesce(json_agg(t ORDER BY t), '[]')::text FROM unnest($1::text[]) AS t WHERE to_regtype(t) IS NULL";

/// $1 are types. An array's element type is the extension's own.
const TYPE_EXTENSIONS: &str = "\
SELECT coalesce(json_object_agg(t, e.extname), '{}')::text
FROM unnest($1::text[]) AS t JOIN pg_type AS y ON y.oid = to_regtype(t)
JOIN pg_depend AS d ON d.classid = 'pg_catalog.pg_type'::regclass AND d.deptype = 'e'
    AND d.objid = CASE WHEN y.typcategory = 'A' THEN y.typelem ELSE y.oid END
JOIN pg_extension AS e ON e.oid = d.refobjid";

/// $1 and $2 are schemas and names of relations.
const MISSING_RELATIONS: &str = "\
SELECT coalesce(json_agg(json_build_object('schema', s, 'name', r) ORDER BY s, r), '[]')::text
FROM unnest($1::text[], $2::text[]) AS u (s, r) WHERE to_regclass(format('%I.%I', s, r)) IS NULL";

/// $1 are schemas.
const CLOSED_SCHEMAS: &str = "\
SELECT coalesce(json_agg(s ORDER BY s), '[]')::text FROM unnest($1::text[]) AS s
WHERE NOT coalesce(has_schema_privilege(to_regnamespace(quote_ident(s))::oid, 'CREATE'), false)";

/// Gathers all facts for the options. Source and target may be the same server and database;
/// the sessions must not be in a transaction.
///
/// # Errors
/// The first failure of a query; [`Error::is_missing`] for a table that is not there.
pub async fn survey(
    source: (&Server, &Session),
    target: (&Server, &Session),
    options: &Options,
    depth: Depth,
) -> Result<Facts, Error> {
    let ((source_server, source), (target_server, target)) = (source, target);
    let same_database = identity(source).await? == identity(target).await?;
    let source_facts = server_facts(source, source_server).await?;
    let target_facts = if same_database && source_server.user() == target_server.user() {
        source_facts.clone()
    } else {
        server_facts(target, target_server).await?
    };
    let mut tables = Vec::with_capacity(options.tables.len());
    for wanted in &options.tables {
        tables.push(table_facts(source, wanted, depth).await?);
    }
    let (missing_types, missing_relations) = if same_database {
        (Vec::new(), Vec::new())
    } else {
        (
            missing_types(target, &tables).await?,
            missing_relations(target, &tables).await?,
        )
    };
    let (foreign_owners, target_schemas) = if same_database {
        (Vec::new(), Vec::new())
    } else {
        (
            privileges::foreign_owners(target, &tables).await?,
            privileges::schemas(target, &tables).await?,
        )
    };
    Ok(Facts {
        superusers: privileges::superusers(source).await?,
        foreign_owners,
        target_schemas,
        unreferencable: privileges::unreferencable(target, &tables).await?,
        source: source_facts,
        target: target_facts,
        same_database,
        closed_schemas: closed_schemas(target, options).await?,
        occupied: occupied(target, options, &tables, same_database).await?,
        target_roles: fetch(target, "roles", ROLES, &[]).await?,
        type_extensions: fetch(
            source,
            "types of extensions",
            TYPE_EXTENSIONS,
            &[&missing_types],
        )
        .await?,
        missing_types,
        missing_relations,
        tables,
    })
}

/// Schemas of declared aggregates in which the role can make nothing.
async fn closed_schemas(target: &Session, options: &Options) -> Result<Vec<String>, Error> {
    let declared = options
        .tables
        .iter()
        .flat_map(|table| &table.policies.aggregates);
    let schemas: BTreeSet<&str> = declared
        .map(|aggregate| aggregate.relation.schema.as_str())
        .collect();
    let schemas: Vec<&str> = schemas.into_iter().collect();
    fetch(target, "schemas of aggregates", CLOSED_SCHEMAS, &[&schemas]).await
}

/// Which of the names are taken that the tables, their indexes and sequences need: in the staging schema, and in the archive
/// schema or, on another server, in their own; and those of aggregates. What other runs have in those schemas is not in the way.
async fn occupied(
    target: &Session,
    options: &Options,
    tables: &[TableFacts],
    same_database: bool,
) -> Result<Vec<Relation>, Error> {
    let needed = |name: Relation| {
        let place = if same_database {
            name.in_schema(&archive_schema(&name.schema))
        } else {
            name.clone()
        };
        [name.in_schema(&staging_schema(&name.schema)), place]
    };
    let declared = options
        .tables
        .iter()
        .flat_map(|table| &table.policies.aggregates);
    let aggregates = declared.map(|aggregate| aggregate.relation.clone());
    let names: BTreeSet<Relation> = tables
        .iter()
        .flat_map(final_names)
        .flat_map(needed)
        .chain(aggregates)
        .collect();
    let (schemas, names) = schemas_and_names(&names);
    fetch(target, "occupied names", OCCUPIED, &[&schemas, &names]).await
}

/// The names that a table brings along into its schema.
fn final_names(table: &TableFacts) -> Vec<Relation> {
    let schema = &table.relation.schema;
    let keys = table
        .unique_keys
        .iter()
        .map(|key| Relation::new(schema, &key.name));
    let indexes = table
        .indexes
        .iter()
        .map(|index| Relation::new(schema, &index.name));
    let identities = table
        .columns
        .iter()
        .filter_map(|column| column.identity.as_ref());
    let identities = identities.map(|identity| identity.sequence.relation.clone());
    let sequences = table
        .sequences
        .iter()
        .map(|sequence| sequence.relation.clone());
    std::iter::once(table.relation.clone())
        .chain(keys)
        .chain(indexes)
        .chain(identities)
        .chain(sequences)
        .collect()
}

async fn missing_types(target: &Session, tables: &[TableFacts]) -> Result<Vec<String>, Error> {
    let columns = tables.iter().flat_map(|table| &table.columns);
    let types: BTreeSet<&str> = columns.map(|column| column.type_sql.as_str()).collect();
    let types: Vec<&str> = types.into_iter().collect();
    fetch(target, "types on the target", MISSING_TYPES, &[&types]).await
}

async fn missing_relations(
    target: &Session,
    tables: &[TableFacts],
) -> Result<Vec<Relation>, Error> {
    let keys = tables.iter().flat_map(|table| &table.foreign_keys);
    let moved = |relation: &Relation| tables.iter().any(|table| table.relation == *relation);
    let wanted: BTreeSet<Relation> = keys
        .map(|key| key.references.clone())
        .filter(|relation| !moved(relation))
        .collect();
    let (schemas, names) = schemas_and_names(&wanted);
    fetch(
        target,
        "referenced tables",
        MISSING_RELATIONS,
        &[&schemas, &names],
    )
    .await
}
