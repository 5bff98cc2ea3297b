//! Disk and cores of the server's machine, where that is this machine. PostgreSQL does not tell
//! them; what can be proved to be the server's is read here, anything else is not known.

use std::path::{Path, PathBuf};
use std::process::Command;

use hyperhaul_pg::{Server, Session};
use hyperhaul_plan::facts::Disk;

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

/// The disks of the server's data and WAL, where this process may look at them.
pub(crate) fn disks(session: &Session, server: &Server, tablespace_oid: Option<u32>) -> Vec<Disk> {
    let pid = session.backend_pid();
    if !server.host_is_local() || !is_backend(pid, server) {
        return Vec::new();
    }
    let data = data_directory(pid, tablespace_oid).and_then(|folder| disk("data", &folder));
    let wal = entry(pid, "pg_wal").and_then(|folder| disk("WAL", &folder));
    data.into_iter().chain(wal).collect()
}

/// Only the same user as the server's, or root, may look.
fn free_disk_bytes(pid: i32, tablespace_oid: Option<u32>) -> Option<u64> {
    Some(disk("data", &data_directory(pid, tablespace_oid)?)?.free_bytes)
}

fn data_directory(pid: i32, tablespace_oid: Option<u32>) -> Option<PathBuf> {
    match tablespace_oid {
        Some(oid) => entry(pid, &format!("pg_tblspc/{oid}")),
        None => entry(pid, "."),
    }
}

/// Something in the directory in which a backend works, its data directory, which leads there through a chroot, too.
fn entry(pid: i32, name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(format!("/proc/{pid}/cwd")).join(name);
    match std::fs::read_link(&path) {
        // A link in there is absolute: it starts at the server's own root.
        Ok(link) if link.is_absolute() => {
            let link = link.strip_prefix("/").ok()?;
            Some(PathBuf::from(format!("/proc/{pid}/root")).join(link))
        }
        _ => Some(path),
    }
}

fn disk(holds: &str, directory: &Path) -> Option<Disk> {
    // The standard library cannot ask a file system for its free space.
    let output = Command::new("stat")
        .args(["-f", "-c", "%a %b %S"])
        .arg(directory)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut numbers = text.split_whitespace().map(str::parse::<u64>);
    let (free, total, block_bytes) = (
        numbers.next()?.ok()?,
        numbers.next()?.ok()?,
        numbers.next()?.ok()?,
    );
    Some(Disk {
        holds: holds.to_owned(),
        free_bytes: free.checked_mul(block_bytes)?,
        total_bytes: total.checked_mul(block_bytes)?,
    })
}
