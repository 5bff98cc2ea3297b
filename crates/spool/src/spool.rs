//! The spool itself: takes records, makes them durable, lets go of them. A state machine without threads and clocks.

use std::ops::Range;
use std::sync::Arc;

use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Kind};
use crate::format::{RESERVE, SEGMENT_HEADER_BYTES, segment_name};
use crate::limits::Limits;
use crate::parcel::Parcel;
use crate::reader::Reader;
use crate::real_disk::RealDisk;
use crate::recovery::{Found, Recovery, look};
use crate::segment::{Active, write_file};
use crate::shelf::Shelf;
use crate::{POSITION_MAX, Position};

/// What is given up to make a new segment on a full disk: some blocks of any file system.
const RESERVE_BYTES: u64 = 64 * 1024;

/// What is kept between appends, so that those of usual size need no new memory, and a large one does not hold its memory for ever.
const BUFFER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A durable queue of records on a disk of its own.
///
/// Records get their positions when they are appended, are durable after [`Spool::sync`], and can be read from then on
/// ([`Spool::reader`]) until they are released.
pub struct Spool<D: Disk = RealDisk> {
    disk: Arc<D>,
    shelf: Arc<Shelf>,
    limits: Limits,
    active: Active<D::File>,
    /// Of all segments but the active one.
    older_bytes: u64,
    next: Position,
    released: Position,
    poison: Option<Error>,
    has_reserve: bool,
    /// An append was refused for the limit, and nothing was removed since.
    is_full: bool,
    /// See [`BUFFER_BYTES_MAX`].
    buffer: Vec<u8>,
}

impl<D: Disk> Spool<D> {
    /// Opens the spool that is on the disk, or begins one there. Appended records go on with the position after all that were there.
    ///
    /// What was durable is readable. What was appended and not synced before a crash may be readable or gone.
    ///
    /// # Errors
    ///
    /// A disk that cannot be read; a segment that is not ours ([`Error::is_foreign`]). A full disk is none: what is there can be read and
    /// released.
    pub fn open(disk: D, limits: Limits) -> Result<(Self, Recovery), Error> {
        limits.check()?;
        let Found {
            segments,
            last,
            recovery,
        } = look(&disk)?;
        let next = recovery.next_position;
        let bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
        let shelf = Shelf::new(segments, next - 1);
        let (active, is_new) = match last {
            Some(last) => (last, false),
            None => {
                let active = Active::begin(&disk, next)?;
                shelf.push(active.as_segment());
                (active, true)
            }
        };
        let mut spool = Self {
            disk: Arc::new(disk),
            shelf: Arc::new(shelf),
            limits,
            older_bytes: if is_new { 0 } else { bytes - active.bytes },
            active,
            next,
            released: recovery.first_position - 1,
            poison: None,
            has_reserve: false,
            is_full: false,
            buffer: Vec::new(),
        };
        spool.has_reserve = spool.find_reserve();
        if !is_new {
            spool.begin_segment(next).or_else(unless_full)?;
        }
        spool.keep_reserve();
        Ok((spool, recovery))
    }

    /// A reader of durable records.
    pub fn reader(&self) -> Reader<D> {
        Reader::new(Arc::clone(&self.disk), Arc::clone(&self.shelf))
    }

    /// Appends the records of all parcels, in their order, and returns their positions. They are not durable before [`Spool::sync`]: until
    /// then a crash may take them, and others get their positions.
    ///
    /// After an error none of them was appended, and the spool is as it was.
    ///
    /// # Errors
    ///
    /// [`Error::is_full`]: the spool's limit or the disk's space is reached; it goes on when there is room. [`Error::is_misuse`]: more than
    /// fits into one segment. [`Error::is_poisoned`].
    pub fn append(&mut self, parcels: &[Parcel]) -> Result<Range<Position>, Error> {
        self.check_poison()?;
        let records: u64 = parcels.iter().map(|parcel| parcel.len() as u64).sum();
        if records == 0 {
            return Ok(self.next..self.next);
        }
        let bytes = parcels.iter().map(Parcel::bytes).sum();
        self.check_room(bytes)?;
        let written = self.write(parcels, bytes);
        if let Err(error) = written {
            let can_go_on = error.is_disk_full() && self.drop_all_released()?;
            if !can_go_on {
                return Err(error);
            }
            self.write(parcels, bytes)?;
        }
        let first = self.next;
        self.next += records;
        Ok(first..self.next)
    }

    /// Makes all that was appended durable, and returns the last durable position.
    ///
    /// # Errors
    ///
    /// A failed sync poisons the spool for as long as it lives: the system may have dropped what it could not write, and a second sync
    /// would succeed without it. Nothing that was appended since the last success is to be acknowledged.
    pub fn sync(&mut self) -> Result<Position, Error> {
        self.check_poison()?;
        if self.active.bytes > self.active.synced_bytes {
            let synced = self.active.file.sync();
            let name = || segment_name(self.active.first);
            let synced = synced.map_err(|error| Error::sync(&name(), error));
            self.or_poison(synced)?;
            self.active.synced_bytes = self.active.bytes;
            self.shelf.publish(self.active.bytes, self.next - 1);
        }
        Ok(self.durable())
    }

    /// Lets go of all records up to position `up_to`, as far as they are durable: segments that hold no others are removed.
    ///
    /// Which records are released is not remembered over a restart: the consumer knows where it stands. Removal goes from the oldest on,
    /// each durable before the next, so that a crash leaves no gap.
    ///
    /// # Errors
    ///
    /// A segment that cannot be removed: a later release tries again.
    pub fn release(&mut self, up_to: Position) -> Result<(), Error> {
        self.check_poison()?;
        self.released = self.released.max(up_to.min(self.durable()));
        self.remove_released()?;
        self.keep_reserve();
        Ok(())
    }

    /// Passes over all positions below `next`: for a consumer that remembers more than the disk does, since the spool's folder was replaced
    /// or set back. Without that, new records would get positions that the consumer takes for done.
    ///
    /// # Errors
    ///
    /// As [`Spool::append`]; a position beyond [`POSITION_MAX`].
    pub fn advance(&mut self, next: Position) -> Result<(), Error> {
        self.check_poison()?;
        if next <= self.next {
            return Ok(());
        }
        if next > POSITION_MAX {
            return Err(Kind::Position(next).into());
        }
        self.begin_segment(next)
    }

    /// The last position that is durable; 0 before the first.
    pub fn durable(&self) -> Position {
        self.shelf.durable()
    }

    /// The position of the next record that is appended.
    pub fn next_position(&self) -> Position {
        self.next
    }

    /// Position of the oldest record that may be there.
    pub fn first_position(&self) -> Position {
        self.shelf.first()
    }

    /// Bytes of all segments, with what is released and not removed yet.
    pub fn bytes(&self) -> u64 {
        self.older_bytes + self.active.bytes
    }

    /// Whether an append was refused for the spool's limit, and no segment was removed since. Senders can be turned away without asking
    /// again. A full disk shows only when an append is tried: somebody else may have made room.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// What the spool may take up.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Why nothing can be taken any more, where that is so.
    pub fn poison(&self) -> Option<&Error> {
        self.poison.as_ref()
    }

    fn check_poison(&self) -> Result<(), Error> {
        self.poison.clone().map_or(Ok(()), Err)
    }

    fn or_poison<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &result
            && error.is_poisoned()
            && self.poison.is_none()
        {
            self.poison = Some(error.as_poison());
        }
        result
    }

    fn check_room(&mut self, bytes: u64) -> Result<(), Error> {
        let max = self.limits.append_bytes_max();
        if bytes > max {
            return Err(Kind::TooLarge { bytes, max }.into());
        }
        let header_bytes = match self.active.has_room(bytes, self.limits.segment_bytes) {
            true => 0,
            false => SEGMENT_HEADER_BYTES,
        };
        let (wanted, max) = (bytes + header_bytes, self.limits.bytes_max);
        let bytes = self.bytes();
        if bytes + wanted > max {
            self.is_full = true;
            return Err(Kind::Full { bytes, wanted, max }.into());
        }
        Ok(())
    }

    /// Writes the parcels behind each other into one segment, or leaves it as it was.
    fn write(&mut self, parcels: &[Parcel], bytes: u64) -> Result<(), Error> {
        if !self.active.has_room(bytes, self.limits.segment_bytes) {
            self.begin_segment(self.next)?;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let laid_out = self.active.lay_out(parcels, &mut buffer);
        let written = laid_out.map_or(Ok(()), |()| self.active.file.append(&buffer));
        buffer.shrink_to(BUFFER_BYTES_MAX);
        self.buffer = buffer;
        if let Err(error) = written {
            let name = segment_name(self.active.first);
            // A part of it may be there. What can't be cut off would stand in front of the next records.
            let cut = self.active.file.truncate(self.active.bytes);
            self.or_poison(cut.map_err(|error| Error::sync(&name, error)))?;
            return Err(Error::io("append to segment", &name, error));
        }
        self.active.bytes += bytes;
        self.active.next_index += parcels
            .iter()
            .map(|parcel| parcel.len() as u32)
            .sum::<u32>();
        Ok(())
    }

    /// Ends the active segment, durably and as a whole, and begins the next one. The reserve is given up for it on a full disk.
    fn begin_segment(&mut self, first: Position) -> Result<(), Error> {
        self.sync()?;
        let mut begun = Active::begin(&*self.disk, first);
        let is_disk_full = begun.as_ref().is_err_and(Error::is_disk_full);
        if is_disk_full && self.has_reserve {
            self.has_reserve = false;
            let removed = self.disk.remove(RESERVE);
            removed.map_err(|error| Error::io("remove", RESERVE, error))?;
            begun = Active::begin(&*self.disk, first);
        }
        let begun = self.or_poison(begun)?;
        let before = std::mem::replace(&mut self.active, begun);
        if before.first != self.active.first {
            self.older_bytes += before.bytes;
        }
        self.next = first;
        self.shelf.push(self.active.as_segment());
        self.shelf.publish(self.active.bytes, first - 1);
        Ok(())
    }

    /// If all records are released, removes them all, those of the active segment too: on a full disk nothing else would make room, since
    /// segments go as a whole. Whether there is room now.
    fn drop_all_released(&mut self) -> Result<bool, Error> {
        let is_all_released = self.released + 1 == self.next;
        if !is_all_released || (self.active.is_empty() && self.older_bytes == 0) {
            return Ok(false);
        }
        if !self.active.is_empty() {
            self.begin_segment(self.next)?;
        }
        self.remove_released()?;
        Ok(true)
    }

    fn remove_released(&mut self) -> Result<(), Error> {
        while let Some(oldest) = self.shelf.oldest_released(self.released) {
            self.shelf.take_oldest();
            let name = segment_name(oldest.first);
            match self.disk.remove(&name) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    self.shelf.put_back(oldest);
                    return Err(Error::io("remove segment", &name, error));
                }
                _ => {}
            }
            self.older_bytes = self.older_bytes.saturating_sub(oldest.bytes);
            self.is_full = false;
            let synced = self.disk.sync_folder();
            let synced = synced.map_err(|error| Error::sync("the removal of a segment", error));
            self.or_poison(synced)?;
        }
        Ok(())
    }

    fn find_reserve(&self) -> bool {
        let bytes = self.disk.open(RESERVE).and_then(|file| file.bytes());
        bytes.is_ok_and(|bytes| bytes >= self.reserve_bytes())
    }

    /// Puts bytes aside. Without them the spool works as well, but for a full disk.
    fn keep_reserve(&mut self) {
        if self.has_reserve {
            return;
        }
        let bytes = vec![b'.'; self.reserve_bytes() as usize];
        let written = write_file(&*self.disk, RESERVE, &bytes);
        self.has_reserve = written.is_ok_and(|file| file.sync().is_ok());
    }

    fn reserve_bytes(&self) -> u64 {
        RESERVE_BYTES.min(self.limits.segment_bytes)
    }
}

fn unless_full(error: Error) -> Result<(), Error> {
    if error.is_full() { Ok(()) } else { Err(error) }
}
