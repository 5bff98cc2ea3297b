//! What is said about a phase: when it starts, while it runs, when it is over.

use super::rates::Rate;
use crate::output::number::{
    approximate, bytes, bytes_per_second, clock, count, elapsed as shown, estimated, grouped,
    percent, rows_per_second,
};
use hyperhaul_migrate::{Forecast, Meter};
use hyperhaul_plan::Phase;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// From this width on there is room for words.
const WIDTH_FOR_WORDS: usize = 100;
/// The phase's name, brackets, gaps, and a bar that can be told from a smudge.
const BESIDE_MESSAGE: usize = 13 + 4 + 8;

/// A meter, read once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// Rows done, by earlier processes too.
    pub(super) rows: u64,
    /// Rows done by this process.
    pub(super) rows_here: u64,
    /// Rows in all, estimated; 0 where rows do not count.
    pub(super) rows_total: u64,
    /// Bytes done by this process.
    pub(super) bytes: u64,
    pub(super) items_done: u64,
    pub(super) items_total: u64,
}

impl Reading {
    pub(super) fn of(meter: &Meter) -> Reading {
        Reading {
            rows: meter.rows(),
            rows_here: meter.progress.rows(),
            rows_total: meter.rows_total.load(Ordering::Relaxed),
            bytes: meter.progress.bytes(),
            items_done: meter.items_done.load(Ordering::Relaxed),
            items_total: meter.items_total.load(Ordering::Relaxed),
        }
    }

    pub(super) fn fraction(&self) -> f64 {
        let (done, total) = if self.counts_rows() {
            (self.rows, self.rows_total)
        } else {
            (self.items_done, self.items_total)
        };
        if total == 0 {
            0.0
        } else {
            approximate(done) / approximate(total)
        }
    }

    fn counts_rows(&self) -> bool {
        self.rows_total > 0
    }
}

/// `copy: ~761,012 rows, 15 slices`.
pub(super) fn starting(phase: Phase, reading: &Reading) -> String {
    let items = count(reading.items_total, item(phase));
    if reading.counts_rows() {
        format!(
            "{}: {} rows, {items}",
            phase.name(),
            estimated(reading.rows_total)
        )
    } else {
        format!("{}: {items}", phase.name())
    }
}

/// Numbers of a phase under way, within `width` less what the bar takes.
pub(super) fn running(
    phase: Phase,
    reading: &Reading,
    rate: Option<Rate>,
    steps: &[String],
    width: usize,
) -> String {
    if reading.counts_rows() {
        rows(reading, rate, width >= WIDTH_FOR_WORDS)
    } else {
        let done = format!(
            "{} of {}",
            grouped(reading.items_done),
            count(reading.items_total, item(phase))
        );
        let text = match steps.first() {
            Some(step) => format!("{done}  {step}"),
            None => done,
        };
        cut(&text, width.saturating_sub(BESIDE_MESSAGE))
    }
}

/// The same, or why the run is paused.
pub(super) fn running_or_paused(
    phase: Phase,
    reading: &Reading,
    rate: Option<Rate>,
    steps: &[String],
    paused: Option<&str>,
    width: usize,
) -> String {
    match paused {
        Some(reasons) => cut(
            &format!("paused: {reasons}"),
            width.saturating_sub(BESIDE_MESSAGE),
        ),
        None => running(phase, reading, rate, steps, width),
    }
}

fn rows(reading: &Reading, rate: Option<Rate>, words: bool) -> String {
    let mut parts = vec![format!("{:>4}", percent(reading.rows, reading.rows_total))];
    parts.push(if words {
        format!(
            "{} of {} rows",
            grouped(reading.rows),
            estimated(reading.rows_total)
        )
    } else {
        format!("{} rows", grouped(reading.rows))
    });
    if let Some(rate) = rate {
        let per_second = rows_per_second(rate.rows);
        parts.push(if words {
            per_second
        } else {
            per_second.replace(" rows/s", "/s")
        });
        if reading.bytes > 0 {
            parts.push(bytes_per_second(rate.bytes));
        }
        let left = reading.rows_total.saturating_sub(reading.rows);
        if rate.rows >= 1.0 && left > 0 {
            parts.push(format!("{} left", clock(approximate(left) / rate.rows)));
        }
    }
    parts.join("  ")
}

/// `done by 02:41, window ends 03:30`.
pub(super) fn forecast(forecast: &Forecast) -> String {
    let now = forecast.made_at;
    let done = format!(
        "done by {}",
        hyperhaul_migrate::clock(forecast.done_at, now)
    );
    match forecast.deadline {
        Some(deadline) => {
            let end = hyperhaul_migrate::clock(deadline.at, now);
            format!("{done}, window ends {end}")
        }
        None => done,
    }
}

/// The numbers with the forecast behind them, where there is room for it.
pub(super) fn with_forecast(numbers: String, seen: Option<&Forecast>, width: usize) -> String {
    // After the cutover there is nothing to wait for.
    let Some(seen) = seen.filter(|seen| !seen.left.is_empty()) else {
        return numbers;
    };
    let both = format!("{numbers}  {}", forecast(seen));
    if both.chars().count() <= width.saturating_sub(BESIDE_MESSAGE) {
        both
    } else {
        numbers
    }
}

/// `copy         761,012 rows, 310.2 MiB in 5.2 s (146,348 rows/s, 59.6 MiB/s)`.
pub(super) fn finished(phase: Phase, reading: &Reading, elapsed: Duration) -> String {
    let time = shown(elapsed);
    let seconds = elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
    let what = if reading.rows_here > 0 {
        let size = if reading.bytes > 0 {
            format!(", {}", bytes(reading.bytes))
        } else {
            String::new()
        };
        let speed = if reading.bytes > 0 {
            format!(
                ", {}",
                bytes_per_second(approximate(reading.bytes) / seconds)
            )
        } else {
            String::new()
        };
        let rate = rows_per_second(approximate(reading.rows_here) / seconds);
        format!(
            "{}{size} in {time} ({rate}{speed})",
            count(reading.rows_here, "row")
        )
    } else {
        format!("{} in {time}", count(reading.items_done, item(phase)))
    };
    format!("{:<13}{what}", phase.name())
}

/// How far a phase came that is not finished.
pub(super) fn stopped(phase: Phase, reading: &Reading) -> String {
    let done = if reading.counts_rows() {
        format!(
            "{} of {} rows",
            grouped(reading.rows),
            estimated(reading.rows_total)
        )
    } else {
        format!(
            "{} of {}",
            grouped(reading.items_done),
            count(reading.items_total, item(phase))
        )
    };
    format!("{:<13}stopped at {done}", phase.name())
}

/// What a phase counts where it does not count rows.
fn item(phase: Phase) -> &'static str {
    match phase {
        Phase::Chunks | Phase::Verify | Phase::Proof => "chunk",
        Phase::Copy | Phase::Backfill => "slice",
        Phase::Attach | Phase::Stage => "partition",
        Phase::Fence
        | Phase::Create
        | Phase::Keys
        | Phase::Columnstore
        | Phase::Indexes
        | Phase::ForeignKeys
        | Phase::Finish
        | Phase::Cutover
        | Phase::After
        | Phase::Policies => "step",
    }
}

/// The text, cut to `width` characters with dots at its end.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(3)).collect();
    format!("{}...", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COPY: Reading = Reading {
        rows: 312_345,
        rows_here: 300_000,
        rows_total: 761_012,
        bytes: 128 << 20,
        items_done: 6,
        items_total: 15,
    };
    const RATE: Option<Rate> = Some(Rate {
        rows: 81_234.4,
        bytes: 36_909_875.0,
    });

    #[test]
    fn rows_are_shown_with_their_rate_and_what_is_left() {
        let narrow = running(Phase::Copy, &COPY, RATE, &[], 80);
        assert_eq!(
            narrow,
            "41 %  312,345 rows  81,234/s  35.2 MiB/s  0:06 left"
        );
        let wide = running(Phase::Copy, &COPY, RATE, &[], 120);
        assert_eq!(
            wide,
            "41 %  312,345 of ~761,012 rows  81,234 rows/s  35.2 MiB/s  0:06 left"
        );
        assert!(narrow.chars().count() + BESIDE_MESSAGE <= 80);
    }

    #[test]
    fn steps_are_shown_with_what_is_under_way() {
        let reading = Reading {
            items_done: 3,
            items_total: 14,
            ..Reading::default()
        };
        let steps = ["build index idx_fixes_location of public.fixes".to_owned()];
        let text = running(Phase::Indexes, &reading, None, &steps, 80);
        assert_eq!(
            text,
            "3 of 14 steps  build index idx_fixes_location of pub..."
        );
        assert_eq!(
            running(Phase::Indexes, &reading, None, &[], 80),
            "3 of 14 steps"
        );
    }

    #[test]
    fn an_end_has_the_numbers_of_this_process() {
        let text = finished(Phase::Copy, &COPY, Duration::from_secs(5));
        assert_eq!(
            text,
            "copy         300,000 rows, 128.0 MiB in 5.0 s (60,000 rows/s, 25.6 MiB/s)"
        );
        let keys = Reading {
            items_done: 2,
            items_total: 2,
            ..Reading::default()
        };
        assert_eq!(
            finished(Phase::Keys, &keys, Duration::from_millis(1_300)),
            "keys         2 steps in 1.3 s"
        );
        assert_eq!(
            stopped(Phase::Copy, &COPY),
            "copy         stopped at 312,345 of ~761,012 rows"
        );
    }

    #[test]
    fn the_forecast_stands_behind_the_numbers_where_there_is_room() {
        let made_at = chrono::DateTime::from_timestamp(1_765_411_200, 0).unwrap_or_default();
        let later = |minutes| made_at + chrono::TimeDelta::minutes(minutes);
        let seen = Forecast {
            made_at,
            done_at: later(20),
            left: vec![hyperhaul_migrate::PhaseLeft {
                phase: Phase::Copy,
                seconds: 1_200.0,
            }],
            pace: 1.0,
            rollback_s: 1.0,
            deadline: Some(hyperhaul_migrate::Deadline {
                from: made_at,
                at: later(45),
                then: hyperhaul_migrate::OnDeadline::Stop,
            }),
        };
        let shown = with_forecast("41 %".to_owned(), Some(&seen), 120);
        let clock = |minutes| hyperhaul_migrate::clock(later(minutes), made_at);
        assert_eq!(
            shown,
            format!("41 %  done by {}, window ends {}", clock(20), clock(45))
        );
        assert_eq!(with_forecast("41 %".to_owned(), Some(&seen), 60), "41 %");
        assert_eq!(with_forecast("41 %".to_owned(), None, 120), "41 %");
    }
}
