//! What `status` prints: where a run stands, its tables and its phases.

use super::columns::{Align, Columns};
use super::number::{bytes, count, estimated, grouped, percent, seconds};
use super::{Look, Style};
use hyperhaul_migrate::{RunState, RunStatus, StepStatus, TableStatus};
use hyperhaul_plan::Phase;

pub(crate) fn render(status: &RunStatus, look: Look) -> String {
    let state = look.paint(style(status.state), status.state.name());
    let changed = status.changed_at.format("%Y-%m-%d %H:%M:%S UTC");
    let sessions = match status.sessions {
        0 => "no session of hyperhaul is connected".to_owned(),
        some => format!("{} of hyperhaul", count(some, "session")),
    };
    format!(
        "run {}: {state} since {changed}; {sessions}\nsource  {}\n\n{}\n{}\n{}\n",
        status.run,
        status.source,
        tables(&status.tables, look),
        phases(&status.steps, look),
        next(status)
    )
}

fn style(state: RunState) -> Style {
    match state {
        RunState::Done | RunState::CleanedUp => Style::Good,
        RunState::Running | RunState::RollingBack => Style::Warning,
        RunState::Planned | RunState::Superseded | RunState::RolledBack => Style::Heading,
    }
}

fn tables(tables: &[TableStatus], look: Look) -> String {
    let mut columns = Columns::new([
        Align::Left,
        Align::Right,
        Align::Right,
        Align::Right,
        Align::Right,
        Align::Left,
    ])
    .heading(["table", "slices", "rows", "of", "copied", "verified"]);
    for table in tables {
        let finished = table.slices_done == table.slices_total;
        let total = if finished {
            grouped(table.rows_total)
        } else {
            estimated(table.rows_total)
        };
        columns.push([
            table.table.clone(),
            format!(
                "{}/{}",
                grouped(table.slices_done),
                grouped(table.slices_total)
            ),
            grouped(table.rows_done),
            format!("{total} ({})", percent(table.rows_done, table.rows_total)),
            bytes(table.bytes_done),
            match table.verified {
                Some(true) => "equal".to_owned(),
                Some(false) => "DIFFERS".to_owned(),
                None => "not yet".to_owned(),
            },
        ]);
    }
    columns.render(0, look)
}

fn phases(steps: &[StepStatus], look: Look) -> String {
    let mut columns = Columns::new([Align::Left, Align::Right, Align::Right, Align::Left])
        .heading(["phase", "steps", "time", "next"]);
    for phase in Phase::ALL {
        let own: Vec<&StepStatus> = steps.iter().filter(|step| step.phase == phase).collect();
        if own.is_empty() {
            continue;
        }
        let done = own.iter().filter(|step| step.done).count();
        let next = own.iter().find(|step| !step.done && done > 0);
        columns.push([
            phase.name().to_owned(),
            format!("{done}/{}", own.len()),
            if done == 0 {
                String::new()
            } else {
                seconds(own.iter().filter_map(|step| step.seconds).sum())
            },
            next.map_or(String::new(), |step| step.title.clone()),
        ]);
    }
    columns.render(0, look)
}

fn next(status: &RunStatus) -> String {
    let run = status.run;
    match status.state {
        RunState::Planned => {
            format!("Nothing was changed yet. Next: hyperhaul migrate --run {run}.")
        }
        RunState::Superseded => "A newer plan of the same tables took its place.".to_owned(),
        RunState::Running if status.sessions > 0 => "Under way.".to_owned(),
        RunState::Running => {
            format!(
                "Stopped. Go on with hyperhaul migrate --run {run}, or back with hyperhaul rollback --run {run}."
            )
        }
        RunState::Done => format!(
            "The hypertables are in place. Next: hyperhaul verify --run {run}, and days later hyperhaul cleanup --run {run}."
        ),
        RunState::RollingBack => format!("Going back. Go on with hyperhaul rollback --run {run}."),
        RunState::RolledBack => "Everything is as it was before.".to_owned(),
        RunState::CleanedUp => "The old tables are gone.".to_owned(),
    }
}

/// Whether looking again can show something new.
pub(crate) fn is_under_way(status: &RunStatus) -> bool {
    match status.state {
        RunState::Planned | RunState::Running | RunState::RollingBack => true,
        RunState::Superseded | RunState::Done | RunState::RolledBack | RunState::CleanedUp => false,
    }
}
