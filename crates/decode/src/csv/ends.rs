//! Where CSV records end in bytes that come in pieces: a quoted field may hold ends of lines.

/// Finds the ends of records. It goes on where the piece before ended.
#[derive(Clone, Debug)]
pub struct RecordEnds {
    delimiter: u8,
    place: Place,
}

/// Where the next byte stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    RecordStart,
    FieldStart,
    Plain,
    Quoted,
    /// Behind a quote in a quoted field: its end, or one half of a doubled quote.
    QuotedQuote,
}

impl RecordEnds {
    /// At the start of a record.
    pub fn new(delimiter: char) -> Self {
        RecordEnds {
            // What is no ASCII character is refused with the mapping.
            delimiter: u8::try_from(delimiter).unwrap_or(b','),
            place: Place::RecordStart,
        }
    }

    /// How many bytes belong to the record, with the end of its line. `None`: it goes on behind them; the next call must have
    /// what follows, and not these bytes again.
    pub fn next_end(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.place == Place::RecordStart
            && let Some(end) = memchr::memchr(b'\n', bytes)
            && memchr::memchr(b'"', bytes.get(..end)?).is_none()
        {
            return Some(end + 1);
        }
        for (index, byte) in bytes.iter().enumerate() {
            self.place = self.after(*byte);
            if self.place == Place::RecordStart {
                return Some(index + 1);
            }
        }
        None
    }

    /// Whether all bytes so far are records that have ended.
    pub fn is_at_start(&self) -> bool {
        self.place == Place::RecordStart
    }

    fn after(&self, byte: u8) -> Place {
        match (self.place, byte) {
            (Place::Quoted, b'"') => Place::QuotedQuote,
            (Place::Quoted, _) | (Place::QuotedQuote, b'"') => Place::Quoted,
            (_, b'\n') => Place::RecordStart,
            (_, byte) if byte == self.delimiter => Place::FieldStart,
            (Place::RecordStart | Place::FieldStart, b'"') => Place::Quoted,
            _ => Place::Plain,
        }
    }
}
