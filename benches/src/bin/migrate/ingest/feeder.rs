//! A `hyperhaul ingest` that takes records by HTTP: a process of its own, with a spool in the bench's folder.

use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::client;

/// How long it may take until it listens.
const START_MAX: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(10);

pub(super) struct Feeder {
    child: Child,
    pub(super) address: SocketAddr,
    pub(super) metrics: SocketAddr,
    messages: PathBuf,
}

impl Feeder {
    /// Starts it and waits until it listens. The stream is called `esp`; `folder` is there and keeps the spool.
    pub(super) fn start(
        hyperhaul: &Path,
        folder: &Path,
        target: &str,
        spool_bytes_max: u64,
    ) -> Result<Feeder> {
        let (address, metrics) = (free_address()?, free_address()?);
        let messages = folder.join("messages");
        let config = folder.join("ingest.toml");
        let text = format!(
            "target = \"{target}\"\n\
             [spool]\npath = \"{}\"\nbytes_max = \"{spool_bytes_max}\"\n\
             [http]\nlisten = \"{address}\"\n[metrics]\nlisten = \"{metrics}\"\n\
             [[stream]]\nname = \"esp\"\nprofile = \"esp-telemetry\"\ntable = \"public.esp_telemetry\"\nsource = {{ kind = \"http\" }}\n",
            folder.join("spool").display()
        );
        fs::write(&config, text)?;
        let child = Command::new(hyperhaul)
            .args(["ingest", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&messages)?)
            .spawn()
            .context("could not run hyperhaul")?;
        let mut feeder = Feeder {
            child,
            address,
            metrics,
            messages,
        };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            let ended = feeder.child.try_wait()?.is_some();
            let messages = fs::read_to_string(&feeder.messages).unwrap_or_default();
            ensure!(!ended, "hyperhaul ingest ended:\n{messages}");
            ensure!(
                begun.elapsed() < START_MAX,
                "hyperhaul ingest does not listen"
            );
            std::thread::sleep(LOOK);
        }
        Ok(feeder)
    }

    /// The largest resident set so far.
    pub(super) fn memory_peak_bytes(&self) -> Option<u64> {
        client::memory_peak_bytes(&format!("/proc/{}/status", self.child.id()))
    }

    /// Asks it to end, which it does when all that it took is written.
    pub(super) fn stop(mut self) -> Result<()> {
        let id = self.child.id().to_string();
        Command::new("kill").args(["-INT", &id]).status()?;
        let status = self.child.wait()?;
        let messages = fs::read_to_string(&self.messages).unwrap_or_default();
        ensure!(status.success(), "hyperhaul ingest failed:\n{messages}");
        Ok(())
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
