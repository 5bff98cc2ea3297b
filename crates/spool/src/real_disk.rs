//! A folder of the file system as a spool's disk, locked for one process.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Kind};

/// The file whose lock is the folder's. It stays when the lock is gone: removing it would let two processes lock two files of one name.
const LOCK: &str = "lock";

/// Records may hold anything that senders sent: the folder is its owner's alone.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// A folder of the file system. As long as this lives, no other process and no other `RealDisk` opens the folder.
#[derive(Debug)]
pub struct RealDisk {
    path: PathBuf,
    /// Open for as long as names have to be made durable.
    folder: File,
    /// Unlocked by the system when it is closed, however the process ends.
    _lock: File,
}

impl RealDisk {
    /// Takes the folder, and makes it where it is not there.
    ///
    /// The folder must lie on a local file system: locks and syncs of network file systems promise less.
    ///
    /// # Errors
    ///
    /// [`Error::is_locked`] where a spool is at work in the folder already.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let failed = |doing| {
            let name = path.display().to_string();
            move |source| Error::io(doing, &name, source)
        };
        make_folder(&path).map_err(failed("make"))?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(path.join(LOCK))
            .map_err(failed("open the lock of"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Kind::Locked(path.display().to_string()).into());
            }
            Err(TryLockError::Error(error)) => return Err(failed("lock")(error)),
        }
        let folder = File::open(&path).map_err(failed("open"))?;
        Ok(Self {
            folder,
            _lock: lock,
            path,
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes the folder and those above it; each name is made durable in the folder that holds it, also one that is there: whoever has
/// made it may have ended before that.
fn make_folder(path: &Path) -> io::Result<()> {
    let above = match path.parent() {
        Some(above) if above.as_os_str().is_empty() => Path::new("."),
        Some(above) => above,
        None => return Ok(()),
    };
    let is_there = path.is_dir();
    if !is_there {
        make_folder(above)?;
        match DirBuilder::new().mode(FOLDER_MODE).create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made?,
        }
    }
    match File::open(above).and_then(|above| above.sync_all()) {
        // What others have made above may not be ours to look into.
        Err(error) if is_there && error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}

impl Disk for RealDisk {
    type File = File;

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            // A name that is not UTF-8 is none of ours.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<File> {
        match self.remove(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        OpenOptions::new()
            .read(true)
            .append(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(self.path.join(name))
    }

    fn open(&self, name: &str) -> io::Result<File> {
        File::open(self.path.join(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.folder.sync_all()
    }
}

impl DiskFile for File {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self;
        file.write_all(bytes)
    }

    /// `fdatasync`: the length counts as data, the time of the change does not.
    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match FileExt::read_at(self, buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}
