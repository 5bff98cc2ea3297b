//! How numbers are shown: grouped, with units, and with `~` before what is only estimated.

pub(crate) use hyperhaul_plan::grouped;
use std::time::Duration;

/// `~277,949`.
pub(crate) fn estimated(number: u64) -> String {
    format!("~{}", grouped(number))
}

/// `1 row`, `2 rows`: of nouns that take an s.
pub(crate) fn count(number: impl TryInto<u64>, noun: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    format!(
        "{} {noun}{}",
        grouped(number),
        if number == 1 { "" } else { "s" }
    )
}

/// `0 B`, `412 KiB`, `38.5 MiB`, `1.3 GiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["MiB", "GiB", "TiB", "PiB"];
    if bytes < 1 << 10 {
        return format!("{bytes} B");
    }
    if bytes < 1 << 20 {
        return format!("{} KiB", bytes.div_ceil(1 << 10));
    }
    let mut amount = approximate(bytes) / f64::from(1 << 20);
    let mut unit = 0;
    while amount >= 1023.95 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    format!("{amount:.1} {}", UNITS[unit])
}

/// `<1 s`, `45 s`, `12 min 5 s`, `3 h 20 min`, `2 d 4 h`.
pub(crate) fn seconds(seconds: f64) -> String {
    if seconds < 1.0 {
        return "<1 s".to_owned();
    }
    let whole = Duration::try_from_secs_f64(seconds.round())
        .unwrap_or(Duration::MAX)
        .as_secs();
    let (minutes, hours, days) = (whole / 60, whole / 3_600, whole / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{whole} s"),
        (0, 0, _) => format!("{minutes} min {} s", whole % 60),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{} d {} h", grouped(days), hours % 24),
    }
}

/// What was measured: `0.31 s`, `4.2 s`, then as [`seconds`].
pub(crate) fn elapsed(elapsed: Duration) -> String {
    let seconds_f64 = elapsed.as_secs_f64();
    match seconds_f64 {
        ..0.995 => format!("{seconds_f64:.2} s"),
        ..59.95 => format!("{seconds_f64:.1} s"),
        _ => seconds(seconds_f64),
    }
}

/// What may be much shorter: `<1 ms`, `12 ms`, then as [`elapsed`].
pub(crate) fn latency(seconds: f64) -> String {
    match seconds {
        ..0.001 => "<1 ms".to_owned(),
        ..0.9995 => format!("{:.0} ms", seconds * 1e3),
        _ => elapsed(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)),
    }
}

/// `0:05`, `12:05`, `3:20:05`: what is left, in little room.
pub(crate) fn clock(seconds: f64) -> String {
    let whole = Duration::try_from_secs_f64(seconds.ceil().max(0.0))
        .unwrap_or(Duration::MAX)
        .as_secs();
    match whole / 3_600 {
        0 => format!("{}:{:02}", whole / 60, whole % 60),
        hours => format!("{hours}:{:02}:{:02}", whole / 60 % 60, whole % 60),
    }
}

/// `81,234 rows/s`.
pub(crate) fn rows_per_second(rows: f64) -> String {
    format!("{} rows/s", grouped(whole(rows)))
}

/// `35.2 MiB/s`.
pub(crate) fn bytes_per_second(rate: f64) -> String {
    format!("{}/s", bytes(whole(rate)))
}

/// `41 %`, never 100 before the end.
pub(crate) fn percent(done: u64, total: u64) -> String {
    let percent = if total == 0 {
        100
    } else {
        u128::from(done) * 100 / u128::from(total)
    };
    format!("{} %", percent.min(if done < total { 99 } else { 100 }))
}

/// For rates and sizes that are shown with few digits.
#[expect(
    clippy::cast_precision_loss,
    reason = "shown with few digits, so rounding is meant"
)]
pub(crate) fn approximate(number: u64) -> f64 {
    number as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, and rates are not negative"
)]
pub(crate) fn whole(number: f64) -> u64 {
    number.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_counted() {
        assert_eq!(grouped(0), "0");
        assert_eq!(estimated(1_234_567), "~1,234,567");
        assert_eq!(count(1_u64, "row"), "1 row");
        assert_eq!(count(1_000_usize, "row"), "1,000 rows");
    }

    #[test]
    fn sizes_take_the_unit_that_fits() {
        for (size, text) in [
            (0, "0 B"),
            (1 << 10, "1 KiB"),
            (40 << 20, "40.0 MiB"),
            ((1 << 30) - 1, "1.0 GiB"),
            (1_395_864_371, "1.3 GiB"),
            (u64::MAX, "16384.0 PiB"),
        ] {
            assert_eq!(bytes(size), text);
        }
    }

    #[test]
    fn times_take_the_unit_that_fits() {
        for (length_s, text) in [
            (0.2, "<1 s"),
            (45.4, "45 s"),
            (725.0, "12 min 5 s"),
            (12_000.0, "3 h 20 min"),
            (187_200.0, "2 d 4 h"),
            (f64::INFINITY, "213,503,982,334,601 d 7 h"),
        ] {
            assert_eq!(seconds(length_s), text);
        }
        assert_eq!(elapsed(Duration::from_millis(312)), "0.31 s");
        let latencies = [0.0002, 0.0124, 0.9996, 61.0].map(latency);
        assert_eq!(latencies, ["<1 ms", "12 ms", "1.0 s", "1 min 1 s"]);
        assert_eq!(elapsed(Duration::from_millis(4_249)), "4.2 s");
        assert_eq!(elapsed(Duration::from_secs(61)), "1 min 1 s");
        assert_eq!(
            (clock(5.0), clock(12_005.0)),
            ("0:05".to_owned(), "3:20:05".to_owned())
        );
    }

    #[test]
    fn the_end_is_not_announced_early() {
        assert_eq!(percent(999, 1_000), "99 %");
        assert_eq!(percent(1_000, 1_000), "100 %");
        assert_eq!(percent(1_100, 1_000), "100 %");
        assert_eq!(percent(0, 0), "100 %");
    }
}
