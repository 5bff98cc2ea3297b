//! The application beside a backfill: sessions that insert rows all the time, and what they were told about them.

use crate::faults::Moved;
use crate::support::rows_seen;
use hyperhaul_testkit::{Client, connect, eventually};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Bounds a failing test; no claim about speed.
pub(super) const LIMIT: Duration = Duration::from_secs(120);
/// Between two transactions of a session: a load that leaves the server time for the migration.
const PAUSE: Duration = Duration::from_millis(4);
/// Rows of every third transaction; the others are single rows in autocommit.
const ROWS_OF_TRANSACTION: u32 = 3;
/// SQLSTATE of the fence.
const FENCED: &str = "ZH001";
/// Servers that go away, by SQLSTATE; none where the connection was lost.
const AWAY: [&str; 4] = ["57P01", "57P02", "57P03", ""];

/// The rows of before: those of [`Writers`] are told by their text.
pub(super) const ROWS_OF_BEFORE: &str = "SELECT id, received_at, aircraft_id, altitude_feet, packet, source \
    FROM public.positions WHERE packet NOT LIKE 'live %'";

/// Where rows of now go, until the table is a hypertable.
pub(super) const PARTITION_OF_NOW: &str =
    "CREATE TABLE positions_rest PARTITION OF positions DEFAULT";

/// Sessions that insert into `positions`, each row with a text of its own: into the days of history, and of now.
pub(super) struct Writers {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<Wrote>>,
}

/// What sessions and the test share.
struct Shared {
    url: String,
    /// Of history.
    days: u32,
    stop: AtomicBool,
    acknowledged: AtomicUsize,
    fenced: AtomicUsize,
}

/// What sessions were told.
#[derive(Debug, Default)]
pub(super) struct Wrote {
    /// Texts of rows whose transaction was committed.
    acknowledged: Vec<String>,
    /// Of rows of which nobody was told: the server went away.
    unknown: Vec<String>,
    /// What else than the fence refused rows.
    failures: Vec<String>,
}

/// How a transaction ended.
enum Ended {
    Committed,
    /// By the fence.
    Refused,
    Unknown,
    Failed(String),
}

impl Writers {
    /// Begins with so many sessions, and waits until each has written.
    pub(super) async fn start(moved: &Moved, sessions: u32, days: u32) -> Writers {
        let shared = Arc::new(Shared {
            url: moved.target().url().to_owned(),
            days,
            stop: AtomicBool::new(false),
            acknowledged: AtomicUsize::new(0),
            fenced: AtomicUsize::new(0),
        });
        let tasks = (0..sessions).map(|number| tokio::spawn(shared.clone().write(number)));
        let writers = Writers {
            tasks: tasks.collect(),
            shared,
        };
        writers.until_more(100).await;
        writers
    }

    /// Waits until so many more rows were acknowledged.
    pub(super) async fn until_more(&self, rows: usize) {
        let acknowledged = || self.shared.acknowledged.load(Ordering::Relaxed);
        let before = acknowledged();
        let more = async || acknowledged() >= before + rows;
        eventually("rows are written", LIMIT, more).await.unwrap();
    }

    /// How often the fence has refused a transaction.
    pub(super) fn fenced(&self) -> usize {
        self.shared.fenced.load(Ordering::Relaxed)
    }

    /// Ends the sessions.
    pub(super) async fn stop(self) -> Wrote {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut all = Wrote::default();
        for task in self.tasks {
            let wrote = task.await.unwrap();
            all.acknowledged.extend(wrote.acknowledged);
            all.unknown.extend(wrote.unknown);
            all.failures.extend(wrote.failures);
        }
        all
    }
}

impl Shared {
    async fn write(self: Arc<Self>, number: u32) -> Wrote {
        let mut wrote = Wrote::default();
        let mut session = None;
        let mut transaction = 0;
        while !self.stop.load(Ordering::Relaxed) {
            tokio::time::sleep(PAUSE).await;
            let client = match session.take() {
                Some(client) => client,
                None => match connect(&self.url).await {
                    Ok(client) => client,
                    Err(_) => continue,
                },
            };
            let rows = self.rows(number, transaction);
            match insert(&client, &rows).await {
                Ended::Refused => {
                    self.fenced.fetch_add(1, Ordering::Relaxed);
                    session = Some(client);
                    continue;
                }
                Ended::Committed => {
                    self.acknowledged.fetch_add(rows.len(), Ordering::Relaxed);
                    wrote.acknowledged.extend(rows.into_keys());
                    session = Some(client);
                }
                Ended::Unknown => wrote.unknown.extend(rows.into_keys()),
                Ended::Failed(why) => wrote.failures.push(why),
            }
            transaction += 1;
        }
        wrote
    }

    /// Texts of a transaction's rows, and their times: every other row is late.
    fn rows(&self, session: u32, transaction: u32) -> HashMap<String, String> {
        let rows = match transaction % 3 {
            0 => ROWS_OF_TRANSACTION,
            _ => 1,
        };
        let row = |row| {
            let at = (session * 7_919 + transaction * 611_953 + row) % (self.days * 86_400);
            let time = match (transaction + row) % 2 {
                0 => format!("timestamptz '2025-12-11 00:00+00' + {at} * interval '1 second'"),
                _ => format!("now() - {} * interval '1 minute'", at % 100),
            };
            (format!("live {session} {transaction} {row}"), time)
        };
        (0..rows).map(row).collect()
    }
}

/// Inserts rows in one transaction: a single one in autocommit.
async fn insert(client: &Client, rows: &HashMap<String, String>) -> Ended {
    let insert = |(text, time): (&String, &String)| {
        format!(
            "INSERT INTO positions (received_at, aircraft_id, packet) VALUES ({time}, 7, '{text}')"
        )
    };
    let mut statements: Vec<String> = rows.iter().map(insert).collect();
    if statements.len() > 1 {
        statements.insert(0, "BEGIN".to_owned());
        statements.push("COMMIT".to_owned());
    }
    for statement in statements {
        if let Err(error) = client.batch_execute(&statement).await {
            let code = error.code().map_or("", |code| code.code()).to_owned();
            let rolled_back = client.batch_execute("ROLLBACK").await;
            return match code.as_str() {
                FENCED => Ended::Refused,
                away if AWAY.contains(&away) || rolled_back.is_err() => Ended::Unknown,
                _ => Ended::Failed(format!("{statement}: {error:?}")),
            };
        }
    }
    Ended::Committed
}

impl Wrote {
    /// The same of sessions that no server has left.
    pub(super) async fn assert_all_there(self, moved: &Moved) {
        assert_eq!(self.unknown, Vec::<String>::new());
        self.assert_kept(moved).await;
    }

    /// The run is done: the hypertable has the rows of before, each acknowledged row once, and none that nobody sent.
    pub(super) async fn assert_kept(mut self, moved: &Moved) {
        assert_eq!(self.failures, Vec::<String>::new());
        moved.assert_moved_beside(ROWS_OF_BEFORE).await;
        let texts =
            "SELECT packet FROM positions WHERE packet LIKE 'live %' ORDER BY packet COLLATE \"C\"";
        let mut found: Vec<String> = moved.target().values(texts).await.unwrap();
        found.retain(|text| {
            let unknown = self.unknown.iter().position(|unknown| unknown == text);
            unknown.map(|at| self.unknown.swap_remove(at)).is_none()
        });
        self.acknowledged.sort();
        assert_eq!(found, self.acknowledged);
        self.assert_counted(moved).await;
    }

    /// `verify` tells how many rows the archive does not have.
    async fn assert_counted(&self, moved: &Moved) {
        let counts = "SELECT (SELECT count(*) FROM positions) - (SELECT count(*) FROM hyperhaul_old_public.positions)";
        let written: i64 = moved.target().value(counts).await.unwrap();
        let verified = moved.call("verify --json").run().await.expect_code(0);
        let since = &verified.json()["tables"][0]["since_cutover"];
        assert_eq!(since["written_rows"], written, "{since}");
        assert_eq!(since["lost_rows"], 0, "{since}");
        assert_eq!(since["superseded_rows"], 0, "{since}");
    }
}

/// Waits until the hypertable has taken the table's place.
pub(super) async fn until_cut_over(moved: &Moved) {
    let hypertable = "SELECT EXISTS (SELECT FROM timescaledb_information.hypertables WHERE hypertable_schema = 'public')";
    moved.until("the hypertable is in place", hypertable).await;
}

/// Panics unless slices are still to come.
pub(super) async fn assert_history_is_coming(moved: &Moved) {
    let coming = "SELECT EXISTS (SELECT FROM hyperhaul.slice WHERE NOT done)";
    assert!(moved.target().value::<bool>(coming).await.unwrap());
    assert_ne!(
        rows_seen(moved.target(), ROWS_OF_BEFORE).await,
        moved.before
    );
}
