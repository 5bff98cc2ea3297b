//! The reading stage: a thread with a session and a runtime of its own, which hands on COPY data batch by
//! batch. What the bytes mean is the work's business.
//!
//! ```text
//!   socket -> CopyBatches (BATCH_BYTES a batch) -> read queue (READ_QUEUE_BATCHES) -> work
//!                                                  full: this thread blocks, reads no more from
//!                                                  the socket, and so pushes back on the server
//! ```

use std::sync::mpsc as std_mpsc;
use std::thread::JoinHandle;

use bytes::Bytes;
use crossbeam_channel as queue;
use hyperhaul_pg::{Canceller, CopyBatches, Server, Session};
use tokio::sync::{mpsc, oneshot};

use crate::error::{Error, Kind, Side};
use crate::limits::{READ_QUEUE_BATCHES, STOP_WAIT};

/// The reading half of a worker: a thread with a session. It serves one read after another, and ends with the first one that
/// fails or is given up (a transaction that its session held is gone then): make a new one.
#[derive(Debug)]
pub struct SourceReader {
    side: Side,
    canceller: Canceller,
    backend_pid: i32,
    /// Closed to end the thread.
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    /// Never sends: disconnected when the thread has ended.
    ended: std_mpsc::Receiver<()>,
}

/// What the reader hands to the work.
#[derive(Debug)]
pub(crate) enum Piece {
    /// The next bytes of the stream.
    Batch(Bytes),
    /// The server ended the stream without an error. Nothing follows.
    End,
    /// The reading failed. Nothing follows.
    Failed(Error),
}

/// One query to read.
#[derive(Debug)]
struct Job {
    sql: String,
    pieces: queue::Sender<Piece>,
    /// Resolves when the other end, [`Reading::_held`], is dropped.
    given_up: oneshot::Receiver<()>,
}

/// A read that is under way. Dropping the hold gives it up, wherever the reader waits.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) pieces: queue::Receiver<Piece>,
    pub(crate) hold: Hold,
}

/// Keeps a read going while it lives.
#[derive(Debug)]
pub(crate) struct Hold {
    _held: oneshot::Sender<()>,
}

/// Why a read did not come to its end.
enum Stop {
    Failed(Error),
    /// Nobody wants the rest.
    GivenUp,
}

impl SourceReader {
    /// Connects to the source and runs `setup_sql` (adopting a snapshot, for example) in the session. Blocks until
    /// that is done: call it from a worker's own thread.
    ///
    /// # Errors
    ///
    /// If no thread can be started, the connection fails or the statement does.
    pub fn start(server: &Server, setup_sql: Option<String>) -> Result<SourceReader, Error> {
        SourceReader::start_on(Side::Source, server, setup_sql)
    }

    /// As [`start`](SourceReader::start); its errors name the given side. For re-reading the target.
    ///
    /// # Errors
    ///
    /// As `start`.
    pub fn start_on(
        side: Side,
        server: &Server,
        setup_sql: Option<String>,
    ) -> Result<SourceReader, Error> {
        let (jobs, job_queue) = mpsc::channel(1);
        let (report, started) = std_mpsc::channel();
        let (alive, ended) = std_mpsc::channel();
        let server = server.clone();
        let thread = std::thread::Builder::new()
            .name("hyperhaul-read".to_owned())
            .spawn(move || {
                run(side, &server, setup_sql.as_deref(), &report, job_queue);
                drop(alive);
            })
            .map_err(|error| Error::stream(Kind::Thread(error.to_string())))?;
        let (canceller, backend_pid) = started
            .recv()
            .map_err(|_| Error::new(side, Kind::ReaderEnded))??;
        Ok(SourceReader {
            side,
            canceller,
            backend_pid,
            jobs: Some(jobs),
            thread: Some(thread),
            ended,
        })
    }

    /// Cancels what the session is running, from outside. The read then fails with the server's error.
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// The process id of the session's backend.
    pub fn backend_pid(&self) -> i32 {
        self.backend_pid
    }

    /// Whether it can serve another read, as far as is known. A session that was lost while idle shows with the next read.
    pub fn is_usable(&self) -> bool {
        self.jobs.as_ref().is_some_and(|jobs| !jobs.is_closed())
    }

    /// Begins to read a query's COPY stream.
    pub(crate) fn read(&self, sql: String) -> Result<Reading, Error> {
        let (sender, pieces) = queue::bounded(READ_QUEUE_BATCHES);
        let (held, given_up) = oneshot::channel();
        let job = Job {
            sql,
            pieces: sender,
            given_up,
        };
        let Some(jobs) = &self.jobs else {
            return Err(Error::new(self.side, Kind::ReaderEnded));
        };
        jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::new(self.side, Kind::ReaderBusy),
            mpsc::error::TrySendError::Closed(_) => Error::new(self.side, Kind::ReaderEnded),
        })?;
        Ok(Reading {
            pieces,
            hold: Hold { _held: held },
        })
    }

    /// The side that this reader's errors name.
    pub(crate) fn side(&self) -> Side {
        self.side
    }
}

impl Drop for SourceReader {
    /// Ends the thread and waits for it, at most [`STOP_WAIT`].
    fn drop(&mut self) {
        self.jobs = None;
        let timeout = Err(std_mpsc::RecvTimeoutError::Timeout);
        if self.ended.recv_timeout(STOP_WAIT) == timeout {
            tracing::warn!("a reading thread did not end in time and is left to itself");
            return;
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a reading thread panicked");
        }
    }
}

/// What `start` waits for.
type Started = std_mpsc::Sender<Result<(Canceller, i32), Error>>;

/// The thread. Its runtime is dropped last, and with it the socket, even where the server is still sending.
fn run(
    side: Side,
    server: &Server,
    setup_sql: Option<&str>,
    report: &Started,
    jobs: mpsc::Receiver<Job>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = report.send(Err(Error::stream(Kind::Thread(error.to_string()))));
            return;
        }
    };
    runtime.block_on(async {
        match open(server, setup_sql).await {
            Ok(session) => {
                let started = Ok((session.canceller(), session.backend_pid()));
                if report.send(started).is_ok() {
                    serve(side, session, jobs).await;
                }
            }
            Err(error) => {
                let _ = report.send(Err(Error::new(side, error)));
            }
        }
    });
}

async fn open(server: &Server, setup_sql: Option<&str>) -> Result<Session, hyperhaul_pg::Error> {
    let session = server.connect_for_bulk("reader").await?;
    if let Some(sql) = setup_sql {
        session.batch(sql).await?;
    }
    Ok(session)
}

/// Serves reads until no more can come or one stops early.
async fn serve(side: Side, session: Session, mut jobs: mpsc::Receiver<Job>) {
    while let Some(mut job) = jobs.recv().await {
        let stop = match read(side, &session, &mut job).await {
            Ok(()) => continue,
            Err(stop) => stop,
        };
        // Closed first: whoever hears of the failure finds the reader unusable.
        jobs.close();
        match stop {
            Stop::Failed(error) => {
                let _ = job.pieces.send(Piece::Failed(error));
            }
            Stop::GivenUp => cancel(&session).await,
        }
        return;
    }
    if tokio::time::timeout(STOP_WAIT / 2, session.close())
        .await
        .is_err()
    {
        tracing::debug!("the goodbye to the server got no answer in time");
    }
}

async fn cancel(session: &Session) {
    match tokio::time::timeout(STOP_WAIT / 2, session.canceller().cancel()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("{error}"),
        Err(_) => tracing::debug!("the request to cancel a read got no answer in time"),
    }
}

async fn read(side: Side, session: &Session, job: &mut Job) -> Result<(), Stop> {
    let failed = |error| Stop::Failed(Error::new(side, error));
    let mut stream = tokio::select! {
        biased;
        stream = session.copy_out_batches(&job.sql) => stream.map_err(failed)?,
        _ = &mut job.given_up => return Err(Stop::GivenUp),
    };
    while let Some(batch) = next(side, &mut stream, &mut job.given_up).await? {
        // Blocks this thread, and with it the socket, while the queue is full.
        hand_over(job, Piece::Batch(batch))?;
    }
    hand_over(job, Piece::End)
}

async fn next(
    side: Side,
    stream: &mut CopyBatches,
    given_up: &mut oneshot::Receiver<()>,
) -> Result<Option<Bytes>, Stop> {
    tokio::select! {
        // What has arrived goes first: the other branch is looked at only when nothing has.
        biased;
        batch = stream.next() => batch.map_err(|error| Stop::Failed(Error::new(side, error))),
        _ = given_up => Err(Stop::GivenUp),
    }
}

fn hand_over(job: &Job, piece: Piece) -> Result<(), Stop> {
    job.pieces.send(piece).map_err(|_| Stop::GivenUp)
}
