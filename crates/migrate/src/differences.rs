//! Narrowing chunks that are not equal down to rows. Before the cutover both sides must be the same. After it, the hypertable
//! goes on: what it has gained is counted, and what it has lost is a difference.

use crate::Error;
use crate::context::{Context, Places};
use hyperhaul_catalog as catalog;
use hyperhaul_engine::{self as engine, ArrayRewrite, Compared, Pool, Side, SourceReader};
use hyperhaul_pg::Session;
use hyperhaul_plan::{ChunkRange, ChunkVerdict, TablePlan, Verdict, sql};
use serde::Serialize;

/// Keys listed per chunk and kind of difference.
const KEYS_MAX: usize = 100;

/// Rows of one chunk that differ, named by their keys as text, e.g. `(7f..., "2025-12-11 00:00:00+00")`.
#[derive(Clone, Debug, Serialize)]
pub struct ChunkDifferences {
    /// The chunk's interval.
    pub range: ChunkRange,
    /// In the source only.
    pub missing: Vec<String>,
    /// In the target only.
    pub extra: Vec<String>,
    /// In both, with different columns.
    pub different: Vec<String>,
    /// Whether there are more than are listed.
    pub truncated: bool,
}

/// What became of the rows since the cutover. A row that was changed counts on both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SinceCutover {
    /// Rows of the hypertable that the source does not have as they are.
    pub written_rows: u64,
    /// Rows of the source that the hypertable does not have as they are.
    pub lost_rows: u64,
    /// Rows of the source that stayed out since a live row had their key, with other values. Not among the lost ones.
    pub superseded_rows: u64,
    /// Rows of chunks that the declared retention has dropped.
    pub expired_rows: u64,
}

impl SinceCutover {
    /// Tells rows that stayed out from lost ones: no more than `at_most` did, and their keys are there. Where more are lost, or a
    /// key is missing, nothing is explained away.
    pub(crate) fn set_superseded(&mut self, at_most: u64, differences: &[ChunkDifferences]) {
        let mut chunks = differences.iter();
        if self.lost_rows <= at_most && chunks.all(|chunk| chunk.missing.is_empty()) {
            self.superseded_rows = std::mem::take(&mut self.lost_rows);
        }
    }
}

/// The two sides of a table, ready to be read.
struct Sides<'a> {
    table: &'a TablePlan,
    places: Places<'a>,
    source: SourceReader,
    target: SourceReader,
    pool: Pool,
    rewrites: Vec<ArrayRewrite>,
}

impl<'a> Sides<'a> {
    async fn open(
        context: &Context,
        session: &Session,
        table: &'a TablePlan,
        places: Places<'a>,
    ) -> Result<Sides<'a>, Error> {
        Ok(Sides {
            table,
            places,
            source: SourceReader::start(&context.connections.source, None)?,
            target: SourceReader::start_on(Side::Target, &context.connections.target, None)?,
            pool: Pool::new(2)?,
            rewrites: context.rewrites(session, table).await?,
        })
    }

    fn sql(&self, range: ChunkRange) -> (String, String) {
        let rows = |relation| sql::verify_rows_sql(self.table, relation, Some(range), true);
        (rows(self.places.source), rows(self.places.target))
    }

    /// Both sides must have the same rows.
    async fn compare(&self, range: ChunkRange) -> Result<ChunkDifferences, Error> {
        let (source_sql, target_sql) = self.sql(range);
        let found = engine::differences(
            &self.source,
            &self.target,
            &self.pool,
            source_sql,
            target_sql,
            self.rewrites.clone(),
            KEYS_MAX,
        )
        .await?;
        Ok(ChunkDifferences {
            range,
            missing: found.missing,
            extra: found.extra,
            different: found.different,
            truncated: found.truncated,
        })
    }

    /// The target must have the rows of the source, and may have more.
    async fn losses(&self, chunk: &ChunkVerdict) -> Result<engine::Losses, Error> {
        let (source_sql, target_sql) = self.sql(chunk.range);
        let compared = Compared {
            source: &self.source,
            target: &self.target,
            pool: &self.pool,
            source_sql,
            target_sql,
            rewrites: self.rewrites.clone(),
            identities: self.table.meeting_keys.len(),
        };
        Ok(engine::losses(&compared, chunk.source_rows, KEYS_MAX).await?)
    }
}

/// Narrows every chunk that is not equal down to rows, before the cutover.
pub(crate) async fn before_cutover(
    context: &Context,
    session: &Session,
    table: &TablePlan,
    places: Places<'_>,
    verdict: &Verdict,
) -> Result<Vec<ChunkDifferences>, Error> {
    let mut all = Vec::new();
    if verdict.equal() {
        return Ok(all);
    }
    let sides = Sides::open(context, session, table, places).await?;
    for chunk in verdict.chunks.iter().filter(|chunk| !chunk.equal) {
        all.push(stoppable(context, sides.compare(chunk.range)).await?);
    }
    Ok(all)
}

/// Finds in every chunk that is not equal what was lost and what was gained, after the cutover. `may_expire`: the declared retention may
/// have dropped chunks.
pub(crate) async fn after_cutover(
    context: &Context,
    session: &Session,
    (table, may_expire): (&TablePlan, bool),
    places: Places<'_>,
    verdict: &Verdict,
) -> Result<(Vec<ChunkDifferences>, SinceCutover), Error> {
    let mut all = Vec::new();
    let mut since = SinceCutover::default();
    if verdict.equal() {
        return Ok((all, since));
    }
    let cutoff_us = match may_expire {
        true => retention_cutoff_us(session, table).await?,
        false => None,
    };
    let sides = Sides::open(context, session, table, places).await?;
    for chunk in verdict.chunks.iter().filter(|chunk| !chunk.equal) {
        if chunk.expired(cutoff_us) {
            since.expired_rows += chunk.source_rows;
            continue;
        }
        if chunk.source_rows == 0 {
            since.written_rows += chunk.target_rows;
            continue;
        }
        let found = stoppable(context, sides.losses(chunk)).await?;
        since.written_rows += found.new_count;
        since.lost_rows += found.lost_count;
        if found.lost_count > 0 {
            all.push(ChunkDifferences {
                range: chunk.range,
                truncated: found.truncated(),
                missing: found.missing,
                extra: Vec::new(),
                different: found.different,
            });
        }
    }
    Ok((all, since))
}

/// Rows from before may be gone by the declared retention; `None`: there is none.
pub(crate) async fn retention_cutoff_us(
    session: &Session,
    table: &TablePlan,
) -> Result<Option<i64>, Error> {
    let Some(retention_us) = table.policies.retention_us else {
        return Ok(None);
    };
    let there = catalog::timescale_there(session).await?;
    Ok(there.map(|there| there.clock_us.saturating_sub(retention_us)))
}

/// Gives a look at a chunk up when the user wants to stop.
async fn stoppable<T>(
    context: &Context,
    look: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    if context.interrupt.draining() {
        return Err(Error::interrupted());
    }
    tokio::select! {
        found = look => found,
        () = context.interrupt.aborted() => Err(Error::interrupted()),
    }
}
