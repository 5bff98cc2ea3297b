//! `report`: its arguments, and where its page and its object are written.

use crate::arguments::{Servers, Which};
use crate::commands::connections;
use crate::failure::{Exit, Failure};
use crate::output;
use crate::values::parse_run;
use clap::Args;
use hyperhaul_migrate::RunId;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// Number of the run, as --run (default: the newest).
    #[arg(value_name = "RUN", value_parser = parse_run, conflicts_with = "run")]
    pub(crate) number: Option<RunId>,
    #[command(flatten)]
    pub(crate) servers: Servers,
    #[command(flatten)]
    pub(crate) which: Which,
    /// Write the page to this file, - for stdout (without --html and --json: hyperhaul-run-N.html and .json, here).
    #[arg(long, value_name = "FILE", help_heading = "Run and output")]
    pub(crate) html: Option<PathBuf>,
    /// Write the JSON object to this file, - for stdout; without --html only this is written.
    #[arg(long, value_name = "FILE", help_heading = "Run and output")]
    pub(crate) json: Option<PathBuf>,
}

/// Writes what was asked for; by default both, into files named after the run.
pub(crate) async fn report(asked: &Report) -> Result<Exit, Failure> {
    let stdout = Path::new("-");
    if asked.html.as_deref() == Some(stdout) && asked.json.as_deref() == Some(stdout) {
        return Err(Failure::usage("--html and --json cannot both go to stdout")
            .hint("Name a file for one of them."));
    }
    let connections = connections(&asked.servers)?;
    let run = asked.number.or(asked.which.run);
    let report = hyperhaul_migrate::report(&connections, run).await?;
    let (html, json) = match (&asked.html, &asked.json) {
        (None, None) => {
            let name = |ending| PathBuf::from(format!("hyperhaul-run-{}.{ending}", report.run));
            (Some(name("html")), Some(name("json")))
        }
        (html, json) => (html.clone(), json.clone()),
    };
    let mut written = Vec::new();
    if let Some(file) = &html {
        output::write(file, &output::report::render(&report))?;
        written.push(file);
    }
    if let Some(file) = &json {
        output::write(file, &output::json(&report, false)?)?;
        written.push(file);
    }
    // Beside data on stdout there is no place for words.
    if written.iter().all(|file| *file != stdout) {
        let names: Vec<String> = written
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        output::print(&format!(
            "run {}: wrote {}\n",
            report.run,
            names.join(" and ")
        ))?;
    }
    Ok(Exit::Done)
}
