//! What connection parameters are read from outside of the connection string: variables, files
//! and the user's name. Behind a trait, so that precedence can be tested without a process.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Mode bits that make a password file readable or writable by others than its owner.
const OTHERS_MODE_BITS: u32 = 0o077;

/// A file that was read.
pub(crate) struct FileText {
    pub(crate) text: String,
    /// Others than the owner can read or write it.
    pub(crate) is_open_to_others: bool,
}

/// The process's surroundings, or a test's.
pub(crate) trait Environment {
    /// A variable that is set and not empty.
    fn variable(&self, name: &str) -> Option<String>;
    /// A file's text, or `None` where there is no such file.
    fn file(&self, path: &Path) -> io::Result<Option<FileText>>;
    /// Whether something exists at the path (a socket, for example).
    fn exists(&self, path: &Path) -> bool;
    /// The operating system's name of the user, libpq's default for `user`.
    fn user_name(&self) -> Option<String>;

    /// The user's home directory.
    fn home(&self) -> Option<PathBuf> {
        self.variable("HOME").map(PathBuf::from)
    }
}

/// The operating system's name of the user that this process runs as: libpq's default for `user`.
pub fn os_user() -> Option<String> {
    Process.user_name()
}

/// Name of the machine that this process runs on.
pub fn host_name() -> Option<String> {
    let file = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = file.map(|text| text.trim().to_owned());
    name.filter(|name| !name.is_empty())
        .or_else(|| Process.variable("HOSTNAME"))
}

/// The real surroundings of this process.
pub(crate) struct Process;

impl Environment for Process {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    fn file(&self, path: &Path) -> io::Result<Option<FileText>> {
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(FileText {
            text: std::fs::read_to_string(path)?,
            is_open_to_others: metadata.is_file() && metadata.mode() & OTHERS_MODE_BITS != 0,
        }))
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn user_name(&self) -> Option<String> {
        let user_id = std::fs::metadata("/proc/self").ok()?.uid().to_string();
        let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        accounts
            .lines()
            .find_map(|line| {
                let mut fields = line.split(':');
                let name = fields.next()?;
                (fields.nth(1)? == user_id).then(|| name.to_owned())
            })
            .or_else(|| self.variable("USER"))
            .or_else(|| self.variable("LOGNAME"))
    }
}
