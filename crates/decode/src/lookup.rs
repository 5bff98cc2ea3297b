//! Ids that another table gives: a row refers to a key, and the id is filled in when somebody with a connection has found
//! it. Finding and learning is not done here.

use std::collections::HashMap;

/// A table in which ids are found by key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LookupSpec {
    /// The table, as the mapping names it: `schema.table`.
    pub table: String,
    /// The column that holds the id.
    pub id_column: String,
    /// The id's type.
    pub id_type: IdType,
    /// Columns that identify a row: [`LookupKey::key`] has their values.
    pub key_columns: Vec<String>,
    /// Columns that a new row gets besides the key: [`LookupKey::extra`] has their values.
    pub extra_columns: Vec<String>,
    /// A column whose value is needed together with the id; see [`Found::returned`].
    pub returned_column: Option<String>,
}

/// Types of an id. All have one width, so that an id can be filled into a finished tuple.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdType {
    /// `uuid`
    Uuid,
    /// `integer`
    Int4,
    /// `bigint`
    Int8,
}

impl IdType {
    /// Bytes of an id in its binary form.
    pub fn bytes(self) -> usize {
        match self {
            IdType::Uuid => 16,
            IdType::Int4 => 4,
            IdType::Int8 => 8,
        }
    }
}

/// An id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Id {
    /// `uuid`
    Uuid([u8; 16]),
    /// `integer`
    Int4(i32),
    /// `bigint`
    Int8(i64),
}

impl Id {
    /// Its type.
    pub fn id_type(self) -> IdType {
        match self {
            Id::Uuid(_) => IdType::Uuid,
            Id::Int4(_) => IdType::Int4,
            Id::Int8(_) => IdType::Int8,
        }
    }

    /// Writes its binary form into `place`, which must be as wide; says whether it was.
    pub(crate) fn write(self, place: &mut [u8]) -> bool {
        if place.len() != self.id_type().bytes() {
            return false;
        }
        match self {
            Id::Uuid(bytes) => place.copy_from_slice(&bytes),
            Id::Int4(value) => place.copy_from_slice(&value.to_be_bytes()),
            Id::Int8(value) => place.copy_from_slice(&value.to_be_bytes()),
        }
        true
    }
}

/// What a row is looked up by, as text that the server casts to the columns' types.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LookupKey {
    /// Values of the key columns.
    pub key: Vec<String>,
    /// Values for the extra columns if the row has to be added, of the first record that had this key.
    pub extra: Vec<Option<String>>,
}

/// What was found for a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found<'a> {
    /// The id.
    pub id: Id,
    /// The value of the spec's `returned_column`, as text.
    pub returned: Option<&'a str>,
}

/// Distinct keys of one lookup, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    keys: Vec<LookupKey>,
    /// From the key's values, joined by U+0000, which no text of PostgreSQL holds.
    index: HashMap<Box<str>, usize>,
    joined: String,
}

impl Keys {
    /// The number of a key; extras are kept only of the first.
    pub(crate) fn intern(&mut self, key: &[&str], extra: &[Option<&str>]) -> usize {
        self.joined.clear();
        for value in key {
            self.joined.push_str(value);
            self.joined.push('\0');
        }
        if let Some(index) = self.index.get(self.joined.as_str()) {
            return *index;
        }
        let index = self.keys.len();
        self.index.insert(self.joined.as_str().into(), index);
        self.keys.push(LookupKey {
            key: key.iter().map(|&value| value.to_owned()).collect(),
            extra: extra.iter().map(|value| value.map(str::to_owned)).collect(),
        });
        index
    }

    pub(crate) fn get(&self, index: usize) -> Option<&LookupKey> {
        self.keys.get(index)
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn clear(&mut self) {
        self.keys.clear();
        self.index.clear();
    }
}
