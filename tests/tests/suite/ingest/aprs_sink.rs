//! A sink that keeps what a source of packets hands over, and the source with its feed; for the tests beside it.

use hyperhaul_ingest::source::aprs::{
    AprsCounts, AprsEnd, AprsLimits, AprsSource, Gap, Login, Packet, PacketSink,
};
use hyperhaul_workload::SoarPacket;
use hyperhaul_workload::aprs_feed::{Feed, FeedOptions};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// How long a test waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was handed over, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Packet(Packet),
    Gap(Gap),
}

/// Why the sink stores nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// Keeps everything in memory; can be stalled, and broken.
pub(super) struct Kept {
    events: Mutex<Vec<Event>>,
    count: watch::Sender<usize>,
    stalled: watch::Sender<bool>,
    is_broken: bool,
}

impl Kept {
    pub(super) fn new(is_broken: bool) -> Arc<Self> {
        Arc::new(Self {
            events: Mutex::default(),
            count: watch::Sender::new(0),
            stalled: watch::Sender::new(false),
            is_broken,
        })
    }

    pub(super) fn stall(&self, is_stalled: bool) {
        self.stalled.send_replace(is_stalled);
    }

    pub(super) fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    /// The packets as text.
    pub(super) fn packets(&self) -> Vec<String> {
        let packet = |event| match event {
            Event::Packet(packet) => Some(String::from_utf8_lossy(&packet.bytes).into_owned()),
            Event::Gap(_) => None,
        };
        self.events().into_iter().filter_map(packet).collect()
    }

    pub(super) fn gaps(&self) -> Vec<Gap> {
        let gap = |event| match event {
            Event::Gap(gap) => Some(gap),
            Event::Packet(_) => None,
        };
        self.events().into_iter().filter_map(gap).collect()
    }

    /// Waits until so many events were handed over.
    pub(super) async fn has(&self, count: usize) {
        let mut seen = self.count.subscribe();
        tokio::time::timeout(PATIENCE, seen.wait_for(|seen| *seen >= count))
            .await
            .unwrap_or_else(|_| panic!("{count} events do not come: {:?}", self.events()))
            .unwrap();
    }

    fn keep(&self, events: impl Iterator<Item = Event>) {
        let mut kept = self.events.lock().unwrap();
        kept.extend(events);
        self.count.send_replace(kept.len());
    }

    async fn ready(&self) -> Result<(), Broken> {
        self.stalled
            .subscribe()
            .wait_for(|stalled| !stalled)
            .await
            .unwrap();
        if self.is_broken { Err(Broken) } else { Ok(()) }
    }
}

impl PacketSink for Kept {
    type Error = Broken;

    async fn take(&self, packets: Vec<Packet>) -> Result<(), Broken> {
        assert!(!packets.is_empty());
        self.ready().await?;
        self.keep(packets.into_iter().map(Event::Packet));
        Ok(())
    }

    async fn gap(&self, gap: Gap) -> Result<(), Broken> {
        self.ready().await?;
        self.keep(std::iter::once(Event::Gap(gap)));
        Ok(())
    }
}

/// A feed that says only what it is told to.
pub(super) async fn feed(options: FeedOptions) -> Feed {
    feed_of(options, Vec::new()).await
}

pub(super) async fn feed_of(options: FeedOptions, packets: Vec<SoarPacket>) -> Feed {
    let any = "127.0.0.1:0".parse().unwrap();
    Feed::start(any, options, packets.into_iter())
        .await
        .unwrap()
}

/// A source that tries again at once.
pub(super) fn source(servers: &[&Feed]) -> AprsSource {
    AprsSource {
        servers: servers
            .iter()
            .map(|feed| feed.address().to_string())
            .collect(),
        login: Login {
            call_sign: "N0CALL".to_owned(),
            passcode: None,
            filter: None,
        },
        takes_server_lines: false,
        stored_until_us: None,
        limits: AprsLimits {
            pause_first: Duration::from_millis(10),
            pause_max: Duration::from_millis(50),
            ..AprsLimits::default()
        },
        counts: Arc::new(AprsCounts::default()),
    }
}

/// A source at work.
pub(super) struct Running {
    pub(super) kept: Arc<Kept>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), AprsEnd<Broken>>>,
}

impl Running {
    pub(super) fn start(source: AprsSource) -> Self {
        Self::into_sink(source, Kept::new(false))
    }

    pub(super) fn into_sink(source: AprsSource, kept: Arc<Kept>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let sink = Arc::clone(&kept);
        let task = tokio::spawn(async move {
            let stopped = async { stopped.await.unwrap_or(()) };
            source.run(sink, stopped).await
        });
        Self { kept, stop, task }
    }

    /// Waits until the source has ended by itself.
    pub(super) async fn ended(self) -> Result<(), AprsEnd<Broken>> {
        tokio::time::timeout(PATIENCE, self.task)
            .await
            .expect("the source ends")
            .unwrap()
    }

    /// Ends the source and returns what it handed over.
    pub(super) async fn stop(self) -> Arc<Kept> {
        let _ = self.stop.send(());
        let ended = tokio::time::timeout(PATIENCE, self.task).await;
        ended.expect("the source stops").unwrap().unwrap();
        self.kept
    }
}

/// Waits for a login; the feed counts all since its start.
pub(super) async fn logged_in(feed: &Feed, count: u64) {
    tokio::time::timeout(PATIENCE, feed.logged_in(count))
        .await
        .unwrap_or_else(|_| panic!("login {count} does not come"));
}

/// Waits until something is so.
pub(super) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !is_so() {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{what} does not happen"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
