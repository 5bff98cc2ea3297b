//! Rows straight into binary COPY bytes. No batching policy, no IO: who owns an [`Encoder`] decides
//! when to [`take`](Encoder::take).
//!
//! ```text
//!   Encoder.buffer (BytesMut)
//!   +--------+-----------------------------+---------------------------------+
//!   | header | finished rows               | the open Row                    |
//!   +--------+-----------------------------+---------------------------------+
//!                                          ^ start: field count, then fields
//!   take() splits all of it off; the rest of the allocation goes on being filled
//! ```

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::{Error, Kind};
use crate::extent::TUPLE_BYTES_MAX;
use crate::header::{HEADER, TRAILER};

/// The length word of a NULL.
const NULL: [u8; 4] = (-1_i32).to_be_bytes();

/// A length that no reader accepts: stands for a value that was too long, in a row that nobody
/// finished.
const REFUSED: [u8; 4] = (-2_i32).to_be_bytes();

/// `jsonb_send` puts a version number before the text; there is only this one.
const JSONB_VERSION: u8 = 1;

/// The OID of `text`, fixed in PostgreSQL's `pg_type.dat`.
const TEXT_OID: u32 = 25;

/// Writes header, rows and trailer into one growing buffer.
#[derive(Debug, Default)]
pub struct Encoder {
    buffer: BytesMut,
}

impl Encoder {
    /// An empty encoder; nothing is written, the header neither.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty encoder with room for `bytes` bytes before it has to allocate.
    pub fn with_capacity(bytes: usize) -> Self {
        Encoder {
            buffer: BytesMut::with_capacity(bytes),
        }
    }

    /// Writes the header; once, before the first row of a stream.
    pub fn header(&mut self) {
        self.buffer.put_slice(&HEADER);
    }

    /// Writes the trailer; once, after the last row of a stream.
    pub fn trailer(&mut self) {
        self.buffer.put_slice(&TRAILER);
    }

    /// Begins a row of exactly `field_count` fields.
    pub fn row(&mut self, field_count: i16) -> Row<'_> {
        let start = self.buffer.len();
        self.buffer.put_i16(field_count);
        Row {
            buffer: &mut self.buffer,
            start,
            declared: field_count,
            written: 0,
            oversized: false,
            finished: false,
        }
    }

    /// Bytes written and not yet taken.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether nothing is there to be taken.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// All that was written and not yet taken.
    pub fn as_bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// The same, to fill in what was not known when it was written.
    pub fn as_mut_bytes(&mut self) -> &mut [u8] {
        &mut self.buffer
    }

    /// Adds rows that are finished already.
    pub fn append(&mut self, rows: &[u8]) {
        self.buffer.put_slice(rows);
    }

    /// Takes back all but the first `bytes` bytes, which must end at a row's end.
    pub fn truncate(&mut self, bytes: usize) {
        self.buffer.truncate(bytes);
    }

    /// Splits off all that was written so far, without copying.
    pub fn take(&mut self) -> Bytes {
        self.buffer.split().freeze()
    }
}

/// A row being written: one call per field, in the order of the column list.
///
/// [`finish`](Row::finish) checks the row, and takes a bad one back out of the stream. A row that
/// ends without `finish` and has another number of fields than announced is a defect of the caller:
/// debug builds panic, release builds write the true count, so that the server refuses it with *row
/// field count is ..., expected ...* instead of reading the following rows askew.
#[derive(Debug)]
pub struct Row<'a> {
    buffer: &'a mut BytesMut,
    /// Offset of the row's field count in `buffer`.
    start: usize,
    declared: i16,
    written: i32,
    /// A value exceeded what a field can hold, and [`REFUSED`] stands in its place.
    oversized: bool,
    finished: bool,
}

impl Row<'_> {
    /// NULL.
    pub fn null(&mut self) -> &mut Self {
        self.begin(NULL)
    }

    /// `boolean`.
    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.fixed([u8::from(value)])
    }

    /// `smallint`.
    pub fn int2(&mut self, value: i16) -> &mut Self {
        self.fixed(value.to_be_bytes())
    }

    /// `integer`.
    pub fn int4(&mut self, value: i32) -> &mut Self {
        self.fixed(value.to_be_bytes())
    }

    /// `bigint`.
    pub fn int8(&mut self, value: i64) -> &mut Self {
        self.fixed(value.to_be_bytes())
    }

    /// `real`.
    pub fn float4(&mut self, value: f32) -> &mut Self {
        self.fixed(value.to_be_bytes())
    }

    /// `double precision`.
    pub fn float8(&mut self, value: f64) -> &mut Self {
        self.fixed(value.to_be_bytes())
    }

    /// `text`, `varchar`, `char(n)`, `json` and the labels of an enum: all are sent as their
    /// characters. The client encoding must be UTF-8, and PostgreSQL refuses the character U+0000.
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.raw(value.as_bytes())
    }

    /// `bytea`.
    pub fn bytea(&mut self, value: &[u8]) -> &mut Self {
        self.raw(value)
    }

    /// `uuid`.
    pub fn uuid(&mut self, value: [u8; 16]) -> &mut Self {
        self.fixed(value)
    }

    /// `timestamptz` or `timestamp`, in microseconds since 2000-01-01 (UTC); see
    /// [`POSTGRES_EPOCH_OFFSET_US`](crate::POSTGRES_EPOCH_OFFSET_US). `i64::MAX` and `i64::MIN` are
    /// `infinity` and `-infinity`.
    pub fn timestamptz_us(&mut self, value: i64) -> &mut Self {
        self.fixed(value.to_be_bytes())
    }

    /// `date`, in days since 2000-01-01. `i32::MAX` and `i32::MIN` are `infinity` and `-infinity`.
    pub fn date(&mut self, value: i32) -> &mut Self {
        self.fixed(value.to_be_bytes())
    }

    /// `jsonb`, from its text, which the server parses.
    pub fn jsonb(&mut self, value: &str) -> &mut Self {
        let Some(length) = field_length(value.len().saturating_add(1)) else {
            return self.refuse();
        };
        self.begin(length);
        self.buffer.put_u8(JSONB_VERSION);
        self.buffer.put_slice(value.as_bytes());
        self
    }

    /// `text[]` with one dimension, the lower bound 1 and no NULLs; no elements give the empty
    /// array `{}`.
    pub fn text_array<'t>(&mut self, values: impl ExactSizeIterator<Item = &'t str>) -> &mut Self {
        // i32 dimensions, i32 whether NULLs occur, u32 element type; per dimension i32 length, i32
        // lower bound; per element i32 length and bytes (array_send in arrayfuncs.c).
        let length_at = self.buffer.len();
        self.begin(NULL);
        let count = values.len();
        self.buffer.put_i32(i32::from(count > 0));
        self.buffer.put_i32(0);
        self.buffer.put_u32(TEXT_OID);
        if count > 0 {
            // More elements than i32 counts are more bytes than a field holds: refused below.
            self.buffer
                .put_i32(i32::try_from(count).unwrap_or(i32::MAX));
            self.buffer.put_i32(1);
        }
        for value in values {
            let Some(length) = field_length(value.len()) else {
                return self.refuse_from(length_at);
            };
            self.buffer.put_slice(&length);
            self.buffer.put_slice(value.as_bytes());
        }
        self.close(length_at)
    }

    /// A value that already is in the binary form of its type.
    pub fn raw(&mut self, value: &[u8]) -> &mut Self {
        let Some(length) = field_length(value.len()) else {
            return self.refuse();
        };
        self.begin(length);
        self.buffer.put_slice(value);
        self
    }

    /// NULL, or the value by the method given: `row.optional(climb_fpm, Row::int4)`.
    pub fn optional<T>(
        &mut self,
        value: Option<T>,
        write: impl FnOnce(&mut Self, T) -> &mut Self,
    ) -> &mut Self {
        match value {
            Some(value) => write(self, value),
            None => self.null(),
        }
    }

    /// Bytes of the row so far, from its field count on.
    pub fn bytes_written(&self) -> usize {
        self.buffer.len().saturating_sub(self.start)
    }

    /// Takes the row back out of the stream; the rows before it stand.
    pub fn abandon(&mut self) {
        self.finished = true;
        self.buffer.truncate(self.start);
    }

    /// Ends the row and checks it.
    ///
    /// # Errors
    ///
    /// If the row has another number of fields than announced, or it or a value in it is longer
    /// than [`TUPLE_BYTES_MAX`]. The row is then gone from the stream, and the rows before it
    /// stand.
    pub fn finish(&mut self) -> Result<(), Error> {
        self.finished = true;
        let error = if self.written != i32::from(self.declared) {
            Kind::FieldCount {
                found: self.written,
                expected: self.declared,
            }
        } else if self.oversized || self.buffer.len().saturating_sub(self.start) > TUPLE_BYTES_MAX {
            Kind::TupleSize
        } else {
            return Ok(());
        };
        self.buffer.truncate(self.start);
        Err(error.into())
    }

    /// Begins a field with its length word.
    #[inline]
    fn begin(&mut self, length: [u8; 4]) -> &mut Self {
        self.written = self.written.saturating_add(1);
        self.buffer.put_slice(&length);
        self
    }

    /// A field of a length known to the compiler.
    #[inline]
    fn fixed<const N: usize>(&mut self, value: [u8; N]) -> &mut Self {
        self.begin((N as i32).to_be_bytes());
        self.buffer.put_slice(&value);
        self
    }

    /// Sets the length word at `length_at` to the bytes written since.
    fn close(&mut self, length_at: usize) -> &mut Self {
        let bytes = self
            .buffer
            .len()
            .saturating_sub(length_at.saturating_add(4));
        let Some(length) = field_length(bytes) else {
            return self.refuse_from(length_at);
        };
        if let Some(word) = self.buffer.get_mut(length_at..length_at.saturating_add(4)) {
            word.copy_from_slice(&length);
        }
        self
    }

    /// Puts [`REFUSED`] in the place of a field.
    #[cold]
    fn refuse(&mut self) -> &mut Self {
        self.oversized = true;
        self.begin(REFUSED)
    }

    /// Puts [`REFUSED`] in the place of the field that began at `length_at` and was counted.
    #[cold]
    fn refuse_from(&mut self, length_at: usize) -> &mut Self {
        self.buffer.truncate(length_at);
        self.written = self.written.saturating_sub(1);
        self.refuse()
    }
}

impl Drop for Row<'_> {
    fn drop(&mut self) {
        if self.finished || self.written == i32::from(self.declared) {
            return;
        }
        let written = i16::try_from(self.written).unwrap_or(i16::MAX);
        if let Some(count) = self
            .buffer
            .get_mut(self.start..self.start.saturating_add(2))
        {
            count.copy_from_slice(&written.to_be_bytes());
        }
        debug_assert!(
            std::thread::panicking(),
            "row field count is {}, expected {}",
            self.written,
            self.declared
        );
    }
}

/// The length word of a value of `bytes` bytes, if a field can hold it.
#[inline]
fn field_length(bytes: usize) -> Option<[u8; 4]> {
    if bytes > TUPLE_BYTES_MAX {
        return None;
    }
    i32::try_from(bytes).ok().map(i32::to_be_bytes)
}
