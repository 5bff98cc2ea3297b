//! A disk in memory that does what disks do at their worst.
//!
//! What a program sees and what is durable are kept apart. A power cut keeps any of the sectors that were written and not synced, any length
//! in between, and any of the changes of names that were not synced, whatever their order was. After a failed sync the program sees what it
//! wrote, and no later sync writes it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::chance::Chance;
use crate::disk::{Disk, DiskFile};

/// Smaller than any real one, so that records of some bytes are torn.
const SECTOR_BYTES: usize = 32;

#[derive(Clone)]
pub(super) struct SimulatedDisk {
    world: Arc<Mutex<World>>,
    /// Of the process that uses it: a process that was killed changes nothing more.
    process: u64,
}

pub(super) struct SimulatedFile {
    disk: SimulatedDisk,
    inode: u64,
}

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The system goes on, and has what was written.
    Kill,
    /// What was not synced is lost, or not.
    PowerCut,
}

/// What goes wrong.
#[derive(Debug, Clone, Default)]
pub(super) struct Trouble {
    /// The process ends in the middle of the operation that comes after so many others.
    pub(super) ends_after: Option<u64>,
    /// The sync after so many others fails.
    pub(super) sync_fails_after: Option<u64>,
    /// The write after so many others fails half-way.
    pub(super) append_fails_after: Option<u64>,
}

struct World {
    chance: Chance,
    process: u64,
    has_ended: bool,
    trouble: Trouble,
    capacity_bytes: usize,
    files: BTreeMap<u64, Content>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    /// Changes of names that are not durable.
    changes: Vec<Change>,
    inode_next: u64,
    syncs: u64,
}

#[derive(Default)]
struct Content {
    seen: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
}

#[derive(Clone)]
enum Change {
    Add {
        name: String,
        inode: u64,
    },
    Rename {
        from: String,
        to: String,
        inode: u64,
    },
    Remove {
        name: String,
    },
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self.clone() {
            Change::Add { name, inode } => {
                names.insert(name, inode);
            }
            Change::Rename { from, to, inode } => {
                if names.get(&from) == Some(&inode) {
                    names.remove(&from);
                }
                names.insert(to, inode);
            }
            Change::Remove { name } => {
                names.remove(&name);
            }
        }
    }
}

impl Content {
    /// Some of what is not durable becomes so.
    fn settle(&mut self, chance: &mut Chance) {
        let lengths = (self.durable.len(), self.seen.len());
        let length = match chance.below(3) {
            0 => lengths.0,
            1 => lengths.1,
            _ => {
                let (least, most) = (lengths.0.min(lengths.1), lengths.0.max(lengths.1));
                least + chance.below((most - least + 1) as u64) as usize
            }
        };
        self.durable.resize(length, 0);
        for sector in std::mem::take(&mut self.dirty) {
            if chance.percent(50) {
                self.write_sector(sector);
            }
        }
    }

    fn write_sector(&mut self, sector: usize) {
        let from = sector * SECTOR_BYTES;
        let to = (from + SECTOR_BYTES)
            .min(self.seen.len())
            .min(self.durable.len());
        if from < to {
            self.durable[from..to].copy_from_slice(&self.seen[from..to]);
        }
    }

    fn sync(&mut self) {
        self.durable.resize(self.seen.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            self.write_sector(sector);
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        let from = self.seen.len();
        self.seen.extend_from_slice(bytes);
        if !bytes.is_empty() {
            self.dirty
                .extend(from / SECTOR_BYTES..=(self.seen.len() - 1) / SECTOR_BYTES);
        }
    }
}

impl SimulatedDisk {
    pub(super) fn new(seed: u64) -> Self {
        let world = World {
            chance: Chance::new(seed),
            process: 0,
            has_ended: false,
            trouble: Trouble::default(),
            capacity_bytes: usize::MAX,
            files: BTreeMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            changes: Vec::new(),
            inode_next: 0,
            syncs: 0,
        };
        Self {
            world: Arc::new(Mutex::new(world)),
            process: 0,
        }
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Ends the process that has used the disk, and gives the disk to the next one, without trouble.
    pub(super) fn restart(&self, end: End) -> Self {
        let mut world = self.lock();
        if end == End::PowerCut {
            world.cut_power();
        }
        world.process += 1;
        world.has_ended = false;
        world.trouble = Trouble::default();
        Self {
            world: Arc::clone(&self.world),
            process: world.process,
        }
    }

    pub(super) fn set_trouble(&self, trouble: Trouble) {
        self.lock().trouble = trouble;
    }

    pub(super) fn set_capacity(&self, bytes: usize) {
        self.lock().capacity_bytes = bytes;
    }

    /// Whether the process ended in the middle of an operation.
    pub(super) fn has_ended(&self) -> bool {
        self.lock().has_ended
    }

    /// Bytes of all files.
    pub(super) fn used_bytes(&self) -> usize {
        self.lock().used_bytes()
    }

    /// How often files and the folder were synced.
    pub(super) fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// A file's bytes as the process sees them.
    pub(super) fn content(&self, name: &str) -> Vec<u8> {
        let world = self.lock();
        world.files[&world.names[name]].seen.clone()
    }

    /// Replaces a file's bytes, durably.
    pub(super) fn set_content(&self, name: &str, bytes: &[u8]) {
        let mut world = self.lock();
        let inode = world.names[name];
        let content = world.files.get_mut(&inode).unwrap();
        content.seen = bytes.to_vec();
        content.sync();
        content.durable = bytes.to_vec();
    }

    /// Turns one bit of a file over, wherever it is.
    pub(super) fn flip(&self, name: &str, byte: usize, bit: u8) {
        let mut world = self.lock();
        let inode = world.names[name];
        let content = world.files.get_mut(&inode).unwrap();
        for bytes in [&mut content.seen, &mut content.durable] {
            if let Some(byte) = bytes.get_mut(byte) {
                *byte ^= 1 << bit;
            }
        }
    }

    /// An operation begins. Whether it is the last one, of which only a part happens.
    fn begin(&self) -> io::Result<(MutexGuard<'_, World>, bool)> {
        let mut world = self.lock();
        if world.has_ended || world.process != self.process {
            return Err(io::Error::other("the process has ended"));
        }
        let is_last = counts_down(&mut world.trouble.ends_after);
        world.has_ended = is_last;
        Ok((world, is_last))
    }
}

/// Whether it is time.
fn counts_down(counter: &mut Option<u64>) -> bool {
    let is_due = *counter == Some(0);
    *counter = counter.and_then(|left| left.checked_sub(1));
    is_due
}

fn unless_last<T>(is_last: bool, value: T) -> io::Result<T> {
    if is_last {
        return Err(io::Error::other("the process ends"));
    }
    Ok(value)
}

impl World {
    fn used_bytes(&self) -> usize {
        let named = self.names.values();
        named.map(|inode| self.files[inode].seen.len()).sum()
    }

    fn cut_power(&mut self) {
        for change in std::mem::take(&mut self.changes) {
            if self.chance.percent(50) {
                change.apply(&mut self.durable_names);
            }
        }
        self.names = self.durable_names.clone();
        for content in self.files.values_mut() {
            content.settle(&mut self.chance);
            content.seen = content.durable.clone();
        }
        let named: BTreeSet<u64> = self.names.values().copied().collect();
        self.files.retain(|inode, _| named.contains(inode));
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }

    fn inode(&self, name: &str) -> io::Result<u64> {
        let inode = self.names.get(name).copied();
        inode.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

impl Disk for SimulatedDisk {
    type File = SimulatedFile;

    fn list(&self) -> io::Result<Vec<String>> {
        let (world, is_last) = self.begin()?;
        unless_last(is_last, world.names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<SimulatedFile> {
        let (mut world, is_last) = self.begin()?;
        let inode = world.inode_next;
        world.inode_next += 1;
        world.files.insert(inode, Content::default());
        let name = name.to_owned();
        world.change(Change::Add { name, inode });
        let disk = self.clone();
        unless_last(is_last, SimulatedFile { disk, inode })
    }

    fn open(&self, name: &str) -> io::Result<SimulatedFile> {
        let (world, is_last) = self.begin()?;
        let inode = world.inode(name)?;
        let disk = self.clone();
        unless_last(is_last, SimulatedFile { disk, inode })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (mut world, is_last) = self.begin()?;
        let inode = world.inode(from)?;
        let (from, to) = (from.to_owned(), to.to_owned());
        world.change(Change::Rename { from, to, inode });
        unless_last(is_last, ())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let (mut world, is_last) = self.begin()?;
        world.inode(name)?;
        let name = name.to_owned();
        world.change(Change::Remove { name });
        unless_last(is_last, ())
    }

    fn sync_folder(&self) -> io::Result<()> {
        let (mut world, is_last) = self.begin()?;
        world.syncs += 1;
        let fails = counts_down(&mut world.trouble.sync_fails_after) || is_last;
        for change in std::mem::take(&mut world.changes) {
            let is_written = !fails || world.chance.percent(50);
            match (&change, is_written) {
                (_, true) => change.apply(&mut world.durable_names),
                // Journals give removals back after a failure, and keep them for the next attempt.
                (Change::Remove { .. }, false) => world.changes.push(change),
                (_, false) if is_last => world.changes.push(change),
                (_, false) => {}
            }
        }
        if fails {
            return Err(io::Error::other("the folder cannot be synced"));
        }
        Ok(())
    }
}

impl SimulatedFile {
    fn begin(&self) -> io::Result<(MutexGuard<'_, World>, bool)> {
        self.disk.begin()
    }
}

impl World {
    /// Files that are open stay when they have lost their names.
    fn content(&mut self, inode: u64) -> io::Result<&mut Content> {
        let content = self.files.get_mut(&inode);
        content.ok_or_else(|| io::Error::other("the file is gone"))
    }
}

impl DiskFile for SimulatedFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let (mut world, is_last) = self.begin()?;
        let free = world.capacity_bytes.saturating_sub(world.used_bytes());
        let fails = counts_down(&mut world.trouble.append_fails_after) || is_last;
        let written = match fails {
            true => world.chance.below(bytes.len() as u64 + 1) as usize,
            false => bytes.len(),
        };
        let taken = &bytes[..written.min(free)];
        world.content(self.inode)?.append(taken);
        if fails {
            return Err(io::Error::other("the write fails"));
        }
        if taken.len() < bytes.len() {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let (mut world, is_last) = self.begin()?;
        world.syncs += 1;
        let fails = counts_down(&mut world.trouble.sync_fails_after);
        let mut chance = world.chance.clone();
        let content = world.content(self.inode)?;
        if is_last {
            // The power may be cut in the middle of it; then any of it is durable. The rest is still to come.
            return Err(io::Error::other("the process ends"));
        }
        if fails {
            content.settle(&mut chance);
            world.chance = chance;
            return Err(io::Error::other("the file cannot be synced"));
        }
        content.sync();
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let (mut world, is_last) = self.begin()?;
        let seen = &world.content(self.inode)?.seen;
        let from = (offset as usize).min(seen.len());
        let count = buffer.len().min(seen.len() - from);
        buffer[..count].copy_from_slice(&seen[from..from + count]);
        unless_last(is_last, count)
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        let (mut world, is_last) = self.begin()?;
        world.content(self.inode)?.seen.truncate(bytes as usize);
        unless_last(is_last, ())
    }

    fn bytes(&self) -> io::Result<u64> {
        let (mut world, is_last) = self.begin()?;
        let bytes = world.content(self.inode)?.seen.len() as u64;
        unless_last(is_last, bytes)
    }
}
