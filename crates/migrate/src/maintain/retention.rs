//! Retention: chunks whose rows are all too old are dropped. TimescaleDB refuses that for every chunk of a table that a foreign
//! key refers to; there the rows are deleted, which looks at the foreign keys row by row, and the space is given back.

use super::{ScheduledCommand, Work};
use crate::Error;
use hyperhaul_catalog::{self as catalog, Chunk, ReferringKey};
use hyperhaul_ledger::Declared;
use hyperhaul_ledger::failpoint;
use hyperhaul_plan::{Declaration, Relation, sql};
use serde::Serialize;

/// What was done for the retention of one table.
#[derive(Clone, Debug, Serialize)]
pub struct Retention {
    /// Rows before this are too old, microseconds since 1970 UTC.
    pub cutoff_us: i64,
    /// Chunks that were dropped.
    pub dropped: Vec<Relation>,
    /// Chunks that stay without rows, since a foreign key refers to the table.
    pub emptied: Vec<Relation>,
    /// Rows that were deleted from them; 0 in a dry run.
    pub deleted_rows: u64,
    /// Bytes of the chunks that were dropped or emptied.
    pub freed_bytes: u64,
    /// Chunks that keep their rows beyond their time.
    pub refused: Vec<Refusal>,
}

/// A chunk that keeps its rows.
#[derive(Clone, Debug, Serialize)]
pub struct Refusal {
    /// The chunk.
    pub chunk: Relation,
    /// Why, and what to do.
    pub reason: String,
}

/// The retention of a table as a command for pg_cron.
pub(super) fn scheduled(declared: &Declared, schema: &str) -> Option<ScheduledCommand> {
    let declaration = &declared.declaration;
    let retention_us = declaration.policies.retention_us?;
    Some(ScheduledCommand {
        title: format!("hyperhaul retention {}", declaration.relation.plain()),
        sql: sql::scheduled_retention(
            declaration,
            schema,
            retention_us,
            (declared.run.0, &declared.step.0),
        ),
        schedule_us: declaration.policies.retention_schedule_us(),
    })
}

impl Work<'_> {
    pub(super) async fn retain(
        &self,
        declaration: &Declaration,
        retention_us: i64,
    ) -> Result<Retention, Error> {
        let mut done = Retention {
            cutoff_us: self.clock_us.saturating_sub(retention_us),
            dropped: Vec::new(),
            emptied: Vec::new(),
            deleted_rows: 0,
            freed_bytes: 0,
            refused: Vec::new(),
        };
        let mut expired = catalog::chunks(self.session, &declaration.relation).await?;
        expired.retain(|chunk| chunk.range.end_us <= done.cutoff_us);
        if expired.is_empty() {
            return Ok(done);
        }
        let referring = catalog::referring_keys(self.session, &declaration.relation).await?;
        if referring.is_empty() {
            self.drop_chunks(declaration, expired, &mut done).await?;
        } else {
            self.empty_chunks(declaration, expired, &referring, &mut done)
                .await?;
        }
        Ok(done)
    }

    /// One transaction: it takes no longer than one chunk does.
    async fn drop_chunks(
        &self,
        declaration: &Declaration,
        expired: Vec<Chunk>,
        done: &mut Retention,
    ) -> Result<(), Error> {
        self.go_on()?;
        for chunk in &expired {
            done.freed_bytes += catalog::total_bytes(self.session, &chunk.relation).await?;
        }
        if !self.dry_run {
            let drop = sql::drop_expired(declaration, &self.schema, done.cutoff_us);
            self.transaction(async || {
                self.session.query(&drop, &[]).await?;
                failpoint("maintain.before_commit");
                Ok(())
            })
            .await?;
        }
        done.dropped = expired.into_iter().map(|chunk| chunk.relation).collect();
        Ok(())
    }

    async fn empty_chunks(
        &self,
        declaration: &Declaration,
        expired: Vec<Chunk>,
        referring: &[ReferringKey],
        done: &mut Retention,
    ) -> Result<(), Error> {
        for chunk in expired {
            self.go_on()?;
            if !catalog::has_rows(self.session, &chunk.relation).await? {
                self.vacuum_left(chunk, done).await?;
                continue;
            }
            if let Some(key) = referring.iter().find(|key| key.passes_on) {
                done.refused.push(Refusal {
                    chunk: chunk.relation,
                    reason: format!(
                        "foreign key {} of {} would change or delete rows there; delete the chunk's rows by hand if that \
                         is wanted, or drop the foreign key",
                        key.name,
                        key.relation.plain()
                    ),
                });
                continue;
            }
            let bytes = catalog::total_bytes(self.session, &chunk.relation).await?;
            match self.empty_chunk(declaration, &chunk).await {
                Ok(rows) => {
                    done.deleted_rows += rows;
                    done.freed_bytes += bytes;
                    done.emptied.push(chunk.relation);
                }
                Err(Stop::Referred) => done.refused.push(still_referred(chunk, referring)),
                Err(Stop::Failed(error)) => return Err(error),
            }
        }
        Ok(())
    }

    /// Deletes a chunk's rows in one transaction, then gives the space back.
    async fn empty_chunk(&self, declaration: &Declaration, chunk: &Chunk) -> Result<u64, Stop> {
        if self.dry_run {
            return Ok(0);
        }
        let delete = sql::delete_expired(declaration, chunk.range);
        let deleted = self.transaction(async || match self.session.execute(&delete, &[]).await {
            Ok(rows) => {
                failpoint("maintain.before_commit");
                Ok(Some(rows))
            }
            Err(error) if error.is_foreign_key_violation() => Ok(None),
            Err(error) => Err(error.into()),
        });
        let rows = deleted.await.map_err(Stop::Failed)?.ok_or(Stop::Referred)?;
        failpoint("maintain.emptied");
        self.vacuum(chunk).await.map_err(Stop::Failed)?;
        Ok(rows)
    }

    /// Gives back the space of a chunk without rows, if it has any: whoever deleted them may have been killed before.
    async fn vacuum_left(&self, chunk: Chunk, done: &mut Retention) -> Result<(), Error> {
        if catalog::row_bytes(self.session, &chunk.relation).await? == 0 {
            return Ok(());
        }
        let bytes = catalog::total_bytes(self.session, &chunk.relation).await?;
        if !self.dry_run {
            self.vacuum(&chunk).await?;
        }
        done.freed_bytes += bytes;
        done.emptied.push(chunk.relation);
        Ok(())
    }

    async fn vacuum(&self, chunk: &Chunk) -> Result<(), Error> {
        Ok(self.session.batch(&sql::vacuum(&chunk.relation)).await?)
    }
}

/// Why a chunk was not emptied.
enum Stop {
    /// Some of its rows are referred to.
    Referred,
    /// Anything else.
    Failed(Error),
}

fn still_referred(chunk: Chunk, referring: &[ReferringKey]) -> Refusal {
    let keys: Vec<String> = referring
        .iter()
        .map(|key| format!("{} of {}", key.name, key.relation.plain()))
        .collect();
    Refusal {
        chunk: chunk.relation,
        reason: format!(
            "rows are still referred to by foreign key {}; delete the referring rows first",
            keys.join(" or ")
        ),
    }
}
