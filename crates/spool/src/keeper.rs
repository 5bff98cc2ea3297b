//! A thread that keeps a spool for many callers: all that waits goes into one append and one sync (group fsync).
//!
//! ```text
//!  store() --+
//!  store() --+--> queue (bounded) --> group --> append, sync --> on_durable, completions
//!  store() --+                                     |
//!                                                  +--> readers see it
//! ```
//!
//! While the disk syncs one group, the next one gathers: the slower the disk, the larger the groups. An answer takes one sync when the disk
//! is idle, and up to two when it is at work.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use crate::Position;
use crate::disk::Disk;
use crate::error::{Error, Kind};
use crate::parcel::Parcel;
use crate::queue::{Completion, Queue, Request, Work};
use crate::reader::Reader;
use crate::real_disk::RealDisk;
use crate::spool::Spool;

/// What may wait in front of a spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeeperLimits {
    /// Parcels that wait.
    pub requests_max: usize,
    /// Bytes that wait. A single parcel may be larger.
    pub bytes_max: u64,
    /// Bytes that go into one append and one sync. A single parcel may be larger.
    pub group_bytes_max: u64,
}

impl Default for KeeperLimits {
    /// Room for some syncs' worth of small requests; groups that a disk writes in some 10 ms.
    fn default() -> Self {
        Self {
            requests_max: 16 * 1024,
            bytes_max: 32 * 1024 * 1024,
            group_bytes_max: 4 * 1024 * 1024,
        }
    }
}

/// How a spool was after the keeper's last work.
#[derive(Debug, Clone)]
pub struct Status {
    /// The last durable position.
    pub durable: Position,
    /// Position of the oldest record that may be there.
    pub first_position: Position,
    /// Bytes on the disk.
    pub bytes: u64,
    /// Bytes that may be there.
    pub bytes_max: u64,
    /// Whether senders can be turned away without asking: see [`Spool::is_full`].
    pub is_full: bool,
    /// The last failure, until something of the same kind succeeds: of storing, which includes a poisoned spool.
    pub store_error: Option<Error>,
    /// The same of releasing.
    pub release_error: Option<Error>,
}

/// Called with the last durable position after each sync, before the answers: it may wake readers.
pub type OnDurable = Box<dyn Fn(Position) + Send>;

/// A spool in a thread of its own. When it is dropped, it carries out what waits, and ends.
pub struct Keeper<D: Disk = RealDisk> {
    queue: Arc<Queue>,
    status: Arc<Mutex<Status>>,
    reader: Reader<D>,
    append_bytes_max: u64,
    thread: Option<JoinHandle<()>>,
}

impl<D: Disk> Keeper<D> {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub fn start(
        spool: Spool<D>,
        limits: KeeperLimits,
        on_durable: OnDurable,
    ) -> Result<Self, Error> {
        let append_bytes_max = spool.limits().append_bytes_max();
        let limits = KeeperLimits {
            group_bytes_max: limits.group_bytes_max.min(append_bytes_max),
            ..limits
        };
        let queue = Arc::new(Queue::new(limits));
        let status = Arc::new(Mutex::new(status_of(&spool)));
        let reader = spool.reader();
        let mut work = Worker {
            spool,
            queue: Arc::clone(&queue),
            status: Arc::clone(&status),
            on_durable,
        };
        let thread = Builder::new()
            .name("spool".to_owned())
            .spawn(move || work.run())
            .map_err(|error| Error::io("start", "the spool's thread", error))?;
        Ok(Self {
            queue,
            status,
            reader,
            append_bytes_max,
            thread: Some(thread),
        })
    }

    /// Stores a parcel. Does not wait: `done` is called when its records are durable, or with the reason why they are not taken. It is
    /// called here, before this returns, where that is known at once ([`Error::is_busy`], [`Error::is_closed`], [`Error::is_misuse`]).
    ///
    /// Parcels are stored in the order of the calls. A caller that has to wait for room holds fewer parcels in flight than
    /// [`KeeperLimits::requests_max`].
    pub fn store(&self, parcel: Parcel, done: Completion) {
        let (bytes, max) = (parcel.bytes(), self.append_bytes_max);
        if bytes > max {
            done(Err(Kind::TooLarge { bytes, max }.into()));
        } else {
            self.queue.push(Request { parcel, done });
        }
    }

    /// Lets go of records up to a position, soon: see [`Spool::release`]. A failure is in [`Status::release_error`].
    pub fn release(&self, up_to: Position) {
        self.queue.release(up_to);
    }

    /// A reader, which never waits for the thread.
    pub fn reader(&self) -> Reader<D> {
        self.reader.clone()
    }

    /// How the spool is.
    pub fn status(&self) -> Status {
        lock(&self.status).clone()
    }
}

impl<D: Disk> Drop for Keeper<D> {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // A panic in there was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// A status is replaced as a whole: a panic leaves none half-written.
fn lock(status: &Mutex<Status>) -> MutexGuard<'_, Status> {
    status.lock().unwrap_or_else(PoisonError::into_inner)
}

fn status_of<D: Disk>(spool: &Spool<D>) -> Status {
    Status {
        durable: spool.durable(),
        first_position: spool.first_position(),
        bytes: spool.bytes(),
        bytes_max: spool.limits().bytes_max,
        is_full: spool.is_full(),
        store_error: spool.poison().cloned(),
        release_error: None,
    }
}

struct Worker<D: Disk> {
    spool: Spool<D>,
    queue: Arc<Queue>,
    status: Arc<Mutex<Status>>,
    on_durable: OnDurable,
}

impl<D: Disk> Drop for Worker<D> {
    /// However the thread ends, nobody waits for an answer for ever.
    fn drop(&mut self) {
        self.queue.refuse_all();
    }
}

impl<D: Disk> Worker<D> {
    fn run(&mut self) {
        while let Some(work) = self.queue.next() {
            self.carry_out(work);
        }
    }

    fn carry_out(&mut self, work: Work) {
        let mut status = lock(&self.status).clone();
        if let Some(up_to) = work.release {
            status.release_error = self.spool.release(up_to).err();
        }
        let answers = self.store(work.group);
        if let Some((_, answer)) = answers.last() {
            status.store_error = answer.as_ref().err().cloned();
        }
        *lock(&self.status) = Status {
            store_error: status.store_error,
            release_error: status.release_error,
            ..status_of(&self.spool)
        };
        if answers.iter().any(|(_, answer)| answer.is_ok()) {
            let durable = self.spool.durable();
            call(|| (self.on_durable)(durable));
        }
        for (done, answer) in answers {
            call(|| done(answer));
        }
    }

    /// Appends and syncs a group. Where it does not fit as a whole, its parcels are tried one by one.
    fn store(&mut self, group: Vec<Request>) -> Vec<(Completion, Result<Range<Position>, Error>)> {
        let (parcels, completions): (Vec<Parcel>, Vec<Completion>) = group
            .into_iter()
            .map(|request| (request.parcel, request.done))
            .unzip();
        if parcels.is_empty() {
            return Vec::new();
        }
        let appended: Vec<_> = match self.spool.append(&parcels) {
            Ok(positions) => divide(positions.start, &parcels).map(Ok).collect(),
            Err(error) if error.is_full() && parcels.len() > 1 => parcels
                .iter()
                .map(|parcel| self.spool.append(std::slice::from_ref(parcel)))
                .collect(),
            Err(error) => vec![Err(error); parcels.len()],
        };
        let synced = self.spool.sync();
        let answers = appended
            .into_iter()
            .map(|positions| synced.clone().and(positions));
        completions.into_iter().zip(answers).collect()
    }
}

/// Calls what is not ours. A panic in there was reported when it happened, and is not to cost others their answers.
fn call(what: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(what));
}

/// The positions of each parcel.
fn divide(first: Position, parcels: &[Parcel]) -> impl Iterator<Item = Range<Position>> {
    parcels.iter().scan(first, |next, parcel| {
        let start = *next;
        *next += parcel.len() as u64;
        Some(start..*next)
    })
}
