//! A stream of lines: of a file, of all that are called by its name one after another, or of standard input.

use super::Feeding;
use crate::Error;
use crate::compression;
use crate::feed::file::FileFeed;
use crate::feed::format::Format;
use crate::feed::input::Input;
use crate::feed::known_file::FILE;
use crate::feed::rotation::{Rotated, rotated};
use crate::limits::{FILE_LOOK, PATIENT};
use hyperhaul_ledger::{PositionUnit, Standing};
use hyperhaul_pg::retry::Backoff;
use std::collections::HashMap;
use std::path::Path;
use std::time::SystemTime;

/// Files that were read to their end, by what they are called in the ledger: how many bytes they had.
type Finished = HashMap<String, u64>;

impl Feeding {
    /// One file to its end.
    pub(super) async fn file(&self, path: &Path) -> Result<(), Error> {
        if let Some(feed) = self.open(path, false).await? {
            self.feed_file(path, false, feed).await?;
        }
        Ok(())
    }

    /// A file as it grows, and then the next ones of its name, until somebody says stop.
    ///
    /// Those that had the name before, and were not read to their end, come first: looked for when the next one is open, so that
    /// whatever is renamed meanwhile is either of those or read already.
    pub(super) async fn follow(&self, path: &Path) -> Result<(), Error> {
        let mut finished = Finished::new();
        // There may be none of the name for long.
        self.read_rotated(path, "", &mut finished).await?;
        while let Some(feed) = self.open(path, true).await? {
            let identity = feed.identity().to_owned();
            self.read_rotated(path, &identity, &mut finished).await?;
            if self.stop.is_asked() {
                break;
            }
            let position = self.feed_file(path, true, feed).await?;
            if self.stop.is_asked() {
                break;
            }
            finished.extend(position.map(|position| (identity, position)));
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
        finished.retain(|identity, _| found.iter().any(|file| file.identity == *identity));
        let is_left = |file: &Rotated| {
            // Its writer may have gone on.
            file.identity != open && finished.get(&file.identity) != Some(&file.bytes)
        };
        if !found.iter().any(is_left) {
            return Ok(());
        }
        for file in self.begun(found, finished).await? {
            if file.identity == open || finished.get(&file.identity) == Some(&file.bytes) {
                continue;
            }
            let (path, identity) = (file.path.clone(), file.identity.clone());
            let feed = FileFeed::rotated(file, self.format(), self.stop.watch());
            let position = self.feed_file(&path, true, feed).await?;
            if self.stop.is_asked() {
                break;
            }
            finished.extend(position.map(|position| (identity, position)));
        }
        Ok(())
    }

    /// From the first one on that the stream has begun; where none is left of those, from the first one on that was written after the stream
    /// moved last. What was called so before it was followed is none of its.
    async fn begun(
        &self,
        mut files: Vec<Rotated>,
        finished: &Finished,
    ) -> Result<Vec<Rotated>, Error> {
        let standings = self.standings().await?;
        let of_files = standings.iter().filter(|standing| {
            standing.stream == self.stream.name && standing.source.starts_with(FILE)
        });
        let moved_at = of_files.filter_map(|standing| standing.moved_at).max();
        let is_known = |file: &Rotated| {
            let source = self.source_of(&file.identity);
            finished.contains_key(&file.identity)
                || standings.iter().any(|standing| standing.source == source)
        };
        // What the ledger knows may have been compressed since.
        let is_newer =
            |file: &Rotated| moved_at.is_some_and(|at| SystemTime::from(at) < file.written_at);
        let first = files.iter().position(is_known);
        let first = first
            .or_else(|| files.iter().position(is_newer))
            .unwrap_or(files.len());
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
                // Between two renames there may be none of the name.
                Err(error) if !follow || path.exists() || compression::is_packed(path) => {
                    return Err(error);
                }
                Ok(None) if !follow => return Ok(None),
                Ok(None) | Err(_) if self.stop.is_asked() => return Ok(None),
                Ok(None) | Err(_) => {}
            }
            tokio::select! {
                () = tokio::time::sleep(FILE_LOOK) => {}
                _ = asked.wait_for(|asked| *asked) => {}
            }
        }
    }

    /// A file from where the ledger stands on, up to which position. `None`: another one has its name now.
    async fn feed_file(
        &self,
        path: &Path,
        follow: bool,
        feed: FileFeed,
    ) -> Result<Option<u64>, Error> {
        let identity = feed.identity().to_owned();
        let first = self.source_of(&identity);
        let (mut source, mut feed) = (first.clone(), feed);
        // Another file may have been called the same: one that was cut off and written anew.
        let mut generation = 1;
        loop {
            if let Some(position) = self.pump_lines(&source, feed).await? {
                return Ok(Some(position));
            }
            generation += 1;
            source = format!("{first} {generation}");
            match self.open(path, follow).await {
                Ok(Some(again)) if again.identity() == identity => feed = again,
                Ok(_) => return Ok(None),
                Err(_) if !path.exists() => return Ok(None),
                Err(error) => return Err(error),
            }
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
