//! What became of a packet. Every packet is exactly one of these, and is counted as it; none is passed over.

/// What a packet was, or why it could not be read. Each packet has a row of raw messages; only [`Kind::Fix`] has a fix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The position of an aircraft.
    Fix,
    /// The position of a station on the ground.
    ReceiverPosition,
    /// A status report (`>`).
    Status,
    /// A message to somebody (`:`).
    Message,
    /// A weather report.
    Weather,
    /// What APRS knows and OGN's aircraft do not send: objects, telemetry, Mic-E, queries.
    Other,
    /// A line of the server itself (`#`).
    ServerLine,
    /// The pilot does not want to be tracked: OGN asks to keep no position of it.
    NoTracking,
    /// A position without an `id` field, of a sender whose call sign holds no address.
    NoAddress,
    /// Longer than APRS-IS allows; only the beginning was kept.
    Oversized,
    /// No `SENDER>DESTINATION,PATH:` in front.
    Header,
    /// A call sign of sender or destination that is empty, longer than 9 characters or holds others than letters, digits and `-`.
    CallSign,
    /// Nothing after the header, or a first character that APRS does not know.
    DataType,
    /// The packet ends before its position does.
    Truncated,
    /// A compressed position, which OGN does not use.
    Compressed,
    /// A latitude that is none, such as one of 99 minutes.
    Latitude,
    /// A longitude that is none.
    Longitude,
    /// A time that is none, such as 25 o'clock.
    Time,
    /// A time of an unknown time zone (`/`).
    LocalTime,
    /// A time too far from that of reception.
    ImplausibleTime,
}

impl Kind {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 20] = [
        Self::Fix,
        Self::ReceiverPosition,
        Self::Status,
        Self::Message,
        Self::Weather,
        Self::Other,
        Self::ServerLine,
        Self::NoTracking,
        Self::NoAddress,
        Self::Oversized,
        Self::Header,
        Self::CallSign,
        Self::DataType,
        Self::Truncated,
        Self::Compressed,
        Self::Latitude,
        Self::Longitude,
        Self::Time,
        Self::LocalTime,
        Self::ImplausibleTime,
    ];

    /// Its name in counters and in the column `unparsed`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Fix => "fix",
            Self::ReceiverPosition => "receiver-position",
            Self::Status => "status",
            Self::Message => "message",
            Self::Weather => "weather",
            Self::Other => "other",
            Self::ServerLine => "server-line",
            Self::NoTracking => "no-tracking",
            Self::NoAddress => "no-address",
            Self::Oversized => "oversized",
            Self::Header => "header",
            Self::CallSign => "call-sign",
            Self::DataType => "data-type",
            Self::Truncated => "truncated",
            Self::Compressed => "compressed",
            Self::Latitude => "latitude",
            Self::Longitude => "longitude",
            Self::Time => "time",
            Self::LocalTime => "local-time",
            Self::ImplausibleTime => "implausible-time",
        }
    }

    /// Whether such a packet is in order as what it is: nothing is said about it in the column `unparsed`.
    pub fn is_in_order(self) -> bool {
        match self {
            Self::Fix
            | Self::ReceiverPosition
            | Self::Status
            | Self::Message
            | Self::Weather
            | Self::Other
            | Self::ServerLine
            | Self::NoTracking => true,
            Self::NoAddress
            | Self::Oversized
            | Self::Header
            | Self::CallSign
            | Self::DataType
            | Self::Truncated
            | Self::Compressed
            | Self::Latitude
            | Self::Longitude
            | Self::Time
            | Self::LocalTime
            | Self::ImplausibleTime => false,
        }
    }
}

/// The number in counts, beside those of the kinds, of packets of any kind whose bytes are not UTF-8.
pub const NOT_UTF8: usize = Kind::ALL.len();

/// What is counted of packets, by number: kinds, and bytes that are not UTF-8.
pub(super) fn codes() -> Vec<&'static str> {
    let kinds = Kind::ALL.iter().map(|kind| kind.code());
    kinds.chain(["not-utf8"]).collect()
}
