//! Live ingest: files into hypertables, each record exactly once, whatever happens meanwhile.

mod aprs_end_to_end;
mod aprs_interrupted;
mod aprs_outages;
mod aprs_packets;
mod aprs_rows;
mod aprs_sink;
mod aprs_stream;
mod aprs_tables;
mod compressed;
mod faults;
mod files;
mod full_disk;
mod halves;
mod http;
pub(crate) mod kills;
mod letters;
mod metrics;
pub(crate) mod migrating;
mod mqtt;
mod mqtt_sessions;
mod nats;
mod rows;
mod spooled;

use crate::support::{Hyperhaul, target_database};
use hyperhaul_testkit::{Instance, Role, TestDatabase, eventually, skip};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The profile's table as a hypertable, with a unique key, in a database of its own; and a folder for files.
struct Pumps {
    database: TestDatabase,
    folder: PathBuf,
}

/// A server of the test's own, which it may kill, and a database there; `None` where it cannot be had.
pub(crate) async fn own_server(test: &str, name: &str) -> Option<(Instance, TestDatabase)> {
    let instance = match Instance::private(name, &[Role::Target]) {
        Ok(instance) => instance,
        Err(error) if error.is_unavailable() => {
            skip(test, &error);
            return None;
        }
        Err(error) => panic!("{error}"),
    };
    let database = TestDatabase::create(instance.url(Role::Target), name);
    let database = database.await.unwrap();
    let database = database.with_extensions(&["timescaledb"]).await.unwrap();
    Some((instance, database))
}

/// `esp_telemetry` as systems that use the profile have it.
const TABLE: &str = "CREATE TABLE esp_telemetry (
        id serial, well_id varchar(50) NOT NULL, timestamp timestamptz NOT NULL DEFAULT now(),
        flow_rate double precision, pip double precision, motor_current double precision, motor_temp double precision,
        vibration double precision, vsd_frequency double precision, flow_variance double precision, torque double precision,
        gor double precision, created_at timestamptz DEFAULT now(),
        PRIMARY KEY (id, timestamp), CONSTRAINT esp_not_idle CHECK (motor_current <> 13));
    CREATE UNIQUE INDEX esp_telemetry_well_timestamp ON esp_telemetry (well_id, timestamp);
    SELECT create_hypertable('esp_telemetry', 'timestamp', chunk_time_interval => interval '1 day')";

impl Pumps {
    async fn new(name: &str) -> Pumps {
        Pumps::on(target_database(name).await).await
    }

    async fn on(database: TestDatabase) -> Pumps {
        Pumps::with(database, TABLE).await
    }

    /// The same as an ordinary table.
    async fn ordinary(name: &str) -> Pumps {
        let (table, _) = TABLE.split_once("SELECT create_hypertable").unwrap();
        Pumps::with(target_database(name).await, table).await
    }

    async fn with(database: TestDatabase, table: &str) -> Pumps {
        database.exec(table).await.unwrap();
        let folder = std::env::temp_dir().join(format!("hyperhaul-{}", database.name()));
        std::fs::create_dir_all(&folder).unwrap();
        Pumps { database, folder }
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A call that feeds a file into the table.
    fn ingest(&self, file: &Path) -> Hyperhaul {
        Hyperhaul::new("ingest --profile esp-telemetry --json")
            .target(self.database.url())
            .table("public.esp_telemetry")
            .arg(file.to_str().unwrap())
    }

    fn call(&self, arguments: &str) -> Hyperhaul {
        Hyperhaul::new(arguments).target(self.database.url())
    }

    async fn count(&self, what: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM {what}");
        self.database.value(&sql).await.unwrap()
    }

    /// Waits until so many rows are there.
    async fn eventually_stored(&self, expected: i64) {
        let what = format!("{expected} rows");
        let stored = async || self.count("esp_telemetry").await == expected;
        let waited = eventually(&what, Duration::from_secs(60), stored).await;
        waited.unwrap();
    }

    /// Every record of every source has one end.
    async fn assert_proved(&self) {
        let receipts = self.call("receipts --json").run().await.expect_code(0);
        assert!(!receipts.json().as_array().unwrap().is_empty());
    }

    /// Each reading is there once, and nothing else.
    async fn assert_readings(&self, wells: u32, times: u32) {
        assert_eq!(self.count("esp_telemetry").await, i64::from(wells * times));
        let distinct = "(SELECT DISTINCT well_id, timestamp FROM esp_telemetry) AS readings";
        assert_eq!(self.count(distinct).await, i64::from(wells * times));
    }
}

impl Drop for Pumps {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A reading of a well as a line, `minute` minutes after the newest midnight but nine.
fn reading(well: u32, minute: u32, more: &str) -> String {
    let (day, hour, minute_of_hour) = (minute / 1440, minute / 60 % 24, minute % 60);
    let time = now_minus_days(9 - day.min(9)) + &format!("T{hour:02}:{minute_of_hour:02}:00Z");
    format!(
        "{{\"well_id\":\"W-{well:04}\",\"timestamp\":\"{time}\",\"flow_rate\":{}.5,\"pip\":1000.25,\"motor_current\":42.5,\
         \"motor_temp\":85,\"vibration\":0.9,\"vsd_frequency\":50,\"torque\":70,\"gor\":500{more}}}",
        1500 + minute % 1000
    )
}

/// The day so many days ago, UTC.
fn now_minus_days(days: u32) -> String {
    let seconds = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
        - u64::from(days) * 86_400;
    let day = i64::try_from(seconds / 86_400).unwrap();
    let (year, month, day) = civil(day);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Howard Hinnant's `civil_from_days`.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Readings of so many wells at so many minutes, minute by minute.
fn readings(wells: u32, times: u32) -> String {
    let mut text = String::new();
    for minute in 0..times {
        for well in 0..wells {
            writeln!(text, "{}", reading(well, minute, "")).unwrap();
        }
    }
    text
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
