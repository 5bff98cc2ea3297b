//! What a decoder is given: one record as a source took it in. Nothing here looks into the payload.

/// One unit of what a sender sent: a line, a packet, a message.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The bytes that came, without the end of the line.
    pub payload: &'a [u8],
    /// When they came, in microseconds since 1970-01-01 UTC.
    pub received_at_us: i64,
    /// Where the record stands in its source; it grows within one source.
    pub position: u64,
    /// The source's name.
    pub source: &'a str,
    /// What the source knows besides the payload: captures of a topic or subject, such as `("well_id", "W-17")`.
    pub attributes: &'a [(String, String)],
}

impl<'a> Record<'a> {
    /// The attribute of that name.
    pub fn attribute(&self, name: &str) -> Option<&'a str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}
