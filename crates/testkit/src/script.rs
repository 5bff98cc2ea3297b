//! Calls `scripts/db`, the only thing that makes, starts and stops servers.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::Error;

/// The exit code by which `scripts/db` says that this kind of server cannot do it.
const EXIT_UNAVAILABLE: i32 = 3;

/// Runs `scripts/db --instance INSTANCE ARGUMENTS...` and returns its standard output without the
/// last newline. Its messages pass through to the test's standard error.
pub(crate) fn db(instance: Option<&str>, arguments: &[&str]) -> Result<String, Error> {
    let script = path()?;
    let mut command = Command::new(&script);
    if let Some(instance) = instance {
        command.args(["--instance", instance]);
    }
    let output = command
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            Error::new(format!("could not run {}", script.display())).because(error)
        })?;
    let messages = String::from_utf8_lossy(&output.stderr);
    eprint!("{messages}");
    if output.status.success() {
        let printed = String::from_utf8_lossy(&output.stdout);
        return Ok(printed.trim_end_matches('\n').to_owned());
    }
    let said = messages.trim_end().lines().last().unwrap_or_default();
    let message = format!("scripts/db {} failed: {said}", arguments.join(" "));
    Err(if output.status.code() == Some(EXIT_UNAVAILABLE) {
        Error::unavailable(message)
    } else {
        Error::new(message)
    })
}

/// The script belongs to the checkout that this crate was built from.
fn path() -> Result<PathBuf, Error> {
    let script = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/db"));
    script
        .canonicalize()
        .map_err(|error| Error::new(format!("{} is not there", script.display())).because(error))
}
