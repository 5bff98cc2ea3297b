//! `hyperhaul maintain`: what it takes; asks the library and prints what it answers.

use crate::arguments::{Format, Servers};
use crate::failure::{Exit, Failure};
use crate::install::{self, Call, Scheduler};
use crate::output::{self, Look};
use crate::request::Request;
use crate::values::{Interval, parse_interval};
use clap::Args;
use hyperhaul_migrate::Interrupt;

#[derive(Debug, Args)]
pub(crate) struct Maintain {
    #[command(flatten)]
    pub(crate) servers: Servers,
    #[command(flatten)]
    pub(crate) format: Format,
    /// Change nothing, say what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// With --dry-run, print what has it run on time: units, a crontab's line, or the server's jobs; no password is in them.
    #[arg(long, value_name = "SCHEDULER", conflicts_with = "json")]
    pub(crate) install: Option<Scheduler>,
    /// How often systemd or cron runs it (default: 1 hour); pg_cron's jobs run as they are declared.
    #[arg(long, value_name = "INTERVAL", value_parser = parse_interval, requires = "install")]
    pub(crate) every: Option<Interval>,
}

/// How often where nothing else is said.
const EVERY_DEFAULT: Interval = Interval { us: 3_600_000_000 };

pub(crate) async fn maintain(asked: &Maintain, interrupt: &Interrupt) -> Result<Exit, Failure> {
    let request = Request::read(&asked.servers)?;
    if let Some(scheduler) = asked.install {
        return print_installation(asked, &request, scheduler).await;
    }
    let connections = request.connections()?;
    let maintenance = hyperhaul_migrate::maintain(&connections, asked.dry_run, interrupt).await?;
    if asked.format.json {
        output::print_json(&maintenance, false)?;
    } else {
        let target = connections.target.to_string();
        output::print(&output::maintain::render(
            &maintenance,
            &target,
            Look::of_stdout(),
        ))?;
    }
    Ok(if maintenance.failed() {
        Exit::Unexpected
    } else if maintenance.refused() {
        Exit::Blocked
    } else {
        Exit::Done
    })
}

async fn print_installation(
    asked: &Maintain,
    request: &Request,
    scheduler: Scheduler,
) -> Result<Exit, Failure> {
    if !asked.dry_run {
        return Err(Failure::usage("--install needs --dry-run")
            .detail("hyperhaul prints what to install, and writes to no scheduler by itself.")
            .hint("Add --dry-run, look at what is printed, and put it where its comments say."));
    }
    let every = asked.every.unwrap_or(EVERY_DEFAULT);
    let text = match scheduler {
        Scheduler::Systemd => install::systemd(&call(asked, request)?, every),
        Scheduler::Cron => install::cron(&call(asked, request)?, every)?,
        Scheduler::PgCron => {
            let connections = request.connections()?;
            let commands = hyperhaul_migrate::scheduled_commands(&connections).await?;
            install::pg_cron(&commands, connections.target.database())
        }
    };
    output::print(&text)?;
    Ok(Exit::Done)
}

/// This program with the connection that was given: by the file that names it, else without its password.
fn call(asked: &Maintain, request: &Request) -> Result<Call, Failure> {
    let program = std::env::current_exe();
    let program = program.map_or("hyperhaul".to_owned(), |path| path.display().to_string());
    let mut words = vec![program, "maintain".to_owned()];
    match &asked.servers.config {
        Some(path) => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            words.extend(["--config".to_owned(), path.display().to_string()]);
        }
        None => words.extend(["--target".to_owned(), request.target_without_password()?]),
    }
    Ok(Call { words })
}
