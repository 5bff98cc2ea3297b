//! `hyperhaul dlq`: records that no table takes.

use super::{Target, declared, of_target, server};
use crate::arguments::Format;
use crate::failure::{Exit, Failure};
use crate::output::{self, Look};
use clap::{Args, Subcommand};
use hyperhaul_ingest::Selection;

#[derive(Debug, Subcommand)]
pub(crate) enum Dlq {
    /// Show dead letters: what they are, when, and why no table takes them.
    List(List),
    /// Write one dead letter's bytes to stdout, as they came.
    Show(Show),
    /// Try dead letters again, as their stream is declared now.
    Retry(Retry),
    /// Drop dead letters for good.
    Drop(Drop),
}

/// Which dead letters.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Which")]
pub(crate) struct Which {
    /// Numbers of letters (default: any).
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<i64>,
    /// Only of this stream.
    #[arg(long, value_name = "NAME")]
    pub(crate) stream: Option<String>,
    /// Only with this reason.
    #[arg(long, value_name = "REASON")]
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) which: Which,
    /// At most so many, the newest.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Number of the letter.
    #[arg(value_name = "ID")]
    pub(crate) id: i64,
}

#[derive(Debug, Args)]
pub(crate) struct Retry {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) which: Which,
    #[command(flatten)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Drop {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) which: Which,
    /// Really drop them.
    #[arg(long)]
    pub(crate) yes: bool,
}

pub(crate) async fn dlq(asked: &Dlq) -> Result<Exit, Failure> {
    match asked {
        Dlq::List(asked) => list(asked).await,
        Dlq::Show(asked) => show(asked).await,
        Dlq::Retry(asked) => retry(asked).await,
        Dlq::Drop(asked) => drop(asked).await,
    }
}

fn selection(which: &Which) -> Selection {
    Selection {
        ids: which.ids.clone(),
        stream: which.stream.clone(),
        reason: which.reason.clone(),
    }
}

async fn list(asked: &List) -> Result<Exit, Failure> {
    let target = of_target(&asked.target)?;
    let selection = selection(&asked.which);
    let letters = hyperhaul_ingest::dead_letters(&target, &selection, asked.limit.into()).await?;
    if asked.format.json {
        output::print_json(&letters, false)?;
    } else {
        output::print(&output::ingest::letters(&letters, Look::of_stdout()))?;
    }
    Ok(Exit::Done)
}

async fn show(asked: &Show) -> Result<Exit, Failure> {
    let target = of_target(&asked.target)?;
    let letter = hyperhaul_ingest::dead_letter(&target, asked.id).await?;
    output::print_bytes(&letter.payload)?;
    Ok(Exit::Done)
}

async fn retry(asked: &Retry) -> Result<Exit, Failure> {
    let declared = declared(&asked.target)?;
    let target = server(declared.target.as_deref())?;
    let selection = selection(&asked.which);
    let mut all = Vec::new();
    for stream in declared.streams {
        if selection
            .stream
            .as_ref()
            .is_some_and(|name| *name != stream.name)
        {
            continue;
        }
        let name = stream.name.clone();
        let retried = hyperhaul_ingest::retry(&target, stream, &selection).await?;
        all.push((name, retried));
    }
    let is_clean = all.iter().all(|(_, retried)| retried.kept_count == 0);
    if asked.format.json {
        let all: std::collections::BTreeMap<_, _> = all.into_iter().collect();
        output::print_json(&all, false)?;
    } else {
        output::print(&output::ingest::retried(&all))?;
    }
    Ok(if is_clean { Exit::Done } else { Exit::Differs })
}

async fn drop(asked: &Drop) -> Result<Exit, Failure> {
    let target = of_target(&asked.target)?;
    let selection = selection(&asked.which);
    if !asked.yes {
        return Err(Failure::usage("dropped dead letters are gone for good")
            .hint("Look at them with hyperhaul dlq list, then say --yes."));
    }
    let count = hyperhaul_ingest::drop_dead_letters(&target, &selection).await?;
    output::print(&output::ingest::dropped(count))?;
    Ok(Exit::Done)
}
