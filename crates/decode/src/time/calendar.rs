//! Days of the Gregorian calendar, which PostgreSQL uses for all times, also those before it was introduced.

/// Days of a month; `None` if there is no such month.
fn month_days(year: i64, month: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(if is_leap { 29 } else { 28 }),
        _ => None,
    }
}

/// Whether there is such a day. There is no year 0.
pub(crate) fn is_date(year: i64, month: i64, day: i64) -> bool {
    year >= 1 && month_days(year, month).is_some_and(|days| (1..=days).contains(&day))
}

/// Days since 1970-01-01 of a date that [is one](is_date), with a year of at most seven digits.
pub(crate) fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March here, so that the leap day is their last; 400 years are an era of 146,097 days.
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    const DAYS_TO_1970: i64 = 719_468;
    era * 146_097 + day_of_era - DAYS_TO_1970
}

#[cfg(test)]
mod tests {
    use super::{days_since_1970, is_date};

    #[test]
    fn days_are_counted_without_a_gap() {
        assert_eq!(days_since_1970(1970, 1, 1), 0);
        assert_eq!(days_since_1970(2000, 1, 1), 10_957);
        assert_eq!(days_since_1970(1, 1, 1), -719_162);
        let mut expected = days_since_1970(1896, 1, 1);
        for year in 1896..=2104 {
            for month in 1..=12 {
                for day in 1..=31 {
                    if is_date(year, month, day) {
                        assert_eq!(days_since_1970(year, month, day), expected);
                        expected += 1;
                    }
                }
            }
        }
    }

    #[test]
    fn days_that_do_not_exist_are_known() {
        for (year, month, day, is) in [
            (2024, 2, 29, true),
            (2000, 2, 29, true),
            (1900, 2, 29, false),
            (2025, 2, 29, false),
            (2025, 4, 31, false),
            (2025, 13, 1, false),
            (2025, 0, 1, false),
            (2025, 1, 0, false),
            (0, 1, 1, false),
        ] {
            assert_eq!(is_date(year, month, day), is, "{year}-{month}-{day}");
        }
    }
}
