//! pg_partman's configuration of a table: 4.7 and 5.x have the same columns where we look.

use hyperhaul_pg::Session;
use hyperhaul_plan::facts::Partman;
use hyperhaul_plan::{Relation, quote_ident};
use serde::Deserialize;

use crate::Error;
use crate::fetch::fetch_opt;

const PARTMAN: &str = include_str!("sql/partman.sql");

const EXTENSION: &str = "\
SELECT json_build_object('schema', n.nspname, 'version', e.extversion, 'readable',
    has_schema_privilege(n.oid, 'USAGE')
    AND (SELECT bool_and(has_table_privilege(c.oid, 'SELECT')) FROM pg_class AS c
         WHERE c.relnamespace = n.oid AND c.relname IN ('part_config', 'part_config_sub')))::text
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'pg_partman'";

#[derive(Deserialize)]
struct Extension {
    schema: String,
    version: String,
    readable: bool,
}

#[derive(Deserialize)]
struct Config {
    parent_table: String,
    control: String,
    interval: String,
    retention: Option<String>,
    retention_keep_table: bool,
    automatic_maintenance: String,
    config: serde_json::Value,
    sub_config: Vec<serde_json::Value>,
    template: Option<String>,
    can_change: bool,
}

/// Whether pg_partman manages the table.
pub(crate) enum Management {
    /// It does not, or is not installed.
    None,
    /// It does, so.
    By(Box<Partman>),
    /// It is installed in this schema, and the role may not read what it manages.
    Hidden(String),
}

/// Looks for the table in pg_partman's configuration.
pub(crate) async fn partman(session: &Session, relation: &Relation) -> Result<Management, Error> {
    let extension = fetch_opt::<Extension>(session, "pg_partman", EXTENSION, &[]).await?;
    let Some(extension) = extension else {
        return Ok(Management::None);
    };
    if !extension.readable {
        return Ok(Management::Hidden(extension.schema));
    }
    let schema = quote_ident(&extension.schema);
    let sql = PARTMAN.replace("'{schema}.", &format!("'{}.", schema.replace('\'', "''")));
    let sql = sql.replace("{schema}", &schema);
    let names: [&(dyn hyperhaul_pg::ToSql + Sync); 2] = [&relation.schema, &relation.name];
    let config = fetch_opt::<Config>(session, "pg_partman's configuration", &sql, &names).await?;
    let Some(config) = config else {
        return Ok(Management::None);
    };
    Ok(Management::By(Box::new(Partman {
        schema: extension.schema,
        version: extension.version,
        parent_table: config.parent_table,
        control: config.control,
        interval: config.interval,
        retention: config.retention,
        retention_keep_table: config.retention_keep_table,
        automatic_maintenance: config.automatic_maintenance,
        config: config.config,
        sub_config: config.sub_config,
        template: config.template,
        can_change: config.can_change,
    })))
}
