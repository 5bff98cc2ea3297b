//! Disk and cores of the server's machine, where that is this machine. PostgreSQL does not tell
//! them; what can be proved to be the server's is read here, anything else is not known.

use std::path::{Path, PathBuf};
use std::process::Command;

use hyperhaul_pg::{Server, Session};

/// What was seen of the machine; nothing, where it is another one.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    /// Bytes that are free for the server's user in the file system of new tables.
    pub(crate) free_disk_bytes: Option<u64>,
    pub(crate) cores: Option<u32>,
}

/// Looks at the machine. `tablespace_oid` is the database's default tablespace, if it is not
/// the data directory itself.
pub(crate) fn look(session: &Session, server: &Server, tablespace_oid: Option<u32>) -> Machine {
    if !server.host_is_local() || !is_backend(session.backend_pid(), server) {
        return Machine::default();
    }
    let cores = std::thread::available_parallelism().ok();
    Machine {
        free_disk_bytes: free_disk_bytes(session.backend_pid(), tablespace_oid),
        cores: cores.and_then(|cores| u32::try_from(cores.get()).ok()),
    }
}

/// Whether the session's backend is a process of this machine: a tunnel or a container looks
/// local too. A backend's title names its role and database.
fn is_backend(pid: i32, server: &Server) -> bool {
    let title = std::fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline"));
    let title = title.unwrap_or_default();
    let title = String::from_utf8_lossy(&title);
    title.starts_with("postgres:")
        && title.contains(&format!(" {} {} ", server.user(), server.database()))
}

/// A backend works in its data directory, which leads there through a chroot, too. Only the
/// same user or root may follow it.
fn free_disk_bytes(pid: i32, tablespace_oid: Option<u32>) -> Option<u64> {
    let mut directory = PathBuf::from(format!("/proc/{pid}/cwd"));
    match tablespace_oid {
        // The link in pg_tblspc is absolute: it starts at the server's own root.
        Some(oid) => {
            let link =
                std::fs::read_link(directory.join("pg_tblspc").join(oid.to_string())).ok()?;
            let link = link.strip_prefix("/").ok()?;
            directory = PathBuf::from(format!("/proc/{pid}/root")).join(link);
        }
        None => directory.push("."),
    }
    // The standard library cannot ask a file system for its free space.
    let output = Command::new("stat")
        .args(["-f", "-c", "%a %S"])
        .arg(&directory)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (blocks, block_bytes) = text.trim().split_once(' ')?;
    blocks
        .parse::<u64>()
        .ok()?
        .checked_mul(block_bytes.parse().ok()?)
}
