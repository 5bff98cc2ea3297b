//! Messages that several processes take from one consumer of a broker, which gives one again that was not acknowledged in time.
//!
//! The set of sequences that are committed is one row. The statement that adds a batch's sequences is the last statement of the batch's
//! transaction, and adds them only where none is there yet. Two processes that were given the same message meet at that row: the second one
//! waits for its lock until the first one's transaction is over, and its condition is looked at again on the row that is then there (READ
//! COMMITTED, "Data Consistency" in PostgreSQL's documentation). If the first one has committed, the second one changes nothing, and has to
//! roll back; if not, it goes on. So no sequence is committed twice, and nobody waits longer than a COMMIT takes.
//!
//! The set does not grow with what was taken. Sequences that follow each other are one range, and everything up to the consumer's
//! acknowledgement floor is one, too: what lies below it was acknowledged, which nobody does before it is committed, and never comes again.

use crate::Error;
use hyperhaul_pg::Session;

/// Adds a batch's sequences, at the end of its transaction; and all up to `floor`, which the consumer will not give again. False: one of them
/// is there already, and the transaction must not be committed.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn commit_sequences(
    session: &Session,
    name: &str,
    sequences: &[i64],
    floor: i64,
) -> Result<bool, Error> {
    let sql = "WITH batch AS ( \
            SELECT coalesce(range_agg(int8range(sequence, sequence, '[]')), '{}') AS sequences \
            FROM unnest($2::bigint[]) AS sequence) \
        INSERT INTO hyperhaul.ingest_consumer AS consumer (name, committed) \
        SELECT $1, sequences + int8multirange(int8range(0, $3, '[]')) FROM batch \
        ON CONFLICT (name) DO UPDATE SET committed = consumer.committed + excluded.committed \
        WHERE NOT consumer.committed && (SELECT sequences FROM batch)";
    let changed = session.execute(sql, &[&name, &sequences, &floor]).await?;
    Ok(changed == 1)
}

/// Which of these sequences are committed.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn committed_sequences(
    session: &Session,
    name: &str,
    sequences: &[i64],
) -> Result<Vec<i64>, Error> {
    let sql = "SELECT sequence FROM hyperhaul.ingest_consumer, unnest($2::bigint[]) AS sequence \
        WHERE name = $1 AND committed @> sequence";
    let rows = session.query(sql, &[&name, &sequences]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
