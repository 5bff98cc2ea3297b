//! A stream of lines: of a file, of all that are called by its name one after another, or of standard input.

use super::Feeding;
use crate::Error;
use crate::feed::file::FileFeed;
use crate::feed::format::Format;
use crate::feed::input::Input;
use crate::feed::rotation::{Rotated, rotated};
use crate::limits::{FILE_LOOK, PATIENT};
use hyperhaul_ledger::{PositionUnit, Standing};
use hyperhaul_pg::retry::Backoff;
use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

/// What of a name was read by this process.
#[derive(Debug, Default)]
struct Finished {
    /// Files that were read to their end, by what they are called in the ledger: how many bytes they had.
    bytes: HashMap<String, u64>,
    /// When the last of them was written that was renamed then.
    until: Option<SystemTime>,
}

impl Finished {
    fn has(&self, file: &Rotated) -> bool {
        // Its writer may have gone on.
        self.bytes.get(&file.identity) == Some(&file.bytes)
    }

    fn add(&mut self, path: &Path, identity: String, bytes: u64, handle: Option<&File>) {
        self.bytes.insert(identity, bytes);
        let Some(Ok(read)) = handle.map(File::metadata) else {
            return;
        };
        // What was cut off and goes on has not been renamed: beside it are copies.
        let is_there = fs::metadata(path)
            .is_ok_and(|there| (there.dev(), there.ino()) == (read.dev(), read.ino()));
        if !is_there {
            self.until = self.until.max(read.modified().ok());
        }
    }
}

impl Feeding {
    /// One file to its end.
    pub(super) async fn file(&self, path: &Path) -> Result<(), Error> {
        if let Some(feed) = self.open(path, false).await? {
            self.feed_file(path, feed).await?;
        }
        Ok(())
    }

    /// A file as it grows, and then the next ones of its name, until somebody says stop.
    ///
    /// Those that had the name before, and were not read to their end, come first: looked for when the next one is open, so that
    /// whatever is renamed meanwhile is either of those or read already.
    pub(super) async fn follow(&self, path: &Path) -> Result<(), Error> {
        let mut finished = Finished::default();
        // There may be none of the name for long.
        self.read_rotated(path, "", &mut finished).await?;
        while let Some(feed) = self.open(path, true).await? {
            self.read_rotated(path, feed.identity(), &mut finished)
                .await?;
            if self.stop.is_asked() {
                break;
            }
            self.read_to_end(path, feed, &mut finished).await?;
            if self.stop.is_asked() {
                break;
            }
        }
        Ok(())
    }

    /// Reads files that had the name before, but for the `open` one and those that are finished.
    async fn read_rotated(
        &self,
        path: &Path,
        open: &str,
        finished: &mut Finished,
    ) -> Result<(), Error> {
        let found = rotated(path)?;
        let is_there = |identity: &String| found.iter().any(|file| file.identity == *identity);
        finished.bytes.retain(|identity, _| is_there(identity));
        let is_read =
            |file: &Rotated, finished: &Finished| file.identity == open || finished.has(file);
        if found.iter().all(|file| is_read(file, finished)) {
            return Ok(());
        }
        for file in self.begun(found, finished).await? {
            if is_read(&file, finished) {
                continue;
            }
            let feed = FileFeed::rotated(file, self.format(), self.stop.watch());
            self.read_to_end(path, feed, finished).await?;
            if self.stop.is_asked() {
                break;
            }
        }
        Ok(())
    }

    /// Reads a file, which is finished unless somebody says stop.
    async fn read_to_end(
        &self,
        path: &Path,
        feed: FileFeed,
        finished: &mut Finished,
    ) -> Result<(), Error> {
        let (identity, handle) = (feed.identity().to_owned(), feed.handle());
        let position = self.feed_file(path, feed).await?;
        if let Some(position) = position
            && !self.stop.is_asked()
        {
            finished.add(path, identity, position, handle.as_ref());
        }
        Ok(())
    }

    /// From the first one on that the stream has begun; where none is left of those, from the first one on that was written after what this process
    /// has read. Others may be copies, or were called so before anybody followed.
    async fn begun(
        &self,
        mut files: Vec<Rotated>,
        finished: &Finished,
    ) -> Result<Vec<Rotated>, Error> {
        let standings = self.standings().await?;
        let is_known = |file: &Rotated| {
            let source = self.source_of(&file.identity);
            finished.bytes.contains_key(&file.identity)
                || standings.iter().any(|standing| standing.source == source)
        };
        let is_newer =
            |file: &Rotated| finished.until.is_some_and(|until| until <= file.written_at);
        let first = files.iter().position(is_known);
        let first = first.or_else(|| files.iter().position(is_newer));
        let first = first.unwrap_or(files.len());
        let moved_at = standings
            .iter()
            .filter(|standing| standing.stream == self.stream.name);
        let moved_at = moved_at.filter_map(|standing| standing.moved_at).max();
        for file in files.iter().take(first) {
            if moved_at.is_some_and(|at| SystemTime::from(at) < file.written_at) {
                let path = file.path.display();
                tracing::warn!(%path, "is not read: no stream has begun it; name it by itself if its records are not in");
            }
        }
        Ok(files.split_off(first))
    }

    async fn standings(&self) -> Result<Vec<Standing>, Error> {
        let mut patience = Backoff::new(PATIENT);
        loop {
            let asked = async {
                let session = self.server.connect("ingest").await?;
                hyperhaul_ledger::ensure(&session).await?;
                Ok(hyperhaul_ledger::standings(&session).await?)
            };
            match asked.await {
                Ok(standings) => return Ok(standings),
                Err(trouble) => self.wait_out(trouble, &mut patience).await?,
            }
        }
    }

    fn source_of(&self, identity: &str) -> String {
        format!("{identity} {}", self.stream.name)
    }

    /// Opens the file; waits for one that is followed. `None`: it is empty, or stopped before.
    async fn open(&self, path: &Path, follow: bool) -> Result<Option<FileFeed>, Error> {
        let mut asked = self.stop.watch();
        loop {
            match FileFeed::open(path, self.format(), follow, self.stop.watch()) {
                Ok(Some(feed)) => return Ok(Some(feed)),
                Err(error) => return Err(error),
                Ok(None) if !follow || self.stop.is_asked() => return Ok(None),
                Ok(None) => {}
            }
            tokio::select! {
                () = tokio::time::sleep(FILE_LOOK) => {}
                _ = asked.wait_for(|asked| *asked) => {}
            }
        }
    }

    /// A file from where the ledger stands on, up to which position. `None`: another one has its name now.
    async fn feed_file(&self, path: &Path, feed: FileFeed) -> Result<Option<u64>, Error> {
        let identity = feed.identity().to_owned();
        let first = self.source_of(&identity);
        let (mut source, mut feed) = (first.clone(), feed);
        // Another file may have been called the same: one that was cut off and written anew.
        let mut generation = 1;
        loop {
            let again = feed.anew(self.format(), self.stop.watch());
            if let Some(position) = self.pump_lines(&source, feed).await? {
                return Ok(Some(position));
            }
            generation += 1;
            source = format!("{first} {generation}");
            feed = match again {
                Some(again) => again,
                None => match self.open(path, false).await? {
                    Some(again) if again.identity() == identity => again,
                    _ => return Ok(None),
                },
            };
        }
    }

    pub(super) async fn stdin(&self, resume: Option<&str>) -> Result<(), Error> {
        let source = match resume {
            Some(name) => format!("stdin {name}"),
            None => format!("stdin {}", uuid::Uuid::new_v4()),
        };
        let input = Input::Stream(Box::new(std::io::stdin()));
        let path = Path::new("standard input");
        let feed = FileFeed::reading(input, path, self.format(), self.stop.watch());
        if self.pump_lines(&source, feed).await?.is_some() {
            return Ok(());
        }
        Err(
            Error::usage("standard input begins otherwise than what was sent by this name")
                .hint("Give what is sent now another name in resume."),
        )
    }

    /// Lines from where the ledger stands on, up to which position. `None`: what the ledger knows by this name began otherwise.
    async fn pump_lines(&self, source: &str, mut feed: FileFeed) -> Result<Option<u64>, Error> {
        let mut writer = self.writer(source, PositionUnit::Byte).await?;
        if !feed.begin(writer.position(), writer.mark())? {
            return Ok(None);
        }
        self.pump(source, feed, &mut writer, |_| {}).await?;
        Ok(Some(writer.position()))
    }

    fn format(&self) -> Format {
        Format::of(&self.stream.mapping)
    }
}
