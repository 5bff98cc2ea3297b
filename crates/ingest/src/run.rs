//! `hyperhaul ingest`: streams side by side, until their sources end or somebody says stop.

use crate::Error;
use crate::claim::claim;
use crate::feed::Feed;
use crate::feed::file::{FileFeed, Format, OrderByHeader, identity};
use crate::learn::learn;
use crate::limits::{FILE_LOOK, PATIENT};
use crate::lookup::Lookups;
use crate::pump::{Committed, Pump};
use crate::stop::Stop;
use crate::stream::{Origin, Stream};
use crate::trouble::{Trouble, judge};
use crate::write::{Place, Writer, add};
use hyperhaul_decode::{CsvOrder, DecoderKind, Header, RecordEnds};
use hyperhaul_ledger::{Outcome, PositionUnit};
use hyperhaul_pg::Server;
use hyperhaul_pg::retry::Backoff;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::JoinSet;

/// What became of a stream's records in this run.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Done {
    /// The stream's name.
    pub stream: String,
    /// How its records ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Bytes of the records.
    pub bytes: u64,
}

/// Feeds the tables of all streams.
///
/// # Errors
///
/// The first stream's that had to stop; the others are stopped then, too, and what was committed stays.
pub async fn run(server: &Server, streams: Vec<Stream>, stop: &Stop) -> Result<Vec<Done>, Error> {
    let mut totals = Vec::new();
    let mut running = JoinSet::new();
    for stream in streams {
        let total = Total::new(&stream.name);
        totals.push(total.clone());
        let feeding = Feeding {
            server: server.clone(),
            stream: Arc::new(stream),
            stop: stop.clone(),
            total,
        };
        running.spawn(feeding.run());
    }
    let mut failed = None;
    while let Some(ended) = running.join_next().await {
        let ended = ended.unwrap_or_else(|panic| Err(Error::unexpected(panic.to_string())));
        if let Err(error) = ended {
            stop.now();
            failed.get_or_insert(error);
        }
    }
    match failed {
        Some(error) => Err(error),
        None => Ok(totals.iter().map(|total| total.locked().clone()).collect()),
    }
}

/// Counts of a stream, which its pump adds to.
#[derive(Clone)]
struct Total(Arc<Mutex<Done>>);

impl Total {
    fn new(stream: &str) -> Total {
        Total(Arc::new(Mutex::new(Done {
            stream: stream.to_owned(),
            ..Done::default()
        })))
    }

    fn locked(&self) -> MutexGuard<'_, Done> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, committed: &Committed) {
        let mut done = self.locked();
        done.outcome = add(&done.outcome, &committed.outcome);
        done.bytes += committed.bytes;
    }
}

/// One stream at work.
struct Feeding {
    server: Server,
    stream: Arc<Stream>,
    stop: Stop,
    total: Total,
}

impl Feeding {
    async fn run(self) -> Result<(), Error> {
        let fed = match &self.stream.origin {
            Origin::File { path, follow } => self.files(path, *follow).await,
            Origin::Stdin { resume } => self.stdin(resume.as_deref()).await,
        };
        fed.map_err(|error| error.about(format!("stream {}", self.stream.name)))
    }

    /// A file, and where it is followed the next ones of its name.
    async fn files(&self, path: &Path, follow: bool) -> Result<(), Error> {
        while let Some(source) = self.identity(path, follow).await? {
            let feed = FileFeed::open(path, self.format(), follow, self.stop.watch())?;
            self.pump(&source, PositionUnit::Byte, feed, FileFeed::begin)
                .await?;
            if !follow || self.stop.is_asked() {
                break;
            }
        }
        Ok(())
    }

    /// What the file is called in the ledger; waits for one that is followed. `None`: it is empty, or stopped before.
    async fn identity(&self, path: &Path, follow: bool) -> Result<Option<String>, Error> {
        let mut asked = self.stop.watch();
        loop {
            match identity(path, follow) {
                Ok(Some(source)) => return Ok(Some(source)),
                Err(error) if !follow => return Err(error),
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

    async fn stdin(&self, resume: Option<&str>) -> Result<(), Error> {
        let source = match resume {
            Some(name) => format!("stdin {name}"),
            None => format!("stdin {}", uuid::Uuid::new_v4()),
        };
        let input = Box::new(std::io::stdin());
        let path = Path::new("standard input");
        let feed = FileFeed::reading(input, path, self.format(), self.stop.watch());
        self.pump(&source, PositionUnit::Byte, feed, FileFeed::begin)
            .await
    }

    fn format(&self) -> Format {
        let mapping = &self.stream.mapping;
        if mapping.decoder != DecoderKind::Csv {
            return Format::Lines;
        }
        let order = (mapping.csv.header == Header::FirstLine(true)).then(|| -> OrderByHeader {
            let mapping = mapping.clone();
            Box::new(move |header| CsvOrder::new(&mapping, header))
        });
        Format::Csv {
            ends: RecordEnds::new(mapping.csv.delimiter),
            order,
        }
    }

    /// From the feed to the tables, until it ends. `begin` passes over what the ledger says is dealt with.
    async fn pump<F: Feed>(
        &self,
        source: &str,
        unit: PositionUnit,
        mut feed: F,
        begin: impl FnOnce(&mut F, u64) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut writer = self.writer(source, unit).await?;
        begin(&mut feed, writer.position())?;
        let total = self.total.clone();
        let pump = Pump {
            feed,
            limits: self.stream.batch,
            source: source.into(),
            committed: move |committed: &Committed| total.count(committed),
        };
        pump.run(&mut writer).await
    }

    /// Takes the source; waits for the database as long as it takes.
    async fn writer(&self, source: &str, unit: PositionUnit) -> Result<Writer, Error> {
        let mut patience = Backoff::new(PATIENT);
        loop {
            let error = match self.try_writer(source, unit).await {
                Ok(writer) => return Ok(writer),
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Reshaped) => continue,
                Err(Trouble::Server(error)) => error,
            };
            if !judge(&error).passes() {
                return Err(error.into());
            }
            tracing::warn!(stream = %self.stream.name, %error, "the database is away");
            patience.pause().await;
        }
    }

    async fn try_writer(&self, source: &str, unit: PositionUnit) -> Result<Writer, Trouble> {
        let session = self.server.connect("ingest").await?;
        hyperhaul_ledger::ensure(&session).await?;
        let learned = learn(&session, &self.stream).await?;
        let lookups = Lookups::new(&session, learned.decoder.lookups()).await?;
        let taken = claim(&session, source, &self.stream.name, unit).await?;
        let place = Place {
            server: self.server.clone(),
            stream: Arc::clone(&self.stream),
            source: source.into(),
            unit,
        };
        Ok(Writer::new(place, session, taken, learned, lookups))
    }
}
