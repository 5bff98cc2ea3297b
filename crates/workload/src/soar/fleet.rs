//! Who is there: receivers on the ground and aircraft with their trackers. Small enough to be kept in memory at any number of fixes.

use uuid::Uuid;

use super::airfields::AIRFIELDS;
use super::profile::{OVERFLIGHT, PROFILES, Profile};
use crate::random::{Purpose, Random};

/// Of so many lanes, the last carries overflights.
const LANES_PER_OVERFLIGHT: u64 = 5;

const AIRCRAFT_MIN: u64 = 800;
const AIRCRAFT_PER_LANE_MIN: u64 = 4;

/// APRS servers of OGN.
const SERVERS: [&str; 5] = ["GLIDERN1", "GLIDERN2", "GLIDERN3", "GLIDERN4", "GLIDERN5"];

/// What receivers run.
const SOFTWARE: [(&str, &str, f32); 5] = [
    ("v0.2.8", "RPI-GPU", 968.2),
    ("v0.3.2", "ARM", 3_790.4),
    ("v0.3.0", "ARM", 1_845.9),
    ("v0.3.2", "x64", 7_821.3),
    ("v0.2.9", "RPI-GPU", 433.2),
];

/// A ground station, or the gateway of a network that needs none.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) id: Uuid,
    pub(crate) callsign: String,
    /// Index of the airfield where it stands; a gateway stands nowhere.
    pub(crate) airfield: Option<usize>,
    /// Thousandths of minutes north and east.
    pub(crate) position: (i32, i32),
    pub(crate) elevation_feet: i32,
    /// APRS server that it is connected to.
    pub(crate) server: &'static str,
    pub(crate) version: &'static str,
    pub(crate) platform: &'static str,
    pub(crate) ram_total_mb: f32,
}

/// An aircraft by the address that it transmits.
#[derive(Debug)]
pub(crate) struct Aircraft {
    pub(crate) id: Uuid,
    pub(crate) profile: &'static Profile,
    pub(crate) address: u32,
    /// Sender's call sign: prefix and address.
    pub(crate) source: String,
    /// Index of the airfield where it starts and lands, or which it flies over.
    pub(crate) home: usize,
    pub(crate) model: &'static str,
    /// Unknown devices have none.
    pub(crate) registration: Option<String>,
}

/// All receivers and aircraft.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) receivers: Vec<Receiver>,
    pub(crate) aircraft: Vec<Aircraft>,
    /// For each airfield the indexes of the receivers that hear it best.
    nearest: Vec<[usize; 3]>,
    lanes: u64,
}

impl Fleet {
    /// A fleet with `receiver_count` receivers, and aircraft enough for `lanes` of them in the air at once.
    pub(crate) fn new(seed: u64, receiver_count: u32, lanes: u64) -> Self {
        let mut receivers: Vec<_> = (0..receiver_count)
            .map(|index| receiver(seed, index))
            .collect();
        let nearest = AIRFIELDS
            .iter()
            .map(|field| nearest(&receivers, field.latitude, field.longitude))
            .collect();
        receivers.push(gateway(seed, receiver_count));
        let lanes = lanes.next_multiple_of(LANES_PER_OVERFLIGHT);
        let per_lane = AIRCRAFT_MIN.div_ceil(lanes).max(AIRCRAFT_PER_LANE_MIN);
        let aircraft = (0..lanes * per_lane)
            .map(|index| aircraft(seed, index))
            .collect();
        Self {
            receivers,
            aircraft,
            nearest,
            lanes,
        }
    }

    /// Index of the receiver that stands for networks without receivers.
    pub(crate) fn gateway(&self) -> usize {
        self.receivers.len() - 1
    }

    /// Receivers that hear an aircraft based at airfield `home`, best first.
    pub(crate) fn heard_by(&self, home: usize) -> [usize; 3] {
        self.nearest[home]
    }

    /// The aircraft that makes flight `number` in a lane; `shift` varies by day. No two lanes share an aircraft, so that none
    /// is in two places, and no two flights in a row are made by the same.
    pub(crate) fn assigned(&self, lane: u64, number: u64, shift: u64) -> usize {
        let per_lane = self.aircraft.len() as u64 / self.lanes;
        (lane + self.lanes * (shift.wrapping_add(number) % per_lane)) as usize
    }
}

/// Whether aircraft fly over in `lane`; elsewhere they start and land.
pub(crate) fn is_overflight(lane: u64) -> bool {
    lane % LANES_PER_OVERFLIGHT == LANES_PER_OVERFLIGHT - 1
}

fn receiver(seed: u64, index: u32) -> Receiver {
    let mut random = Random::derive(seed, Purpose::Receivers, 0, u64::from(index));
    let place = index as usize % AIRFIELDS.len();
    let field = &AIRFIELDS[place];
    // The first stands on the airfield, the others in the neighbourhood; call signs are at most 9 characters.
    let round = index as usize / AIRFIELDS.len();
    let callsign = if round == 0 {
        field.ident.to_owned()
    } else {
        format!("{}{}", field.ident, round + 1)
    };
    let reach = if round == 0 { 200 } else { 15_000 };
    let (version, platform, ram_total_mb) = random.pick(&SOFTWARE);
    Receiver {
        id: random.uuid(),
        callsign,
        airfield: Some(place),
        position: (
            (field.latitude * 60_000.0) as i32 + random.between(-reach, reach),
            (field.longitude * 60_000.0) as i32 + random.between(-reach, reach),
        ),
        elevation_feet: field.elevation_feet + random.between(10, 400),
        server: random.pick(&SERVERS),
        version,
        platform,
        ram_total_mb,
    }
}

fn gateway(seed: u64, index: u32) -> Receiver {
    let mut random = Random::derive(seed, Purpose::Receivers, 0, u64::from(index));
    Receiver {
        id: random.uuid(),
        callsign: "SafeSky".to_owned(),
        airfield: None,
        position: (0, 0),
        elevation_feet: 0,
        server: "GLIDERN1",
        version: "",
        platform: "",
        ram_total_mb: 0.0,
    }
}

fn nearest(receivers: &[Receiver], latitude: f64, longitude: f64) -> [usize; 3] {
    let distance = |index: usize| {
        let (north, east) = receivers[index].position;
        // Good enough to rank: all airfields lie around 48 degrees north, where a degree east is 2/3 of one north.
        let (north, east) = (
            f64::from(north) / 60_000.0 - latitude,
            (f64::from(east) / 60_000.0 - longitude) * 0.67,
        );
        north * north + east * east
    };
    let mut ranked: Vec<usize> = (0..receivers.len()).collect();
    ranked.sort_by(|&a, &b| distance(a).total_cmp(&distance(b)));
    [0, 1, 2].map(|rank: usize| ranked[rank.min(ranked.len() - 1)])
}

fn aircraft(seed: u64, index: u64) -> Aircraft {
    let mut random = Random::derive(seed, Purpose::Aircraft, 0, index);
    let profile = if is_overflight(index) {
        OVERFLIGHT
    } else {
        based_profile(&mut random)
    };
    // An odd factor permutes the 24-bit addresses: none comes twice.
    let address = ((index + 1).wrapping_mul(0x9E_37C5).wrapping_add(seed) & 0xFF_FFFF) as u32;
    let home = random.below(AIRFIELDS.len() as u32) as usize;
    let registration = random
        .percent(85)
        .then(|| registration(AIRFIELDS[home].country, index));
    Aircraft {
        id: random.uuid(),
        profile,
        address,
        source: format!("{}{address:06X}", profile.prefix),
        home,
        model: random.pick(profile.models),
        registration,
    }
}

fn based_profile(random: &mut Random) -> &'static Profile {
    let mut rest = random.below(PROFILES.iter().map(|profile| profile.weight).sum());
    for profile in &PROFILES {
        if rest < profile.weight {
            return profile;
        }
        rest -= profile.weight;
    }
    OVERFLIGHT
}

/// A registration in the manner of `country`, distinct for each `index` up to 26 to the fourth.
fn registration(country: &str, index: u64) -> String {
    let letter = |place: u32| char::from(b'A' + (index / 26_u64.pow(place) % 26) as u8);
    let letters: String = [letter(3), letter(2), letter(1), letter(0)]
        .iter()
        .collect();
    match country {
        "FR" => format!("F-{letters}"),
        "CH" => format!("HB-{letters}"),
        "AT" => format!("OE-{letters}"),
        "IT" => format!("I-{letters}"),
        "PL" => format!("SP-{letters}"),
        "GB" => format!("G-{letters}"),
        "NL" => format!("PH-{letters}"),
        "BE" => format!("OO-{letters}"),
        _ => format!("D-{letters}"),
    }
}
