//! Named points at which a fault test kills the process, in builds with feature `failpoints` only.
//!
//! `HYPERHAUL_FAILPOINT=name` or `name:3` (the third time) aborts the process there: no destructor runs, no
//! connection is closed in good order, as with SIGKILL.

/// Aborts the process here if a test asked for it.
#[cfg(feature = "failpoints")]
pub fn failpoint(name: &str) {
    use std::sync::atomic::{AtomicU32, Ordering};
    static TIMES_REACHED: AtomicU32 = AtomicU32::new(0);

    let Ok(wanted) = std::env::var("HYPERHAUL_FAILPOINT") else {
        return;
    };
    let (wanted_name, times) = wanted.split_once(':').unwrap_or((&wanted, "1"));
    if wanted_name != name {
        return;
    }
    let reached = TIMES_REACHED.fetch_add(1, Ordering::SeqCst) + 1;
    if times.parse() == Ok(reached) {
        std::process::abort();
    }
}

/// Nothing, in builds for users.
#[cfg(not(feature = "failpoints"))]
pub fn failpoint(_name: &str) {}
