//! Kinds of aircraft with their trackers: what OGN calls them, what they fly like, what their packets carry.

/// How a packet's comment is laid out; each tracker network has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// FLARM and OGN trackers: climb, turn, signal, GPS precision.
    Flarm,
    /// OGN tracker: as FLARM's, with the flight level of its barometer.
    Tracker,
    /// ADS-B: climb, flight level, call sign, squawk.
    Adsb,
    /// FANET: climb, signal, no turn.
    Fanet,
    /// PilotAware: signal only.
    PilotAware,
    /// SafeSky, a telephone app: climb and GPS precision, heard by no receiver.
    SafeSky,
}

/// What the flights of an aircraft look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlightKind {
    /// Turns over the home airfield, of about this radius in tenths of a nautical mile.
    Circuits(i32),
    /// A triangle from thermal to thermal.
    CrossCountry,
    /// Straight past the airfield at cruising level.
    Overflight,
}

/// A kind of aircraft with its tracker.
#[derive(Debug)]
pub(crate) struct Profile {
    /// Share among the aircraft that are based at the airfields; 0 for overflights.
    pub(crate) weight: u32,
    pub(crate) layout: Layout,
    pub(crate) flights: FlightKind,
    /// Prefix of the sender's call sign.
    pub(crate) prefix: &'static str,
    /// Destination call sign, which names the kind of tracker.
    pub(crate) destination: &'static str,
    /// Kind of address, and its number in the packet's `id` field (0 random, 1 ICAO, 2 FLARM, 3 OGN).
    pub(crate) address: (&'static str, u8),
    /// Kind of aircraft, and its number in the packet's `id` field (FLARM's data port specification).
    pub(crate) aircraft: (&'static str, u8),
    /// APRS symbol: table and code.
    pub(crate) symbol: (char, char),
    pub(crate) models: &'static [&'static str],
    /// Knots over ground, from slow to fast.
    pub(crate) speeds: (i32, i32),
}

const GLIDERS: &[&str] = &[
    "Ventus 2cT",
    "LS 4",
    "ASK 21",
    "Discus 2b",
    "Duo Discus",
    "DG-1000",
    "ASW 28",
    "Arcus T",
    "LS 8",
];
const TUGS: &[&str] = &["Robin DR 400", "Piper PA-18", "Aviat Husky", "WT-9 Dynamic"];
const POWERED: &[&str] = &["Cessna 172", "Diamond DA40", "Piper PA-28", "Aquila A211"];
const HELICOPTERS: &[&str] = &["EC 135", "AS 350", "Robinson R44"];
const PARAGLIDERS: &[&str] = &["Alpina 4", "Enzo 3", "Rush 6"];
const AIRLINERS: &[&str] = &[
    "Airbus A320",
    "Airbus A321neo",
    "Boeing 737-800",
    "Embraer 195",
    "Airbus A220-300",
];

/// Kinds of aircraft that are based at the airfields, by weight; the last is the one that flies over.
pub(crate) const PROFILES: [Profile; 9] = [
    Profile {
        weight: 42,
        layout: Layout::Flarm,
        flights: FlightKind::CrossCountry,
        prefix: "FLR",
        destination: "OGFLR",
        address: ("flarm", 2),
        aircraft: ("glider", 1),
        symbol: ('/', '\''),
        models: GLIDERS,
        speeds: (48, 75),
    },
    Profile {
        weight: 12,
        layout: Layout::Flarm,
        flights: FlightKind::CrossCountry,
        prefix: "ICA",
        destination: "OGFLR",
        address: ("icao", 1),
        aircraft: ("glider", 1),
        symbol: ('/', '\''),
        models: GLIDERS,
        speeds: (48, 75),
    },
    Profile {
        weight: 10,
        layout: Layout::Flarm,
        flights: FlightKind::Circuits(22),
        prefix: "FLR",
        destination: "OGFLR",
        address: ("flarm", 2),
        aircraft: ("tow_plane", 2),
        symbol: ('/', '\''),
        models: TUGS,
        speeds: (62, 85),
    },
    Profile {
        weight: 9,
        layout: Layout::Tracker,
        flights: FlightKind::CrossCountry,
        prefix: "OGN",
        destination: "OGNTRK",
        address: ("ogn", 3),
        aircraft: ("glider", 1),
        symbol: ('/', '\''),
        models: GLIDERS,
        speeds: (45, 70),
    },
    Profile {
        weight: 4,
        layout: Layout::Flarm,
        flights: FlightKind::Circuits(45),
        prefix: "ICA",
        destination: "OGFLR",
        address: ("icao", 1),
        aircraft: ("helicopter", 3),
        symbol: ('/', 'X'),
        models: HELICOPTERS,
        speeds: (85, 125),
    },
    Profile {
        weight: 10,
        layout: Layout::Fanet,
        flights: FlightKind::CrossCountry,
        prefix: "FNT",
        destination: "OGNFNT",
        address: ("ogn", 3),
        aircraft: ("paraglider", 7),
        symbol: ('/', 'g'),
        models: PARAGLIDERS,
        speeds: (18, 26),
    },
    Profile {
        weight: 7,
        layout: Layout::PilotAware,
        flights: FlightKind::Circuits(60),
        prefix: "PAW",
        destination: "OGPAW",
        address: ("icao", 1),
        aircraft: ("powered", 8),
        symbol: ('\\', '^'),
        models: POWERED,
        speeds: (80, 120),
    },
    Profile {
        weight: 6,
        layout: Layout::SafeSky,
        flights: FlightKind::Circuits(50),
        prefix: "SKY",
        destination: "OGNSKY",
        address: ("random", 0),
        aircraft: ("powered", 8),
        symbol: ('\\', '^'),
        models: POWERED,
        speeds: (75, 115),
    },
    Profile {
        weight: 0,
        layout: Layout::Adsb,
        flights: FlightKind::Overflight,
        prefix: "ICA",
        destination: "OGADSB",
        address: ("icao", 1),
        aircraft: ("jet", 9),
        symbol: ('/', '^'),
        models: AIRLINERS,
        speeds: (380, 470),
    },
];

/// The profile that flies over.
pub(crate) const OVERFLIGHT: &Profile = &PROFILES[PROFILES.len() - 1];
