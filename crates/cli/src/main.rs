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
    log(arguments.verbose);
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

/// What happens inside goes to stderr: nothing unless asked for, since users are told by other ways.
fn log(verbose: u8) {
    let level = match verbose {
        0 => "off",
        1 => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
}
