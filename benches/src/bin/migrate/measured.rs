//! What a run of a way gave, and medians over runs. Plain data.

use serde::Serialize;

/// One run of one way. Seconds are wall time.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Measured {
    /// Rows into chunks (or partitions) that exist already.
    pub(crate) copy_seconds: f64,
    /// From the first statement until the new table can be used, copying included, without verification; `None` for a way that only copies.
    pub(crate) lifecycle_seconds: Option<f64>,
    /// The same with the way's own verification.
    pub(crate) verified_seconds: Option<f64>,
    /// The same with planner statistics gathered, which happens after the new table is in use.
    pub(crate) whole_seconds: Option<f64>,
    /// What a calibrated plan predicted for all of that.
    pub(crate) predicted_seconds: Option<f64>,
    /// Parts of the lifecycle, in order; those that run side by side add up to more than it.
    pub(crate) parts: Vec<Part>,
    /// CPU seconds of client processes.
    pub(crate) client_cpu_seconds: Option<f64>,
    /// Largest resident set of the client process.
    pub(crate) client_memory_peak_bytes: Option<u64>,
}

/// A part of a run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Part {
    pub(crate) title: String,
    pub(crate) seconds: f64,
}

/// The middle value, or the mean of the two in the middle; `None` without values.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        return values.get(middle).copied();
    }
    Some((values.get(middle.checked_sub(1)?)? + values.get(middle)?) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_middle_value_or_between_the_two() {
        assert_eq!(median([]), None);
        assert_eq!(median([2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0]), Some(2.5));
        assert_eq!(median([9.0, 1.0, 4.0]), Some(4.0));
    }
}
