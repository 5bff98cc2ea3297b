//! What a column's mapping asks for against the column's type.

use super::{ColumnMapping, Implausible};
use crate::column::{ColumnKind, TargetColumn};
use crate::field::Field;
use crate::measure::{Limits, Measure};
use crate::time::{TimeKind, TimeReader, Window};
use crate::units::{Affine, conversion};

/// How the column's values are written.
///
/// # Errors
///
/// If something is asked for that the type does not have; says what.
pub(super) fn field(
    column: &ColumnMapping,
    target: &TargetColumn,
    window: Option<Window>,
) -> Result<Field, String> {
    let kind = &target.kind;
    let refuse = |is_set: bool, what: &str, needed: &str| {
        if is_set {
            return Err(format!(
                "is of type {}: {what} is for {needed}",
                kind.name()
            ));
        }
        Ok(())
    };
    if column.lookup.is_some() || !kind.is_number() {
        let has_change = column.unit.is_some() || column.scale.is_some() || column.offset.is_some();
        refuse(has_change, "a unit, scale or offset", "measured numbers")?;
        let has_limits = column.min.is_some() || column.max.is_some();
        refuse(has_limits, "min or max", "measured numbers")?;
    }
    if !kind.is_time() {
        refuse(column.time_format.is_some(), "a time_format", "times")?;
        refuse(column.infinity, "infinity", "times")?;
    }
    let measure = measure(column, target)?;
    let time = |kind| {
        Field::Time(TimeReader {
            kind,
            format: column.time_format,
            is_infinity_allowed: column.infinity,
            window,
        })
    };
    Ok(match kind {
        ColumnKind::Bool => Field::Bool,
        ColumnKind::Int2 => Field::Int2(measure),
        ColumnKind::Int4 => Field::Int4(measure),
        ColumnKind::Int8 => Field::Int8(measure),
        ColumnKind::Float4 => Field::Float4(measure),
        ColumnKind::Float8 => Field::Float8(measure),
        ColumnKind::Numeric => Field::Numeric(measure),
        ColumnKind::Text { chars_max } => Field::Text {
            chars_max: chars_max.and_then(|max| usize::try_from(max).ok()),
        },
        ColumnKind::Uuid => Field::Uuid,
        ColumnKind::Timestamptz => time(TimeKind::Timestamptz),
        ColumnKind::Timestamp => time(TimeKind::Timestamp),
        ColumnKind::Date => time(TimeKind::Date),
        ColumnKind::Json => Field::Json,
        ColumnKind::Jsonb => Field::Jsonb,
        ColumnKind::Bytea => Field::Bytea,
        ColumnKind::TextArray => Field::TextArray,
        ColumnKind::Enum { labels } => Field::Enum {
            labels: labels.clone(),
        },
    })
}

fn measure(column: &ColumnMapping, target: &TargetColumn) -> Result<Measure, String> {
    let change = match (&column.unit, column.scale, column.offset) {
        (None, None, None) => None,
        (Some(unit), None, None) => Some(
            conversion(&unit.from, &unit.to).map_err(|problem| format!("has a unit: {problem}"))?,
        ),
        (Some(_), ..) => return Err("has a unit and a scale or offset: one of them".to_owned()),
        (None, scale, offset) => {
            let (scale, offset) = (scale.unwrap_or(1.0), offset.unwrap_or(0.0));
            if !scale.is_finite() || !offset.is_finite() || scale == 0.0 {
                return Err("has a scale or offset that makes no number".to_owned());
            }
            Some(Affine::new(scale, offset))
        }
    };
    Ok(Measure {
        change,
        limits: limits(column, target)?,
    })
}

fn limits(column: &ColumnMapping, target: &TargetColumn) -> Result<Option<Limits>, String> {
    let is_null_otherwise = column.implausible == Implausible::Null;
    if column.min.is_none() && column.max.is_none() {
        if is_null_otherwise {
            return Err("says what implausible numbers become, and has no min or max".to_owned());
        }
        return Ok(None);
    }
    let (min, max) = (
        column.min.unwrap_or(f64::NEG_INFINITY),
        column.max.unwrap_or(f64::INFINITY),
    );
    if min > max || min.is_nan() || max.is_nan() {
        return Err(format!(
            "has min = {min} and max = {max}: nothing is between them"
        ));
    }
    if is_null_otherwise && target.not_null {
        return Err("must have a value: implausible numbers cannot become NULL".to_owned());
    }
    Ok(Some(Limits {
        min,
        max,
        is_null_otherwise,
    }))
}
