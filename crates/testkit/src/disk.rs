//! A disk that is small enough to fill: a RAM disk of a given size, mounted where the target server sees it.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::connection::{quoted, run_blocking};
use crate::database::random_word;
use crate::{Error, Server};

/// A tablespace on a disk of its own. Gone, with the disk, when this is dropped: drop the
/// databases that use it first, which Rust does when they were created after it.
#[derive(Debug)]
pub struct SmallDisk {
    server: Server,
    name: String,
    /// How the server names the folder.
    location: String,
    /// How this process names it: the server may live in another root.
    seen_here: PathBuf,
}

impl SmallDisk {
    /// Mounts a disk of `size_bytes` and creates a tablespace on it.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] where the server is not ours, is in a container, or where this
    /// process is not root.
    pub fn create(server: &Server, size_bytes: u64) -> Result<Self, Error> {
        if !server.controllable() {
            return Err(Error::unavailable(
                "the server is named by the environment, and no disk can be mounted for it",
            ));
        }
        let name = format!("disk_{}", random_word());
        let bytes = size_bytes.to_string();
        let printed = server.script(&["disk", server.word(), &name, &bytes])?;
        let Some((location, seen_here)) = printed.split_once('\t') else {
            return Err(Error::new(format!(
                "scripts/db disk printed \"{printed}\" where two paths were expected"
            )));
        };
        let disk = Self {
            server: server.clone(),
            name,
            location: location.to_owned(),
            seen_here: PathBuf::from(seen_here),
        };
        if let Err(error) = disk.seen_here.read_dir() {
            return Err(Error::unavailable(format!(
                "this process cannot look into {}: {error}",
                disk.seen_here.display()
            )));
        }
        run_blocking(
            disk.server.url(),
            &[format!(
                "CREATE TABLESPACE {} LOCATION '{}'",
                quoted(&disk.name),
                disk.location
            )],
        )?;
        Ok(disk)
    }

    /// The tablespace's name, for `CREATE TABLE ... TABLESPACE` or `ALTER DATABASE ... SET default_tablespace`.
    pub fn tablespace(&self) -> &str {
        &self.name
    }

    /// The folder as the server names it.
    pub fn tablespace_location(&self) -> &str {
        &self.location
    }

    /// The same folder as this process sees it: for files of other programs, beside the server's.
    pub fn folder(&self) -> &Path {
        &self.seen_here
    }

    /// Leaves no more than `free_bytes` free, by a file beside the tablespace's own.
    pub fn fill(&self, free_bytes: u64) -> Result<(), Error> {
        let failed = |error| Error::new("could not fill the disk").because(error);
        let mut ballast = File::create(self.ballast()).map_err(failed)?;
        let zeros = vec![0; 64 * 1024];
        loop {
            match ballast.write(&zeros) {
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => break,
                Err(error) => return Err(failed(error)),
            }
        }
        let length = ballast.metadata().map_err(failed)?.len();
        ballast
            .set_len(length.saturating_sub(free_bytes))
            .map_err(failed)
    }

    /// Takes the ballast of [`SmallDisk::fill`] away.
    pub fn free(&self) -> Result<(), Error> {
        std::fs::remove_file(self.ballast())
            .map_err(|error| Error::new("could not free the disk").because(error))
    }

    fn ballast(&self) -> PathBuf {
        self.seen_here.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let dropped = run_blocking(
            self.server.url(),
            &[format!("DROP TABLESPACE IF EXISTS {}", quoted(&self.name))],
        );
        let unmounted = self
            .server
            .script(&["undisk", self.server.word(), &self.name]);
        for error in [dropped.err(), unmounted.err()].into_iter().flatten() {
            eprintln!("disk {} stays behind: {error}", self.name);
        }
    }
}
