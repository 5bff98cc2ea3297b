//! Ctrl-C and SIGTERM: each one is taken as a request, and what the next one will do is said.

use crate::failure::Exit;
use crate::ingest::View;
use crate::progress::Watch;
use hyperhaul_ingest::Stop;
use hyperhaul_migrate::Interrupt;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// Of a run, until the process ends: the first asks to finish what is open, the second to give it up, the third leaves at once.
pub(crate) fn listen(interrupt: Interrupt, watch: Arc<Watch>) {
    each(move || {
        if interrupt.aborting() {
            watch.end();
            leave();
        }
        watch.say(if interrupt.request() {
            "giving up what is open; press again to leave at once"
        } else {
            "finishing what is open; press again to give it up"
        });
    });
}

/// Of streams: the first asks to write what was taken, the second leaves at once: what is not committed then comes again.
pub(crate) fn stop_streams(stop: Stop, view: Arc<View>) {
    let mut is_asked = false;
    each(move || {
        if is_asked {
            view.end();
            leave();
        }
        is_asked = true;
        view.say("hyperhaul: writing what was taken; press again to leave at once");
        stop.now();
    });
}

fn leave() -> ! {
    std::process::exit(Exit::Interrupted as i32)
}

/// Listens until the process ends.
fn each(mut asked: impl FnMut() + Send + 'static) {
    tokio::spawn(async move {
        let (Ok(mut interrupts), Ok(mut terminations)) = (
            signal(SignalKind::interrupt()),
            signal(SignalKind::terminate()),
        ) else {
            // Without handlers the signals kill, which is safe too: what is open is rolled back by the server.
            return;
        };
        loop {
            tokio::select! {
                _ = interrupts.recv() => {}
                _ = terminations.recv() => {}
            }
            asked();
        }
    });
}
