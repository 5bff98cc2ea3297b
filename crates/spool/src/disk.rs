//! What a spool asks of a disk, and nothing that decides anything: one folder of files that grow at their end.
//!
//! The traits say what holds after a crash, since that is what the spool is built on.

use std::io;

/// A folder that belongs to one spool.
pub trait Disk: Send + Sync + 'static {
    /// A file of it that is open.
    type File: DiskFile;

    /// Names of all files, in any order.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes a new file, in the place of one that has the name: that one is not emptied, since a crash may have left it two names. The name
    /// is durable after [`Disk::sync_folder`].
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a file to read it, and to sync what was written to it by whom ever.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Gives a file another name, in the place of a file that has that name; at once: a crash leaves one name or the other. Durable after
    /// [`Disk::sync_folder`].
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Takes a file's name away. Who has it open may go on reading. Durable after [`Disk::sync_folder`].
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes names durable: all that was created, renamed and removed.
    fn sync_folder(&self) -> io::Result<()>;
}

/// A file that is open.
pub trait DiskFile: Send + Sync + 'static {
    /// Writes behind the file's last byte. After an error any part of `bytes` may be there; after a crash without
    /// [`DiskFile::sync`] any pages of it, in any order.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;

    /// Makes all bytes and the length durable. After an error nobody knows what is: a second call that succeeds proves nothing about
    /// what was written before the first.
    fn sync(&self) -> io::Result<()>;

    /// Reads at `offset`, as many bytes as there are and `buffer` takes; 0 at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Cuts the file off behind `bytes` bytes.
    fn truncate(&self, bytes: u64) -> io::Result<()>;

    /// The length in bytes.
    fn bytes(&self) -> io::Result<u64>;
}
