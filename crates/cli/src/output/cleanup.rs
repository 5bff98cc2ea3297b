//! What `cleanup` prints: what it would drop, or what it has dropped.

use super::number::bytes;
use super::{Look, Style, wrap};
use hyperhaul_migrate::{CleanupPlan, RunId};
use serde::Serialize;

/// What `cleanup --json` prints.
#[derive(Serialize)]
pub(crate) struct Report<'a> {
    run: RunId,
    statements: &'a [String],
    freed_bytes: u64,
    /// Whether it was done.
    dropped: bool,
}

impl<'a> Report<'a> {
    pub(crate) fn of(plan: &'a CleanupPlan, dropped: bool) -> Report<'a> {
        Report {
            run: plan.run,
            statements: &plan.statements,
            freed_bytes: plan.freed_bytes,
            dropped,
        }
    }
}

pub(crate) fn would_drop(plan: &CleanupPlan, look: Look) -> String {
    if plan.statements.is_empty() {
        // The old tables are in another database.
        let nothing = format!(
            "cleanup of run {} drops nothing on the target: it only ends the run, and the way back. The tables on the \
             source stay, fenced, unless --drop-source is given, now or later.",
            plan.run
        );
        return wrap(&nothing, 0, look.width);
    }
    let heading = look.paint(
        Style::Heading,
        &format!("cleanup of run {} would run", plan.run),
    );
    let statements: String = plan
        .statements
        .iter()
        .map(|statement| format!("  {statement};\n"))
        .collect();
    format!(
        "{heading}\n{statements}and free {}\n",
        bytes(plan.freed_bytes)
    )
}

pub(crate) fn dropped(plan: &CleanupPlan, look: Look) -> String {
    let done = look.paint(Style::Good, "cleaned up");
    let kept = if plan.on_source && plan.statements.is_empty() {
        "The tables on the source stay, fenced; hyperhaul cleanup --drop-source drops them later.\n"
    } else {
        ""
    };
    format!(
        "run {} is {done}: {} freed; there is no way back now.\n{kept}",
        plan.run,
        bytes(plan.freed_bytes)
    )
}
