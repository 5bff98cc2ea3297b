//! `workload`: loads sample data and shows how far it is.

use crate::arguments::{Esp, Soar};
use crate::failure::{Exit, Failure};
use crate::output::number::{count, elapsed, grouped};
use hyperhaul_pg::Server;
use hyperhaul_workload::{EspFormat, EspOptions, Progress, SoarOptions};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a table's line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Loads SOAR's sample.
pub(crate) async fn load(asked: &Soar) -> Result<Exit, Failure> {
    let server = Server::parse(asked.url.as_deref().unwrap_or_default())?;
    let options = options(asked);
    let begun = Instant::now();
    let meter = Meter::new();
    hyperhaul_workload::load_soar(&server, &options, &|progress| meter.show(progress)).await?;
    meter.end();
    let line = format!(
        "loaded {} and {} into {server} in {}\n",
        count(options.fixes, "fix row"),
        count(options.raw_messages, "raw message"),
        elapsed(begun.elapsed())
    );
    crate::output::print(&line)?;
    Ok(Exit::Done)
}

/// Writes readings that end with the last whole minute, so that they are as recent as live ones.
pub(crate) fn esp(asked: &Esp) -> Result<Exit, Failure> {
    const TEXT_BYTES: usize = 64 << 10;
    let minutes = i64::try_from(asked.readings / u64::from(asked.wells)).unwrap_or(0);
    let now_s = chrono::Utc::now().timestamp();
    let options = EspOptions {
        seed: asked.seed,
        wells: asked.wells,
        readings: asked.readings,
        begin_s: (now_s / 60 - minutes) * 60,
    };
    let format = if asked.csv {
        EspFormat::Csv
    } else {
        EspFormat::Ndjson
    };
    let mut text = format.header();
    for at in 0..options.readings {
        options.write(at, format, &mut text);
        if text.len() >= TEXT_BYTES {
            crate::output::print(&text)?;
            text.clear();
        }
    }
    crate::output::print(&text)?;
    Ok(Exit::Done)
}

fn options(asked: &Soar) -> SoarOptions {
    let sized = asked
        .fixes
        .map_or_else(SoarOptions::default, SoarOptions::sized);
    SoarOptions {
        seed: asked.seed,
        days: asked.days,
        raw_messages: asked.raw_messages.unwrap_or(sized.raw_messages),
        ..sized
    }
}

/// A bar for each table, or lines.
struct Meter {
    begun: Instant,
    bars: Option<MultiProgress>,
    tables: Mutex<BTreeMap<&'static str, Table>>,
}

struct Table {
    bar: Option<ProgressBar>,
    line_at: Instant,
}

impl Meter {
    fn new() -> Meter {
        let bars = std::io::stderr()
            .is_terminal()
            .then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        Meter {
            begun: Instant::now(),
            bars,
            tables: Mutex::default(),
        }
    }

    fn show(&self, progress: Progress) {
        match progress {
            Progress::Building { section } => {
                self.line(&format!("building keys and indexes: {section}"))
            }
            Progress::Rows {
                table,
                rows_done,
                rows_total,
            } => self.rows(table, rows_done, rows_total),
        }
    }

    fn rows(&self, name: &'static str, done: u64, total: Option<u64>) {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let table = tables.entry(name).or_insert_with(|| Table {
            bar: self.bar(name, total),
            line_at: Instant::now(),
        });
        let finished = total == Some(done);
        let line_due = self.bars.is_none() && table.line_at.elapsed() >= LINE_EVERY;
        if let Some(bar) = &table.bar {
            bar.set_position(done);
            if finished {
                bar.finish_and_clear();
            }
        }
        if line_due {
            table.line_at = Instant::now();
        }
        drop(tables);
        if finished || line_due {
            let of = total
                .filter(|_| !finished)
                .map_or(String::new(), |total| format!(" of {}", grouped(total)));
            self.line(&format!("{name:<18} {:>12}{of} rows", grouped(done)));
        }
    }

    fn bar(&self, name: &'static str, total: Option<u64>) -> Option<ProgressBar> {
        let bars = self.bars.as_ref()?;
        let bar = bars.add(ProgressBar::new(total.unwrap_or(0)));
        let style =
            ProgressStyle::with_template("{prefix:18} [{wide_bar}]  {human_pos} rows  {per_sec}");
        bar.set_style(
            style
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> "),
        );
        bar.set_prefix(name);
        Some(bar)
    }

    fn line(&self, line: &str) {
        let line = format!("[{:>4} s] {line}", self.begun.elapsed().as_secs());
        // Nobody is left to tell if stderr is gone.
        let _ = match &self.bars {
            Some(bars) => bars.println(line),
            None => writeln!(std::io::stderr().lock(), "{line}"),
        };
    }

    fn end(&self) {
        let tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables
            .values()
            .filter_map(|table| table.bar.as_ref())
            .for_each(ProgressBar::finish_and_clear);
    }
}
