//! TimescaleDB's Community edition as WebAssembly, from npm: one session, no PostGIS, no COPY FROM STDIN. For statements that
//! no other edition takes, where there is no server of that edition.

use crate::Error;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Names and contents of what is run; written to the cache, where its package is installed.
const FILES: [(&str, &str); 2] = [
    ("package.json", include_str!("../embedded/package.json")),
    ("serve.mjs", include_str!("../embedded/serve.mjs")),
];

/// A running embedded server. It ends when this is dropped.
#[derive(Debug)]
pub struct Embedded {
    process: Child,
    url: String,
}

impl Embedded {
    /// Installs the package where that was not done before, and starts a fresh, empty server.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] without Node.js or npm; otherwise what installing or starting it said.
    pub fn start() -> Result<Embedded, Error> {
        for program in ["node", "npm"] {
            if Command::new(program).arg("--version").output().is_err() {
                return Err(Error::unavailable(format!("{program} is not installed")));
            }
        }
        let folder = installed()?;
        let mut process = Command::new("node")
            .arg("serve.mjs")
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| Error::new("could not run node").because(error))?;
        let port = first_line(&mut process)?;
        Ok(Embedded {
            process,
            url: format!(
                "postgresql://postgres:password@127.0.0.1:{port}/postgres?sslmode=disable"
            ),
        })
    }

    /// Connection string of its only role and database. One session at a time.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn first_line(process: &mut Child) -> Result<String, Error> {
    let ended = || Error::new("the embedded server ended before it listened");
    let stdout = process.stdout.take().ok_or_else(ended)?;
    let mut line = String::new();
    BufReader::new(stdout)
        .read_line(&mut line)
        .map_err(|error| ended().because(error))?;
    match line.trim() {
        "" => Err(ended()),
        port => Ok(port.to_owned()),
    }
}

/// The folder with the package in it. A test's folder of its own becomes the shared one by a rename, so that tests that
/// start together do not install into each other.
fn installed() -> Result<PathBuf, Error> {
    let cache = cache()?;
    let folder = cache.join("embedded");
    if is_current(&folder) {
        return Ok(folder);
    }
    let own = cache.join(format!("embedded-{}", std::process::id()));
    let failed = |error: std::io::Error| {
        Error::new(format!("could not prepare {}", own.display())).because(error)
    };
    std::fs::create_dir_all(&own).map_err(failed)?;
    for (name, content) in FILES {
        std::fs::write(own.join(name), content).map_err(failed)?;
    }
    let output = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--no-package-lock"])
        .current_dir(&own)
        .output()
        .map_err(failed)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Error::new(format!("npm install failed: {}", said.trim())));
    }
    if !is_current(&folder) {
        let _ = std::fs::remove_dir_all(&folder);
        if std::fs::rename(&own, &folder).is_ok() {
            return Ok(folder);
        }
    }
    if is_current(&folder) {
        let _ = std::fs::remove_dir_all(&own);
        return Ok(folder);
    }
    Ok(own)
}

fn is_current(folder: &Path) -> bool {
    let same = |(name, content): &(&str, &str)| {
        std::fs::read_to_string(folder.join(name)).is_ok_and(|found| found == *content)
    };
    FILES.iter().all(same) && folder.join("node_modules").is_dir()
}

/// The same folder as `scripts/db` keeps its servers in.
fn cache() -> Result<PathBuf, Error> {
    if let Some(cache) = std::env::var_os("HYPERHAUL_CACHE") {
        return Ok(cache.into());
    }
    let home = std::env::home_dir();
    home.map(|home| home.join(".cache").join("hyperhaul"))
        .ok_or_else(|| {
            Error::new("there is no home folder for the cache; name one in HYPERHAUL_CACHE")
        })
}
