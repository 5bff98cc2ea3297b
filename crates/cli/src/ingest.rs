//! `hyperhaul ingest`, `receipts` and `dlq`: what they take; they ask the library and print what it answers.

mod config;
mod dlq;
mod status;
mod watch;

pub(crate) use dlq::{Dlq, dlq};
pub(crate) use watch::View;

use crate::arguments::Format;
use crate::failure::{Exit, Failure};
use crate::output::{self, Look};
use crate::signals;
use crate::values::{Interval, parse_interval, parse_table};
use clap::{Args, ValueEnum};
use config::Declared;
use hyperhaul_ingest::{Meters, Origin, Stop, Stream, Work};
use hyperhaul_pg::Server;
use hyperhaul_plan::Relation;
use std::io::{BufRead, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The database that rows go to, and the streams' declarations.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct Target {
    /// Database that gets the rows; without it, libpq's defaults and PG* variables hold.
    #[arg(
        long,
        value_name = "URL",
        env = "HYPERHAUL_TARGET",
        hide_env_values = true
    )]
    pub(crate) target: Option<String>,
    /// Configuration file (TOML) with the target and streams; flags override it.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Ingest {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Only these streams of the configuration file; repeat it for several.
    #[arg(long = "stream", value_name = "NAME", conflicts_with = "table")]
    pub(crate) streams: Vec<String>,
    /// Table that gets the rows of FILE, with SQL's quoting; instead of a configuration file.
    #[arg(long, value_name = "SCHEMA.TABLE", value_parser = parse_table, requires = "file", conflicts_with = "config")]
    pub(crate) table: Option<Relation>,
    /// What the records look like (default: by the file's ending, else ndjson).
    #[arg(long, value_name = "DECODER", requires = "table")]
    pub(crate) decoder: Option<Decoder>,
    /// Units, limits and columns that are known: esp-telemetry, diagnostic-results, metric-hist, fixes (APRS packets).
    #[arg(long, value_name = "NAME", requires = "table")]
    pub(crate) profile: Option<String>,
    /// Columns that tell duplicates, separated by commas (default: the first unique index that rows have whole).
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', requires = "table")]
    pub(crate) key: Vec<String>,
    /// Go on when the file grows, and with the next file of its name.
    #[arg(long, requires = "table")]
    pub(crate) follow: bool,
    /// File with one record a line, also .gz or .zst; - is standard input.
    #[arg(value_name = "FILE", requires = "table")]
    pub(crate) file: Option<PathBuf>,
    /// Address for /metrics (Prometheus), /healthz and /readyz, such as 127.0.0.1:9187.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) metrics: Option<SocketAddr>,
    /// Feed nothing: show where the streams stand, and what the process that feeds them is doing.
    #[arg(long, conflicts_with_all = ["table", "file"])]
    pub(crate) status: bool,
    #[command(flatten)]
    pub(crate) format: Format,
}

/// What records look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Decoder {
    /// One JSON object a line
    Ndjson,
    /// Comma separated values, whose first line names the columns
    Csv,
}

#[derive(Debug, Args)]
pub(crate) struct Receipts {
    #[command(flatten)]
    pub(crate) target: Target,
    /// How far to look back.
    #[arg(long, value_name = "INTERVAL", value_parser = parse_interval, default_value = "24h")]
    pub(crate) since: Interval,
    #[command(flatten)]
    pub(crate) format: Format,
}

/// A header is at most so long: a table has 1,600 columns.
const HEADER_BYTES_MAX: u64 = 256 << 10;

/// `plain`: lines even on a terminal.
pub(crate) async fn ingest(asked: &Ingest, plain: bool) -> Result<Exit, Failure> {
    if asked.status {
        return status::status(asked).await;
    }
    let (server, work) = work(asked)?;
    let (stop, meters) = (Stop::default(), Meters::default());
    let view = Arc::new(View::new(plain));
    signals::stop_streams(stop.clone(), Arc::clone(&view));
    let begun = Instant::now();
    let done = tokio::select! {
        done = hyperhaul_ingest::run(&server, work, &stop, &meters) => done,
        never = watch::watch(&meters, &view) => match never {},
    };
    view.end();
    let done = done?;
    if asked.format.json {
        output::print_json(&done, false)?;
    } else {
        output::print(&output::ingest::done(
            &done,
            begun.elapsed(),
            Look::of_stdout(),
        ))?;
    }
    Ok(Exit::Done)
}

fn work(asked: &Ingest) -> Result<(Server, Work), Failure> {
    if let Some(table) = &asked.table {
        let server = server(asked.target.target.as_deref())?;
        let work = Work {
            streams: vec![of_flags(asked, table)?],
            spool: None,
            http: None,
            metrics: asked.metrics,
        };
        return Ok((server, work));
    }
    let declared = declared(&asked.target)?;
    let server = server(declared.target.as_deref())?;
    let unknown = asked
        .streams
        .iter()
        .find(|name| declared.streams.iter().all(|stream| stream.name != **name));
    if let Some(name) = unknown {
        return Err(Failure::usage(format!(
            "the configuration file declares no stream \"{name}\""
        )));
    }
    let wanted = |stream: &Stream| asked.streams.is_empty() || asked.streams.contains(&stream.name);
    let work = Work {
        streams: declared.streams.into_iter().filter(wanted).collect(),
        spool: declared.spool,
        http: declared.http,
        metrics: asked.metrics.or(declared.metrics),
    };
    Ok((server, work))
}

/// The configuration file's streams; flags say more about the target.
fn declared(target: &Target) -> Result<Declared, Failure> {
    let Some(path) = &target.config else {
        return Err(Failure::usage("nothing is declared that could be ingested")
            .hint("Name a configuration file with --config, or a table with --table and a file."));
    };
    let declared = config::read(path)?;
    Ok(Declared {
        target: target.target.clone().or(declared.target),
        ..declared
    })
}

fn server(target: Option<&str>) -> Result<Server, Failure> {
    Ok(Server::parse(target.unwrap_or_default())?)
}

/// The one stream that flags describe: as if it stood in a file.
fn of_flags(asked: &Ingest, table: &Relation) -> Result<Stream, Failure> {
    let path = asked.file.clone().unwrap_or_default();
    let mut written = toml::Table::new();
    let mut say = |key: &str, value: toml::Value| written.insert(key.to_owned(), value);
    say("table", table.plain().into());
    if let Some(profile) = &asked.profile {
        say("profile", profile.as_str().into());
    }
    let decoder = asked.decoder.or_else(|| decoder_of(&path, asked));
    match (&asked.profile, decoder) {
        (Some(_), _) => {}
        (None, Some(Decoder::Csv)) => {
            say("column", columns_of_header(&path)?);
        }
        (None, _) => {
            say("columns", "all".into());
        }
    }
    if let Some(decoder) = decoder {
        let name = match decoder {
            Decoder::Ndjson => "ndjson",
            Decoder::Csv => "csv",
        };
        say("decoder", name.into());
    }
    let origin = if path.as_os_str() == "-" {
        Origin::Stdin { resume: None }
    } else {
        Origin::File {
            path,
            follow: asked.follow,
        }
    };
    let stream = config::stream(table.plain(), written, origin)?;
    Ok(Stream {
        key: asked.key.clone(),
        ..stream
    })
}

/// The columns that a plain file's first line names, as a configuration file would list them.
fn columns_of_header(path: &std::path::Path) -> Result<toml::Value, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::usage(format!(
            "could not read the header of {}: {error}",
            path.display()
        ))
        .hint("List the columns in a configuration file: [[stream.column]].")
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut line = String::new();
    std::io::BufReader::new(file)
        .take(HEADER_BYTES_MAX)
        .read_line(&mut line)
        .map_err(unreadable)?;
    let names = line.trim_start_matches('\u{feff}').trim_end().split(',');
    let column = |name: &str| {
        let name = name.trim().trim_matches('"');
        toml::Value::Table([("name".to_owned(), name.into())].into_iter().collect())
    };
    Ok(toml::Value::Array(names.map(column).collect()))
}

/// By the ending before that of a compression; a profile knows by itself.
fn decoder_of(path: &std::path::Path, asked: &Ingest) -> Option<Decoder> {
    let name = path.file_name()?.to_str()?;
    let name = name.trim_end_matches(".gz").trim_end_matches(".zst");
    match name.rsplit_once('.') {
        Some((_, "csv")) => Some(Decoder::Csv),
        _ if asked.profile.is_some() => None,
        _ => Some(Decoder::Ndjson),
    }
}

pub(crate) async fn receipts(asked: &Receipts) -> Result<Exit, Failure> {
    let target = of_target(&asked.target)?;
    let since = Duration::from_micros(asked.since.us.unsigned_abs());
    let receipts = hyperhaul_ingest::receipts(&target, since).await?;
    let is_proved = receipts.iter().all(hyperhaul_ingest::Receipt::is_proved);
    if asked.format.json {
        output::print_json(&receipts, false)?;
    } else {
        output::print(&output::ingest::receipts(&receipts, Look::of_stdout()))?;
    }
    Ok(if is_proved { Exit::Done } else { Exit::Differs })
}

/// The database alone; a configuration file is read for its name only where no flag says it.
fn of_target(target: &Target) -> Result<Server, Failure> {
    match (&target.target, &target.config) {
        (None, Some(_)) => server(declared(target)?.target.as_deref()),
        (named, _) => server(named.as_deref()),
    }
}
