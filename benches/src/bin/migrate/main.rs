//! The end-to-end comparison: hyperhaul against the other ways to fill a hypertable, on one server in one go.
//!
//! ```text
//!   sample --rows--> database --+--> round 1: way, way, ...   each: target dropped, VACUUM, CHECKPOINT, run, rows counted
//!                               +--> round 2: way, way, ...
//!                               '--> ...                      --Measured--> report (text or JSON)
//! ```
//!
//! What lives here: arguments and the order of things. `scripts/bench` brings the server up and calls this. Nothing here asserts
//! a time: ratios against what was measured in the same go are printed, and whether they meet the project's targets.

mod arguments;
mod client;
mod database;
mod fixes;
mod ingest;
mod measured;
mod memory;
mod report;
mod rounds;
mod scale;
mod settings;
mod ways;
mod wide;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Command};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let ended = match Arguments::parse().command {
        Command::Migrate(migrate) => rounds::run(&migrate).await,
        Command::Memory(memory) => memory::run(&memory).await,
        Command::Scale(scale) => scale::run(&scale).await,
        Command::Wide(wide) => wide::run(&wide).await,
        Command::Ingest(ingest) => ingest::run(&ingest).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scripts/bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
