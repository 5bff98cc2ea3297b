//! The rows as files, in a folder that goes away with the bench.

use anyhow::{Context, Result};
use hyperhaul_pg::Session;
use hyperhaul_workload::{EspFormat, EspOptions};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use super::Way;
use crate::client;

/// Every so many lines one comes again.
const DUPLICATE_EVERY: u64 = 100;
/// Every so many lines one is malformed.
const MALFORMED_EVERY: u64 = 10;

/// As the profile's systems have it, with the key that tells duplicates.
const TABLE: &str = "DROP TABLE IF EXISTS public.esp_telemetry;
    CREATE TABLE public.esp_telemetry (
        id serial, well_id varchar(50) NOT NULL, timestamp timestamptz NOT NULL DEFAULT now(),
        flow_rate double precision, pip double precision, motor_current double precision, motor_temp double precision,
        vibration double precision, vsd_frequency double precision, flow_variance double precision, torque double precision,
        gor double precision, created_at timestamptz DEFAULT now());
    CREATE UNIQUE INDEX esp_telemetry_well_timestamp ON public.esp_telemetry (well_id, timestamp);
    SELECT public.create_hypertable('public.esp_telemetry', 'timestamp', chunk_time_interval => interval '1 day');
    DROP SCHEMA IF EXISTS hyperhaul CASCADE;
    CHECKPOINT";

/// Columns of the files.
pub(super) const COLUMNS: &str = "well_id, timestamp, flow_rate, pip, motor_current, motor_temp, vibration, vsd_frequency, \
    flow_variance, torque, gor";

/// The bench's folder, which goes away with it.
pub(super) struct Folder(PathBuf);

pub(super) struct Sample {
    pub(super) rows: u64,
    pub(super) options: EspOptions,
    pub(super) ndjson: PathBuf,
    pub(super) csv: PathBuf,
    pub(super) duplicates: PathBuf,
    pub(super) malformed: PathBuf,
    pub(super) binary: PathBuf,
}

impl Folder {
    pub(super) fn make() -> Result<Folder> {
        let folder = std::env::temp_dir().join(format!("hyperhaul-bench-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        Ok(Folder(folder))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("could not remove {}: {error}", self.0.display());
        }
    }
}

impl Sample {
    pub(super) fn write(folder: &Path, rows: u64) -> Result<Sample> {
        let wells = 2_000;
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let minutes = rows / u64::from(wells);
        let sample = Sample {
            rows,
            options: EspOptions {
                seed: 1,
                wells,
                readings: rows,
                begin_s: i64::try_from((now_s / 60 - minutes) * 60)?,
            },
            ndjson: folder.join("readings.ndjson"),
            csv: folder.join("readings.csv"),
            duplicates: folder.join("duplicates.ndjson"),
            malformed: folder.join("malformed.ndjson"),
            binary: folder.join("readings.binary"),
        };
        sample.file(&sample.ndjson, EspFormat::Ndjson, |_, line| line.to_owned())?;
        sample.file(&sample.csv, EspFormat::Csv, |_, line| line.to_owned())?;
        sample.file(&sample.duplicates, EspFormat::Ndjson, |at, line| {
            match at % DUPLICATE_EVERY {
                0 => line.repeat(2),
                _ => line.to_owned(),
            }
        })?;
        sample.file(&sample.malformed, EspFormat::Ndjson, |at, line| {
            match at % MALFORMED_EVERY {
                0 => line.replace("\"pip\":", "\"pip\":\"?\",\"p\":"),
                _ => line.to_owned(),
            }
        })?;
        Ok(sample)
    }

    fn file(
        &self,
        path: &Path,
        format: EspFormat,
        change: impl Fn(u64, &str) -> String,
    ) -> Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(format.header().as_bytes())?;
        let mut line = String::new();
        for at in 0..self.rows {
            line.clear();
            self.options.write(at, format, &mut line);
            file.write_all(change(at, &line).as_bytes())?;
        }
        Ok(file
            .into_inner()
            .context("could not write the sample")?
            .sync_all()?)
    }

    /// The rows as the server itself writes them.
    pub(super) async fn make_binary(&self, session: &Session, url: &str) -> Result<()> {
        empty_table(session).await?;
        client::run(&mut self.psql(url, &self.csv, "csv, header"))?;
        let mut command = Command::new("psql");
        let copy = format!(
            "\\copy (SELECT {COLUMNS} FROM public.esp_telemetry ORDER BY timestamp, well_id) TO '{}' (FORMAT binary)",
            self.binary.display()
        );
        client::run(command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", &copy, url]))?;
        Ok(())
    }

    /// psql, copying a file into the table.
    pub(super) fn psql(&self, url: &str, file: &Path, format: &str) -> Command {
        let copy = format!(
            "\\copy public.esp_telemetry ({COLUMNS}) FROM '{}' (FORMAT {format})",
            file.display()
        );
        let mut command = Command::new("psql");
        command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", &copy, url]);
        command
    }

    /// Lines of the file that a way reads.
    pub(super) fn lines_of(&self, way: Way) -> u64 {
        match way {
            Way::NdjsonDuplicates => self.rows + self.rows.div_ceil(DUPLICATE_EVERY),
            _ => self.rows,
        }
    }

    /// Rows that a way leaves in the table.
    pub(super) fn rows_of(&self, way: Way) -> u64 {
        match way {
            Way::NdjsonMalformed => self.rows - self.rows.div_ceil(MALFORMED_EVERY),
            _ => self.rows,
        }
    }
}

/// The table and the ledger as if nothing had been written.
pub(super) async fn empty_table(session: &Session) -> Result<()> {
    for statement in TABLE.split(";\n") {
        session.batch(statement).await?;
    }
    Ok(())
}
