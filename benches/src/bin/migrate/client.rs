//! Client processes, with what they used: time, CPU, memory. Linux's /proc tells the last two.

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often the peak is read: the last reading before the end counts.
const LOOK: Duration = Duration::from_millis(20);
/// Ticks per second in /proc, whatever the kernel's own clock (proc(5), USER_HZ).
const TICKS_PER_SECOND: f64 = 100.0;

/// A client process that ended well.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) seconds: f64,
    pub(crate) cpu_seconds: f64,
    pub(crate) memory_peak_bytes: u64,
    pub(crate) stdout: String,
}

/// Runs a client to its end.
///
/// # Errors
///
/// If it can't be started or fails: then with the end of its messages.
pub(crate) fn run(command: &mut Command) -> Result<Finished> {
    let name = command.get_program().to_string_lossy().into_owned();
    let cpu_before = children_cpu_seconds()?;
    let begun = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("could not run {name}"))?;
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let status_file = format!("/proc/{}/status", child.id());
    let (ended, peak) = (AtomicBool::new(false), AtomicU64::new(0));
    let (status, printed, messages, seconds) = thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                peak.fetch_max(
                    memory_peak_bytes(&status_file).unwrap_or(0),
                    Ordering::Relaxed,
                );
                thread::sleep(LOOK);
            }
        });
        let messages = scope.spawn(move || all_of(stderr.as_mut()));
        let printed = all_of(stdout.as_mut());
        let status = child.wait();
        let seconds = begun.elapsed().as_secs_f64();
        ended.store(true, Ordering::Relaxed);
        (
            status,
            printed,
            messages.join().unwrap_or_default(),
            seconds,
        )
    });
    if !status
        .with_context(|| format!("could not wait for {name}"))?
        .success()
    {
        let end: Vec<&str> = messages.lines().rev().take(20).collect();
        bail!(
            "{name} failed:\n{}",
            end.into_iter().rev().collect::<Vec<_>>().join("\n")
        );
    }
    Ok(Finished {
        seconds,
        cpu_seconds: children_cpu_seconds()? - cpu_before,
        memory_peak_bytes: peak.into_inner(),
        stdout: printed,
    })
}

fn all_of(stream: Option<&mut impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        // What came before a failure is all that there is to show.
        let _ = stream.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The largest resident set so far, VmHWM; `None` once the process has ended.
pub(crate) fn memory_peak_bytes(status_file: &str) -> Option<u64> {
    let status = fs::read_to_string(status_file).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// CPU seconds of all children that were waited for, with theirs: fields 16 and 17 of /proc/self/stat.
pub(crate) fn children_cpu_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat").context("could not read /proc/self/stat")?;
    // The second field is the program's name in parentheses, and may hold anything.
    let (_, rest) = stat
        .rsplit_once(')')
        .context("/proc/self/stat is not understood")?;
    let ticks = rest
        .split_ascii_whitespace()
        .skip(13)
        .take(2)
        .map(|field| field.parse::<f64>());
    Ok(ticks.sum::<Result<f64, _>>()? / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_client_that_allocates_and_computes_is_seen_to() {
        let script = "x=$(head -c 40000000 /dev/zero | tr '\\0' a); for i in 1 2 3 4 5 6 7 8; do y=${x//b/c}; done; echo ${#x}";
        let finished = run(Command::new("bash").args(["-c", script])).unwrap();
        assert_eq!(finished.stdout, "40000000\n");
        assert!(finished.memory_peak_bytes > 40_000_000, "{finished:?}");
        assert!(finished.cpu_seconds > 0.01, "{finished:?}");
    }

    #[test]
    fn a_client_that_fails_is_an_error_with_its_last_words() {
        let error =
            run(Command::new("bash").args(["-c", "echo no such thing >&2; exit 3"])).unwrap_err();
        assert_eq!(error.to_string(), "bash failed:\nno such thing");
    }
}
