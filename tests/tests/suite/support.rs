//! What end-to-end tests share: the program under test as a process, small tables to move, and ways to look at rows that
//! owe nothing to hyperhaul's own. Servers and databases come from `hyperhaul-testkit`.

use hyperhaul_testkit::{ServerUrl, Servers, TestDatabase, eventually};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};

/// Bounds a failing test; no claim about speed.
const LIMIT: Duration = Duration::from_secs(60);

/// A database on the shared target server, with TimescaleDB in it.
pub(crate) async fn target_database(prefix: &str) -> TestDatabase {
    let servers = Servers::shared().unwrap();
    let database = TestDatabase::create(servers.target.url(), prefix)
        .await
        .unwrap();
    database.with_extensions(&["timescaledb"]).await.unwrap()
}

/// A database on the Community edition's server, where there is one; says that the test is skipped where there is none.
pub(crate) async fn community_database(prefix: &str) -> Option<TestDatabase> {
    let url = match hyperhaul_testkit::community_url() {
        Ok(url) => url,
        Err(reason) => {
            hyperhaul_testkit::skip(prefix, &reason);
            return None;
        }
    };
    let database = TestDatabase::create(&url, prefix).await.unwrap();
    Some(database.with_extensions(&["timescaledb"]).await.unwrap())
}

/// A database on the shared plain server.
pub(crate) async fn source_database(prefix: &str) -> TestDatabase {
    let servers = Servers::shared().unwrap();
    TestDatabase::create(servers.source.url(), prefix)
        .await
        .unwrap()
}

/// A call of the program `hyperhaul`, in an environment that names no server.
#[derive(Debug)]
pub(crate) struct Hyperhaul {
    command: Command,
    /// Passwords that were handed over; none may be printed.
    passwords: Vec<String>,
}

impl Hyperhaul {
    /// `arguments` are separated by spaces; what holds spaces itself goes through [`Hyperhaul::arg`].
    pub(crate) fn new(arguments: &str) -> Self {
        let mut command = Command::new(program());
        for (name, _) in std::env::vars() {
            if name.starts_with("PG") || name.starts_with("HYPERHAUL_") || name == "DATABASE_URL" {
                command.env_remove(name);
            }
        }
        command
            .args(arguments.split_whitespace())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        Self {
            command,
            passwords: Vec::new(),
        }
    }

    /// Names the source by its connection string; the target is the same unless it is named.
    pub(crate) fn source(self, url: &str) -> Self {
        self.knowing(url).arg("--source").arg(url)
    }

    /// Names the target by its connection string.
    pub(crate) fn target(self, url: &str) -> Self {
        self.knowing(url).arg("--target").arg(url)
    }

    /// One more argument, taken as it is.
    pub(crate) fn arg(mut self, argument: &str) -> Self {
        self.command.arg(argument);
        self
    }

    /// `--table`, as it is written in SQL.
    pub(crate) fn table(self, table: &str) -> Self {
        self.arg("--table").arg(table)
    }

    /// One variable of the environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// The folder that it runs in.
    pub(crate) fn within(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// What it reads on standard input.
    pub(crate) fn stdin_from(mut self, path: &Path) -> Self {
        self.command.stdin(std::fs::File::open(path).unwrap());
        self
    }

    /// Aborts the program at a named point, `name` or `name:3` for the third time that it is reached.
    pub(crate) fn failpoint(self, name: &str) -> Self {
        self.env("HYPERHAUL_FAILPOINT", name)
    }

    /// Runs it to its end.
    pub(crate) async fn run(self) -> Ended {
        self.spawn().wait().await
    }

    /// Starts it. It is killed where [`Running`] is dropped.
    pub(crate) fn spawn(mut self) -> Running {
        let child = self
            .command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let what = format!(
            "{:?}",
            self.command.as_std().get_args().take(1).collect::<Vec<_>>()
        );
        Running {
            child: child.unwrap(),
            what,
            passwords: self.passwords,
        }
    }

    fn knowing(mut self, url: &str) -> Self {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        if let Some((login, _)) = rest.split_once('@')
            && let Some((user, password)) = login.split_once(':')
            // A password like "postgres" is found in any output.
            && password.len() >= 8
            && password != user
        {
            self.passwords.push(password.to_owned());
        }
        self
    }
}

/// The program, while it runs.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    what: String,
    passwords: Vec<String>,
}

impl Running {
    /// Sends a signal by its name, as `INT` or `KILL`. One that has ended already is left alone.
    pub(crate) fn signal(&self, name: &str) {
        if let Some(id) = self.child.id() {
            let sent = std::process::Command::new("kill")
                .args([format!("-{name}"), id.to_string()])
                .status();
            assert!(sent.unwrap().success(), "kill -{name}");
        }
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    pub(crate) async fn wait(self) -> Ended {
        let output = self.child.wait_with_output().await.unwrap();
        let ended = Ended {
            what: self.what,
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        for password in &self.passwords {
            assert!(
                !ended.stdout.contains(password.as_str()),
                "a password on stdout of {}",
                ended.what
            );
            assert!(
                !ended.stderr.contains(password.as_str()),
                "a password on stderr of {}",
                ended.what
            );
        }
        ended
    }
}

/// What a call left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    what: String,
    status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The exit code; `None` where a signal ended it.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Panics with all that was printed unless the exit code is this.
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(
            self.code(),
            Some(code),
            "{} ended with {}\n{}",
            self.what,
            self.status,
            self.printed()
        );
        self
    }

    /// Panics unless a signal ended it, as a failpoint's abort and SIGKILL do.
    #[track_caller]
    pub(crate) fn expect_killed(self) -> Self {
        assert_eq!(
            self.code(),
            None,
            "{} was to be killed\n{}",
            self.what,
            self.printed()
        );
        self
    }

    /// Panics unless all of these are printed, on stdout or stderr.
    #[track_caller]
    pub(crate) fn expect_printed(self, texts: &[&str]) -> Self {
        let printed = self.printed();
        for text in texts {
            assert!(
                printed.contains(text),
                "{} does not say \"{text}\"\n{printed}",
                self.what
            );
        }
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}\n{}", self.printed()))
    }

    fn printed(&self) -> String {
        format!("--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr)
    }
}

/// The program is built by the same call of cargo as this test, two folders up.
pub(crate) fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("hyperhaul");
    assert!(
        program.is_file(),
        "{} is not built: cargo build --workspace --bins --tests",
        program.display()
    );
    program
}

/// A small table `public.positions` in daily partitions from December 11, 2025 on, with what SOAR's have around them: a primary
/// key, indexes, a serial, a check, and a foreign key to `public.aircraft`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Positions {
    pub(crate) days: u32,
    pub(crate) rows_per_day: u32,
    /// Length of the text in each row.
    pub(crate) packet_bytes: u32,
}

impl Default for Positions {
    fn default() -> Self {
        Self {
            days: 4,
            rows_per_day: 500,
            packet_bytes: 60,
        }
    }
}

impl Positions {
    /// The columns, for comparisons.
    pub(crate) const ROWS: &str =
        "SELECT id, received_at, aircraft_id, altitude_feet, packet, source FROM public.positions";

    /// Makes both tables and fills them.
    pub(crate) async fn create(self, database: &TestDatabase) {
        database.exec(&self.sql()).await.unwrap();
    }

    /// What makes both tables and fills them.
    pub(crate) fn sql(self) -> String {
        let Self {
            days, rows_per_day, ..
        } = self;
        format!(
            "SET timezone = 'UTC';
            CREATE TABLE aircraft (id integer PRIMARY KEY, registration text NOT NULL);
            INSERT INTO aircraft SELECT n, 'D-' || n FROM generate_series(0, 49) AS n;
            CREATE TABLE positions (
                id bigserial,
                received_at timestamptz NOT NULL,
                aircraft_id integer NOT NULL REFERENCES aircraft (id) ON DELETE CASCADE,
                altitude_feet integer,
                packet text NOT NULL,
                source varchar(9) NOT NULL DEFAULT 'ogn',
                PRIMARY KEY (id, received_at),
                CONSTRAINT positions_altitude CHECK (altitude_feet > -2000)
            ) PARTITION BY RANGE (received_at);
            CREATE INDEX positions_aircraft_received_at ON positions (aircraft_id, received_at DESC);
            COMMENT ON TABLE positions IS 'where aircraft were';
            DO $$ BEGIN FOR day IN 0..{days} - 1 LOOP
                EXECUTE format('CREATE TABLE %I PARTITION OF positions FOR VALUES FROM (%L) TO (%L)',
                    'positions_p' || to_char(date '2025-12-11' + day, 'YYYYMMDD'),
                    timestamptz '2025-12-11' + day * interval '1 day', timestamptz '2025-12-12' + day * interval '1 day');
            END LOOP; END $$;
            INSERT INTO positions (received_at, aircraft_id, altitude_feet, packet, source)
            SELECT received_at, aircraft_id, altitude_feet, packet, source FROM ({rows}) AS rows ORDER BY id;",
            rows = self.rows(1, days * rows_per_day)
        )
    }

    /// A query for the rows with these ids, `received_at` and whatever else they have when the table is made.
    pub(crate) fn rows(self, first_id: u32, last_id: u32) -> String {
        let Self {
            rows_per_day,
            packet_bytes,
            ..
        } = self;
        format!(
            "SELECT n + 1 AS id, timestamptz '2025-12-11 00:00+00' + n * interval '1 day' / {rows_per_day} AS received_at,
                n % 50 AS aircraft_id, CASE WHEN n % 7 > 0 THEN n % 9000 END AS altitude_feet,
                rpad(md5(n::text), {packet_bytes}, 'x') AS packet, 'flr' || n % 100 AS source
            FROM generate_series({first_id} - 1, {last_id} - 1) AS n"
        )
    }
}

/// What two equal multisets of rows have in common, whatever their order and wherever they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowsSeen {
    pub(crate) count: i64,
    sum: String,
}

/// Looks at the rows of a query as text: count, and sum of a hash of each.
pub(crate) async fn rows_seen(database: &TestDatabase, query: &str) -> RowsSeen {
    let client = database.connect().await.unwrap();
    client
        .batch_execute("SET timezone = 'UTC'; SET extra_float_digits = 3; SET bytea_output = 'hex'")
        .await
        .unwrap();
    let sql = format!(
        "SELECT count(*), coalesce(sum(('x' || left(md5(row::text), 15))::bit(60)::bigint::numeric), 0)::text FROM ({query}) AS row"
    );
    let row = client
        .query_one(&sql, &[])
        .await
        .unwrap_or_else(|error| panic!("{query}: {error:?}"));
    RowsSeen {
        count: row.get(0),
        sum: row.get(1),
    }
}

/// Panics unless both queries give the same rows, each as often.
pub(crate) async fn assert_equal_rows(
    source: (&TestDatabase, &str),
    target: (&TestDatabase, &str),
) {
    let (source, target) = (
        rows_seen(source.0, source.1).await,
        rows_seen(target.0, target.1).await,
    );
    assert_eq!(source, target);
}

/// Panics if the ledger in this database knows a slice of the newest run that was not done, or done more than once.
pub(crate) async fn assert_each_slice_done_once(database: &TestDatabase) {
    let sql = "SELECT count(*), coalesce(min(times_done), 0), coalesce(max(times_done), 0)
        FROM hyperhaul.slice WHERE run_id = (SELECT max(run_id) FROM hyperhaul.run)";
    let row = database.query_one(sql, &[]).await.unwrap();
    let found: (i64, i32, i32) = (row.get(0), row.get(1), row.get(2));
    assert!(
        found.0 > 0 && (found.1, found.2) == (1, 1),
        "slices, times done least and most often: {found:?}"
    );
}

/// Kills calls before and after the commit of each of so many steps, or of their inverses, and looks that they are marked one
/// by one.
pub(crate) async fn killed_around_every_step(
    database: &TestDatabase,
    steps: i64,
    way: Direction,
    call: impl Fn() -> Hyperhaul,
) {
    for step in 0..steps {
        for (point, over) in [
            ("step.before_commit", step),
            ("step.after_commit", step + 1),
        ] {
            call().failpoint(point).run().await.expect_killed();
            let marked = match way {
                Direction::There => over,
                Direction::Back => steps - over,
            };
            // The killed process's backend may be about to end.
            let sql = format!("SELECT count(*) = {marked} FROM hyperhaul.step");
            let probe = || async { database.value::<bool>(&sql).await.unwrap_or(false) };
            eventually("steps are marked one by one", LIMIT, probe)
                .await
                .unwrap();
        }
    }
}

/// Which way steps are carried out.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Direction {
    /// By `migrate`.
    There,
    /// By `rollback`.
    Back,
}

/// How many steps the only run of this database has.
pub(crate) async fn step_count(database: &TestDatabase) -> i64 {
    let steps = "SELECT jsonb_array_length(plan -> 'steps')::bigint FROM hyperhaul.run";
    database.value(steps).await.unwrap()
}

/// The same connection string for another role.
pub(crate) fn url_with_login(url: &str, user: &str, password: &str) -> String {
    ServerUrl::parse(url)
        .unwrap()
        .with_login(user, password)
        .to_string()
}

/// SOAR's tables with sample data, as they are before the migration, on the shared target server.
pub(crate) async fn soar_database(prefix: &str, fixes: u64) -> TestDatabase {
    let database = target_database(prefix).await;
    load_soar(&database, fixes).await;
    database
}

/// Loads SOAR's sample data into an empty database.
pub(crate) async fn load_soar(database: &TestDatabase, fixes: u64) {
    let server = hyperhaul_pg::Server::parse(database.url()).unwrap();
    let options = hyperhaul_workload::SoarOptions::sized(fixes);
    hyperhaul_workload::load_soar(&server, &options, &|_| {})
        .await
        .unwrap();
}

/// Both of SOAR's large tables, with the one foreign key given up that cannot be.
pub(crate) const SOAR_TABLES: &str =
    "--table public.raw_messages --table public.fixes --accept hypertable_foreign_key";
