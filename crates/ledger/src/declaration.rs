//! What is declared for tables and left for `hyperhaul maintain`, and how far it has come with it.
//!
//! ```text
//! declaration   one row a table       written by a step of its run; in force while that step's mark stands
//! rollup        one row an aggregate  the watermark: every bucket before it was computed once
//! ```

use crate::{Error, RunId};
use hyperhaul_pg::Session;
use hyperhaul_plan::{Aggregate, Declaration, StepId, quote_literal};

/// The tables are made with the first declaration: most ledgers need none.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS hyperhaul.declaration (
    run_id bigint NOT NULL REFERENCES hyperhaul.run ON DELETE CASCADE,
    step_id text NOT NULL,
    declaration jsonb NOT NULL,
    declared_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, step_id)
);
CREATE TABLE IF NOT EXISTS hyperhaul.rollup (
    run_id bigint NOT NULL,
    step_id text NOT NULL,
    aggregate text NOT NULL,
    watermark_us bigint,
    rolled_up_at timestamptz,
    PRIMARY KEY (run_id, step_id, aggregate),
    FOREIGN KEY (run_id, step_id) REFERENCES hyperhaul.declaration ON DELETE CASCADE
)";

/// A declaration that is in force.
#[derive(Clone, Debug)]
pub struct Declared {
    /// The run whose step declared it.
    pub run: RunId,
    /// The step.
    pub step: StepId,
    /// What is declared.
    pub declaration: Declaration,
}

/// What stores a declaration, for the transaction of its step's mark.
///
/// # Errors
///
/// If the declaration can't be written as JSON.
pub fn declare_sql(
    run: RunId,
    step: &StepId,
    declaration: &Declaration,
) -> Result<Vec<String>, Error> {
    let json =
        serde_json::to_string(declaration).map_err(|error| Error::content("declaration", error))?;
    let key = format!("{run}, {}", quote_literal(&step.0));
    let mut statements = vec![
        TABLES.to_owned(),
        format!(
            "INSERT INTO hyperhaul.declaration (run_id, step_id, declaration) VALUES ({key}, {}::jsonb)",
            quote_literal(&json)
        ),
    ];
    statements.extend(declaration.policies.aggregates.iter().map(|aggregate| {
        let name = quote_literal(&aggregate.relation.plain());
        format!("INSERT INTO hyperhaul.rollup (run_id, step_id, aggregate) VALUES ({key}, {name})")
    }));
    Ok(statements)
}

/// Every declaration that is in force, in the order in which they were made.
///
/// # Errors
///
/// If the server refuses or is lost, or a declaration was written by another version.
pub async fn declarations(session: &Session) -> Result<Vec<Declared>, Error> {
    let there = "SELECT to_regclass('hyperhaul.declaration') IS NOT NULL";
    if !session.query_one(there, &[]).await?.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let sql = "SELECT run_id, step_id, declaration FROM hyperhaul.declaration \
               JOIN hyperhaul.step USING (run_id, step_id) ORDER BY run_id, declared_at, step_id";
    let rows = session.query(sql, &[]).await?;
    let decode = |row: &hyperhaul_pg::Row| {
        let (run, step) = (RunId(row.get(0)), StepId(row.get(1)));
        let declaration = serde_json::from_value(row.get(2))
            .map_err(|error| Error::content(format!("declaration of run {run}"), error))?;
        Ok(Declared {
            run,
            step,
            declaration,
        })
    };
    rows.iter().map(decode).collect()
}

/// The end of what an aggregate was computed for, microseconds since 1970 UTC; `None`: nothing yet.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn watermark(
    session: &Session,
    declared: &Declared,
    aggregate: &Aggregate,
) -> Result<Option<i64>, Error> {
    let sql = "SELECT watermark_us FROM hyperhaul.rollup WHERE run_id = $1 AND step_id = $2 AND aggregate = $3";
    let name = aggregate.relation.plain();
    let row = session
        .query_opt(sql, &[&declared.run.0, &declared.step.0, &name])
        .await?;
    Ok(row.and_then(|row| row.get(0)))
}

/// Moves the watermark on, never back. Belongs into the transaction that computes what lies before it, at its beginning: the
/// row is held until then, so that nobody computes the same buckets meanwhile. `false`: the declaration is no longer in force.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn move_watermark(
    session: &Session,
    declared: &Declared,
    aggregate: &Aggregate,
    to_us: i64,
) -> Result<bool, Error> {
    let sql = "UPDATE hyperhaul.rollup SET watermark_us = greatest(watermark_us, $4), rolled_up_at = clock_timestamp() \
               WHERE run_id = $1 AND step_id = $2 AND aggregate = $3 \
               AND EXISTS (SELECT FROM hyperhaul.step AS s WHERE s.run_id = $1 AND s.step_id = $2 FOR SHARE)";
    let name = aggregate.relation.plain();
    let moved = session
        .execute(sql, &[&declared.run.0, &declared.step.0, &name, &to_us])
        .await?;
    Ok(moved == 1)
}

/// Keeps other processes from maintaining the database for as long as the session lives. `false` if another one does.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn try_maintain(session: &Session) -> Result<bool, Error> {
    let sql = "SELECT pg_try_advisory_lock(hashtext('hyperhaul maintain'), 0)";
    Ok(session.query_one(sql, &[]).await?.get(0))
}
