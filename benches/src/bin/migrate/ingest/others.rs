//! The ways that applications use: INSERT in its forms. One session, values made beforehand.

use anyhow::Result;
use hyperhaul_pg::{Session, ToSql};
use hyperhaul_workload::EspFormat;
use std::time::Instant;

use super::Way;
use super::sample::{COLUMNS, Sample};

/// Rows of a statement with arrays.
const UNNEST_ROWS: usize = 10_000;
/// Rows of a statement with VALUES.
const VALUES_ROWS: usize = 1_000;

/// Seconds that writing the first `rows` rows takes.
pub(super) async fn write(way: Way, session: &Session, sample: &Sample, rows: u64) -> Result<f64> {
    let mut text = String::new();
    for at in 0..rows {
        sample.options.write(at, EspFormat::Csv, &mut text);
    }
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    match way {
        Way::Unnest => unnest(session, &rows).await,
        Way::MultiRowInsert => values(session, &rows, VALUES_ROWS).await,
        _ => values(session, &rows, 1).await,
    }
}

async fn unnest(session: &Session, rows: &[Vec<&str>]) -> Result<f64> {
    let sql = format!(
        "INSERT INTO public.esp_telemetry ({COLUMNS}) SELECT c1, c2::timestamptz, c3, c4, c5, c6, c7, c8, c9, c10, c11 \
         FROM unnest($1::text[], $2::text[], $3::float8[], $4::float8[], $5::float8[], $6::float8[], $7::float8[], $8::float8[], \
             $9::float8[], $10::float8[], $11::float8[]) AS rows (c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11) \
         ON CONFLICT DO NOTHING"
    );
    let mut batches = Vec::new();
    for rows in rows.chunks(UNNEST_ROWS) {
        let texts = |at: usize| rows.iter().map(|row| row[at]).collect::<Vec<&str>>();
        let number = |at: usize| -> Result<Vec<f64>> {
            let numbers = rows.iter().map(|row| Ok(row[at].parse()?));
            numbers.collect()
        };
        let numbers = (2..11).map(number).collect::<Result<Vec<_>>>()?;
        batches.push((texts(0), texts(1), numbers));
    }
    let begun = Instant::now();
    for (wells, times, numbers) in &batches {
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![wells, times];
        parameters.extend(numbers.iter().map(|column| column as &(dyn ToSql + Sync)));
        session.execute(&sql, &parameters).await?;
    }
    Ok(begun.elapsed().as_secs_f64())
}

async fn values(session: &Session, rows: &[Vec<&str>], at_once: usize) -> Result<f64> {
    let row = |row: &Vec<&str>| {
        let numbers = row[2..].join(", ");
        format!("('{}', '{}', {numbers})", row[0], row[1])
    };
    let statements = rows.chunks(at_once).map(|rows| {
        let rows: Vec<String> = rows.iter().map(row).collect();
        format!(
            "INSERT INTO public.esp_telemetry ({COLUMNS}) VALUES {}",
            rows.join(", ")
        )
    });
    let statements: Vec<String> = statements.collect();
    let begun = Instant::now();
    for statement in &statements {
        session.batch(statement).await?;
    }
    Ok(begun.elapsed().as_secs_f64())
}
