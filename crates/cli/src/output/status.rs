//! What `status` prints: where a run stands, its tables and its phases.

use super::columns::{Align, Columns};
use super::number::{bytes, count, estimated, grouped, percent, seconds};
use super::{Look, Style, wrap};
use hyperhaul_migrate::{Forecast, HeldJob, RunState, RunStatus, StepStatus, TableStatus};
use hyperhaul_plan::Phase;

pub(crate) fn render(status: &RunStatus, look: Look) -> String {
    let state = look.paint(style(status.state), status.state.name());
    let changed = status.changed_at.format("%Y-%m-%d %H:%M:%S UTC");
    let sessions = match status.sessions {
        0 => "no session of hyperhaul is connected".to_owned(),
        some => format!("{} of hyperhaul", count(some, "session")),
    };
    format!(
        "run {}: {state} since {changed}; {sessions}\nsource  {}\n{}\n{}\n{}{}\n{}",
        status.run,
        status.source,
        forecast(status.forecast.as_ref(), look),
        tables(&status.tables, look),
        phases(&status.steps, look),
        held_jobs(&status.held_jobs),
        wrap(&advice(status), 0, look.width)
    )
}

/// When it will be through, and until when it has time; nothing for a run that is not under way.
fn forecast(seen: Option<&Forecast>, look: Look) -> String {
    let Some(seen) = seen else {
        return String::new();
    };
    let clock = |at| hyperhaul_migrate::clock(at, seen.made_at);
    let window = seen.deadline.map_or(String::new(), |deadline| {
        let style = if seen.is_late() {
            Style::Bad
        } else {
            Style::Good
        };
        let fits = if seen.is_late() {
            "too late"
        } else {
            "in time"
        };
        format!(
            ", {}: the window ends {} (then: {})",
            look.paint(style, fits),
            clock(deadline.at),
            deadline.then.name()
        )
    });
    let left = if seen.left.is_empty() {
        "the tables are in place".to_owned()
    } else {
        format!(
            "done by {} ({} more)",
            clock(seen.done_at),
            seconds(seen.seconds())
        )
    };
    format!(
        "forecast of {}  {left}{window}\n",
        seen.made_at.format("%H:%M:%S UTC")
    )
}

fn style(state: RunState) -> Style {
    match state {
        RunState::Done | RunState::CleanedUp => Style::Good,
        RunState::Running | RunState::CheckingRollback | RunState::RollingBack => Style::Warning,
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
            verified(table),
        ]);
    }
    columns.render(0, look)
}

/// A verification after the cutover says something only beside the one of before it.
fn verified(table: &TableStatus) -> String {
    let word = |equal| if equal { "equal" } else { "DIFFERS" };
    match (table.verified, table.verified_since) {
        (None, None) => "not yet".to_owned(),
        (Some(equal), None) => word(equal).to_owned(),
        (_, Some(true)) => "equal, also since".to_owned(),
        (Some(equal), Some(false)) => format!("{}, since then DIFFERS", word(equal)),
        (None, Some(false)) => "DIFFERS".to_owned(),
    }
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

/// What is paused, and put back when the run ends.
fn held_jobs(jobs: &[HeldJob]) -> String {
    if jobs.is_empty() {
        return String::new();
    }
    let line = |job: &HeldJob| match job.next_start {
        Some(time) => format!(
            "  {}, next start {}\n",
            job.name,
            time.format("%Y-%m-%d %H:%M:%S UTC")
        ),
        None => format!("  {}\n", job.name),
    };
    let lines: String = jobs.iter().map(line).collect();
    format!("paused until the run ends or is rolled back:\n{lines}\n")
}

fn advice(status: &RunStatus) -> String {
    let run = status.run;
    match status.state {
        RunState::Planned => {
            format!("Nothing was changed yet. Next: hyperhaul migrate --run {run}.")
        }
        RunState::Superseded => "A newer plan of the same tables took its place.".to_owned(),
        RunState::Running if status.paused => {
            "Paused at a limit of disk, WAL or lag; its own output says which.".to_owned()
        }
        RunState::Running if status.sessions > 0 => "Under way.".to_owned(),
        RunState::Running => {
            format!(
                "Stopped. Go on with hyperhaul migrate --run {run}, or back with hyperhaul rollback --run {run}."
            )
        }
        RunState::Done => format!(
            "The hypertables are in place. Next: hyperhaul verify --run {run}, and days later hyperhaul cleanup --run {run}."
        ),
        RunState::CheckingRollback if status.sessions > 0 => {
            "Writers are kept off the hypertables while a rollback looks for rows to lose."
                .to_owned()
        }
        RunState::CheckingRollback => format!(
            "Writers are kept off the hypertables: a rollback was looking for rows to lose when it stopped. Go on with \
             hyperhaul rollback --run {run}, or call it off with hyperhaul migrate --run {run}."
        ),
        RunState::RollingBack => format!("Going back. Go on with hyperhaul rollback --run {run}."),
        RunState::RolledBack => "Everything is as it was before.".to_owned(),
        RunState::CleanedUp => {
            "Cleaned up: the old tables are no longer ours, there is no way back.".to_owned()
        }
    }
}

/// Whether looking again can show something new.
pub(crate) fn is_under_way(status: &RunStatus) -> bool {
    match status.state {
        RunState::Planned
        | RunState::Running
        | RunState::CheckingRollback
        | RunState::RollingBack => true,
        RunState::Superseded | RunState::Done | RunState::RolledBack | RunState::CleanedUp => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use hyperhaul_migrate::RunId;

    fn step(phase: Phase, title: &str, seconds: Option<f64>) -> StepStatus {
        StepStatus {
            id: format!("{}:{title}", phase.name()),
            phase,
            title: title.to_owned(),
            done: seconds.is_some(),
            seconds,
        }
    }

    #[test]
    fn a_run_that_stopped_says_where_and_how_to_go_on() {
        let at = chrono::DateTime::from_timestamp(1_765_411_200, 0).unwrap_or_default();
        let status = RunStatus {
            run: RunId(3),
            state: RunState::Running,
            source: "postgresql://me@one:5432/soar".into(),
            created_at: at,
            changed_at: at,
            sessions: 0,
            forecast: None,
            paused: false,
            held_jobs: vec![HeldJob {
                job_id: 1001,
                name: "Retention Policy [1001] on public.gliders".into(),
                next_start: Some(at),
            }],
            tables: vec![TableStatus {
                table: "public.fixes".into(),
                slices_done: 5,
                slices_total: 8,
                rows_done: 301_233,
                rows_total: 483_063,
                bytes_done: 35 << 20,
                verified: None,
                verified_since: None,
            }],
            steps: vec![
                step(Phase::Fence, "keep writers off public.fixes", Some(0.2)),
                step(Phase::Copy, "copy the slices", None),
                step(Phase::Keys, "add fixes_pkey of public.fixes", Some(2.0)),
                step(Phase::Keys, "finish the checks of public.fixes", None),
            ],
        };
        expect![[r#"
            run 3: running since 2025-12-11 00:00:00 UTC; no session of hyperhaul is connected
            source  postgresql://me@one:5432/soar

            table         slices     rows               of    copied  verified
            public.fixes     5/8  301,233  ~483,063 (62 %)  35.0 MiB  not yet

            phase  steps  time  next
            fence    1/1  <1 s
            copy     0/1
            keys     1/2   2 s  finish the checks of public.fixes
            paused until the run ends or is rolled back:
              Retention Policy [1001] on public.gliders, next start 2025-12-11 00:00:00 UTC


            Stopped. Go on with hyperhaul migrate --run 3, or back with hyperhaul rollback
            --run 3.
        "#]]
        .assert_eq(&render(&status, Look::PLAIN));
        assert!(is_under_way(&status));
    }
}
