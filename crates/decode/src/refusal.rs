//! Why a record became no rows. A refusal holds no values of it: its bytes go to the dead letters, and nowhere else.

use std::fmt;

/// A record that cannot become rows, and will not if it is tried again.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// The table's column that it is about, unless it is about the record as a whole.
    pub column: Option<String>,
}

impl Refusal {
    /// A refusal of the record as a whole.
    pub fn record(reason: Reason) -> Self {
        Refusal {
            reason,
            column: None,
        }
    }

    /// A refusal for the value of one column.
    pub fn column(reason: Reason, column: &str) -> Self {
        Refusal {
            reason,
            column: Some(column.to_owned()),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.column {
            Some(column) => write!(f, "column \"{column}\": {}", self.reason.message()),
            None => f.write_str(self.reason.message()),
        }
    }
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal, $sqlstate:literal, $message:literal;)+) => {
        /// Why a record is refused. `sqlstate` is what the server would have said, or what comes closest.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub enum Reason {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Reason {
            /// All of them.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant,)+];

            /// A stable name, for counters and dead letters.
            pub fn code(self) -> &'static str {
                match self { $(Reason::$variant => $code,)+ }
            }

            /// The SQLSTATE that it stands for.
            pub fn sqlstate(self) -> &'static str {
                match self { $(Reason::$variant => $sqlstate,)+ }
            }

            /// In words.
            pub fn message(self) -> &'static str {
                match self { $(Reason::$variant => $message,)+ }
            }
        }
    };
}

reasons! {
    /// A text holds the character U+0000, which PostgreSQL does not store.
    NulByte = "nul-byte", "22021", "text holds the character U+0000";
    /// The bytes are not UTF-8.
    NotUtf8 = "not-utf8", "22021", "bytes are not UTF-8";
    /// The record, or the value for a `json` column, is not JSON; or the record is JSON, but no object.
    BadJson = "bad-json", "22P02", "not the JSON that is expected";
    /// A JSON text has an escape that `jsonb` does not store: U+0000, or half of a surrogate pair.
    BadEscape = "bad-escape", "22P05", "JSON text has an escape that jsonb does not store";
    /// A CSV record whose quotes do not match.
    BadCsv = "bad-csv", "22P04", "quotes of the CSV record do not match";
    /// A CSV record with more or fewer fields than the header.
    FieldCount = "field-count", "22P04", "more or fewer fields than the header";
    /// A value that is not of the column's type.
    WrongType = "wrong-type", "22P02", "value is not of the column's type";
    /// A label that the column's enum does not have.
    UnknownLabel = "unknown-label", "22P02", "value is no label of the column's enum";
    /// A number that the column's type does not hold.
    Overflow = "overflow", "22003", "number is out of the range of the column's type";
    /// More characters than the column holds.
    TooLong = "too-long", "22001", "text is longer than the column holds";
    /// No value for a column that must have one.
    Null = "null", "23502", "no value for a column that must have one";
    /// A time that cannot be read.
    BadTime = "bad-time", "22007", "time cannot be read";
    /// A time or a day that does not exist, or that the type does not hold.
    TimeRange = "time-range", "22008", "time does not exist or is out of the range of the type";
    /// A time outside of the window around the time of reception.
    TimeWindow = "time-window", "22008", "time is outside of the plausible window around the time of reception";
    /// A number outside of the column's plausible limits.
    Implausible = "implausible", "23514", "number is outside of the column's plausible limits";
    /// A key that the table of a lookup does not have, and that could not be added to it.
    UnknownKey = "unknown-key", "23503", "key is not in the table that it is looked up in";
    /// A row that is larger than a tuple can be.
    TooLarge = "too-large", "54000", "row is larger than a tuple can be";
}

#[cfg(test)]
mod tests {
    use super::{Reason, Refusal};
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_distinct_and_kebab_case() {
        let codes: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for code in codes {
            assert!(
                code.chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'),
                "{code}"
            );
        }
    }

    #[test]
    fn sqlstates_have_five_characters() {
        for reason in Reason::ALL {
            assert_eq!(reason.sqlstate().len(), 5, "{}", reason.code());
        }
    }

    #[test]
    fn a_refusal_names_the_column() {
        let refusal = Refusal::column(Reason::Null, "well_id");
        assert_eq!(
            refusal.to_string(),
            "column \"well_id\": no value for a column that must have one"
        );
        assert_eq!(
            Refusal::record(Reason::NotUtf8).to_string(),
            "bytes are not UTF-8"
        );
    }
}
