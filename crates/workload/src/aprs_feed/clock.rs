//! The time on the wall, as the feed's lines have it.

use chrono::{DateTime, Timelike, Utc};

/// Such as `21 Nov 2026 17:20:59 GMT`.
pub(super) fn http_date() -> String {
    Utc::now().format("%d %b %Y %H:%M:%S GMT").to_string()
}

/// `HHMMSS` of `seconds` before now.
pub(super) fn time_of_day(seconds: i64) -> [u8; 6] {
    let moment: DateTime<Utc> = Utc::now() - chrono::Duration::seconds(seconds);
    let two = |value: u32| [b'0' + (value / 10 % 10) as u8, b'0' + (value % 10) as u8];
    let ([h1, h2], [m1, m2], [s1, s2]) = (
        two(moment.hour()),
        two(moment.minute()),
        two(moment.second()),
    );
    [h1, h2, m1, m2, s1, s2]
}
