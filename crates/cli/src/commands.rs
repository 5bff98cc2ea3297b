//! The subcommands: each asks the library and prints what it answers.

use crate::arguments::{self, Arguments, Command, Servers, Workload};
use crate::failure::{Exit, Failure};
use crate::output::{self, Look};
use crate::progress::Watch;
use crate::request::Request;
use crate::{feed, ingest, maintain, report, sample, signals};
use hyperhaul_migrate::{
    CleanupOptions, Connections, Interrupt, RollbackOptions, RunId, RunStatus,
};
use hyperhaul_plan::Plan;
use output::check::Ends;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// A plan with its run's number, as `check --json` and `plan --json` print it.
#[derive(Serialize)]
struct NumberedPlan<'a> {
    /// None for a plan that is not stored: a check's, or a blocked one.
    run: Option<RunId>,
    #[serde(flatten)]
    plan: &'a Plan,
}

/// Carries out what the command line says.
pub(crate) async fn run(arguments: Arguments) -> Result<Exit, Failure> {
    // Bars and log lines would write over each other.
    let plain = arguments.verbose > 0;
    match arguments.command {
        Command::Check(asked) => check(&asked).await,
        Command::Plan(asked) => plan(&asked).await,
        Command::Migrate(asked) => migrate(&asked, plain).await,
        Command::Status(asked) => status(&asked).await,
        Command::Verify(asked) => verify(&asked, plain).await,
        Command::Rollback(asked) => rollback(&asked, plain).await,
        Command::Cleanup(asked) => cleanup(&asked).await,
        Command::Report(asked) => report::report(&asked).await,
        Command::Maintain(asked) => maintain(&asked, plain).await,
        Command::Ingest(asked) => ingest::ingest(&asked, plain).await,
        Command::Receipts(asked) => ingest::receipts(&asked).await,
        Command::Dlq(asked) => ingest::dlq(&asked).await,
        Command::Workload(Workload::Soar(asked)) => sample::load(&asked).await,
        Command::Workload(Workload::Esp(asked)) => sample::esp(&asked),
        Command::Workload(Workload::AprsFeed(asked)) => feed::play(&asked).await,
        Command::Completions { shell } => completions(shell),
    }
}

async fn check(asked: &arguments::Check) -> Result<Exit, Failure> {
    let request = Request::read(&asked.servers)?;
    let options = request.required_options(&asked.wanted)?;
    let connections = request.connections()?;
    let plan = hyperhaul_migrate::check(&connections, &options).await?;
    if asked.format.json {
        output::print_json(
            &NumberedPlan {
                run: None,
                plan: &plan,
            },
            false,
        )?;
    } else {
        output::print(&output::check::render(
            &plan,
            &Ends::of(&connections),
            Look::of_stdout(),
        ))?;
    }
    Ok(blocked_or_done(&plan))
}

async fn plan(asked: &arguments::Plan) -> Result<Exit, Failure> {
    let request = Request::read(&asked.servers)?;
    let options = request.required_options(&asked.wanted)?;
    let connections = request.connections()?;
    let calibration = asked
        .calibrate
        .map(|seconds| Duration::from_secs(seconds.into()));
    let (run, plan) = hyperhaul_migrate::plan(&connections, &options, calibration).await?;
    if asked.format.json {
        output::print_json(&NumberedPlan { run, plan: &plan }, false)?;
    } else if asked.sql {
        output::print(&output::script::render(&plan, run))?;
    } else {
        let ends = Ends::of(&connections);
        output::print(&output::plan::render(
            &plan,
            run,
            &ends,
            asked.all_slices,
            Look::of_stdout(),
        ))?;
    }
    Ok(blocked_or_done(&plan))
}

fn blocked_or_done(plan: &Plan) -> Exit {
    if plan.blocked() {
        Exit::Blocked
    } else {
        Exit::Done
    }
}

async fn migrate(asked: &arguments::Migrate, plain: bool) -> Result<Exit, Failure> {
    let request = Request::read(&asked.servers)?;
    let options = match asked.which.run {
        Some(_) => {
            asked.wanted.refuse_beside_run()?;
            None
        }
        None => request.options(&asked.wanted)?,
    };
    let deadline = request.deadline(&asked.window, chrono::Utc::now())?;
    let connections = request.connections()?;
    let (watch, interrupt) = watched(plain);
    let outcome = hyperhaul_migrate::migrate(
        &connections,
        asked.which.run,
        options.as_ref(),
        deadline,
        &request.limits(&asked.limits),
        &interrupt,
        watch.clone(),
    )
    .await;
    watch.end();
    let outcome = outcome?;
    if asked.format.json {
        output::print_json(&output::summary::Report::of(&outcome), false)?;
    } else {
        output::print(&output::summary::migrated(
            &outcome,
            watch.resumed(),
            Look::of_stdout(),
        ))?;
    }
    Ok(Exit::Done)
}

/// An observer that draws, and an interrupt that signals throw.
fn watched(plain: bool) -> (Arc<Watch>, Interrupt) {
    let watch = Arc::new(Watch::new(plain));
    let interrupt = Interrupt::default();
    signals::listen(interrupt.clone(), Arc::clone(&watch));
    (watch, interrupt)
}

async fn status(asked: &arguments::Status) -> Result<Exit, Failure> {
    let connections = connections(&asked.servers)?;
    let look = Look::of_stdout();
    loop {
        let status = hyperhaul_migrate::status(&connections, asked.which.run).await?;
        let Some(status) = status else {
            return no_run(&connections, asked.format.json);
        };
        show_status(&status, asked, look)?;
        match asked.watch {
            Some(seconds) if output::status::is_under_way(&status) => {
                tokio::time::sleep(Duration::from_secs(seconds.into())).await;
            }
            _ => return Ok(Exit::Done),
        }
    }
}

fn show_status(status: &RunStatus, asked: &arguments::Status, look: Look) -> Result<(), Failure> {
    if asked.format.json {
        return output::print_json(status, asked.watch.is_some());
    }
    let clear = if asked.watch.is_some() && look.is_terminal {
        "\x1b[H\x1b[2J"
    } else {
        ""
    };
    output::print(&format!("{clear}{}", output::status::render(status, look)))
}

fn no_run(connections: &Connections, json: bool) -> Result<Exit, Failure> {
    if json {
        output::print("null\n")?;
    } else {
        let target = &connections.target;
        output::print(&format!(
            "There is no run in {target}. Begin with hyperhaul check.\n"
        ))?;
    }
    Ok(Exit::Done)
}

async fn verify(asked: &arguments::Verify, plain: bool) -> Result<Exit, Failure> {
    let connections = connections(&asked.servers)?;
    let (watch, interrupt) = watched(plain);
    let verification =
        hyperhaul_migrate::verify(&connections, asked.which.run, &interrupt, watch.clone()).await;
    watch.end();
    let verification = verification?;
    if asked.format.json {
        output::print_json(&verification, false)?;
    } else {
        output::print(&output::verify::render(&verification, Look::of_stdout()))?;
    }
    Ok(if verification.equal() {
        Exit::Done
    } else {
        Exit::Differs
    })
}

async fn rollback(asked: &arguments::Rollback, plain: bool) -> Result<Exit, Failure> {
    let connections = connections(&asked.servers)?;
    let options = RollbackOptions {
        discard_new_rows: asked.discard_new_rows,
    };
    let (watch, interrupt) = watched(plain);
    let run = hyperhaul_migrate::rollback(
        &connections,
        asked.which.run,
        &options,
        &interrupt,
        watch.clone(),
    )
    .await;
    watch.end();
    let run = run?;
    if asked.format.json {
        output::print_json(
            &serde_json::json!({ "run": run, "state": "rolled_back" }),
            false,
        )?;
    } else {
        output::print(&output::summary::rolled_back(run, Look::of_stdout()))?;
    }
    Ok(Exit::Done)
}

async fn cleanup(asked: &arguments::Cleanup) -> Result<Exit, Failure> {
    let connections = connections(&asked.servers)?;
    let options = CleanupOptions {
        drop_source: asked.drop_source,
        accept_differences: asked.accept_differences,
    };
    let plan = hyperhaul_migrate::cleanup_plan(&connections, asked.which.run, &options).await?;
    let look = Look::of_stdout();
    if asked.yes {
        hyperhaul_migrate::cleanup(&connections, &plan).await?;
    }
    if asked.format.json {
        output::print_json(&output::cleanup::Report::of(&plan, asked.yes), false)?;
    } else if asked.yes {
        output::print(&output::cleanup::dropped(&plan, look))?;
    } else {
        output::print(&output::cleanup::would_drop(&plan, look))?;
    }
    if asked.yes {
        return Ok(Exit::Done);
    }
    Err(
        Failure::new(Exit::Blocked, "nothing was dropped: --yes is missing")
            .hint("Add --yes to do it; there is no way back afterwards."),
    )
}

async fn maintain(asked: &maintain::Maintain, plain: bool) -> Result<Exit, Failure> {
    let (watch, interrupt) = watched(plain);
    let outcome = maintain::maintain(asked, &interrupt).await;
    watch.end();
    outcome
}

pub(crate) fn connections(servers: &Servers) -> Result<Connections, Failure> {
    Request::read(servers)?.connections()
}

fn completions(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    let mut command = <Arguments as clap::CommandFactory>::command();
    clap_complete::generate(shell, &mut command, "hyperhaul", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
