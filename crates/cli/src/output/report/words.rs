//! How moments, lengths of time and people are written in a report.

use super::axis::Span;
use crate::output::number::elapsed;
use chrono::{DateTime, Utc};
use hyperhaul_migrate::Call;
use hyperhaul_plan::{ChunkRange, format_unix_us};
use std::time::Duration;

/// `2025-12-11 00:00:00 UTC`.
pub(super) fn moment(moment: DateTime<Utc>) -> String {
    moment.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `2025-12-11 00:00:00.12`: in a column that says UTC.
pub(super) fn exact(moment: Option<DateTime<Utc>>) -> String {
    moment.map_or(String::new(), |moment| {
        let hundredths = moment.timestamp_subsec_millis() / 10;
        format!("{}.{hundredths:02}", moment.format("%Y-%m-%d %H:%M:%S"))
    })
}

/// `<0.01 s`, `0.31 s`, `12 min 5 s`.
pub(super) fn spent(seconds: f64) -> String {
    if seconds < 0.005 {
        return "<0.01 s".to_owned();
    }
    elapsed(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// What began and ended.
pub(super) fn span_of(from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> Option<Span> {
    Some(Span {
        from: from?,
        to: to?.max(from?),
    })
}

/// `2025-12-11 .. 2025-12-12`: days without their midnight.
pub(super) fn interval(range: ChunkRange) -> String {
    let end = |time_us| {
        let text = format_unix_us(time_us);
        text.strip_suffix("T00:00:00Z")
            .map_or(text.clone(), str::to_owned)
    };
    format!("{} .. {}", end(range.start_us), end(range.end_us))
}

/// `role app, as operator on host7`.
pub(super) fn caller(call: &Call) -> String {
    let machine = match (&call.os_user, &call.host) {
        (Some(user), Some(host)) => format!(", as {user} on {host}"),
        (Some(user), None) => format!(", as {user}"),
        (None, Some(host)) => format!(", on {host}"),
        (None, None) => String::new(),
    };
    format!("role {}{machine}", call.role)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_short_and_other_bounds_exact() {
        let range = |start_us, end_us| interval(ChunkRange { start_us, end_us });
        let day_us = 86_400_000_000;
        assert_eq!(range(0, day_us), "1970-01-01 .. 1970-01-02");
        assert_eq!(
            range(1, day_us / 2),
            "1970-01-01T00:00:00.000001Z .. 1970-01-01T12:00:00Z"
        );
    }

    #[test]
    fn moments_are_cut_to_hundredths() {
        let at = DateTime::from_timestamp_micros(1_765_411_200_999_999);
        assert_eq!(exact(at), "2025-12-11 00:00:00.99");
        assert_eq!(exact(None), "");
    }
}
