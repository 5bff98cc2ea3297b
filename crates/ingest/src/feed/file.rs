//! A file's lines, from a position in bytes on. A file keeps its records itself: nothing is spooled, and the ledger's position
//! is all there is to resume.

use super::format::{Format, without_line_end};
use super::input::Input;
use super::known_file::{identity, print_of, printed_bytes};
use super::rotation::Rotated;
use super::{BatchLimits, Feed};
use crate::Error;
use crate::batch::Taken;
use crate::clock::now_us;
use crate::compression;
use crate::envelope::Envelope;
use crate::limits::{FILE_LOOK, FILE_READ_BYTES, RECORD_BYTES_MAX, ROTATED_PATIENCE};
use bytes::{Buf, Bytes, BytesMut};
use hyperhaul_decode::CsvOrder;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

/// One file.
pub(crate) struct FileFeed {
    path: PathBuf,
    input: Input,
    format: Format,
    /// Of a file whose first line names the fields in another order.
    order: Option<CsvOrder>,
    /// What was read and is not yet given.
    carried: BytesMut,
    /// Bytes of `carried` that are known to hold no end of a record.
    scanned: usize,
    /// Where `carried` begins in the file.
    position: u64,
    /// Up to where records were given.
    given: u64,
    /// Goes on when the file grows, until it is replaced.
    follows: bool,
    /// See [`identity`]; `None` for what is no file.
    identity: Option<String>,
    /// Since when another file has its name.
    replaced: Option<Instant>,
    read_bytes: u64,
    /// The last time there was less than was asked for: whoever sends may take his time.
    read_less: bool,
    /// The line that was given last, with its end.
    last_line: Bytes,
    stop: watch::Receiver<bool>,
    attributes: Arc<[(String, String)]>,
}

pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::usage(format!("could not read {}: {error}", path.display()))
}

impl FileFeed {
    /// Opens a file; a compressed one by its ending. `None`: there is nothing in it yet.
    pub(crate) fn open(
        path: &Path,
        format: Format,
        follows: bool,
        stop: watch::Receiver<bool>,
    ) -> Result<Option<FileFeed>, Error> {
        if follows && compression::is_packed(path) {
            let message = format!("{} is compressed, and does not grow", path.display());
            return Err(Error::usage(message).hint("Leave follow out."));
        }
        let file = match File::open(path) {
            Ok(file) => file,
            // Between two renames there may be none of the name.
            Err(error) if follows && error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(path, &error)),
        };
        let Some(identity) = identity(path, &file, follows)? else {
            return Ok(None);
        };
        let input = compression::reader(path, file).map_err(|error| unreadable(path, &error))?;
        let mut feed = FileFeed::reading(input, path, format, stop);
        feed.identity = Some(identity);
        feed.follows = follows;
        Ok(Some(feed))
    }

    /// A file that had the name before: its writer may not know that yet.
    pub(crate) fn rotated(
        rotated: Rotated,
        format: Format,
        stop: watch::Receiver<bool>,
    ) -> FileFeed {
        let input = Input::File(rotated.file);
        let mut feed = FileFeed::reading(input, &rotated.path, format, stop);
        feed.identity = Some(rotated.identity);
        (feed.follows, feed.replaced) = (true, Some(Instant::now()));
        feed
    }

    /// The same file, to be looked at.
    pub(crate) fn handle(&self) -> Option<File> {
        self.input.handle()
    }

    /// The same file from its beginning, whatever it is called by now; for when this one is no longer used. `None`: it has to be opened.
    pub(crate) fn anew(&self, format: Format, stop: watch::Receiver<bool>) -> Option<FileFeed> {
        let input = Input::File(self.input.handle()?);
        let mut feed = FileFeed::reading(input, &self.path, format, stop);
        feed.identity.clone_from(&self.identity);
        (feed.follows, feed.replaced) = (self.follows, self.replaced);
        Some(feed)
    }

    /// What the file is called in the ledger; empty for what is no file.
    pub(crate) fn identity(&self) -> &str {
        self.identity.as_deref().unwrap_or_default()
    }

    /// Reads what comes, once.
    pub(crate) fn reading(
        input: Input,
        path: &Path,
        format: Format,
        stop: watch::Receiver<bool>,
    ) -> FileFeed {
        FileFeed {
            path: path.to_owned(),
            input,
            format,
            order: None,
            carried: BytesMut::new(),
            scanned: 0,
            position: 0,
            given: 0,
            follows: false,
            identity: None,
            replaced: None,
            read_bytes: 0,
            read_less: false,
            last_line: Bytes::new(),
            stop,
            attributes: [].into(),
        }
    }

    /// Reads the header, if there is one, and passes over what is dealt with, which ends with what `mark` says; compressed files and
    /// pipes have to be read for that. False: this is another file, which has something else there, or ends before.
    pub(crate) fn begin(&mut self, position: u64, mark: Option<&str>) -> Result<bool, Error> {
        let begun = self.input.skip_to(0);
        begun.map_err(|error| unreadable(&self.path, &error))?;
        self.read_header()?;
        let marked_bytes = mark.and_then(printed_bytes).unwrap_or(0);
        let marked_at = position.saturating_sub(marked_bytes).max(self.position);
        if !self.pass(marked_at.min(position))? {
            return Ok(false);
        }
        let marked = self.gather(position - self.position.min(position))?;
        self.given = position;
        Ok(match (marked, mark) {
            (None, _) => false,
            (Some(line), Some(mark)) => print_of(&line) == mark,
            (Some(_), None) => true,
        })
    }

    /// Passes over all bytes in front of `position`; false if there are not so many.
    fn pass(&mut self, position: u64) -> Result<bool, Error> {
        if self.read_bytes < position {
            let skipped = self.input.skip_to(position);
            if skipped.map_err(|error| unreadable(&self.path, &error))? {
                self.carried.clear();
                (self.position, self.read_bytes) = (position, position);
                return Ok(true);
            }
        }
        while self.position < position {
            if self.carried.is_empty() && self.read()? == 0 {
                return Ok(false);
            }
            let left = usize::try_from(position - self.position).unwrap_or(usize::MAX);
            let passed = self.carried.len().min(left);
            self.carried.advance(passed);
            self.position += passed as u64;
        }
        Ok(true)
    }

    /// The next so many bytes, a line at the most; `None` if there are not so many.
    fn gather(&mut self, length: u64) -> Result<Option<Bytes>, Error> {
        let length = usize::try_from(length)
            .unwrap_or(usize::MAX)
            .min(2 * RECORD_BYTES_MAX);
        while self.carried.len() < length {
            if self.read()? == 0 {
                return Ok(None);
            }
        }
        self.position += length as u64;
        Ok(Some(self.carried.split_to(length).freeze()))
    }

    fn read_header(&mut self) -> Result<(), Error> {
        let Some(order) = self.format.take_order() else {
            return Ok(());
        };
        let length = loop {
            if let Some(length) = self.first_end() {
                break length;
            }
            if self.carried.len() > RECORD_BYTES_MAX {
                let message = format!("the header of {} has no end", self.path.display());
                return Err(Error::usage(message).hint(
                    "Close the quotes of its first line, or say csv = { header = [names] }.",
                ));
            }
            if self.read()? == 0 {
                break self.carried.len();
            }
        };
        let header = self.carried.split_to(length);
        self.position = length as u64;
        let order =
            order(&header).map_err(|error| Error::mapping(&error).about(self.path.display()))?;
        self.order = (!order.is_kept()).then_some(order);
        Ok(())
    }

    /// Reads once: how many bytes; 0 at the end.
    fn read(&mut self) -> Result<usize, Error> {
        let length = self.carried.len();
        self.carried.resize(length + FILE_READ_BYTES, 0);
        let read = tokio::task::block_in_place(|| self.input.read(&mut self.carried[length..]));
        self.carried
            .truncate(length + read.as_ref().copied().unwrap_or(0));
        match read {
            Ok(count) => {
                self.read_bytes += count as u64;
                self.read_less = count < FILE_READ_BYTES;
                Ok(count)
            }
            // Nothing was read, and nothing has ended.
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => self.read(),
            Err(error) => Err(unreadable(&self.path, &error)),
        }
    }

    /// Length of the first record with its end of line.
    fn first_end(&mut self) -> Option<usize> {
        let unseen = &self.carried[self.scanned..];
        let Some(end) = self.format.next_end(unseen) else {
            self.scanned = self.carried.len();
            return None;
        };
        Some(std::mem::take(&mut self.scanned) + end)
    }

    /// Takes `length` bytes off as one record; none for an empty line.
    fn take(&mut self, length: usize, received_at_us: i64, taken: &mut Taken) {
        self.last_line = self.carried.split_to(length).freeze();
        let mut line = without_line_end(self.last_line.clone());
        self.position += length as u64;
        taken.to = self.position;
        if line.is_empty() {
            return;
        }
        let mut refused = None;
        if let Some(order) = &self.order {
            let mut ordered = Vec::with_capacity(line.len());
            match order.apply(&line, &mut ordered) {
                Ok(()) => line = ordered.into(),
                Err(refusal) => refused = Some(refusal),
            }
        }
        taken.lines.push(self.last_line.clone());
        taken.records.push(Envelope {
            position: self.position,
            received_at_us,
            attributes: Arc::clone(&self.attributes),
            payload: line,
            refused,
        });
    }

    /// Whole records that were read, up to the limits.
    fn take_whole(&mut self, limits: &BatchLimits, taken: &mut Taken) {
        let received_at_us = now_us();
        while !is_full(taken, limits) {
            let Some(length) = self.first_end() else {
                break;
            };
            self.take(length, received_at_us, taken);
        }
    }

    /// What was read last and has no end of line: a record, where nothing more can come.
    fn take_rest(&mut self, taken: &mut Taken) {
        if self.carried.is_empty() {
            return;
        }
        self.take(self.carried.len(), now_us(), taken);
        self.scanned = 0;
    }

    /// At the end of the file: whether to look again.
    async fn waits(&mut self) -> bool {
        let is_over = self
            .replaced
            .is_some_and(|since| self.is_quiet() || since.elapsed() >= ROTATED_PATIENCE);
        if !self.follows || is_over || *self.stop.borrow() {
            return false;
        }
        tokio::select! {
            () = tokio::time::sleep(FILE_LOOK) => {}
            _ = self.stop.wait_for(|stop| *stop) => {}
        }
        // What was appended before it was replaced is read once more.
        if self.replaced.is_none() && self.is_replaced() {
            self.replaced = Some(Instant::now());
        }
        true
    }

    fn is_quiet(&self) -> bool {
        self.input.is_quiet(self.read_bytes)
    }

    /// At the end: takes what has no end of line, unless somebody is about to write it.
    fn end(&mut self, taken: &mut Taken) {
        if !self.follows || self.is_quiet() {
            self.take_rest(taken);
            return;
        }
        let path = self.path.display();
        tracing::warn!(%path, "is written on after it was renamed: the rest is read when the next one is");
    }

    fn is_replaced(&self) -> bool {
        // Between two renames there may be none of the name.
        let Ok(file) = File::open(&self.path) else {
            return false;
        };
        let is_shorter = file
            .metadata()
            .is_ok_and(|there| there.len() < self.read_bytes);
        let there = identity(&self.path, &file, true).ok().flatten();
        is_shorter || (there.is_some() && there != self.identity)
    }
}

fn is_full(taken: &Taken, limits: &BatchLimits) -> bool {
    let bytes = usize::try_from(taken.to - taken.from).unwrap_or(usize::MAX);
    super::is_full(taken.records.len(), bytes, limits)
}

impl Feed for FileFeed {
    const RECEIVES: bool = true;

    async fn next(&mut self, limits: &BatchLimits) -> Result<Option<Taken>, Error> {
        let mut taken = Taken::none(self.given);
        taken.to = self.position;
        loop {
            self.take_whole(limits, &mut taken);
            if self.carried.len() > RECORD_BYTES_MAX {
                self.take_rest(&mut taken);
            }
            // Who writes into a pipe may write the next line in an hour.
            let waits_for_sender = self.identity.is_none() && self.read_less;
            let is_enough = waits_for_sender && !taken.records.is_empty();
            if is_enough || is_full(&taken, limits) || *self.stop.borrow() {
                break;
            }
            if self.read()? > 0 {
                continue;
            }
            if !taken.records.is_empty() {
                break;
            }
            if !self.waits().await {
                if !*self.stop.borrow() {
                    self.end(&mut taken);
                }
                break;
            }
        }
        self.given = taken.to;
        if !self.last_line.is_empty() {
            taken.mark = Some(print_of(&self.last_line));
        }
        Ok((taken.to > taken.from).then_some(taken))
    }
}
