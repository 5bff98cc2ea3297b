//! Puts sample data onto a server: schema, rows over two connections, then keys and indexes.
//!
//! ```text
//!   rayon threads ── BLOCKS_AHEAD encoded blocks a connection, in order ──> COPY on connection 1: small tables, fixes
//!                                                                      └──> COPY on connection 2: raw_messages, receiver_statuses
//! ```

use std::collections::VecDeque;
use std::sync::Arc;

use hyperhaul_pg::{Server, Session};
use hyperhaul_pgcopy::{HEADER, TRAILER};
use tokio::sync::oneshot;

use crate::error::WorkloadError;
use crate::soar::{EncodedBlock, Soar, SoarOptions, SoarTable};

const SOAR_SCHEMA: &str = include_str!("../../../fixtures/soar/schema.sql");
const SOAR_INDEXES: &str = include_str!("../../../fixtures/soar/indexes.sql");

/// Begins the name of a section in `indexes.sql`.
const SECTION_MARKER: &str = "-- section: ";

/// Blocks that a connection has in the making or waiting: bounds memory to some 24 MiB in all.
const BLOCKS_AHEAD: usize = 4;

/// Bytes handed to a connection at once.
const SEND_BYTES: usize = 256 << 10;

/// How far a load is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Rows of a table were sent.
    Rows {
        /// The table's name.
        table: &'static str,
        /// Rows sent so far.
        rows_done: u64,
        /// Rows to send, where that is known before.
        rows_total: Option<u64>,
    },
    /// Keys, indexes or foreign keys begin to be built.
    Building {
        /// The section of `indexes.sql`, such as `fixes` or `foreign keys`.
        section: &'static str,
    },
}

/// Loads SOAR's sample data into the empty database that `server` names: schema and partitions, rows, keys and indexes. Planner
/// statistics are left to autovacuum, as they are in production: PostGIS's take longer to collect than the rows to load.
/// The role has to be allowed to create the extensions and roles that `fixtures/soar/schema.sql` names, as far as they are missing.
///
/// # Errors
///
/// If the options are not usable, or the server refuses a statement: the database then keeps what was loaded until then.
pub async fn load_soar(
    server: &Server,
    options: &SoarOptions,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<(), WorkloadError> {
    let soar = Arc::new(Soar::new(options)?);
    let first = connect(server).await?;
    let second = connect(server).await?;
    create_schema(&first, options).await?;

    use SoarTable::{Aircraft, Fixes, Flights, RawMessages, ReceiverStatuses, Receivers};
    tokio::try_join!(
        load_tables(
            &first,
            &soar,
            &[Receivers, Aircraft, Flights, Fixes],
            progress
        ),
        load_tables(&second, &soar, &[RawMessages, ReceiverStatuses], progress),
    )?;
    build(&first, &["tables"], progress).await?;
    tokio::try_join!(
        build(&first, &["fixes"], progress),
        build(&second, &["raw_messages", "fixes spatial"], progress)
    )?;
    let links: &[_] = if options.link_raw_messages {
        &["foreign keys", "link"]
    } else {
        &["foreign keys"]
    };
    build(&first, links, progress).await
}

async fn connect(server: &Server) -> Result<Session, WorkloadError> {
    let session = server
        .connect("workload")
        .await
        .map_err(WorkloadError::server("connecting to load sample data"))?;
    // The files name objects without their schema, as psql's default would find and create them.
    session
        .batch("SET search_path = public")
        .await
        .map_err(WorkloadError::server("setting the search path"))?;
    Ok(session)
}

async fn create_schema(session: &Session, options: &SoarOptions) -> Result<(), WorkloadError> {
    let range = format!(
        "SET hyperhaul.first_day = '{}'; SET hyperhaul.day_count = '{}';",
        options.first_day, options.days
    );
    let failed = || WorkloadError::server("creating the schema of fixtures/soar/schema.sql");
    session.batch(&range).await.map_err(failed())?;
    session.batch(SOAR_SCHEMA).await.map_err(failed())
}

async fn load_tables(
    session: &Session,
    soar: &Arc<Soar>,
    tables: &[SoarTable],
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<(), WorkloadError> {
    for &table in tables {
        load_table(session, soar, table, progress).await?;
    }
    Ok(())
}

async fn load_table(
    session: &Session,
    soar: &Arc<Soar>,
    table: SoarTable,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<(), WorkloadError> {
    let failed = || WorkloadError::server(format!("loading table \"{}\"", table.name()));
    let columns: Vec<_> = table
        .columns()
        .iter()
        .map(|column| format!("\"{column}\""))
        .collect();
    let sql = format!(
        "COPY {} ({}) FROM STDIN (FORMAT binary)",
        table.name(),
        columns.join(", ")
    );
    let mut copy = session.copy_in(&sql).await.map_err(failed())?;
    copy.send(HEADER.as_slice().into())
        .await
        .map_err(failed())?;

    let rows_total = soar.row_count(table);
    let mut rows_done = 0;
    let mut in_the_making = VecDeque::with_capacity(BLOCKS_AHEAD);
    let mut remaining = (0..soar.block_count(table)).fuse();
    loop {
        while in_the_making.len() < BLOCKS_AHEAD
            && let Some(index) = remaining.next()
        {
            in_the_making.push_back(make_block(soar, table, index));
        }
        let Some(block) = in_the_making.pop_front() else {
            break;
        };
        let block = block.await.map_err(|_| WorkloadError::Generator {
            table: table.name(),
        })?;
        rows_done += block.row_count;
        let mut tuples = block.tuples;
        while !tuples.is_empty() {
            copy.send(tuples.split_to(tuples.len().min(SEND_BYTES)))
                .await
                .map_err(failed())?;
        }
        progress(Progress::Rows {
            table: table.name(),
            rows_done,
            rows_total,
        });
    }
    copy.send(TRAILER.as_slice().into())
        .await
        .map_err(failed())?;
    copy.finish().await.map_err(failed())?;
    Ok(())
}

/// Has a rayon thread make a block.
fn make_block(soar: &Arc<Soar>, table: SoarTable, index: u64) -> oneshot::Receiver<EncodedBlock> {
    let (sender, receiver) = oneshot::channel();
    let soar = Arc::clone(soar);
    rayon::spawn(move || {
        // Nobody receives after the load has failed.
        let _ = sender.send(soar.encode_block(table, index));
    });
    receiver
}

async fn build(
    session: &Session,
    names: &[&'static str],
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<(), WorkloadError> {
    for &name in names {
        progress(Progress::Building { section: name });
        let during = format!("building section \"{name}\" of fixtures/soar/indexes.sql");
        session
            .batch(section(name))
            .await
            .map_err(WorkloadError::server(during))?;
    }
    Ok(())
}

/// The statements between the marker of section `name` and the next; empty if there is no such section.
fn section(name: &str) -> &'static str {
    SOAR_INDEXES
        .split(SECTION_MARKER)
        .find_map(|section| section.strip_prefix(name)?.strip_prefix('\n'))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_that_is_loaded_is_in_the_file_and_the_other_way_round() {
        let names = [
            "tables",
            "fixes",
            "raw_messages",
            "fixes spatial",
            "foreign keys",
            "link",
        ];
        for name in names {
            assert!(section(name).contains(";\n"), "section {name}");
        }
        assert_eq!(SOAR_INDEXES.matches(SECTION_MARKER).count(), names.len());
    }
}
