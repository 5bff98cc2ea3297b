//! Facts about a server, the database and the role.

use std::collections::BTreeMap;

use hyperhaul_pg::{Server, Session, pooler};
use hyperhaul_plan::Relation;
use hyperhaul_plan::facts::{Extension, License, ServerFacts, ServerSettings, Timescale};
use serde::Deserialize;

use crate::fetch::fetch;
use crate::{Error, machine};

const SERVER: &str = include_str!("sql/server.sql");

const HAS_TIMESCALEDB: &str =
    "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb')::text";

/// The view has these two columns from 2.0 on; the catalog's own tables moved in 2.28.
const HYPERTABLES: &str = "\
SELECT coalesce(json_agg(json_build_object('schema', hypertable_schema, 'name', hypertable_name)
    ORDER BY hypertable_schema, hypertable_name), '[]')::text
FROM timescaledb_information.hypertables";

#[derive(Deserialize)]
struct Found {
    version_num: i32,
    version: String,
    system_identifier: Option<i64>,
    database: String,
    database_oid: u32,
    encoding: String,
    role: String,
    superuser: bool,
    can_create_schema: bool,
    in_recovery: bool,
    settings: ServerSettings,
    extensions: BTreeMap<String, Extension>,
    timescale_license: Option<String>,
    preload: Option<String>,
    timescale_available: Option<String>,
    tablespace_oid: Option<u32>,
    clock_us: i64,
}

/// What is to be known about the server, the database and the role behind a session. `server` is
/// where the session came from: it tells whether the machine can be looked at, and two more
/// sessions are opened for a moment to find a pooler.
///
/// # Errors
/// The server's; an answer that is not understood.
pub async fn server_facts(session: &Session, server: &Server) -> Result<ServerFacts, Error> {
    let found: Found = fetch(session, "the server", SERVER, &[]).await?;
    let hypertables = hypertables(session).await?;
    let pooler = pooler::detect(server).await?;
    let machine = machine::look(session, server, found.tablespace_oid);
    Ok(ServerFacts {
        timescale: timescale(&found),
        version_num: found.version_num,
        version: found.version,
        system_identifier: found.system_identifier,
        database: found.database,
        database_oid: found.database_oid,
        encoding: found.encoding,
        role: found.role,
        superuser: found.superuser,
        can_create_schema: found.can_create_schema,
        in_recovery: found.in_recovery,
        settings: found.settings,
        extensions: found.extensions,
        timescale_available: found.timescale_available,
        free_disk_bytes: machine.free_disk_bytes,
        cores: machine.cores,
        clock_us: found.clock_us,
        pooler: pooler.map(|evidence| evidence.to_string()),
        hypertables,
    })
}

/// The hypertables of the database; none, where TimescaleDB is not installed.
///
/// # Errors
/// The server's; an answer that is not understood.
pub async fn hypertables(session: &Session) -> Result<Vec<Relation>, Error> {
    if fetch(session, "extensions", HAS_TIMESCALEDB, &[]).await? {
        fetch(session, "hypertables", HYPERTABLES, &[]).await
    } else {
        Ok(Vec::new())
    }
}

fn timescale(found: &Found) -> Option<Timescale> {
    let extension = found.extensions.get("timescaledb")?;
    let license = match found.timescale_license.as_deref() {
        Some("timescale") => License::Community,
        // What cannot be seen is taken for the edition that can do less.
        _ => License::Apache,
    };
    let preloaded = found.preload.as_deref().map(|libraries| {
        let mut names = libraries
            .split(',')
            .map(|name| name.trim().trim_matches('"'));
        names.any(|name| name.rsplit('/').next() == Some("timescaledb"))
    });
    Some(Timescale {
        version: version(&extension.version),
        license,
        preloaded,
    })
}

/// `2.19.3`, `2.20.0-dev`: three numbers, as far as there are any.
fn version(text: &str) -> (u32, u32, u32) {
    let mut numbers = text.split('.').map(|part| {
        let digits = part
            .split(|character: char| !character.is_ascii_digit())
            .next();
        digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
    });
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_with_and_without_suffix() {
        assert_eq!(version("2.19.3"), (2, 19, 3));
        assert_eq!(version("2.31.0-dev"), (2, 31, 0));
        assert_eq!(version("3"), (3, 0, 0));
    }
}
