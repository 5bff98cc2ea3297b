//! Carrying out what is declared, where the server does not do it by itself.
//!
//! ```text
//! ledger: declarations in force --> aggregates  new buckets, and those that late rows may have reached, a transaction a range
//!                                   retention   once its aggregates are computed: chunks are dropped, or emptied
//!                                   columnstore what cannot be had is told
//! ```
//!
//! One process at a time maintains a database. A kill at any moment leaves whole ranges and whole chunks.

mod retention;
mod rollup;

use crate::{Connections, Error, Interrupt, Kind};
use hyperhaul_catalog as catalog;
use hyperhaul_ledger::{self as ledger, Declared};
use hyperhaul_pg::Session;
use hyperhaul_pg::retry::{Backoff, Limits};
use hyperhaul_plan::{Options, Relation};
use serde::Serialize;
use std::time::Duration;

pub use retention::{Refusal, Retention};
pub use rollup::RollUp;

/// Pauses after a lock timeout: the application gets its turn.
const LOCK_BACKOFF: Limits = Limits {
    pause_first: Duration::from_millis(250),
    pause_max: Duration::from_secs(2),
    total_max: Duration::from_secs(60),
    pause_count_max: 5,
};

/// What a run of `maintain` did, or would do.
#[derive(Clone, Debug, Serialize)]
pub struct Maintenance {
    /// Nothing was changed: this is what would be done.
    pub dry_run: bool,
    /// Per table, in the order in which they were declared.
    pub tables: Vec<TableMaintenance>,
}

impl Maintenance {
    /// Whether something stopped with an error.
    pub fn failed(&self) -> bool {
        self.tables.iter().any(|table| table.failure.is_some())
    }

    /// Whether rows are kept beyond their time for a reason that a person has to resolve.
    pub fn refused(&self) -> bool {
        let mut retentions = self
            .tables
            .iter()
            .filter_map(|table| table.retention.as_ref());
        retentions.any(|retention| !retention.refused.is_empty())
    }
}

/// What was done for one table.
#[derive(Clone, Debug, Serialize)]
pub struct TableMaintenance {
    /// The table.
    pub table: Relation,
    /// Its aggregates.
    pub aggregates: Vec<RollUp>,
    /// Its retention, if one is declared.
    pub retention: Option<Retention>,
    /// What is declared and cannot be had on this server: a sentence each.
    pub unavailable: Vec<String>,
    /// Why the rest was not done.
    pub failure: Option<String>,
}

/// A declaration that is in force, and the commands that carry it out from within the server.
#[derive(Clone, Debug)]
pub struct ScheduledCommand {
    /// What it is, for people and as the job's name.
    pub title: String,
    /// The command.
    pub sql: String,
    /// How often it should run, microseconds.
    pub schedule_us: i64,
}

/// A run of `maintain` at work.
struct Work<'a> {
    session: &'a Session,
    interrupt: &'a Interrupt,
    /// Schema of TimescaleDB's functions.
    schema: String,
    /// The server's clock when the run began, microseconds since 1970 UTC.
    clock_us: i64,
    dry_run: bool,
}

/// Carries out what is declared in the target's ledger; `dry_run`: only says what that would be. That a table could not be
/// maintained is an outcome, and the others are.
///
/// # Errors
///
/// If another process is at it, the target has no TimescaleDB, or it is interrupted.
pub async fn maintain(
    connections: &Connections,
    dry_run: bool,
    interrupt: &Interrupt,
) -> Result<Maintenance, Error> {
    let session = connections.target("maintain").await?;
    let declared = in_force(&session).await?;
    if !dry_run && !ledger::try_maintain(&session).await? {
        return Err(
            Error::blocked("another hyperhaul maintain is at work in this database")
                .hint("It does the same; run this one again when it has ended."),
        );
    }
    let there = catalog::timescale_there(&session).await?;
    let there = there.ok_or_else(no_timescale)?;
    let work = Work {
        session: &session,
        interrupt,
        schema: there.schema,
        clock_us: there.clock_us,
        dry_run,
    };
    let mut tables = Vec::new();
    for declared in &declared {
        tables.push(work.table(declared).await?);
    }
    Ok(Maintenance { dry_run, tables })
}

/// The commands that pg_cron has to run for what is declared.
///
/// # Errors
///
/// If the target can't be reached or has no TimescaleDB.
pub async fn scheduled_commands(connections: &Connections) -> Result<Vec<ScheduledCommand>, Error> {
    let session = connections.target("maintain").await?;
    let declared = in_force(&session).await?;
    let there = catalog::timescale_there(&session).await?;
    let there = there.ok_or_else(no_timescale)?;
    let commands = declared.iter().flat_map(|declared| {
        let rollups = rollup::scheduled(declared, &there.schema);
        rollups
            .into_iter()
            .chain(retention::scheduled(declared, &there.schema))
    });
    Ok(commands.collect())
}

async fn in_force(session: &Session) -> Result<Vec<Declared>, Error> {
    if !ledger::exists(session).await? {
        return Ok(Vec::new());
    }
    Ok(ledger::declarations(session).await?)
}

fn no_timescale() -> Error {
    Error::usage("the target has no TimescaleDB")
        .hint("Name the database with the hypertables, with --target.")
}

impl Work<'_> {
    async fn table(&self, declared: &Declared) -> Result<TableMaintenance, Error> {
        let declaration = &declared.declaration;
        let mut done = TableMaintenance {
            table: declaration.relation.clone(),
            aggregates: Vec::new(),
            retention: None,
            unavailable: Vec::new(),
            failure: None,
        };
        if declaration.policies.columnstore.is_some() {
            done.unavailable.push(
                "the columnstore: this edition of TimescaleDB has none, chunks stay as they are"
                    .to_owned(),
            );
        }
        match self.carry_out(declared, &mut done).await {
            Ok(()) => Ok(done),
            Err(error) if error.kind() == Kind::Interrupted => Err(error),
            Err(error) if self.session.is_closed() => {
                Err(error.about(&declaration.relation.plain()))
            }
            Err(error) => {
                done.failure = Some(error.message().to_owned());
                Ok(done)
            }
        }
    }

    /// Retention comes last, and only if every aggregate has seen the rows that it drops.
    async fn carry_out(
        &self,
        declared: &Declared,
        done: &mut TableMaintenance,
    ) -> Result<(), Error> {
        for aggregate in &declared.declaration.policies.aggregates {
            done.aggregates
                .push(self.roll_up(declared, aggregate).await?);
        }
        if let Some(retention_us) = declared.declaration.policies.retention_us {
            done.retention = Some(self.retain(&declared.declaration, retention_us).await?);
        }
        Ok(())
    }

    fn go_on(&self) -> Result<(), Error> {
        if self.interrupt.draining() {
            return Err(Error::interrupted().hint("Run hyperhaul maintain again to go on."));
        }
        Ok(())
    }

    /// A transaction that gives way to the application's locks, and tries again.
    async fn transaction<T>(&self, work: impl AsyncFn() -> Result<T, Error>) -> Result<T, Error> {
        let mut backoff = Backoff::new(LOCK_BACKOFF);
        loop {
            let tried = self.session.transaction(async || {
                self.session
                    .limit_lock_waits(Options::LOCK_TIMEOUT_MS_DEFAULT)
                    .await?;
                work().await
            });
            match tried.await {
                Err(error) if error.is_transient() && !self.session.is_closed() => {
                    self.go_on()?;
                    if !backoff.pause().await {
                        return Err(error);
                    }
                }
                outcome => return outcome,
            }
        }
    }
}
