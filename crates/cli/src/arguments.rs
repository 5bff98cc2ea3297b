//! What the command line takes: subcommands, flags, their help. Not what they mean together with a configuration
//! file (that is `request`), and nothing that runs.

use crate::declared::PolicyFlags;
use crate::ingest::{Dlq, Ingest, Receipts};
use crate::limits::LimitFlags;
use crate::maintain::Maintain;
use crate::values::{
    Interval, Workers, parse_interval, parse_lock_timeout, parse_mode, parse_run, parse_slice_size,
    parse_strategy, parse_table, parse_workers,
};
use crate::window::Window;
use clap::{Args, Parser, Subcommand};
use hyperhaul_migrate::RunId;
use hyperhaul_plan::{Code, Mode, Relation, StrategyChoice};
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES_AND_EXIT_CODES: &str = include_str!("examples.txt");

/// Moves very large PostgreSQL time-series tables into TimescaleDB hypertables.
#[derive(Debug, Parser)]
#[command(
    name = "hyperhaul",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
#[command(after_long_help = EXAMPLES_AND_EXIT_CODES, after_help = "Examples and exit codes: hyperhaul --help")]
pub(crate) struct Arguments {
    /// Log to stderr what happens inside: -v debug, -vv trace; RUST_LOG says it in detail.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Look for what stands in the way, with the SQL that resolves it; changes nothing.
    Check(Check),
    /// Show what would happen, in which order, how long, how much disk; stores the plan for migrate.
    Plan(Plan),
    /// Carry the plan out, or go on where an earlier run stopped.
    Migrate(Migrate),
    /// Show where a run stands.
    Status(Status),
    /// Prove that source and target are equal; prints the keys of rows that differ.
    Verify(Verify),
    /// Undo a run, from any point up to cleanup.
    Rollback(Rollback),
    /// Drop what is no longer needed after a passed verify; then there is no way back.
    Cleanup(Cleanup),
    /// Write what a run did, how, when, by whom, and what proved it: one HTML page and one JSON object.
    Report(crate::report::Report),
    /// Do what is declared and the server does not do by itself: roll aggregates up, drop what is too old.
    Maintain(Maintain),
    /// Feed tables from files, HTTP, MQTT, JetStream or APRS-IS, each record exactly once; goes on where it stopped.
    Ingest(Ingest),
    /// Prove from the ledger what became of every record that was ingested.
    Receipts(Receipts),
    /// Records that no table takes: look at them, try them again, drop them.
    #[command(subcommand)]
    Dlq(Dlq),
    /// Load or play sample data to try hyperhaul with.
    #[command(subcommand)]
    Workload(Workload),
    /// Print the completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) servers: Servers,
    #[command(flatten)]
    pub(crate) wanted: Wanted,
    #[command(flatten)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) servers: Servers,
    #[command(flatten)]
    pub(crate) wanted: Wanted,
    #[command(flatten)]
    pub(crate) format: Format,
    /// Print every statement that will run, in order, as a script with comments.
    #[arg(long, conflicts_with = "json")]
    pub(crate) sql: bool,
    /// Measure how long it takes: move a sample of each table into a scratch hypertable, each way for about so many seconds.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "5")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) calibrate: Option<u32>,
    /// List every slice, however many; without it the list is shortened beyond 20.
    #[arg(long)]
    pub(crate) all_slices: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    pub(crate) servers: Servers,
    #[command(flatten)]
    pub(crate) wanted: Wanted,
    #[command(flatten)]
    pub(crate) window: Window,
    #[command(flatten)]
    pub(crate) limits: LimitFlags,
    #[command(flatten)]
    pub(crate) which: Which,
    #[command(flatten)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) servers: Servers,
    #[command(flatten)]
    pub(crate) which: Which,
    #[command(flatten)]
    pub(crate) format: Format,
    /// Look again every so many seconds, until the run is no longer under way.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "2")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) watch: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) servers: Servers,
    #[command(flatten)]
    pub(crate) which: Which,
    #[command(flatten)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Rollback {
    #[command(flatten)]
    pub(crate) servers: Servers,
    #[command(flatten)]
    pub(crate) which: Which,
    #[command(flatten)]
    pub(crate) format: Format,
    /// Give up rows that were written after the cutover; without it rollback refuses to lose them.
    #[arg(long)]
    pub(crate) discard_new_rows: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Cleanup {
    #[command(flatten)]
    pub(crate) servers: Servers,
    #[command(flatten)]
    pub(crate) which: Which,
    #[command(flatten)]
    pub(crate) format: Format,
    /// Really drop; without it cleanup prints what it would drop and exits with 3.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Also drop the tables on a source that is another database, now or in a later cleanup; without it they stay, fenced.
    #[arg(long)]
    pub(crate) drop_source: bool,
    /// Carry on although a verify since the cutover found rows of the old table missing or different in the hypertable.
    #[arg(long)]
    pub(crate) accept_differences: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Workload {
    /// SOAR: aircraft positions and the messages that they came in, in daily partitions under pg_partman.
    Soar(Soar),
    /// Play SOAR's packets over TCP, with the manners of an APRS-IS server.
    AprsFeed(crate::feed::AprsFeed),
    /// ESP: readings of submersible pumps, written to standard output for hyperhaul ingest.
    Esp(Esp),
}

#[derive(Debug, Args)]
pub(crate) struct Esp {
    /// Readings to write.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub(crate) readings: u64,
    /// Wells that send them, each once a minute.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) wells: u32,
    /// Write comma separated values instead of one JSON object a line.
    #[arg(long)]
    pub(crate) csv: bool,
    /// Another seed gives other values of the same kind; the same seed gives the same ones.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Soar {
    /// Database to load into: it must be empty; without it, libpq's defaults and PG* variables hold.
    #[arg(
        long,
        value_name = "URL",
        env = "HYPERHAUL_SOURCE",
        hide_env_values = true
    )]
    pub(crate) url: Option<String>,
    /// Rows of fixes (default: 277949).
    #[arg(long, value_name = "N")]
    pub(crate) fixes: Option<u64>,
    /// Rows of raw_messages (default: in the proportion of 483063 to 277949 fixes).
    #[arg(long, value_name = "N")]
    pub(crate) raw_messages: Option<u64>,
    /// Daily partitions, from December 11, 2025 on.
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub(crate) days: u32,
    /// Another seed gives other rows of the same kind; the same seed gives the same bytes.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

/// Where rows come from and go to.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Servers")]
pub(crate) struct Servers {
    /// Database that holds the tables; without it, libpq's defaults and PG* variables hold.
    #[arg(
        long,
        value_name = "URL",
        env = "HYPERHAUL_SOURCE",
        hide_env_values = true
    )]
    pub(crate) source: Option<String>,
    /// Database that gets the hypertables (default: the source).
    #[arg(
        long,
        value_name = "URL",
        env = "HYPERHAUL_TARGET",
        hide_env_values = true
    )]
    pub(crate) target: Option<String>,
    /// Configuration file (TOML) with servers, options and tables; flags override it.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// What to move, and how.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Tables and options")]
pub(crate) struct Wanted {
    /// Table to move, with SQL's quoting; repeat it for several (default: those of the file).
    #[arg(long = "table", value_name = "SCHEMA.TABLE", value_parser = parse_table)]
    pub(crate) tables: Vec<Relation>,
    /// Column that decides the chunk (default: the partition key).
    #[arg(long, value_name = "COLUMN")]
    pub(crate) time_column: Option<String>,
    /// Length of a chunk, of weeks, days, hours, minutes, seconds, microseconds (default: 1 day).
    #[arg(long, value_name = "INTERVAL", value_parser = parse_interval)]
    pub(crate) chunk_interval: Option<Interval>,
    /// window (writers are kept off until all is moved and proved) or backfill (history follows, beside live rows) (default: window).
    #[arg(long, value_name = "MODE", value_parser = parse_mode)]
    pub(crate) mode: Option<Mode>,
    /// How rows get to the target: auto (the best way for each partition), attach, server, stage or copy (default: auto).
    #[arg(long, value_name = "STRATEGY", value_parser = parse_strategy)]
    pub(crate) strategy: Option<StrategyChoice>,
    /// Parallel workers, or a range such as 2..8 in which copying adapts to what the server shows (default: the
    /// target's cores where they can be seen, else 4).
    #[arg(long, value_name = "N", value_parser = parse_workers)]
    pub(crate) workers: Option<Workers>,
    /// Leave out rows that the declared retention would drop at its first run, by their whole chunks.
    #[arg(long)]
    pub(crate) skip_expired: bool,
    /// Hash the rows of partitions before they are attached and when they are verified, although none of them moves.
    #[arg(long)]
    pub(crate) hash_attached: bool,
    /// Partitions larger than this are cut into slices of about this size (512MiB; with backfill 64MiB).
    #[arg(long, value_name = "SIZE", value_parser = parse_slice_size)]
    pub(crate) slice_size: Option<u64>,
    /// Findings to carry on with although they block, by their codes, separated by commas.
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub(crate) accept: Vec<Code>,
    /// How long a statement waits for a lock before it gives way (default: 2s).
    #[arg(long, value_name = "DURATION", value_parser = parse_lock_timeout)]
    pub(crate) lock_timeout: Option<Duration>,
    /// How often a step is tried again after it gave way (default: 5).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) lock_attempts: Option<u32>,
    #[command(flatten)]
    pub(crate) policies: PolicyFlags,
}

/// Which run.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Run and output")]
pub(crate) struct Which {
    /// Number of the run (default: the newest).
    #[arg(long, value_name = "N", value_parser = parse_run)]
    pub(crate) run: Option<RunId>,
}

/// In which form stdout gets it.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Run and output")]
pub(crate) struct Format {
    /// Print JSON on stdout, for programs.
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests;
