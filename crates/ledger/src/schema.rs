//! The ledger's tables.
//!
//! ```text
//! run          one row a plan            state, the plan as it was made
//! step         one row a finished step   written in the step's own transaction
//! slice        one row a slice           pending -> done in the transaction that copies its rows
//! slice_chunk  digests of a finished slice, one row a chunk interval
//! verdict      one row a table verified before the cutover, and one for the last time after it
//! held_job     one row a job that the run keeps from being started, until it ends or is rolled back
//! leaf_hash    one row a table           hashes of the rows of its partitions before they became chunks, where asked for
//! write_mark   one row a run            how the source was before its first row was read
//! call         one row a call of a command that made, changed or judged the run: who, from where, with what end
//! forecast     one row a run that is or was under way; see there
//!
//! ingest_source   one row a source of live rows   up to which of its records everything is dealt with, and by which process
//! ingest_receipt  one row a source and minute     what became of the records between two positions
//! ingest_consumer one row a consumer that processes share   which of a broker's messages are committed
//! dead_letter     one row a record that no table takes   the record as it came, and why
//! ingest_conflict one row a record whose key was there already, with other values
//! ingest_gap      one row a time in which a source could not hear what was said
//! ```

use crate::Error;
use hyperhaul_pg::Session;

/// Version of the tables' format. A ledger of a later version is not touched.
const FORMAT: i32 = 7;

/// From format 1, which had one verdict a table, to 2. Nothing was cut over that was not equal; what a verification has found
/// since then it finds again.
const FROM_1_TO_2: &str = "
ALTER TABLE hyperhaul.verdict ADD COLUMN after_cutover boolean NOT NULL DEFAULT false,
    ADD COLUMN lost_count bigint NOT NULL DEFAULT 0,
    DROP CONSTRAINT verdict_pkey, ADD PRIMARY KEY (run_id, table_index, after_cutover);
UPDATE hyperhaul.verdict SET equal = true
    WHERE run_id IN (SELECT run_id FROM hyperhaul.step WHERE step_id LIKE 'cutover:%');
UPDATE hyperhaul.ledger_format SET format = 2;
";

/// From format 2, which knew neither workers nor callers, to 3: of what was done before they stay unknown.
const FROM_2_TO_3: &str = "
ALTER TABLE hyperhaul.slice ADD COLUMN worker integer;
UPDATE hyperhaul.ledger_format SET format = 3;
";

const CALLS: &str = "
CREATE TABLE IF NOT EXISTS hyperhaul.call (
    call_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id bigint NOT NULL REFERENCES hyperhaul.run ON DELETE CASCADE,
    command text NOT NULL,
    flags text[] NOT NULL,
    role text NOT NULL DEFAULT session_user,
    os_user text,
    host text,
    tool_version text NOT NULL,
    began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz,
    outcome text
);
CREATE INDEX IF NOT EXISTS call_run ON hyperhaul.call (run_id);
";

/// From format 3, which held no jobs, did not look for late writes and hashed no partitions, to 4.
const FROM_3_TO_4: &str = "
CREATE TABLE hyperhaul.held_job (
    run_id bigint NOT NULL REFERENCES hyperhaul.run ON DELETE CASCADE,
    job_id integer NOT NULL,
    name text NOT NULL,
    next_start timestamptz,
    held_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, job_id)
);
CREATE TABLE hyperhaul.write_mark (
    run_id bigint PRIMARY KEY REFERENCES hyperhaul.run ON DELETE CASCADE,
    mark jsonb NOT NULL
);
CREATE TABLE hyperhaul.leaf_hash (
    run_id bigint NOT NULL REFERENCES hyperhaul.run ON DELETE CASCADE,
    table_index integer NOT NULL,
    hashes jsonb NOT NULL,
    PRIMARY KEY (run_id, table_index)
);
UPDATE hyperhaul.ledger_format SET format = 4;
";

/// From format 4, which knew no live rows, to 5.
const FROM_4_TO_5: &str = "
CREATE TABLE hyperhaul.ingest_source (
    source_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    stream text NOT NULL,
    unit text NOT NULL,
    epoch bigint NOT NULL DEFAULT 1,
    holder uuid NOT NULL,
    backend_pid integer NOT NULL,
    position bigint NOT NULL DEFAULT 0,
    mark text,
    taken_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE hyperhaul.ingest_receipt (
    source_id bigint NOT NULL REFERENCES hyperhaul.ingest_source ON DELETE CASCADE,
    minute timestamptz NOT NULL,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    record_count bigint NOT NULL,
    stored_count bigint NOT NULL,
    duplicate_count bigint NOT NULL,
    conflict_count bigint NOT NULL,
    dead_count bigint NOT NULL,
    lost_count bigint NOT NULL,
    skipped_count bigint NOT NULL,
    row_count bigint NOT NULL,
    PRIMARY KEY (source_id, minute)
);
CREATE TABLE hyperhaul.ingest_consumer (
    name text PRIMARY KEY,
    committed int8multirange NOT NULL DEFAULT '{}'
);
CREATE TABLE hyperhaul.dead_letter (
    dead_letter_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source_id bigint NOT NULL REFERENCES hyperhaul.ingest_source ON DELETE CASCADE,
    position bigint NOT NULL,
    stream text NOT NULL,
    payload bytea NOT NULL,
    attributes jsonb NOT NULL,
    received_at timestamptz NOT NULL,
    reason text NOT NULL,
    sqlstate text NOT NULL,
    table_name text,
    column_name text,
    constraint_name text,
    died_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX dead_letter_stream ON hyperhaul.dead_letter (stream, dead_letter_id);
CREATE TABLE hyperhaul.ingest_conflict (
    conflict_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source_id bigint NOT NULL REFERENCES hyperhaul.ingest_source ON DELETE CASCADE,
    position bigint NOT NULL,
    table_name text NOT NULL,
    payload bytea NOT NULL,
    attributes jsonb NOT NULL,
    received_at timestamptz NOT NULL,
    found_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
UPDATE hyperhaul.ledger_format SET format = 5;
";

/// Since format 6 times are kept in which a source could not hear.
const FROM_5_TO_6: &str = "
CREATE TABLE IF NOT EXISTS hyperhaul.ingest_gap (
    source_id bigint NOT NULL REFERENCES hyperhaul.ingest_source ON DELETE CASCADE,
    position bigint NOT NULL,
    stream text NOT NULL,
    from_at timestamptz NOT NULL,
    to_at timestamptz NOT NULL,
    reason text NOT NULL,
    server text,
    attempt_count bigint NOT NULL,
    packet_count bigint,
    PRIMARY KEY (source_id, position)
);
UPDATE hyperhaul.ledger_format SET format = 6;
";

/// Since format 7 rows are counted that live ones have kept out.
const FROM_6_TO_7: &str = "
ALTER TABLE hyperhaul.slice ADD COLUMN skipped_count bigint NOT NULL DEFAULT 0;
UPDATE hyperhaul.ledger_format SET format = 7;
";

/// The tables of format 3; those of later ones are added to them.
const TABLES: &str = "
CREATE SCHEMA IF NOT EXISTS hyperhaul;
CREATE TABLE IF NOT EXISTS hyperhaul.ledger_format (format integer PRIMARY KEY);
CREATE TABLE IF NOT EXISTS hyperhaul.run (
    run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    state text NOT NULL,
    tables text[] NOT NULL,
    source text NOT NULL,
    tool_version text NOT NULL,
    plan jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE IF NOT EXISTS hyperhaul.step (
    run_id bigint NOT NULL REFERENCES hyperhaul.run ON DELETE CASCADE,
    step_id text NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, step_id)
);
CREATE TABLE IF NOT EXISTS hyperhaul.slice (
    run_id bigint NOT NULL REFERENCES hyperhaul.run ON DELETE CASCADE,
    slice_id integer NOT NULL,
    done boolean NOT NULL DEFAULT false,
    table_index integer NOT NULL,
    leaf_oid oid NOT NULL,
    spec jsonb NOT NULL,
    row_count bigint,
    copied_bytes bigint,
    started_at timestamptz,
    finished_at timestamptz,
    worker integer,
    times_done integer NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, slice_id)
);
CREATE INDEX IF NOT EXISTS slice_pending ON hyperhaul.slice (run_id, slice_id) WHERE NOT done;
CREATE TABLE IF NOT EXISTS hyperhaul.slice_chunk (
    run_id bigint NOT NULL,
    slice_id integer NOT NULL,
    start_us bigint NOT NULL,
    end_us bigint NOT NULL,
    row_count bigint NOT NULL,
    digest_sum text,
    PRIMARY KEY (run_id, slice_id, start_us),
    FOREIGN KEY (run_id, slice_id) REFERENCES hyperhaul.slice ON DELETE CASCADE
);
CREATE TABLE IF NOT EXISTS hyperhaul.verdict (
    run_id bigint NOT NULL REFERENCES hyperhaul.run ON DELETE CASCADE,
    table_index integer NOT NULL,
    after_cutover boolean NOT NULL,
    equal boolean NOT NULL,
    lost_count bigint NOT NULL,
    verdict jsonb NOT NULL,
    verified_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, table_index, after_cutover)
);
";

/// Serialises the making of the ledger between processes that start together (an advisory lock's key).
const ENSURE_LOCK: i64 = 0x6879_7065_7268;

/// Makes the ledger where it does not exist, in a transaction of its own.
///
/// # Errors
///
/// If the role may not create schemas in the database, or the ledger there is of another format.
pub async fn ensure(session: &Session) -> Result<(), Error> {
    if !exists(session).await? {
        session.transaction(async || make(session).await).await?;
    }
    Ok(())
}

async fn make(session: &Session) -> Result<(), Error> {
    session
        .execute("SELECT pg_advisory_xact_lock($1)", &[&ENSURE_LOCK])
        .await?;
    session.batch(TABLES).await?;
    session.batch(CALLS).await?;
    let format = "INSERT INTO hyperhaul.ledger_format SELECT 3 WHERE NOT EXISTS (SELECT FROM hyperhaul.ledger_format)";
    session.batch(format).await?;
    bring_up(session).await
}

/// Whether the database has a ledger. One of an older format is brought to this one, in a transaction of its own.
///
/// # Errors
///
/// If the server can't be asked, the ledger is of a format that this program does not know, or the role may not change it.
pub async fn exists(session: &Session) -> Result<bool, Error> {
    let row = session
        .query_one("SELECT to_regclass('hyperhaul.verdict') IS NOT NULL", &[])
        .await?;
    if !row.get::<_, bool>(0) {
        return Ok(false);
    }
    if matches!(format(session).await?, Some(1..FORMAT)) {
        session.transaction(async || upgrade(session).await).await?;
    }
    match format(session).await? {
        Some(FORMAT) => Ok(true),
        found => Err(Error::content(
            "format",
            format!("it is {found:?}, this hyperhaul writes {FORMAT}"),
        )),
    }
}

async fn format(session: &Session) -> Result<Option<i32>, Error> {
    let sql = "SELECT max(format) FROM hyperhaul.ledger_format";
    Ok(session.query_one(sql, &[]).await?.get(0))
}

/// Under the same lock as the making: two programs may find the old format together.
async fn upgrade(session: &Session) -> Result<(), Error> {
    session
        .execute("SELECT pg_advisory_xact_lock($1)", &[&ENSURE_LOCK])
        .await?;
    bring_up(session).await
}

async fn bring_up(session: &Session) -> Result<(), Error> {
    let upgrades: [(i32, &[&str]); 6] = [
        (1, &[FROM_1_TO_2]),
        (2, &[FROM_2_TO_3, CALLS]),
        (3, &[FROM_3_TO_4]),
        (4, &[FROM_4_TO_5]),
        (5, &[FROM_5_TO_6]),
        (6, &[FROM_6_TO_7]),
    ];
    for (from, batches) in upgrades {
        if format(session).await? == Some(from) {
            for statements in batches {
                session.batch(statements).await?;
            }
        }
    }
    Ok(())
}
