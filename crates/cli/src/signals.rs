//! Ctrl-C and SIGTERM: the first asks to finish what is open, the second to give it up, the third leaves at once.

use crate::failure::Exit;
use crate::progress::Watch;
use hyperhaul_migrate::Interrupt;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// Listens until the process ends, and tells the user what follows.
pub(crate) fn listen(interrupt: Interrupt, watch: Arc<Watch>) {
    tokio::spawn(async move {
        let (Ok(mut interrupts), Ok(mut terminations)) = (
            signal(SignalKind::interrupt()),
            signal(SignalKind::terminate()),
        ) else {
            // Without handlers the signals kill, which is safe too: open slices are rolled back by the server.
            return;
        };
        loop {
            tokio::select! {
                _ = interrupts.recv() => {}
                _ = terminations.recv() => {}
            }
            if interrupt.aborting() {
                watch.end();
                std::process::exit(Exit::Interrupted as i32);
            }
            watch.say(if interrupt.request() {
                "giving up what is open; press again to leave at once"
            } else {
                "finishing what is open; press again to give it up"
            });
        }
    });
}
