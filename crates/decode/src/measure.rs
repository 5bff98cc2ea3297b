//! Numbers on their way into a column: another unit, and whether they are plausible.

use crate::number;
use crate::refusal::Reason;
use crate::units::Affine;

/// What happens to a column's numbers.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(crate) struct Measure {
    pub(crate) change: Option<Affine>,
    pub(crate) limits: Option<Limits>,
}

/// Plausible numbers, both ends among them. NaN is in no limits.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Limits {
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// Whether others become NULL; else their record is refused.
    pub(crate) is_null_otherwise: bool,
}

impl Measure {
    /// A number in the column's unit; `None` if it is implausible and becomes NULL.
    ///
    /// # Errors
    ///
    /// If it is no number, out of the range of floats, or implausible.
    pub(crate) fn float8(&self, text: &str) -> Result<Option<f64>, Reason> {
        let read = number::float8(text)?;
        let value = match self.change {
            Some(change) => change.apply(read),
            None => read,
        };
        if value.is_infinite() && read.is_finite() {
            return Err(Reason::Overflow);
        }
        Ok(self.is_plausible(value)?.then_some(value))
    }

    /// Whether the number may be stored, or becomes NULL.
    ///
    /// # Errors
    ///
    /// If neither.
    pub(crate) fn is_plausible(&self, value: f64) -> Result<bool, Reason> {
        match self.limits {
            Some(limits) if !(limits.min..=limits.max).contains(&value) => {
                if limits.is_null_otherwise {
                    Ok(false)
                } else {
                    Err(Reason::Implausible)
                }
            }
            _ => Ok(true),
        }
    }
}
