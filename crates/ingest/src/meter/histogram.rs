//! How often which values came: counted in fixed buckets, so that it takes the same memory however many there are.

/// Values by buckets, each up to a bound and above the one before; the last one has no bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    bounds: &'static [f64],
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    pub(crate) fn new(bounds: &'static [f64]) -> Histogram {
        Histogram {
            bounds,
            counts: vec![0; bounds.len() + 1],
            sum: 0.0,
        }
    }

    /// Counts a value.
    pub(crate) fn add(&mut self, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.sum += value;
    }

    /// Counts what another one of the same buckets has counted.
    pub(crate) fn merge(&mut self, other: &Histogram) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.sum += other.sum;
    }

    /// What was counted since `before`; all of it where that is of a process that has ended.
    pub(crate) fn since(&self, before: &Histogram) -> Histogram {
        if self.count() < before.count() {
            return self.clone();
        }
        let counts = self.counts.iter().zip(&before.counts);
        Histogram {
            counts: counts
                .map(|(now, then)| now.saturating_sub(*then))
                .collect(),
            sum: self.sum - before.sum,
            ..*self
        }
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// The bounds, with the number of values up to each; the last bound is infinite.
    pub(crate) fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        bounds.zip(&self.counts).scan(0, |total, (bound, count)| {
            *total += count;
            Some((bound, *total))
        })
    }

    /// As [`Histogram::cumulative`] gave it. `None`: the buckets are other ones.
    pub(crate) fn of_cumulative(
        bounds: &'static [f64],
        cumulative: &[(f64, u64)],
        sum: f64,
    ) -> Option<Histogram> {
        let mut histogram = Histogram::new(bounds);
        let expected = histogram.cumulative().map(|(bound, _)| bound);
        if !expected.eq(cumulative.iter().map(|(bound, _)| *bound)) {
            return None;
        }
        let mut before = 0;
        for (count, (_, total)) in histogram.counts.iter_mut().zip(cumulative) {
            *count = total.checked_sub(before)?;
            before = *total;
        }
        histogram.sum = sum;
        Some(histogram)
    }

    /// The value that a share of all values is up to, as near as buckets tell: values are taken to be spread evenly within one. `None`
    /// without any; the last bound where it lies above that.
    #[expect(
        clippy::cast_precision_loss,
        reason = "buckets tell no more than a few digits"
    )]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let wanted = share * self.count() as f64;
        let (mut lower, mut below) = (0.0, 0);
        for (bound, total) in self.cumulative() {
            if total > below && total as f64 >= wanted {
                let within = (wanted - below as f64) / (total - below) as f64;
                let upper = if bound.is_finite() { bound } else { lower };
                return Some(lower + (upper - lower) * within.clamp(0.0, 1.0));
            }
            (lower, below) = (bound, total);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: &[f64] = &[1.0, 2.0, 4.0];

    fn of(values: &[f64]) -> Histogram {
        let mut histogram = Histogram::new(BOUNDS);
        values.iter().for_each(|value| histogram.add(*value));
        histogram
    }

    #[test]
    fn values_are_counted_up_to_their_bound() {
        let histogram = of(&[0.0, 1.0, 1.5, 4.0, 5.0]);
        let cumulative: Vec<(f64, u64)> = histogram.cumulative().collect();
        assert_eq!(
            cumulative,
            [(1.0, 2), (2.0, 3), (4.0, 4), (f64::INFINITY, 5)]
        );
        assert_eq!(
            Histogram::of_cumulative(BOUNDS, &cumulative, 11.5),
            Some(histogram)
        );
        assert_eq!(Histogram::of_cumulative(&[1.0], &cumulative, 11.5), None);
    }

    #[test]
    fn quantiles_lie_within_their_bucket() {
        assert_eq!(of(&[]).quantile(0.5), None);
        assert_eq!(of(&[1.2, 1.4, 1.6, 1.8]).quantile(0.5), Some(1.5));
        assert_eq!(of(&[0.5, 3.0]).quantile(0.99).map(f64::round), Some(4.0));
        // Nobody knows how far above the last bound it is.
        assert_eq!(of(&[100.0]).quantile(0.5), Some(4.0));
    }

    #[test]
    fn what_was_counted_since_is_the_difference() {
        let before = of(&[0.5, 3.0]);
        let mut now = before.clone();
        now.merge(&of(&[3.0]));
        assert_eq!(now.since(&before), of(&[3.0]));
        // Another process counts from zero.
        assert_eq!(of(&[3.0]).since(&before), of(&[3.0]));
    }
}
