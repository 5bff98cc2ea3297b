//! One value into one field of a tuple: the place where a value's form meets a column's type.

use crate::json;
use crate::literal;
use crate::measure::Measure;
use crate::number;
use crate::raw::{Raw, Scalar};
use crate::refusal::Reason;
use crate::time::{Stored, TimeReader};
use hyperhaul_pgcopy::{Numeric, Row};
use std::borrow::Cow;

/// How a column's values are written.
#[derive(Clone, Debug)]
pub(crate) enum Field {
    Bool,
    Int2(Measure),
    Int4(Measure),
    Int8(Measure),
    Float4(Measure),
    Float8(Measure),
    Numeric(Measure),
    Text { chars_max: Option<usize> },
    Uuid,
    Time(TimeReader),
    Json,
    Jsonb,
    Bytea,
    TextArray,
    Enum { labels: Vec<String> },
}

/// Whether a value was written. Where it was not, the field is still to be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Written,
    /// Written: a time long before its reception.
    WrittenLate,
    /// There is no value.
    Null,
    /// The number is implausible, and is to be NULL.
    Implausible,
}

impl Field {
    /// Writes the value.
    ///
    /// # Errors
    ///
    /// If the column's type does not hold it.
    #[inline]
    pub(crate) fn write(
        &self,
        raw: Raw<'_>,
        received_at_us: i64,
        row: &mut Row<'_>,
    ) -> Result<Outcome, Reason> {
        if raw.is_null() {
            return Ok(Outcome::Null);
        }
        match self {
            Field::Json => return json_text(raw, row),
            Field::Jsonb => return jsonb_text(raw, row),
            _ => {}
        }
        let value = raw.scalar()?;
        match self {
            Field::Float8(measure) => return float8(*measure, number_text(&value)?, row),
            Field::Float4(measure) => return float4(*measure, number_text(&value)?, row),
            Field::Int2(measure) | Field::Int4(measure) | Field::Int8(measure) => {
                return self.integer(*measure, number_text(&value)?, row);
            }
            Field::Numeric(measure) => return numeric(*measure, number_text(&value)?, row),
            Field::Time(reader) => {
                let stored = reader.read(&value, received_at_us)?;
                match stored {
                    Stored::Us(us) => row.timestamptz_us(us),
                    Stored::Days(days) => row.date(days),
                };
                return Ok(match reader.is_late(stored, received_at_us) {
                    true => Outcome::WrittenLate,
                    false => Outcome::Written,
                });
            }
            Field::Text { chars_max } => row.text(fitting(&any_text(value)?, *chars_max)?),
            Field::Enum { labels } => {
                let label = any_text(value)?;
                if !labels.iter().any(|known| *known == label) {
                    return Err(Reason::UnknownLabel);
                }
                row.text(&label)
            }
            Field::Bool => match value {
                Scalar::Bool(value) => row.bool(value),
                Scalar::Number(text) => row.bool(literal::boolean(text)?),
                value => row.bool(literal::boolean(&text(value)?)?),
            },
            Field::Uuid => row.uuid(literal::uuid(&text(value)?)?),
            Field::Bytea => row.bytea(&literal::bytea(&text(value)?)?),
            Field::TextArray => {
                let elements = match &value {
                    Scalar::Json(array) => literal::text_array(array)?,
                    Scalar::Text(array) => literal::text_array(array)?,
                    _ => return Err(Reason::WrongType),
                };
                row.text_array(elements.iter().map(|element| &**element))
            }
            Field::Json | Field::Jsonb => return Err(Reason::WrongType),
        };
        Ok(Outcome::Written)
    }

    fn integer(&self, measure: Measure, text: &str, row: &mut Row<'_>) -> Result<Outcome, Reason> {
        let value = if measure.change.is_some() {
            match measure.float8(text)? {
                Some(value) => number::rounded_float(value)?,
                None => return Ok(Outcome::Implausible),
            }
        } else {
            let value = number::integer(text)?;
            // Limits are floats; what is rounded here, beyond 2^53, is nobody's measure.
            if !measure.is_plausible(value as f64)? {
                return Ok(Outcome::Implausible);
            }
            value
        };
        let too_large = |_| Reason::Overflow;
        match self {
            Field::Int2(_) => row.int2(i16::try_from(value).map_err(too_large)?),
            Field::Int4(_) => row.int4(i32::try_from(value).map_err(too_large)?),
            _ => row.int8(value),
        };
        Ok(Outcome::Written)
    }
}

fn float8(measure: Measure, text: &str, row: &mut Row<'_>) -> Result<Outcome, Reason> {
    Ok(match measure.float8(text)? {
        Some(value) => {
            row.float8(value);
            Outcome::Written
        }
        None => Outcome::Implausible,
    })
}

fn float4(measure: Measure, text: &str, row: &mut Row<'_>) -> Result<Outcome, Reason> {
    // Rounded once, from what was written, where nothing is converted.
    let value = if measure.change.is_some() {
        match measure.float8(text)? {
            Some(value) => number::narrowed(value)?,
            None => return Ok(Outcome::Implausible),
        }
    } else {
        let value = number::float4(text)?;
        if !measure.is_plausible(f64::from(value))? {
            return Ok(Outcome::Implausible);
        }
        value
    };
    row.float4(value);
    Ok(Outcome::Written)
}

fn numeric(measure: Measure, text: &str, row: &mut Row<'_>) -> Result<Outcome, Reason> {
    let mut text = Cow::Borrowed(text);
    if measure != Measure::default() {
        match measure.float8(&text)? {
            None => return Ok(Outcome::Implausible),
            Some(value) if measure.change.is_some() => text = Cow::Owned(value.to_string()),
            Some(_) => {}
        }
    }
    let value = Numeric::parse(&text).map_err(|error| {
        if error.is_limit() {
            Reason::Overflow
        } else {
            Reason::WrongType
        }
    })?;
    row.numeric(&value);
    Ok(Outcome::Written)
}

fn json_text(raw: Raw<'_>, row: &mut Row<'_>) -> Result<Outcome, Reason> {
    row.text(checked_json(raw)?);
    Ok(Outcome::Written)
}

fn jsonb_text(raw: Raw<'_>, row: &mut Row<'_>) -> Result<Outcome, Reason> {
    let text = checked_json(raw)?;
    if !json::has_storable_escapes(text) {
        return Err(Reason::BadEscape);
    }
    if !json::has_storable_numbers(text) {
        return Err(Reason::Overflow);
    }
    row.jsonb(text);
    Ok(Outcome::Written)
}

fn checked_json(raw: Raw<'_>) -> Result<&str, Reason> {
    match raw {
        Raw::Json(text) => Ok(text),
        Raw::Text(text) if json::is_json(text) => Ok(text),
        Raw::Text(_) => Err(Reason::BadJson),
        Raw::Time(_) => Err(Reason::WrongType),
    }
}

/// A number, whether it is one or a text.
#[inline]
fn number_text<'v>(value: &'v Scalar<'_>) -> Result<&'v str, Reason> {
    match value {
        Scalar::Number(text) => Ok(text),
        Scalar::Text(text) => Ok(text),
        _ => Err(Reason::WrongType),
    }
}

/// A text that is one.
fn text(value: Scalar<'_>) -> Result<Cow<'_, str>, Reason> {
    match value {
        Scalar::Text(text) => Ok(text),
        _ => Err(Reason::WrongType),
    }
}

/// A text, number or boolean as text.
fn any_text(value: Scalar<'_>) -> Result<Cow<'_, str>, Reason> {
    match value {
        Scalar::Text(text) => Ok(text),
        Scalar::Number(text) => Ok(Cow::Borrowed(text)),
        Scalar::Bool(value) => Ok(Cow::Borrowed(if value { "true" } else { "false" })),
        Scalar::Null | Scalar::Json(_) | Scalar::Time(_) => Err(Reason::WrongType),
    }
}

/// The text, if it is not too long for the column. Blanks that are too many go, as the SQL standard has it.
fn fitting(text: &str, chars_max: Option<usize>) -> Result<&str, Reason> {
    let Some(chars_max) = chars_max.filter(|max| text.len() > *max) else {
        return Ok(text);
    };
    let Some((end, _)) = text.char_indices().nth(chars_max) else {
        return Ok(text);
    };
    match text.split_at_checked(end) {
        Some((fitting, rest)) if rest.bytes().all(|byte| byte == b' ') => Ok(fitting),
        _ => Err(Reason::TooLong),
    }
}

#[cfg(test)]
mod tests;
