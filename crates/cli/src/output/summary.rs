//! What `migrate` and `rollback` print when they are through.

use super::number::{approximate, bytes, count, elapsed, rows_per_second};
use super::{Look, Style, verify, wrap};
use hyperhaul_migrate::{Outcome, RunId, TableVerification};
use serde::Serialize;

/// What `migrate --json` prints.
#[derive(Serialize)]
pub(crate) struct Report<'a> {
    run: RunId,
    /// Rows copied, by all processes.
    rows: u64,
    /// Bytes of their binary tuples.
    bytes: u64,
    /// How long this process took.
    elapsed_s: f64,
    verification: &'a [TableVerification],
}

impl<'a> Report<'a> {
    pub(crate) fn of(outcome: &'a Outcome) -> Report<'a> {
        Report {
            run: outcome.run,
            rows: outcome.rows,
            bytes: outcome.bytes,
            elapsed_s: outcome.elapsed.as_secs_f64(),
            verification: &outcome.verification,
        }
    }
}

/// `resumed`: earlier processes did a part, so that rows and time don't belong together.
pub(crate) fn migrated(outcome: &Outcome, resumed: bool, look: Look) -> String {
    let run = outcome.run;
    let seconds = outcome.elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
    let time = elapsed(outcome.elapsed);
    let time = if resumed {
        format!("; {time} since it went on")
    } else {
        format!(
            " in {time} ({} over all phases)",
            rows_per_second(approximate(outcome.rows) / seconds)
        )
    };
    let moved = format!(
        "run {run} is done: {}, {}{time}",
        count(outcome.rows, "row"),
        bytes(outcome.bytes)
    );
    // Painted after it was wrapped: colours have no width.
    let done = format!("is {}:", look.paint(Style::Good, "done"));
    let moved = wrap(&moved, 0, look.width).replacen("is done:", &done, 1);
    let tables: String = outcome
        .verification
        .iter()
        .map(|table| verify::one(table, look))
        .collect();
    format!(
        "{}{tables}\n\
         The hypertables are in place; the old tables are kept.\n\
         \x20 prove it again   hyperhaul verify --run {run}\n\
         \x20 go back          hyperhaul rollback --run {run}\n\
         \x20 days later       hyperhaul cleanup --run {run}\n",
        moved
    )
}

pub(crate) fn rolled_back(run: RunId, look: Look) -> String {
    format!(
        "run {run} is {}: everything is as it was before.\n",
        look.paint(Style::Good, "rolled back")
    )
}
