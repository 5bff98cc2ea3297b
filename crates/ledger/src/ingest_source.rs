//! Sources of live rows: up to which of their records everything is dealt with, and which process may say so.
//!
//! A process takes a source over by raising its epoch. Whoever held it before can commit nothing any more: every batch moves
//! the position in its own transaction, and only where epoch and position are what its process believes. That is also how an
//! unknown outcome of a COMMIT is resolved: taking the source back waits for a backend that is still at it, and the position
//! tells afterwards whether the batch is in.

use crate::Error;
use hyperhaul_pg::{Row, Session};
use uuid::Uuid;

/// A source in the hands of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    id: i64,
    epoch: i64,
    /// Stands for the process that took it.
    holder: Uuid,
    /// Everything up to here is dealt with; in the source's own unit.
    pub position: i64,
    /// What stands in front of the position, as the source itself tells it: another one that is called the same has something else.
    pub mark: Option<String>,
}

/// What a source's positions count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PositionUnit {
    /// Records, from 1.
    Record,
    /// Bytes of a file.
    Byte,
}

impl PositionUnit {
    /// As the ledger writes it.
    pub fn name(self) -> &'static str {
        match self {
            PositionUnit::Record => "record",
            PositionUnit::Byte => "byte",
        }
    }
}

/// What became of the records of a batch; each is counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Outcome {
    /// Records between the two positions, without those lost.
    pub record_count: i64,
    /// Their rows are new in the table.
    pub stored_count: i64,
    /// Their rows were there already, with the same values.
    pub duplicate_count: i64,
    /// Their keys were there already, with other values.
    pub conflict_count: i64,
    /// No table takes them.
    pub dead_count: i64,
    /// Acknowledged once, and unreadable in the spool since.
    pub lost_count: i64,
    /// Positions without a record to be dealt with: of a write that a crash cut off, of messages that came again after they were
    /// committed, and of gaps.
    pub skipped_count: i64,
    /// Rows that are new, over all tables.
    pub row_count: i64,
}

impl Outcome {
    /// Each record has one end.
    pub fn adds_up(&self) -> bool {
        let ends = [
            self.stored_count,
            self.duplicate_count,
            self.conflict_count,
            self.dead_count,
        ];
        ends.iter().all(|count| *count >= 0) && self.record_count == ends.iter().sum::<i64>()
    }
}

/// Backend of the process that holds the source, if one does.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn source_backend(session: &Session, name: &str) -> Result<Option<i32>, Error> {
    let sql = "SELECT backend_pid FROM hyperhaul.ingest_source WHERE name = $1";
    let row = session.query_opt(sql, &[&name]).await?;
    Ok(row.map(|row| row.get(0)))
}

/// Takes a source over, which is made where there is none. Waits while a backend of its holder is in a transaction that moves it.
///
/// # Errors
///
/// If the server refuses or is lost, or if a lock timeout of the session ends the wait.
pub async fn take_source(
    session: &Session,
    name: &str,
    stream: &str,
    unit: PositionUnit,
) -> Result<Source, Error> {
    let sql = "INSERT INTO hyperhaul.ingest_source AS source (name, stream, unit, holder, backend_pid) \
               VALUES ($1, $2, $3, $4, pg_backend_pid()) \
               ON CONFLICT (name) DO UPDATE SET epoch = source.epoch + 1, stream = excluded.stream, holder = excluded.holder, \
                   backend_pid = excluded.backend_pid, taken_at = clock_timestamp() \
               RETURNING source_id, epoch, position, mark";
    let holder = Uuid::new_v4();
    let row = session
        .query_one(sql, &[&name, &stream, &unit.name(), &holder])
        .await?;
    Ok(Source {
        id: row.get(0),
        epoch: row.get(1),
        holder,
        position: row.get(2),
        mark: row.get(3),
    })
}

impl Source {
    pub(crate) fn id(&self) -> i64 {
        self.id
    }

    /// The source as it stands after a lost connection, for a new session; waits while the old one's transaction is under way.
    /// `None`: another process has taken it over.
    ///
    /// # Errors
    ///
    /// If the server refuses or is lost; then it may be tried again.
    pub async fn take_back(&self, session: &Session) -> Result<Option<Source>, Error> {
        let sql = "UPDATE hyperhaul.ingest_source SET epoch = epoch + 1, backend_pid = pg_backend_pid() \
                   WHERE source_id = $1 AND holder = $2 RETURNING epoch, position, mark";
        let row = session.query_opt(sql, &[&self.id, &self.holder]).await?;
        Ok(row.map(|row| Source {
            epoch: row.get(0),
            position: row.get(1),
            mark: row.get(2),
            ..self.clone()
        }))
    }

    /// Moves the position from where this process believes it to be, and counts what became of the records in between; in the
    /// transaction that does it to them. False: another process has taken the source over, and nothing may be committed.
    ///
    /// # Errors
    ///
    /// If the server refuses or is lost.
    pub async fn advance(
        &self,
        session: &Session,
        to_position: i64,
        mark: Option<&str>,
        outcome: &Outcome,
    ) -> Result<bool, Error> {
        let sql = "WITH moved AS ( \
                UPDATE hyperhaul.ingest_source SET position = $4, mark = $13 \
                WHERE source_id = $1 AND epoch = $2 AND position = $3 RETURNING source_id) \
            INSERT INTO hyperhaul.ingest_receipt AS receipt \
            SELECT source_id, greatest(date_trunc('minute', clock_timestamp()), last), $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 \
            FROM moved LEFT JOIN LATERAL (SELECT max(minute) AS last FROM hyperhaul.ingest_receipt AS earlier \
                WHERE earlier.source_id = moved.source_id) AS earlier ON true \
            ON CONFLICT (source_id, minute) DO UPDATE SET \
                to_position = excluded.to_position, \
                record_count = receipt.record_count + excluded.record_count, \
                stored_count = receipt.stored_count + excluded.stored_count, \
                duplicate_count = receipt.duplicate_count + excluded.duplicate_count, \
                conflict_count = receipt.conflict_count + excluded.conflict_count, \
                dead_count = receipt.dead_count + excluded.dead_count, \
                lost_count = receipt.lost_count + excluded.lost_count, \
                skipped_count = receipt.skipped_count + excluded.skipped_count, \
                row_count = receipt.row_count + excluded.row_count";
        let moved = session
            .execute(
                sql,
                &[
                    &self.id,
                    &self.epoch,
                    &self.position,
                    &to_position,
                    &outcome.record_count,
                    &outcome.stored_count,
                    &outcome.duplicate_count,
                    &outcome.conflict_count,
                    &outcome.dead_count,
                    &outcome.lost_count,
                    &outcome.skipped_count,
                    &outcome.row_count,
                    &mark,
                ],
            )
            .await?;
        Ok(moved == 1)
    }
}

/// What became of a source's records since a moment.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Receipt {
    /// The source's name.
    pub source: String,
    /// Its stream.
    pub stream: String,
    /// `record` or `byte`.
    pub unit: String,
    /// Where the first minute began.
    pub from_position: i64,
    /// Where the last minute ended.
    pub to_position: i64,
    /// Where the source stands now.
    pub position: i64,
    /// How its records ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Minutes that do not begin where the one before ended.
    pub broken_count: i64,
    /// Dead letters of these records that the ledger still has: others were dropped or retried since.
    pub dead_kept_count: i64,
    /// Gaps in that time: nobody knows what was said then.
    pub gap_count: i64,
    /// How long they were together, as far as they lie in that time.
    pub gap_ms: i64,
}

impl Receipt {
    /// Every record has one end, and between the positions none is missing.
    pub fn is_proved(&self) -> bool {
        let Outcome {
            record_count,
            lost_count,
            skipped_count,
            ..
        } = self.outcome;
        let counted = record_count + lost_count + skipped_count;
        let spans = self.unit != PositionUnit::Record.name()
            || self.to_position - self.from_position == counted;
        self.broken_count == 0
            && self.outcome.adds_up()
            && lost_count == 0
            && spans
            && self.to_position == self.position
    }
}

/// What became of the records of all sources in the last seconds, whole minutes; sources without any are left out.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn receipts(session: &Session, seconds: f64) -> Result<Vec<Receipt>, Error> {
    let sql = "SELECT source.name, source.stream, source.unit, min(from_position), max(to_position), source.position, \
            sum(record_count)::bigint, sum(stored_count)::bigint, sum(duplicate_count)::bigint, sum(conflict_count)::bigint, \
            sum(dead_count)::bigint, sum(lost_count)::bigint, sum(skipped_count)::bigint, sum(row_count)::bigint, \
            count(*) FILTER (WHERE from_position <> before), \
            (SELECT count(*) FROM hyperhaul.dead_letter AS letter WHERE letter.source_id = source.source_id \
                AND letter.position > min(from_position) AND letter.position <= max(to_position)), \
            coalesce(gap_count, 0), coalesce(gap_ms, 0) \
        FROM (SELECT *, lag(to_position, 1, from_position) OVER (PARTITION BY source_id ORDER BY minute) AS before \
            FROM hyperhaul.ingest_receipt \
            WHERE minute >= date_trunc('minute', clock_timestamp() - $1 * interval '1 second')) AS receipt \
        JOIN hyperhaul.ingest_source AS source USING (source_id) \
        LEFT JOIN (SELECT source_id, count(*) AS gap_count, \
                (sum(extract(epoch FROM to_at - greatest(from_at, since))) * 1000)::bigint AS gap_ms \
            FROM hyperhaul.ingest_gap, (SELECT clock_timestamp() - $1 * interval '1 second' AS since) AS asked \
            WHERE to_at >= since GROUP BY source_id) AS gap USING (source_id) \
        GROUP BY source.source_id, gap_count, gap_ms ORDER BY source.stream, source.name";
    let rows = session.query(sql, &[&seconds]).await?;
    Ok(rows.iter().map(receipt).collect())
}

fn receipt(row: &Row) -> Receipt {
    Receipt {
        source: row.get(0),
        stream: row.get(1),
        unit: row.get(2),
        from_position: row.get(3),
        to_position: row.get(4),
        position: row.get(5),
        outcome: Outcome {
            record_count: row.get(6),
            stored_count: row.get(7),
            duplicate_count: row.get(8),
            conflict_count: row.get(9),
            dead_count: row.get(10),
            lost_count: row.get(11),
            skipped_count: row.get(12),
            row_count: row.get(13),
        },
        broken_count: row.get(14),
        dead_kept_count: row.get(15),
        gap_count: row.get(16),
        gap_ms: row.get(17),
    }
}
