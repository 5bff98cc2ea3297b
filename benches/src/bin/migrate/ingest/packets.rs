//! APRS packets into raw messages and fixes, both hypertables: from a file, and from a feed over TCP through the spool.

use anyhow::{Context, Result, ensure};
use hyperhaul_pg::Session;
use hyperhaul_workload::aprs_feed::{Feed, FeedOptions, Pace};
use hyperhaul_workload::{Soar, SoarOptions, SoarPacket, SoarTable};
use serde::Serialize;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::client;
use crate::report::{mib, verdict};

const SCHEMA: &str = include_str!("../../../../../fixtures/soar/schema.sql");
const INDEXES: &str = include_str!("../../../../../fixtures/soar/indexes.sql");

/// Packets a second that the project means to reach, at least.
const TARGET: f64 = 20_000.0;
/// A packet becomes two rows of many columns and indexes: so many times fewer of them take as long as readings.
const ROWS_PER_PACKET: u64 = 4;
/// More than any client takes: the spool decides.
const FULL_SPEED: f64 = 1e6;
/// What a feed may have sent before a client reads it; all of a bench's packets.
const UNREAD_BYTES: usize = 1 << 30;
const LOOK: Duration = Duration::from_millis(20);
/// Nobody waits longer for a bench that has gone wrong.
const WAIT_MAX: Duration = Duration::from_secs(600);

/// A way for packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    FileKeys,
    FileAllIndexes,
    FeedKeys,
}

const WAYS: [Way; 3] = [Way::FileKeys, Way::FileAllIndexes, Way::FeedKeys];

impl Way {
    fn title(self) -> &'static str {
        match self {
            Way::FileKeys => "packets from a file, keys and times indexed",
            Way::FileAllIndexes => "packets from a file, SOAR's indexes with PostGIS",
            Way::FeedKeys => "packets by TCP and spool, keys and times indexed",
        }
    }

    /// The sections of SOAR's indexes that are built, by their names.
    fn sections(self) -> &'static [&'static str] {
        match self {
            Way::FileKeys | Way::FeedKeys => &["tables"],
            Way::FileAllIndexes => &[
                "tables",
                "fixes",
                "raw_messages",
                "fixes spatial",
                "foreign keys",
            ],
        }
    }
}

/// What a way took in one round.
#[derive(Debug, Serialize)]
pub(super) struct Written {
    way: Way,
    packets: u64,
    seconds: f64,
    cpu_seconds: f64,
    memory_peak_bytes: u64,
}

/// Where it takes place.
pub(super) struct Bench<'a> {
    pub(super) session: &'a Session,
    pub(super) hyperhaul: &'a Path,
    pub(super) folder: &'a Path,
    pub(super) url: &'a str,
}

impl Bench<'_> {
    pub(super) async fn measure(&self, rows: u64, rounds: u32) -> Result<Vec<Written>> {
        // Some four packets of seven are fixes.
        let fixes = rows / ROWS_PER_PACKET * 4 / 7;
        let soar = Soar::new(&SoarOptions::sized(fixes.max(1)))?;
        let file = self.folder.join("packets");
        let count = write_packets(&soar, &file)?;
        let mut written = Vec::new();
        for round in 1..=rounds {
            for way in WAYS {
                self.empty_tables(way).await?;
                let one = match way {
                    Way::FileKeys | Way::FileAllIndexes => self.feed_file(way, &file, count)?,
                    Way::FeedKeys => self.listen_to_feed(way, &soar, count).await?,
                };
                self.check(count, fixes).await?;
                let rate = count as f64 / one.seconds;
                eprintln!(
                    "round {round}/{rounds}: {} ... {rate:.0} packets/s",
                    way.title()
                );
                written.push(one);
            }
        }
        Ok(written)
    }

    /// SOAR's tables as hypertables; nobody is known yet.
    async fn empty_tables(&self, way: Way) -> Result<()> {
        // A hypertable is dropped by itself.
        for drop in [
            "SET search_path = public",
            "DROP TABLE IF EXISTS receiver_statuses, flights CASCADE",
            "DROP TABLE IF EXISTS fixes CASCADE",
            "DROP TABLE IF EXISTS raw_messages CASCADE",
            "DROP TABLE IF EXISTS aircraft, receivers CASCADE",
            "DROP TYPE IF EXISTS message_source CASCADE",
            "DROP SCHEMA IF EXISTS hyperhaul, partman CASCADE",
        ] {
            self.session.batch(drop).await?;
        }
        self.session.batch(SCHEMA).await?;
        for table in ["raw_messages", "fixes"] {
            let convert = format!(
                "CREATE TABLE of_bench (LIKE {table} INCLUDING ALL); DROP TABLE {table} CASCADE; ALTER TABLE of_bench RENAME TO {table}; \
                 SELECT create_hypertable('{table}', 'received_at', chunk_time_interval => interval '1 day')"
            );
            self.session.batch(&convert).await?;
        }
        for section in INDEXES.split("-- section: ").skip(1) {
            let (name, statements) = section.split_once('\n').unwrap_or_default();
            if way.sections().contains(&name.trim()) {
                self.session.batch(statements).await?;
            }
        }
        self.session.batch("CHECKPOINT").await?;
        Ok(())
    }

    fn declare(&self, source: &str) -> Result<PathBuf> {
        let config = self.folder.join("packets.toml");
        let spool = self.folder.join("packets-spool");
        if spool.exists() {
            fs::remove_dir_all(&spool)?;
        }
        // Recorded times of day are of now, before or after.
        let text = format!(
            "target = \"{}\"\n[spool]\npath = \"{}\"\n[[stream]]\nname = \"ogn\"\nprofile = \"fixes\"\n\
             [stream.aprs]\nfuture_max = \"12 hours\"\n[stream.source]\n{source}\n",
            self.url,
            spool.display()
        );
        fs::write(&config, text)?;
        Ok(config)
    }

    fn feed_file(&self, way: Way, file: &Path, packets: u64) -> Result<Written> {
        let config = self.declare(&format!("kind = \"file\"\npath = \"{}\"", file.display()))?;
        let finished = client::run(
            Command::new(self.hyperhaul)
                .args(["ingest", "--config"])
                .arg(&config),
        )?;
        Ok(Written {
            way,
            packets,
            seconds: finished.seconds,
            cpu_seconds: finished.cpu_seconds,
            memory_peak_bytes: finished.memory_peak_bytes,
        })
    }

    /// From the first packet said to the last one committed.
    async fn listen_to_feed(&self, way: Way, soar: &Soar, packets: u64) -> Result<Written> {
        let options = FeedOptions {
            pace: Pace::PerSecond(FULL_SPEED),
            client_bytes_max: UNREAD_BYTES,
            ..FeedOptions::default()
        };
        let all: Vec<SoarPacket> = packets_of(soar).collect();
        let feed = Feed::start("127.0.0.1:0".parse()?, options, all.into_iter()).await?;
        let config = self.declare(&format!(
            "kind = \"aprs\"\nservers = [\"{}\"]\ncall_sign = \"N0CALL\"",
            feed.address()
        ))?;
        let cpu_before = client::children_cpu_seconds()?;
        let mut child = Command::new(self.hyperhaul)
            .args(["ingest", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("could not run hyperhaul")?;
        let status = format!("/proc/{}/status", child.id());
        tokio::time::timeout(WAIT_MAX, feed.logged_in(1)).await?;
        let begun = Instant::now();
        let waited = self.until_settled(packets, begun).await;
        let seconds = begun.elapsed().as_secs_f64();
        let memory_peak_bytes = client::memory_peak_bytes(&status).unwrap_or_default();
        stop(&mut child)?;
        waited?;
        Ok(Written {
            way,
            packets,
            seconds,
            cpu_seconds: client::children_cpu_seconds()? - cpu_before,
            memory_peak_bytes,
        })
    }

    async fn until_settled(&self, packets: u64, begun: Instant) -> Result<()> {
        let sql = "SELECT CASE WHEN to_regclass('hyperhaul.ingest_receipt') IS NULL THEN 0 \
            ELSE (xpath('/row/sum/text()', query_to_xml('SELECT coalesce(sum(record_count), 0) AS sum FROM hyperhaul.ingest_receipt', \
                false, true, '')))[1]::text::bigint END";
        loop {
            let settled: i64 = self.session.query_one(sql, &[]).await?.get(0);
            if settled.unsigned_abs() >= packets {
                return Ok(());
            }
            ensure!(begun.elapsed() < WAIT_MAX, "{settled} packets of {packets}");
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn check(&self, packets: u64, fixes: u64) -> Result<()> {
        let sql = "SELECT (SELECT count(*) FROM raw_messages), (SELECT count(*) FROM fixes)";
        let row = self.session.query_one(sql, &[]).await?;
        let (raw, stored): (i64, i64) = (row.get(0), row.get(1));
        // Of a week within a day, an aircraft may be at a place at the same time of two days.
        let is_whole = raw.unsigned_abs() == packets && stored.unsigned_abs() * 10 > fixes * 9;
        ensure!(
            is_whole,
            "{raw} raw messages of {packets}, {stored} fixes of {fixes}"
        );
        Ok(())
    }
}

fn stop(child: &mut Child) -> Result<()> {
    let id = child.id().to_string();
    Command::new("kill").args(["-INT", &id]).status()?;
    ensure!(child.wait()?.success(), "hyperhaul ingest failed");
    Ok(())
}

fn packets_of(soar: &Soar) -> impl Iterator<Item = SoarPacket> + '_ {
    (0..soar.block_count(SoarTable::RawMessages)).flat_map(|block| soar.packets(block))
}

/// One a line; how many.
fn write_packets(soar: &Soar, path: &Path) -> Result<u64> {
    let mut file = BufWriter::new(File::create(path)?);
    let mut count = 0;
    for packet in packets_of(soar) {
        file.write_all(&packet.bytes)?;
        file.write_all(b"\n")?;
        count += 1;
    }
    file.flush()?;
    Ok(count)
}

pub(super) fn print(written: &[Written]) {
    println!(
        "\n{:<52}  {:>9}  {:>5}  {:>8}",
        "way of packets", "packets/s", "CPU s", "peak MiB"
    );
    for way in WAYS {
        let own: Vec<&Written> = written.iter().filter(|one| one.way == way).collect();
        let of = |value: fn(&Written) -> f64| {
            super::median(own.iter().map(|one| value(one)).collect()).unwrap_or(f64::NAN)
        };
        let rate = of(|one| one.packets as f64 / one.seconds);
        println!(
            "{:<52}  {rate:>9.0}  {:>5.1}  {:>8.1}  at least {TARGET:.0}: {}",
            way.title(),
            of(|one| one.cpu_seconds),
            of(|one| mib(one.memory_peak_bytes)),
            verdict(rate >= TARGET)
        );
    }
}
