//! What surrounded the run: who called what, what the checks saw and who accepted it, options, servers, steps.

use super::listed;
use super::markup::{Column, Markup, boxed, cell, pairs, row, table, tag};
use super::words::{caller, exact, moment, spent};
use crate::output::number::{bytes, grouped};
use hyperhaul_migrate::{Call, FindingReport, Report, ServerReport, StepReport};
use hyperhaul_plan::facts::License;
use hyperhaul_plan::{Mode, Severity, StrategyChoice, Topology};

/// Every call of a command that made, changed or judged the run.
pub(super) fn calls(report: &Report) -> Vec<Markup> {
    if report.calls.is_empty() {
        return vec![
            tag("p").text("None is recorded: an older hyperhaul left no word of its calls."),
        ];
    }
    let columns = [
        Column::Words("Began, UTC"),
        Column::Words("Command"),
        Column::Words("By"),
        Column::Words("Version"),
        Column::Number("Took"),
        Column::Words("Ended with"),
    ];
    let line = |call: &Call| {
        let words =
            std::iter::once(call.command.as_str()).chain(call.flags.iter().map(String::as_str));
        let took = call
            .ended_at
            .map(|ended| (ended - call.began_at).as_seconds_f64());
        let outcome = call.outcome.clone();
        let cells = [
            words.collect::<Vec<_>>().join(" "),
            caller(call),
            call.tool_version.clone(),
            took.map_or(String::new(), spent),
            outcome
                .unwrap_or_else(|| "no end is recorded: under way, killed, or cut off".to_owned()),
        ];
        row(exact(Some(call.began_at)), cells.map(cell))
    };
    let caption = "Calls on this run, with the role at the target and the operating system's user";
    vec![table(caption, &columns, report.calls.iter().map(line))]
}

/// What the checks saw, worst first.
pub(super) fn findings(report: &Report) -> Vec<Markup> {
    if report.findings.is_empty() {
        return vec![tag("p").text("The checks saw nothing to tell.")];
    }
    let accepted_by = match report.planner() {
        Some(call) => format!("Accepted by {} on {}.", caller(call), moment(call.began_at)),
        None => "Accepted; by whom was not recorded.".to_owned(),
    };
    let one = |found: &FindingReport| finding(found, &accepted_by);
    report.findings.iter().map(one).collect()
}

fn finding(found: &FindingReport, accepted_by: &str) -> Markup {
    let finding = &found.finding;
    let (class, severity) = match finding.severity {
        _ if found.accepted => ("warning", "accepted"),
        Severity::Block => ("bad", "block"),
        Severity::Warn => ("warning", "warn"),
        Severity::Info => ("quiet", "info"),
    };
    let place = [
        finding.table.as_ref().map(|table| table.plain()),
        finding.object.clone(),
    ];
    let place: Vec<String> = place.into_iter().flatten().collect();
    let heading = tag("span")
        .class(class)
        .text(severity)
        .then(Markup::text(" "))
        .then(tag("code").text(finding.code.name()))
        .then(Markup::text(format!(" {}", place.join(": "))));
    let mut parts = vec![tag("h3").holding(heading), tag("p").text(&finding.message)];
    if found.accepted {
        parts.push(tag("p").holding(tag("b").text(accepted_by)));
    }
    if !finding.detail.is_empty() {
        parts.push(tag("p").class("quiet").text(&finding.detail));
    }
    if !finding.resolution.is_empty() && !found.accepted {
        parts.push(tag("pre").text(finding.resolution.join("\n")));
    }
    tag("article").class("finding").lines(parts)
}

/// What was asked for, and the servers as they were when the run was planned.
pub(super) fn settings(report: &Report) -> Vec<Markup> {
    vec![
        tag("h3").text("Options"),
        options(report),
        tag("h3").text("Servers"),
        servers(report),
    ]
}

fn options(report: &Report) -> Markup {
    let options = &report.options;
    let accepted: Vec<&str> = options.accept.iter().map(|code| code.name()).collect();
    let strategy = |choice| match choice {
        StrategyChoice::Auto => "auto",
        StrategyChoice::Only(strategy) => hyperhaul_plan::Strategy::name(strategy),
    };
    let own = |table: &hyperhaul_plan::TableOptions| {
        let choice = table.strategy?;
        Some(format!(
            "{} for {}",
            strategy(choice),
            table.relation.plain()
        ))
    };
    let strategies: Vec<String> = std::iter::once(strategy(options.strategy).to_owned())
        .chain(options.tables.iter().filter_map(own))
        .collect();
    let mode = match options.mode {
        Mode::Window => "window: writers are kept off during the run",
        Mode::Backfill => "backfill: history follows beside live rows",
    };
    let workers = match options.workers {
        Some(asked) => asked.to_string(),
        None => format!("{}, as not asked otherwise", report.workers),
    };
    let timeout_s = std::time::Duration::from_millis(options.lock_timeout_ms).as_secs_f64();
    let list = [
        ("Mode", mode.to_owned()),
        ("Strategy", strategies.join(", ")),
        ("Workers", workers),
        ("Slice size", bytes(options.slice_bytes)),
        ("Lock timeout", spent(timeout_s)),
        ("Lock attempts", options.lock_attempts_max.to_string()),
        (
            "Accepted findings",
            if accepted.is_empty() {
                "none".to_owned()
            } else {
                accepted.join(", ")
            },
        ),
        (
            "Planned by",
            format!("hyperhaul {}", report.planned_by_version),
        ),
    ];
    pairs(list.map(|(name, value)| (name, Markup::text(value))))
}

fn servers(report: &Report) -> Markup {
    let one_database = report.topology == Topology::SameDatabase;
    let ends: Vec<(&str, &ServerReport)> = if one_database {
        vec![("Source and target", &report.target)]
    } else {
        vec![("Source", &report.source), ("Target", &report.target)]
    };
    let mut columns = vec![Column::Words("As planned")];
    columns.extend(
        ["Source and target", "Source", "Target"]
            .into_iter()
            .filter_map(|name| {
                let own = ends.iter().any(|(end, _)| *end == name);
                own.then_some(Column::Words(name))
            }),
    );
    let all: Vec<Vec<(&str, String)>> = ends.iter().map(|(_, server)| facts(server)).collect();
    let names = all.first().map(Vec::as_slice).unwrap_or_default();
    let rows = names.iter().enumerate().map(|(place, (name, _))| {
        let values = all.iter().filter_map(|facts| facts.get(place));
        row(
            name,
            values.map(|(_, value)| cell(value)).collect::<Vec<_>>(),
        )
    });
    table(
        "Versions and settings when the run was planned",
        &columns,
        rows,
    )
}

fn facts(server: &ServerReport) -> Vec<(&'static str, String)> {
    let settings = &server.settings;
    let timescale = server.timescaledb.as_ref().map(|timescale| {
        let (major, minor, patch) = timescale.version;
        let edition = match timescale.license {
            License::Apache => "Apache edition",
            License::Community => "Community edition",
        };
        format!("{major}.{minor}.{patch}, {edition}")
    });
    let milliseconds = |value: u64| {
        if value == 0 {
            "none".to_owned()
        } else {
            format!("{} ms", grouped(value))
        }
    };
    vec![
        ("Connection", server.connection.clone()),
        ("Database", server.database.clone()),
        ("Role", server.role.clone()),
        ("PostgreSQL", server.postgresql.clone()),
        (
            "TimescaleDB",
            timescale.unwrap_or_else(|| "not installed".to_owned()),
        ),
        (
            "System identifier",
            server
                .system_identifier
                .map_or("hidden".to_owned(), |id| id.to_string()),
        ),
        ("wal_level", settings.wal_level.clone()),
        ("max_wal_size", bytes(settings.max_wal_size_bytes)),
        (
            "maintenance_work_mem",
            bytes(settings.maintenance_work_mem_bytes),
        ),
        ("max_connections", settings.max_connections.to_string()),
        (
            "max_locks_per_transaction",
            settings.max_locks_per_transaction.to_string(),
        ),
        (
            "max_prepared_transactions",
            settings.max_prepared_transactions.to_string(),
        ),
        (
            "max_worker_processes",
            settings.max_worker_processes.to_string(),
        ),
        (
            "max_parallel_maintenance_workers",
            settings.max_parallel_maintenance_workers.to_string(),
        ),
        (
            "statement_timeout of the role",
            milliseconds(settings.statement_timeout_ms),
        ),
        (
            "lock_timeout of the role",
            milliseconds(settings.lock_timeout_ms),
        ),
        (
            "idle_in_transaction_session_timeout",
            milliseconds(settings.idle_in_transaction_session_timeout_ms),
        ),
        (
            "transaction_timeout of the role",
            milliseconds(settings.transaction_timeout_ms),
        ),
        ("TimeZone", settings.time_zone.clone()),
    ]
}

/// Every step, with its times.
pub(super) fn steps(report: &Report) -> Vec<Markup> {
    let columns = [
        Column::Words("Step"),
        Column::Words("Phase"),
        Column::Number("Began, UTC"),
        Column::Number("Ended, UTC"),
        Column::Number("Took"),
    ];
    let (shown, more) = listed(&report.steps);
    let line = |step: &StepReport| {
        let took = match step.seconds {
            Some(seconds) => spent(seconds),
            None => "not done".to_owned(),
        };
        let phase = step.phase.name().to_owned();
        let cells = [phase, exact(step.started_at), exact(step.finished_at), took];
        row(&step.title, cells.map(cell))
    };
    let caption = "Steps in order, with their times where they are done";
    let list = table(caption, &columns, shown.iter().map(line));
    vec![boxed("Steps", list), more]
}
