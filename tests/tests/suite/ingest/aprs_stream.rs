//! Packets of APRS-IS through the program into raw messages and fixes; for the tests beside it.

use super::aprs_sink::feed_of;
use crate::support::{Hyperhaul, Running, target_database};
use hyperhaul_spool::{Limits, Parcel, RealDisk, Spool};
use hyperhaul_testkit::{TestDatabase, eventually};
use hyperhaul_workload::SoarPacket;
use hyperhaul_workload::aprs_feed::{Feed, FeedOptions};
use std::path::PathBuf;
use std::time::Duration;

/// SOAR's tables as far as packets have columns for them, as hypertables; nobody is known yet.
const TABLES: &str = "
    CREATE TYPE message_source AS ENUM ('ogn', 'beast', 'sbs');
    CREATE TABLE receivers (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), callsign text NOT NULL UNIQUE);
    CREATE TABLE aircraft (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), address integer NOT NULL, address_type text NOT NULL,
        aircraft_type_ogn text NOT NULL, UNIQUE (address_type, address));
    CREATE TABLE raw_messages (id uuid NOT NULL DEFAULT gen_random_uuid(), received_at timestamptz NOT NULL,
        receiver_id uuid NOT NULL REFERENCES receivers, unparsed text, raw_message_hash bytea NOT NULL, raw_message bytea NOT NULL,
        source message_source NOT NULL DEFAULT 'ogn', PRIMARY KEY (id, received_at));
    CREATE TABLE fixes (id uuid NOT NULL DEFAULT gen_random_uuid(), source varchar(9) NOT NULL, aprs_type varchar(9) NOT NULL,
        via text[] NOT NULL, timestamp timestamptz NOT NULL, latitude double precision NOT NULL, longitude double precision NOT NULL,
        altitude_msl_feet integer, flight_number varchar(20), squawk varchar(4), ground_speed_knots real, track_degrees real,
        climb_fpm integer, turn_rate_rot real, aircraft_id uuid NOT NULL REFERENCES aircraft, received_at timestamptz NOT NULL,
        is_active boolean NOT NULL DEFAULT true, receiver_id uuid NOT NULL REFERENCES receivers, raw_message_id uuid NOT NULL,
        source_metadata jsonb, PRIMARY KEY (id, received_at));
    SELECT create_hypertable('raw_messages', 'received_at', chunk_time_interval => interval '1 day');
    SELECT create_hypertable('fixes', 'received_at', chunk_time_interval => interval '1 day');
    CREATE INDEX ON fixes (aircraft_id, received_at DESC)";

/// A stream `ogn` from a feed into tables of its own.
pub(super) struct Ogn {
    pub(super) database: TestDatabase,
    pub(super) feed: Feed,
    folder: PathBuf,
}

impl Ogn {
    pub(super) async fn new(name: &str) -> Ogn {
        Ogn::playing(name, FeedOptions::default(), Vec::new()).await
    }

    pub(super) async fn playing(name: &str, options: FeedOptions, packets: Vec<SoarPacket>) -> Ogn {
        let database = target_database(name).await;
        database.exec(TABLES).await.unwrap();
        let folder = std::env::temp_dir().join(format!("hyperhaul-{}", database.name()));
        std::fs::create_dir_all(&folder).unwrap();
        let ogn = Ogn {
            feed: feed_of(options, packets).await,
            database,
            folder,
        };
        ogn.declare("", "");
        ogn
    }

    /// Writes the configuration: more lines of the sections `spool` and `stream.source`.
    pub(super) fn declare(&self, spool: &str, source: &str) {
        let config = format!(
            "target = \"{}\"\n[spool]\npath = \"{}\"\n{spool}\n\
             [[stream]]\nname = \"ogn\"\nprofile = \"fixes\"\n\
             [stream.source]\nkind = \"aprs\"\nservers = [\"{}\"]\ncall_sign = \"N0CALL\"\npause_max = \"50 ms\"\n{source}\n",
            self.database.url(),
            self.folder.join("spool").display(),
            self.feed.address(),
        );
        std::fs::write(self.config(), config).unwrap();
    }

    /// The same stream from a file with these lines.
    pub(super) fn declare_file(&self, lines: &[u8]) {
        let path = self.folder.join("packets");
        std::fs::write(&path, lines).unwrap();
        let config = format!(
            "target = \"{}\"\n[[stream]]\nname = \"ogn\"\nprofile = \"fixes\"\nsource = {{ kind = \"file\", path = \"{}\" }}\n",
            self.database.url(),
            path.display()
        );
        std::fs::write(self.config(), config).unwrap();
    }

    fn config(&self) -> PathBuf {
        self.folder.join("ingest.toml")
    }

    pub(super) fn call(&self) -> Hyperhaul {
        Hyperhaul::new("ingest --json --config").arg(self.config().to_str().unwrap())
    }

    pub(super) fn ask(&self, arguments: &str) -> Hyperhaul {
        Hyperhaul::new(arguments).target(self.database.url())
    }

    /// Starts it and waits until the feed has it in, for the `login`th time.
    pub(super) async fn start(&self, login: u64) -> Running {
        let running = self.call().spawn();
        self.logged_in(login).await;
        running
    }

    pub(super) async fn logged_in(&self, login: u64) {
        super::aprs_sink::logged_in(&self.feed, login).await;
    }

    /// From now on each reception of a fix is one.
    pub(super) fn remember_nothing(&self) {
        let config = std::fs::read_to_string(self.config()).unwrap();
        std::fs::write(
            self.config(),
            config + "[stream.aprs]\nremembered_fixes_max = 0\n",
        )
        .unwrap();
    }

    /// Tries all dead letters again.
    pub(super) async fn retry(&self, code: i32) {
        let config = self.config();
        let call = Hyperhaul::new("dlq retry --config").arg(config.to_str().unwrap());
        call.run().await.expect_code(code);
    }

    /// Ends it in good order; what it printed.
    pub(super) async fn stop(&self, running: Running) -> serde_json::Value {
        running.signal("INT");
        running.wait().await.expect_code(0).json()
    }

    /// The spool's folder of the stream.
    fn spool(&self) -> PathBuf {
        self.folder.join("spool/ogn")
    }

    /// Waits until a packet is in the spool.
    pub(super) async fn until_spooled(&self, packet: &[u8]) {
        let is_there = async || {
            let files = std::fs::read_dir(self.spool()).into_iter().flatten();
            let contents = files.filter_map(|file| std::fs::read(file.ok()?.path()).ok());
            contents
                .into_iter()
                .any(|bytes| bytes.windows(packet.len()).any(|part| part == packet))
        };
        eventually("it is stored", Duration::from_secs(20), is_there)
            .await
            .unwrap();
    }

    /// Puts packets into the spool, each with its time of reception (microseconds since 1970), as a process leaves it that was killed
    /// when it had stored them.
    pub(super) fn store(&self, packets: &[(i64, &[u8])]) {
        let limits = Limits {
            bytes_max: 64 << 20,
            segment_bytes: 4 << 20,
        };
        let (mut spool, _) = Spool::open(RealDisk::open(self.spool()).unwrap(), limits).unwrap();
        // Version, time, no attributes, the packet.
        let record = |(received_at_us, packet): &(i64, &[u8])| {
            [&[1][..], &received_at_us.to_le_bytes(), &[0], packet].concat()
        };
        let parcel: Parcel = packets.iter().map(record).collect();
        spool.append(&[parcel]).unwrap();
        spool.sync().unwrap();
    }

    pub(super) async fn count(&self, what: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM {what}");
        self.database.value(&sql).await.unwrap()
    }

    /// Waits until there are so many.
    pub(super) async fn until(&self, what: &str, expected: i64) {
        let so = async || self.count(what).await >= expected;
        let waited = eventually(what, Duration::from_secs(60), so).await;
        waited.unwrap();
        assert_eq!(self.count(what).await, expected, "{what}");
    }

    /// Reasons of the gaps, in their order.
    pub(super) async fn gaps(&self) -> Vec<String> {
        let sql = "SELECT reason FROM hyperhaul.ingest_gap ORDER BY source_id, position";
        self.database.values(sql).await.unwrap()
    }

    /// A sum over all receipts.
    pub(super) async fn sum(&self, column: &str) -> i64 {
        let sql = format!("SELECT sum({column})::bigint FROM hyperhaul.ingest_receipt");
        self.database.value(&sql).await.unwrap()
    }

    /// Every packet that was stored has one end, and every row belongs to one packet.
    pub(super) async fn assert_proved(&self) {
        let receipts = self.ask("receipts --json").run().await.expect_code(0);
        assert!(!receipts.json().as_array().unwrap().is_empty());
        let lost = "fixes WHERE NOT EXISTS (SELECT FROM raw_messages AS raw \
            WHERE raw.id = raw_message_id AND raw.received_at = fixes.received_at)";
        assert_eq!(self.count(lost).await, 0, "fixes without their raw message");
    }
}

impl Drop for Ogn {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A packet of an aircraft with a time of day, heard by a station.
pub(super) fn fix(address: u32, time: &str, receiver: &str) -> Vec<u8> {
    format!(
        "FLR{address:06X}>OGFLR,qAS,{receiver}:/{time}5111.32N/00102.04W'086/007/A=000607 id06{address:06X} -019fpm"
    )
    .into_bytes()
}

/// The time of day of microseconds since 1970, as packets tell it.
pub(super) fn time_of_day(us: i64) -> String {
    let second = us.div_euclid(1_000_000).rem_euclid(86_400);
    format!(
        "{:02}{:02}{:02}h",
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

pub(super) fn now_us() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    i64::try_from(since.as_micros()).unwrap()
}
