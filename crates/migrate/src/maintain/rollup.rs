//! Rolling a table up into an ordinary table, range by range of buckets.

use super::{ScheduledCommand, Work};
use crate::Error;
use hyperhaul_catalog as catalog;
use hyperhaul_ledger::failpoint;
use hyperhaul_ledger::{self as ledger, Declared};
use hyperhaul_plan::{Aggregate, ChunkRange, Relation, sql};
use serde::Serialize;

/// What was done for one aggregate.
#[derive(Clone, Debug, Serialize)]
pub struct RollUp {
    /// The aggregate.
    pub aggregate: Relation,
    /// Ranges of buckets that were computed, each in one transaction.
    pub ranges: Vec<ChunkRange>,
    /// Rows that are in those buckets now; 0 in a dry run.
    pub rows: u64,
}

/// The aggregates of a table as commands for pg_cron.
pub(super) fn scheduled(declared: &Declared, schema: &str) -> Vec<ScheduledCommand> {
    let declaration = &declared.declaration;
    let key = (declared.run.0, declared.step.0.as_str());
    let command = |aggregate: &Aggregate| ScheduledCommand {
        title: format!("hyperhaul roll-up {}", aggregate.relation.plain()),
        sql: sql::scheduled_roll_up(declaration, aggregate, schema, key),
        schedule_us: aggregate.schedule_us,
    };
    declaration
        .policies
        .aggregates
        .iter()
        .map(command)
        .collect()
}

impl Work<'_> {
    pub(super) async fn roll_up(
        &self,
        declared: &Declared,
        aggregate: &Aggregate,
    ) -> Result<RollUp, Error> {
        let relation = &declared.declaration.relation;
        let chunks = catalog::chunks(self.session, relation).await?;
        let chunks: Vec<ChunkRange> = chunks.iter().map(|chunk| chunk.range).collect();
        let watermark_us = ledger::watermark(self.session, declared, aggregate).await?;
        let mut done = RollUp {
            aggregate: aggregate.relation.clone(),
            ranges: aggregate.due(self.clock_us, watermark_us, &chunks),
            rows: 0,
        };
        if self.dry_run {
            return Ok(done);
        }
        for range in &done.ranges {
            self.go_on()?;
            done.rows += self.compute(declared, aggregate, *range).await?;
            failpoint("maintain.range");
        }
        Ok(done)
    }

    /// The buckets of one range and the watermark, in one transaction.
    async fn compute(
        &self,
        declared: &Declared,
        aggregate: &Aggregate,
        range: ChunkRange,
    ) -> Result<u64, Error> {
        let [delete, insert] = sql::roll_up(&declared.declaration, aggregate, &self.schema, range);
        self.transaction(async || {
            if !ledger::move_watermark(self.session, declared, aggregate, range.end_us).await? {
                return Err(Error::blocked(format!(
                    "run {} is rolled back",
                    declared.run
                )));
            }
            self.session.execute(&delete, &[]).await?;
            let rows = self.session.execute(&insert, &[]).await?;
            failpoint("maintain.before_commit");
            Ok(rows)
        })
        .await
    }
}
