//! Records that are stored together, laid out as they will lie on the disk.

use crate::format::write_record;

/// Records that are stored together: all of them are acknowledged, or none.
///
/// Who fills a parcel does most of the work of storing it, in a thread of its own: payloads are copied and summed here, and the spool only
/// numbers them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parcel {
    bytes: Vec<u8>,
    records: u32,
}

impl Parcel {
    /// A parcel without records.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a record. It may be empty.
    pub fn push(&mut self, payload: &[u8]) {
        write_record(&mut self.bytes, payload);
        self.records = self.records.saturating_add(1);
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.records as usize
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// What the parcel takes up on the disk, in bytes: payloads and 16 for each record. [`crate::Limits::append_bytes_max`] bounds it.
    pub fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl<P: AsRef<[u8]>> Extend<P> for Parcel {
    fn extend<I: IntoIterator<Item = P>>(&mut self, payloads: I) {
        for payload in payloads {
            self.push(payload.as_ref());
        }
    }
}

impl<P: AsRef<[u8]>> FromIterator<P> for Parcel {
    fn from_iter<I: IntoIterator<Item = P>>(payloads: I) -> Self {
        let mut parcel = Self::new();
        parcel.extend(payloads);
        parcel
    }
}
