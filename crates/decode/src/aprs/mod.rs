//! APRS packets of the Open Glider Network: each becomes a row of raw messages, and one of fixes where it is an aircraft's position.
//!
//! ```text
//!   packet bytes ─ reading ─┬─ Kind, counted ────────────────────────────────> KindCounts
//!                           ├─ receiver, unparsed ─> tuple ─> raw_messages     receiver by call sign
//!                           └─ Fix ────────────────> tuple ─> fixes            receiver; aircraft by (address, address_type)
//!                              packet, stamp, place, comment, device; metadata; identity
//! ```
//!
//! No packet is refused and none is passed over: what cannot be read is a raw message that says why in `unparsed`.
//!
//! # Two receptions of one fix
//!
//! A packet that two stations hear is two raw messages and one fix. Two fixes are the same if aircraft, time, latitude and longitude are
//! equal ([`FIX_KEY`]): a transmitter is in one place at a time, and what else differs (signal, path) belongs to the reception. The first in
//! order of the source stays.
//!
//! No unique index can hold this: an index of a table that is partitioned by `received_at` has to contain it, and the two receptions
//! differ in just that. What the tables need instead:
//!
//! - `PRIMARY KEY (id, received_at)` on both: ids are made of the record, so a record that is written again meets itself.
//! - an index on `fixes (aircraft_id, received_at DESC)`.
//! - [`RecentKeys`](crate::RecentKeys) with [`FIX_KEY`] for each stream, asked after ids are filled in: it knows the fixes of the last
//!   minutes, is bounded, and takes a record that is tried again for itself. When a process starts it is filled with the keys of the rows
//!   that the table got during the last minutes before the first record of the stream that is still to come, which that index finds.
//!
//! A second reception that comes later than the memory reaches, or that another process writes, gives a second fix. Nothing is lost either
//! way: the raw messages are all there.

mod columns;
mod comment;
mod device;
mod identity;
mod kind;
mod metadata;
mod number;
mod packet;
mod place;
mod reading;
mod stamp;
#[cfg(test)]
mod tests;
mod tuple;

use serde::Deserialize;

use crate::column::TargetColumn;
use crate::decoder::{Decoder, Repeats, Target};
use crate::lookup::{IdType, LookupSpec};
use crate::record::Record;
use crate::refusal::{Reason, Refusal};
use crate::rows::Rows;
use crate::span::Span;
use columns::{Field, all, choose};
use reading::{TimeLimits, read};
use tuple::{FIX_FIELDS, FixField, Packed, RAW_FIELDS, RawField};

pub use columns::AprsError;
pub use kind::{Kind, NOT_UTF8};

/// Number of the table of fixes among the targets.
const FIXES: usize = 1;

/// The columns of fixes by which two receptions of one fix are told from two fixes.
pub const FIX_KEY: &[&str] = &["aircraft_id", "timestamp", "latitude", "longitude"];

/// Where packets go and how far their time may be off.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AprsOptions {
    /// The table of raw messages.
    pub raw_messages: String,
    /// The table of fixes: the stream's `table`.
    #[serde(skip)]
    pub fixes: String,
    /// The table of receivers, with columns `id` and `callsign`.
    pub receivers: String,
    /// The table of aircraft, with columns `id`, `address`, `address_type` and `aircraft_type_ogn`.
    pub aircraft: String,
    /// How long before its reception a fix may be.
    pub past_max: Span,
    /// How long after.
    pub future_max: Span,
    /// Fixes that are remembered to know those that come again; 0: none, and each reception is a fix.
    pub remembered_fixes_max: usize,
}

impl Default for AprsOptions {
    /// The tables of SOAR. The limits are those of the time of day: half a day back, an hour ahead.
    fn default() -> Self {
        const HOUR_US: i64 = 3_600_000_000;
        Self {
            raw_messages: "public.raw_messages".to_owned(),
            fixes: "public.fixes".to_owned(),
            receivers: "public.receivers".to_owned(),
            aircraft: "public.aircraft".to_owned(),
            past_max: Span::from_us(12 * HOUR_US),
            future_max: Span::from_us(HOUR_US),
            // Four to eight minutes of the whole network at its busiest.
            remembered_fixes_max: 1 << 19,
        }
    }
}

/// The decoder of APRS packets. Its targets are raw messages and fixes, in this order.
#[derive(Debug)]
pub struct AprsDecoder {
    targets: [Target; 2],
    lookups: [LookupSpec; 2],
    raw_fields: Vec<Field<RawField>>,
    fix_fields: Vec<Field<FixField>>,
    limits: TimeLimits,
    remembered_fixes_max: usize,
}

impl AprsDecoder {
    /// A decoder for tables with these columns.
    ///
    /// # Errors
    ///
    /// If a table cannot take packets.
    pub fn new(
        options: &AprsOptions,
        raw_messages: &[TargetColumn],
        fixes: &[TargetColumn],
    ) -> Result<Self, AprsError> {
        let raw_fields = choose(&options.raw_messages, RAW_FIELDS, raw_messages)?;
        let fix_fields = choose(&options.fixes, FIX_FIELDS, fixes)?;
        Ok(Self {
            targets: [
                target(&options.raw_messages, &raw_fields),
                target(&options.fixes, &fix_fields),
            ],
            lookups: [
                lookup(&options.receivers, &["callsign"], &[]),
                lookup(
                    &options.aircraft,
                    &["address", "address_type"],
                    &["aircraft_type_ogn"],
                ),
            ],
            raw_fields,
            fix_fields,
            limits: TimeLimits {
                past_max_us: options.past_max.us(),
                future_max_us: options.future_max.us(),
            },
            remembered_fixes_max: options.remembered_fixes_max,
        })
    }

    /// Columns that take all that a packet says: of raw messages, and of fixes.
    pub fn columns() -> [Vec<TargetColumn>; 2] {
        [all(RAW_FIELDS), all(FIX_FIELDS)]
    }
}

impl Decoder for AprsDecoder {
    fn targets(&self) -> &[Target] {
        &self.targets
    }

    fn lookups(&self) -> &[LookupSpec] {
        &self.lookups
    }

    fn decode(&self, record: &Record<'_>, rows: &mut [Rows]) -> Result<(), Refusal> {
        let [raw_messages, fixes] = rows else {
            debug_assert!(false, "{} tables are not two", rows.len());
            return Err(Refusal::record(Reason::FieldCount));
        };
        let reading = read(record.payload, record.received_at_us, self.limits);
        let packed = Packed::new(record);
        let raw_messages_before = raw_messages.len();
        packed.write_raw(raw_messages, &self.raw_fields, &reading)?;
        if let Some(fix) = &reading.fix
            && let Err(refusal) = packed.write_fix(fixes, &self.fix_fields, reading.receiver, fix)
        {
            raw_messages.truncate(raw_messages_before);
            return Err(refusal);
        }
        raw_messages.count_kind(reading.kind as usize);
        if str::from_utf8(record.payload).is_err() {
            raw_messages.count_kind(NOT_UTF8);
        }
        Ok(())
    }

    fn kinds(&self) -> Vec<&'static str> {
        kind::codes()
    }

    fn repeats(&self) -> Option<Repeats> {
        (self.remembered_fixes_max > 0).then_some(Repeats {
            target: FIXES,
            key: FIX_KEY,
            received_at: "received_at",
            keys_max: self.remembered_fixes_max,
        })
    }
}

fn target<F>(table: &str, fields: &[Field<F>]) -> Target {
    Target {
        table: table.to_owned(),
        columns: fields.iter().map(|field| field.name.to_owned()).collect(),
    }
}

fn lookup(table: &str, key: &[&str], extra: &[&str]) -> LookupSpec {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    LookupSpec {
        table: table.to_owned(),
        id_column: "id".to_owned(),
        id_type: IdType::Uuid,
        key_columns: owned(key),
        extra_columns: owned(extra),
        returned_column: None,
    }
}
