//! How findings say numbers, names and lists.

const KIB: f64 = 1024.0;

/// Items of a list that are named before the rest is counted.
const NAMED_MAX: usize = 5;

/// A number as people read it: `277,949`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 row`, `277,949 rows`, `2 indexes`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    match (number, noun) {
        (1, _) => format!("1 {noun}"),
        (_, noun) if noun.ends_with('x') || noun.ends_with('s') => {
            format!("{} {noun}es", grouped(number))
        }
        (_, "leaf") => format!("{} leaves", grouped(number)),
        (_, noun) => match noun.strip_suffix('y') {
            Some(stem) if !stem.ends_with(['a', 'e', 'o']) => {
                format!("{} {stem}ies", grouped(number))
            }
            _ => format!("{} {noun}s", grouped(number)),
        },
    }
}

/// [`count`] of a length.
pub(crate) fn count_of<T>(items: &[T], noun: &str) -> String {
    count(u64::try_from(items.len()).unwrap_or(u64::MAX), noun)
}

/// `412 KiB`, `38.5 MiB`, `1.3 GiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    #[expect(
        clippy::cast_precision_loss,
        reason = "shown with one decimal, so rounding is meant"
    )]
    let bytes_f64 = bytes as f64;
    if bytes_f64 < KIB * KIB {
        format!("{:.0} KiB", (bytes_f64 / KIB).ceil())
    } else if bytes_f64 < KIB * KIB * KIB {
        format!("{:.1} MiB", bytes_f64 / KIB / KIB)
    } else {
        format!("{:.1} GiB", bytes_f64 / KIB / KIB / KIB)
    }
}

/// `45 s`, `12 min 5 s`, `3 h 20 min`, `2 days 4 h`.
pub(crate) fn seconds(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{} {} h", count(days, "day"), hours % 24),
    }
}

/// `1 hour`, `7 days`: a chunk interval, as `--chunk-interval` takes it.
pub(crate) fn interval(interval_us: i64) -> String {
    const UNITS: [(i64, &str); 4] = [
        (86_400_000_000, "day"),
        (3_600_000_000, "hour"),
        (60_000_000, "minute"),
        (1_000_000, "second"),
    ];
    let (number, unit) = UNITS
        .iter()
        .find(|(unit_us, _)| interval_us % unit_us == 0)
        .map_or((interval_us, "microsecond"), |(unit_us, unit)| {
            (interval_us / unit_us, unit)
        });
    if number == 1 {
        format!("1 {unit}")
    } else {
        format!("{number} {unit}s")
    }
}

/// `a, b, c, d, e and 4 more`.
pub(crate) fn list<S: AsRef<str>>(items: &[S]) -> String {
    let named: Vec<&str> = items.iter().take(NAMED_MAX).map(S::as_ref).collect();
    match items.len() - named.len() {
        0 => named.join(", "),
        more => format!("{} and {} more", named.join(", "), more),
    }
}

/// `(id, received_at)`; an expression shows as `expression`.
pub(crate) fn columns(columns: &[Option<String>]) -> String {
    let named: Vec<&str> = columns
        .iter()
        .map(|column| column.as_deref().unwrap_or("expression"))
        .collect();
    format!("({})", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(count(277_949, "row"), "277,949 rows");
        assert_eq!(count(1, "index"), "1 index");
        assert_eq!(count(1_000, "index"), "1,000 indexes");
        assert_eq!(count(2, "policy"), "2 policies");
        assert_eq!(count(2, "foreign key"), "2 foreign keys");
        assert_eq!(grouped(999), "999");
    }

    #[test]
    fn sizes_and_durations_take_the_largest_unit_that_fits() {
        assert_eq!(bytes(1), "1 KiB");
        assert_eq!(bytes(40 << 20), "40.0 MiB");
        assert_eq!(bytes(1_395_864_371), "1.3 GiB");
        for (length_s, text) in [
            (45, "45 s"),
            (725, "12 min 5 s"),
            (12_000, "3 h 20 min"),
            (187_200, "2 days 4 h"),
        ] {
            assert_eq!(seconds(length_s), text);
        }
        assert_eq!(interval(7 * 86_400_000_000), "7 days");
        assert_eq!(interval(5_400_000_000), "90 minutes");
    }

    #[test]
    fn long_lists_are_cut_and_counted() {
        assert_eq!(list(&["a", "b"]), "a, b");
        assert_eq!(
            list(&["a", "b", "c", "d", "e", "f", "g"]),
            "a, b, c, d, e and 2 more"
        );
    }
}
