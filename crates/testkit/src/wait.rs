//! Waiting for what happens in its own time, and saying why a test was not run.

use std::future::Future;
use std::io::Write;
use std::time::{Duration, Instant};

use crate::Error;

const PAUSE_FIRST: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// Asks `probe` until it says true. `what` is for the message of the error that comes after `limit`.
///
/// The limit bounds a failing test; it is no claim about speed, so be generous.
pub async fn eventually<Probe, Answer>(
    what: &str,
    limit: Duration,
    mut probe: Probe,
) -> Result<(), Error>
where
    Probe: FnMut() -> Answer,
    Answer: Future<Output = bool>,
{
    let began = Instant::now();
    let mut pause = PAUSE_FIRST;
    while !probe().await {
        if began.elapsed() >= limit {
            return Err(Error::new(format!(
                "after {} s still not so: {what}",
                limit.as_secs_f32()
            )));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
    Ok(())
}

/// Says that the calling test cannot run here, and why. `scripts/test` repeats it at the end.
///
/// A runner counts such a test as passed; the line is what tells it apart.
pub fn skip(test: &str, reason: &Error) {
    let line = format!("skipped: {test}: {reason}");
    eprintln!("{line}");
    let Some(file) = std::env::var_os("HYPERHAUL_SKIPPED_FILE") else {
        return;
    };
    let written = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&file)
        .and_then(|mut file| writeln!(file, "{line}"));
    if let Err(error) = written {
        eprintln!("could not note it in {}: {error}", file.display());
    }
}
