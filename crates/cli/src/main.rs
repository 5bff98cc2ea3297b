//! The binary `hyperhaul`: from arguments to exit code. What a command does is in `commands`, what it prints in `output`.

mod arguments;
mod commands;
mod config;
mod declared;
mod failure;
mod feed;
mod ingest;
mod install;
mod interval;
mod limits;
mod maintain;
mod output;
mod progress;
mod report;
mod request;
mod sample;
mod signals;
mod size;
mod terminal;
mod values;
mod window;

use arguments::Arguments;
use clap::Parser;
use failure::{Exit, Failure};
use std::io::IsTerminal;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Batches are allocated and freed by different threads, which it is good at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return explain(&error),
    };
    log(level(&arguments));
    match run(arguments) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::failure::print(&failure);
            failure.exit.into()
        }
    }
}

fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| {
        Failure::new(
            Exit::Unexpected,
            format!("could not start threads: {error}"),
        )
    })?;
    let ended = runtime.block_on(commands::run(arguments));
    // Somebody may still be waiting for standard input.
    runtime.shutdown_background();
    ended
}

/// Help and version are data; what is wrong with a command line is a failure like any other.
fn explain(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // A reader that has gone away has read what it wanted.
        let _ = error.print();
        return Exit::Done.into();
    }
    let text = error.render().to_string();
    match text.strip_prefix("error: ") {
        Some(message) => eprint!("hyperhaul: error: {message}"),
        None => eprint!("{text}"),
    }
    Exit::Usage.into()
}

/// How much of what happens inside is written: nothing unless asked for, since users are told by other ways. Who feeds tables for months,
/// with nobody at a terminal, warns.
fn level(arguments: &Arguments) -> &'static str {
    let is_watched = std::io::stderr().is_terminal();
    let is_ingest = matches!(arguments.command, arguments::Command::Ingest(_));
    match arguments.verbose {
        0 if is_ingest && !is_watched => "warn",
        0 => "off",
        1 => "debug",
        _ => "trace",
    }
}

/// Writes to stderr.
fn log(level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
}
