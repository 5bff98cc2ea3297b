//! `hyperhaul ingest`: streams side by side, until their sources end or somebody says stop.

mod aprs;
mod files;
mod nats;

use crate::Error;
use crate::claim::claim;
use crate::feed::Feed;
use crate::feed::spooled::SpooledFeed;
use crate::health::Health;
use crate::intake::Intake;
use crate::learn::learn;
use crate::limits::{LAST_WAIT, PATIENT};
use crate::lookup::Lookups;
use crate::meter::{Meter, Meters};
use crate::monitor::Monitor;
use crate::needs;
use crate::pump::{Committed, Pump};
use crate::source::http::{HttpPlace, HttpServer, Route};
use crate::source::mqtt::{MqttPlace, MqttSource};
use crate::spool_folder::{SpoolFolder, SpoolPlace};
use crate::stop::Stop;
use crate::stream::{Origin, Stream};
use crate::trouble::{Trouble, judge};
use crate::write::{Place, Writer, add};
use hyperhaul_ledger::{Outcome, PositionUnit};
use hyperhaul_pg::Server;
use hyperhaul_pg::retry::Backoff;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::JoinSet;

/// What is to be fed, and what streams share.
#[derive(Clone, Debug)]
pub struct Work {
    /// The streams.
    pub streams: Vec<Stream>,
    /// For streams whose source cannot keep its records.
    pub spool: Option<SpoolPlace>,
    /// For streams with source `http`.
    pub http: Option<HttpPlace>,
    /// Where the process is watched: metrics, and whether it can do its work.
    pub metrics: Option<SocketAddr>,
}

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
    /// What the records were, where their decoder tells that.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub kinds: BTreeMap<&'static str, u64>,
}

/// Feeds the tables of all streams; `meters` show what happens meanwhile.
///
/// # Errors
///
/// The first stream's that had to stop; the others are stopped then, too, and what was committed stays.
pub async fn run(
    server: &Server,
    work: Work,
    stop: &Stop,
    meters: &Meters,
) -> Result<Vec<Done>, Error> {
    let intakes = open_spools(&work, meters)?;
    let health = Arc::new(Health::new(server.clone(), &intakes));
    let _monitor = match work.metrics {
        Some(address) => Some(Monitor::start(address, meters.clone(), Arc::clone(&health)).await?),
        None => None,
    };
    let mut running = JoinSet::new();
    if let Some(http) = http(&work, &intakes, health).await? {
        running.spawn(http.run(stop.clone()));
    }
    let mut totals = Vec::new();
    for stream in work.streams {
        let total = Total::new(&stream.name);
        totals.push(total.clone());
        let feeding = Feeding {
            server: server.clone(),
            intake: intakes.get(&stream.name).cloned(),
            meter: meters.of(&stream.name),
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

/// The spools of all streams whose source cannot keep its records.
fn open_spools(work: &Work, meters: &Meters) -> Result<HashMap<String, Intake>, Error> {
    let mut intakes = HashMap::new();
    for stream in work
        .streams
        .iter()
        .filter(|stream| stream.origin.is_spooled())
    {
        let Some(place) = &work.spool else {
            let message = format!(
                "stream {} needs a spool, and none is configured",
                stream.name
            );
            return Err(Error::usage(message).hint(
                "Add [spool] with a path on a local disk: what is acknowledged is kept there.",
            ));
        };
        let folder = SpoolFolder::new(place, &stream.name);
        let intake = Intake::open(&folder, meters.of(&stream.name))?;
        intakes.insert(stream.name.clone(), intake);
    }
    Ok(intakes)
}

/// The server that all streams with source `http` share, if there are any.
async fn http(
    work: &Work,
    intakes: &HashMap<String, Intake>,
    health: Arc<Health>,
) -> Result<Option<HttpServer>, Error> {
    let streams = work.streams.iter();
    let streams = streams.filter(|stream| matches!(stream.origin, Origin::Http {}));
    let routes = streams.filter_map(|stream| {
        let route = Route {
            intake: intakes.get(&stream.name)?.clone(),
            mapping: stream.mapping.clone(),
        };
        Some((stream.name.clone(), route))
    });
    let routes: HashMap<String, Route> = routes.collect();
    if routes.is_empty() {
        return Ok(None);
    }
    let Some(place) = &work.http else {
        return Err(
            Error::usage("streams take records by HTTP, and no address is configured")
                .hint("Add [http] with listen = \"127.0.0.1:8080\" or another address."),
        );
    };
    Ok(Some(HttpServer::bind(place, routes, health).await?))
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
        for (kind, count) in &committed.kinds {
            *done.kinds.entry(kind).or_insert(0) += count;
        }
    }
}

/// One stream at work.
struct Feeding {
    server: Server,
    /// Of a stream whose source cannot keep its records.
    intake: Option<Intake>,
    meter: Meter,
    stream: Arc<Stream>,
    stop: Stop,
    total: Total,
}

impl Feeding {
    async fn run(self) -> Result<(), Error> {
        let fed = match &self.stream.origin {
            Origin::File {
                path,
                follow: false,
            } => self.unless_late(self.file(path)).await,
            Origin::File { path, follow: true } => self.unless_late(self.follow(path)).await,
            Origin::Stdin { resume } => self.unless_late(self.stdin(resume.as_deref())).await,
            Origin::Http {} => self.spooled().await,
            Origin::Mqtt(place) => self.mqtt(place).await,
            Origin::Nats(place) => self.nats(place).await,
            Origin::Aprs(place) => self.aprs(place).await,
        };
        fed.map_err(|error| error.about(format!("stream {}", self.stream.name)))
    }

    async fn mqtt(&self, place: &MqttPlace) -> Result<(), Error> {
        let source = MqttSource::new(place, self.intake()?.clone())?;
        tokio::try_join!(source.run(&self.stop), self.spooled())?;
        Ok(())
    }

    fn intake(&self) -> Result<&Intake, Error> {
        let intake = self.intake.as_ref();
        intake.ok_or_else(|| Error::unexpected("the stream has no spool"))
    }

    /// What the stream's spool holds, until its source has ended and it is empty.
    async fn spooled(&self) -> Result<(), Error> {
        let intake = self.intake()?;
        let mut feed = SpooledFeed::new(intake.clone());
        let pump = async {
            let source = intake.source();
            let mut writer = self.writer(source, PositionUnit::Record).await?;
            feed.begin(writer.position())?;
            let release = |position| intake.release(position);
            self.pump(source, feed, &mut writer, release).await
        };
        self.unless_late(async {
            tokio::select! {
                pumped = pump => pumped,
                error = intake.failed() => Err(error),
            }
        })
        .await
    }

    /// Ends some time after the request to stop, also while the database is away. A transaction under way is given up then: what is
    /// not committed comes again.
    async fn unless_late(
        &self,
        feeding: impl Future<Output = Result<(), Error>>,
    ) -> Result<(), Error> {
        let late = async {
            self.stop.asked().await;
            tokio::time::sleep(LAST_WAIT).await;
        };
        tokio::select! {
            fed = feeding => fed,
            () = late => {
                tracing::warn!(stream = %self.stream.name, "not all that was taken is written; the next process goes on with it");
                Ok(())
            }
        }
    }

    /// From the feed to the tables, until it ends; `dealt_with` is told of positions up to which everything is committed.
    async fn pump<F: Feed + 'static>(
        &self,
        source: &str,
        feed: F,
        writer: &mut Writer,
        dealt_with: impl Fn(u64) + Send,
    ) -> Result<(), Error> {
        let total = self.total.clone();
        let pump = Pump {
            feed,
            limits: self.stream.batch,
            source: source.into(),
            meter: self.meter.clone(),
            committed: move |committed: &Committed| {
                total.count(committed);
                dealt_with(committed.position);
            },
        };
        pump.run(writer).await
    }

    /// Takes the source; waits for the database as long as it takes.
    async fn writer(&self, source: &str, unit: PositionUnit) -> Result<Writer, Error> {
        let mut patience = Backoff::new(PATIENT);
        self.meter.database(false);
        loop {
            match self.try_writer(source, unit).await {
                Ok(writer) => return Ok(writer),
                Err(trouble) => self.wait_out(trouble, &mut patience).await?,
            }
        }
    }

    /// Waits before the database is asked once more; the error, if that would not help.
    async fn wait_out(&self, trouble: Trouble, patience: &mut Backoff) -> Result<(), Error> {
        let Some(error) = trouble.of_server()? else {
            return Ok(());
        };
        if !judge(&error).passes() {
            return Err(error.into());
        }
        if patience.pause_count() == 0 {
            tracing::warn!(stream = %self.stream.name, %error, "the database is away");
        }
        patience.pause().await;
        Ok(())
    }

    async fn try_writer(&self, source: &str, unit: PositionUnit) -> Result<Writer, Trouble> {
        let session = self.server.connect("ingest").await?;
        hyperhaul_ledger::ensure(&session).await?;
        let learned = learn(&session, &self.stream).await?;
        needs::check(&session, &self.stream, &learned.tables).await?;
        let lookups = Lookups::new(&session, learned.decoder.lookups()).await?;
        let taken = claim(&session, source, &self.stream.name, unit).await?;
        self.meter.database(true);
        let place = Place {
            server: self.server.clone(),
            stream: Arc::clone(&self.stream),
            source: source.into(),
            unit,
            meter: self.meter.clone(),
        };
        Ok(Writer::new(place, session, taken, learned, lookups))
    }
}
