//! The rows of one table, column by column: where each value comes from, and what writes it. Made from a mapping; decoders bring
//! the values.

use crate::decoder::Target;
use crate::field::{Field, Outcome};
use crate::lookup::LookupSpec;
use crate::number;
use crate::raw::{Raw, Scalar, Taken};
use crate::record::Record;
use crate::refusal::{Reason, Refusal};
use crate::rows::{Alternatives, Rows, TupleWriter};
use hyperhaul_pgcopy::Encoder;
use std::borrow::Cow;
use std::sync::Arc;

/// The rows of one table.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) target: Target,
    pub(crate) lookups: Vec<LookupSpec>,
    /// Members or fields that columns want, by the number that slots have for them.
    pub(crate) names: Vec<String>,
    pub(crate) columns: Vec<Column>,
    /// Its columns are the last of the target.
    pub(crate) choice: Option<ChoiceLayout>,
    pub(crate) is_unknown_counted: bool,
}

/// Where a value is found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Slot {
    /// In the record; a number of [`Layout::names`].
    Named(usize),
    ReceivedAt,
    Source,
    Attribute(String),
}

#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) not_null: bool,
    pub(crate) origin: Origin,
}

/// Where a column's values come from.
#[derive(Debug)]
pub(crate) enum Origin {
    Value { slot: Slot, field: Field },
    Lookup(KeySlots),
}

/// What an id is looked up by.
#[derive(Debug)]
pub(crate) struct KeySlots {
    /// The lookup's number.
    pub(crate) lookup: usize,
    pub(crate) key: Vec<Slot>,
    pub(crate) extra: Vec<Slot>,
}

/// A value that goes to one of several columns.
#[derive(Debug)]
pub(crate) struct ChoiceLayout {
    pub(crate) slot: Slot,
    /// The lookup that tells which.
    pub(crate) lookup: usize,
    /// The place of what it returns among its extra columns, if it is one.
    pub(crate) returned: Option<usize>,
    /// By the label that is returned.
    pub(crate) ways: Vec<Way>,
}

/// One of the columns that a value can go to.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) label: Arc<str>,
    pub(crate) column: String,
    pub(crate) field: Field,
}

impl Layout {
    /// Adds the row of a record; `named` has the values that lie in it.
    ///
    /// # Errors
    ///
    /// If it is refused. There is no row then.
    pub(crate) fn write(
        &self,
        record: &Record<'_>,
        named: &[Option<Taken<'_>>],
        unknown_members: u64,
        rows: &mut Rows,
    ) -> Result<(), Refusal> {
        let values = Values { record, named };
        let mut tuple = rows.tuple(record.position);
        for column in &self.columns {
            match &column.origin {
                Origin::Value { slot, field } => {
                    value(column, field, values.get(slot), record, &mut tuple)
                }
                Origin::Lookup(slots) => self.id(column, slots, values, &mut tuple),
            }
            .map_err(|reason| Refusal::column(reason, &column.name))?;
        }
        if let Some(choice) = &self.choice {
            choice.write(values, &mut tuple);
        }
        if self.is_unknown_counted {
            tuple.tally().unknown_members += unknown_members;
        }
        tuple.finish()
    }

    /// A field with an id that is looked up.
    fn id(
        &self,
        column: &Column,
        slots: &KeySlots,
        values: Values<'_>,
        tuple: &mut TupleWriter<'_>,
    ) -> Result<(), Reason> {
        let key = values.texts(&slots.key)?;
        let mut extra = values.texts(&slots.extra)?;
        if let Some(choice) = &self.choice
            && choice.lookup == slots.lookup
            && let Some(returned) = choice.returned.and_then(|index| extra.get_mut(index))
            && returned.is_none()
        {
            *returned = choice.own_label(values).map(Cow::Borrowed);
        }
        let key: Option<Vec<&str>> = key.iter().map(Option::as_deref).collect();
        let Some(key) = key else {
            // Without a lookup nobody tells where the value goes.
            let tells = |choice: &ChoiceLayout| choice.lookup == slots.lookup;
            let choice = self.choice.as_ref().filter(|choice| tells(choice));
            if choice.is_some_and(|choice| choice.value(values).is_some()) {
                return Err(Reason::Null);
            }
            return null(column, tuple);
        };
        let extra: Vec<Option<&str>> = extra.iter().map(Option::as_deref).collect();
        tuple.lookup(slots.lookup, &key, &extra);
        Ok(())
    }
}

/// A field with a value of the record.
#[inline]
fn value(
    column: &Column,
    field: &Field,
    value: Option<Raw<'_>>,
    record: &Record<'_>,
    tuple: &mut TupleWriter<'_>,
) -> Result<(), Reason> {
    let outcome = match value {
        Some(raw) => field.write(raw, record.received_at_us, tuple.field())?,
        None => Outcome::Null,
    };
    match outcome {
        Outcome::Written => Ok(()),
        Outcome::WrittenLate => {
            tuple.tally().late_rows += 1;
            Ok(())
        }
        Outcome::Null => null(column, tuple),
        Outcome::Implausible => {
            tuple.tally().implausible_nulls += 1;
            null(column, tuple)
        }
    }
}

fn null(column: &Column, tuple: &mut TupleWriter<'_>) -> Result<(), Reason> {
    if column.not_null {
        return Err(Reason::Null);
    }
    tuple.field().null();
    Ok(())
}

/// All that a row can be made of.
#[derive(Clone, Copy)]
struct Values<'r> {
    record: &'r Record<'r>,
    named: &'r [Option<Taken<'r>>],
}

impl<'r> Values<'r> {
    #[inline]
    fn get(&self, slot: &Slot) -> Option<Raw<'r>> {
        match slot {
            Slot::Named(index) => self.named.get(*index)?.as_ref().map(Taken::raw),
            Slot::ReceivedAt => Some(Raw::Time(self.record.received_at_us)),
            Slot::Source => Some(Raw::Text(self.record.source)),
            Slot::Attribute(name) => self.record.attribute(name).map(Raw::Text),
        }
    }

    fn texts(&self, slots: &[Slot]) -> Result<Vec<Option<Cow<'r, str>>>, Reason> {
        let values = slots.iter().map(|slot| self.get(slot));
        values
            .map(|value| value.map_or(Ok(None), Raw::text))
            .collect()
    }
}

impl ChoiceLayout {
    /// The last fields: what each of them would be, until the lookup tells which it is.
    fn write(&self, values: Values<'_>, tuple: &mut TupleWriter<'_>) {
        let field_count = self.ways.len();
        let Some(raw) = self.value(values) else {
            for _ in 0..field_count {
                tuple.field().null();
            }
            return;
        };
        let received_at_us = values.record.received_at_us;
        let tails = self.ways.iter().enumerate().map(|(index, way)| {
            let tail = tail(field_count, index, way, raw, received_at_us);
            let tail = tail.map_err(|reason| Refusal::column(reason, &way.column));
            (way.label.clone(), tail)
        });
        let alternatives = Alternatives {
            field_count,
            tails: tails.collect(),
            otherwise: self.own_way(raw).unwrap_or(field_count),
        };
        tuple.alternatives(self.lookup, alternatives);
    }

    fn value<'r>(&self, values: Values<'r>) -> Option<Raw<'r>> {
        values.get(&self.slot).filter(|raw| !raw.is_null())
    }

    /// The label of the value's own type.
    fn own_label(&self, values: Values<'_>) -> Option<&str> {
        let way = self.own_way(self.value(values)?)?;
        self.ways.get(way).map(|way| &*way.label)
    }

    /// The way of the value's own type. A number's is a float before it is an integer, since `12` may be followed by `12.5`.
    fn own_way(&self, raw: Raw<'_>) -> Option<usize> {
        let find = |is: fn(&Field) -> bool| self.ways.iter().position(|way| is(&way.field));
        let number = || {
            find(|field| matches!(field, Field::Float8(_) | Field::Float4(_)))
                .or_else(|| find(|field| matches!(field, Field::Numeric(_))))
                .or_else(|| find(|field| matches!(field, Field::Int8(_) | Field::Int4(_))))
        };
        let text = || find(|field| matches!(field, Field::Text { .. }));
        match raw.scalar().ok()? {
            Scalar::Null => None,
            Scalar::Bool(_) => find(|field| matches!(field, Field::Bool)),
            Scalar::Number(_) => number(),
            Scalar::Json(_) => find(|field| matches!(field, Field::Jsonb | Field::Json)),
            // A field of a CSV record may be anything.
            Scalar::Text(field)
                if matches!(raw, Raw::Text(_)) && number::float8(&field).is_ok() =>
            {
                number()
            }
            Scalar::Text(_) | Scalar::Time(_) => text(),
        }
    }
}

/// The fields of all ways, of which one has the value and the others are NULL.
fn tail(
    field_count: usize,
    index: usize,
    way: &Way,
    raw: Raw<'_>,
    received_at_us: i64,
) -> Result<Vec<u8>, Reason> {
    const FIELD_COUNT_BYTES: usize = 2;
    let mut encoder = Encoder::new();
    let mut row = encoder.row(i16::try_from(field_count).unwrap_or(i16::MAX));
    let mut refused = None;
    for field in 0..field_count {
        let outcome = if field == index && refused.is_none() {
            way.field.write(raw, received_at_us, &mut row)
        } else {
            Ok(Outcome::Null)
        };
        match outcome {
            Ok(Outcome::Written | Outcome::WrittenLate) => {}
            Ok(Outcome::Null | Outcome::Implausible) => {
                row.null();
            }
            Err(reason) => {
                refused = Some(reason);
                row.null();
            }
        }
    }
    let is_finished = row.finish().is_ok();
    drop(row);
    match (refused, is_finished) {
        (Some(reason), _) => Err(reason),
        (None, false) => Err(Reason::TooLarge),
        (None, true) => {
            let bytes = encoder.as_bytes().get(FIELD_COUNT_BYTES..);
            Ok(bytes.unwrap_or_default().to_vec())
        }
    }
}

#[cfg(test)]
mod tests;
