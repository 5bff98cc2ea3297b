//! What the command line takes. `scripts/bench` adds `--hyperhaul` and the server's URL.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::ways::Way;

/// Compares hyperhaul with other ways to turn SOAR's partitions into a hypertable.
#[derive(Debug, Parser)]
#[command(name = "scripts/bench", disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Time every way, alternating, and print medians and ratios.
    Migrate(Migrate),
    /// Print hyperhaul's peak memory at several numbers of rows.
    Memory(Memory),
    /// Print the cost of a row for each strategy, at several sizes of a narrow table.
    Scale(Scale),
    /// Print how long readers are kept out by each way to narrow a wide chunk.
    Wide(Wide),
    /// Print rows a second of ingest from files, beside other ways to write the same rows.
    Ingest(Ingest),
}

#[derive(Debug, Args)]
pub(crate) struct Ingest {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Readings of pumps in a file.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub(crate) rows: u64,
    /// How often each way is timed.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// How long each load of the latencies lasts.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) seconds: u32,
    /// What to measure: rows a second, latencies by HTTP, memory while the database is away.
    #[arg(
        long,
        value_name = "PART",
        value_delimiter = ',',
        default_value = "rows,packets,latency,outage"
    )]
    pub(crate) parts: Vec<IngestPart>,
}

/// What `ingest` measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum IngestPart {
    /// Rows a second from files, beside other ways.
    Rows,
    /// APRS packets a second into raw messages and fixes.
    Packets,
    /// Until senders are answered, and until rows can be queried.
    Latency,
    /// Memory while the database is away.
    Outage,
}

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Rows of fixes, over ten days.
    #[arg(long, value_name = "N", default_value_t = 3_000_000)]
    pub(crate) rows: u64,
    /// How often each way is timed.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Ways to time, separated by commas.
    #[arg(
        long,
        value_name = "WAY",
        value_delimiter = ',',
        default_value = "seed,pipes,pgcopydb,floor,hyperhaul,server"
    )]
    pub(crate) ways: Vec<Way>,
}

#[derive(Debug, Args)]
pub(crate) struct Memory {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Rows of fixes, one migration each.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [300_000, 3_000_000, 10_000_000])]
    pub(crate) rows: Vec<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Scale {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Rows of the table, one size after another.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [10_000_000, 50_000_000, 225_000_000])]
    pub(crate) rows: Vec<u64>,
    /// Strategies to time, separated by commas.
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        default_value = "copy,server"
    )]
    pub(crate) strategies: Vec<String>,
    /// Bytes that the server may fill; sizes that need more are skipped.
    #[arg(long, value_name = "BYTES")]
    pub(crate) disk_bytes: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Wide {
    /// Rows of the table, one size after another.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [400_000, 4_000_000])]
    pub(crate) rows: Vec<u64>,
    /// Print one JSON list on stdout instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// A superuser on a server of the Community edition; a database of the bench's own is made there.
    #[arg(
        long,
        value_name = "URL",
        env = "HYPERHAUL_COMMUNITY_URL",
        hide_env_values = true
    )]
    pub(crate) url: String,
}

#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Sessions, pipes, jobs or workers that each way uses.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) workers: u32,
    /// Print one JSON object on stdout instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Leave the sample where it is, for the next call with as many rows.
    #[arg(long)]
    pub(crate) keep: bool,
    /// The binary to measure.
    #[arg(long, value_name = "FILE")]
    pub(crate) hyperhaul: PathBuf,
    /// A superuser on the server; databases of the bench's own are made there.
    #[arg(
        long,
        value_name = "URL",
        env = "HYPERHAUL_BENCH_URL",
        hide_env_values = true
    )]
    pub(crate) url: String,
}
