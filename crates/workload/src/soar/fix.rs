//! Fixes in order of arrival: what the aircraft did at that second, as far as its packet tells. Every value is what can be
//! read back out of the packet: rounded to what APRS carries, absent where the packet has no field for it.

use uuid::Uuid;

use super::airfields::AIRFIELDS;
use super::fleet::{Aircraft, Fleet};
use super::flight::{Flight, Lane, State};
use super::profile::Layout;
use super::schedule::{Block, Schedule};
use crate::random::{Purpose, Random};

/// How well a receiver heard a packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signal {
    /// Tenths of decibels.
    pub(crate) snr: i32,
    pub(crate) bit_errors: u32,
    /// Tenths of kilohertz.
    pub(crate) frequency_offset: i32,
}

/// One row of `fixes` and what its packet says.
#[derive(Debug)]
pub(crate) struct Fix<'a> {
    pub(crate) id: Uuid,
    pub(crate) raw_message_id: Uuid,
    /// Microseconds since 1970.
    pub(crate) received_us: i64,
    /// Seconds since 1970.
    pub(crate) sent_second: i64,
    pub(crate) aircraft: &'a Aircraft,
    pub(crate) flight_id: Option<Uuid>,
    pub(crate) call_sign: Option<&'a str>,
    pub(crate) squawk: Option<&'a str>,
    /// Index in the fleet.
    pub(crate) receiver: usize,
    /// Address of the tracker that passed the packet on.
    pub(crate) relay: Option<u32>,
    /// Thousandths of minutes north and east.
    pub(crate) position: (i32, i32),
    pub(crate) altitude_msl_feet: Option<i32>,
    pub(crate) altitude_agl_feet: Option<i32>,
    /// Degrees in `0..360`, and knots.
    pub(crate) course: Option<(i32, i32)>,
    pub(crate) climb_fpm: Option<i32>,
    /// Tenths of half turns a minute.
    pub(crate) turn: Option<i32>,
    /// Hundredths of flight levels, which are hundreds of feet.
    pub(crate) flight_level: Option<i32>,
    pub(crate) signal: Option<Signal>,
    /// Metres, horizontally and vertically.
    pub(crate) gps: Option<(u32, u32)>,
    pub(crate) is_active: bool,
    pub(crate) time_gap_seconds: Option<i32>,
    /// Whether the protocol's own fields were kept.
    pub(crate) has_metadata: bool,
}

/// Calls `visit` with each fix of `block`, in order of arrival.
pub(crate) fn for_each_fix(
    seed: u64,
    schedule: &Schedule,
    fleet: &Fleet,
    block: &Block,
    mut visit: impl FnMut(&Fix<'_>),
) {
    let count = schedule.fixes_on(block.day);
    let lanes = schedule.lanes_for(count);
    let midnight_us = schedule.midnight_us(block.day);
    let mut random = Random::derive(seed, Purpose::Fixes, block.day, block.number);
    let mut in_the_air: Vec<Option<(Lane, Flight)>> = std::iter::repeat_with(|| None)
        .take(lanes as usize)
        .collect();
    for index in block.fixes.clone() {
        let (received_us, sent) = schedule.fix_time(block.day, index, count);
        let slot = &mut in_the_air[(index % lanes) as usize];
        let lane = slot.as_ref().map_or_else(
            || Lane::new(seed, block.day, index % lanes),
            |(lane, _)| *lane,
        );
        let window = lane.window_at(sent);
        let (_, flight) = match slot.take() {
            Some(current) if current.1.window == window => slot.insert(current),
            _ => slot.insert((lane, Flight::derive(seed, fleet, &lane, window))),
        };
        let time_gap_seconds = index.checked_sub(lanes).and_then(|previous| {
            let (_, sent_before) = schedule.fix_time(block.day, previous, count);
            (lane.window_at(sent_before) == window).then(|| (sent - sent_before) as i32)
        });
        let observed = Observed {
            received_us: midnight_us + received_us,
            sent,
            midnight_us,
            time_gap_seconds,
        };
        visit(&fix(&mut random, fleet, flight, &observed));
    }
}

/// When a fix came, and how long after the one before.
struct Observed {
    received_us: i64,
    /// Seconds since midnight.
    sent: i64,
    midnight_us: i64,
    time_gap_seconds: Option<i32>,
}

fn fix<'a>(
    random: &mut Random,
    fleet: &'a Fleet,
    flight: &'a Flight,
    observed: &Observed,
) -> Fix<'a> {
    let aircraft = &fleet.aircraft[flight.aircraft];
    let layout = aircraft.profile.layout;
    let state = flight.state_at(observed.sent);
    let by_radio = matches!(
        layout,
        Layout::Flarm | Layout::Tracker | Layout::Fanet | Layout::PilotAware
    );
    let altitude_msl_feet = random
        .between(1, 1_000)
        .gt(&8)
        .then(|| state.altitude_feet.round() as i32);
    let terrain_feet = AIRFIELDS[aircraft.home].elevation_feet;
    let level = (state.altitude_feet - 120.0).round() as i32;
    Fix {
        id: random.uuid_at(observed.received_us),
        raw_message_id: random.uuid_at(observed.received_us),
        received_us: observed.received_us,
        sent_second: observed.midnight_us / 1_000_000 + observed.sent,
        aircraft,
        flight_id: if state.airborne { flight.id } else { None },
        call_sign: flight.call_sign.as_deref(),
        squawk: flight.squawk.as_deref(),
        receiver: if layout == Layout::SafeSky {
            fleet.gateway()
        } else {
            heard(random, fleet.heard_by(aircraft.home))
        },
        relay: (matches!(layout, Layout::Flarm | Layout::Tracker) && random.percent(3))
            .then(|| random.below(0x100_0000)),
        position: (
            (state.latitude * 60_000.0).round() as i32,
            (state.longitude * 60_000.0).round() as i32,
        ),
        altitude_msl_feet,
        // Looked up in elevation data afterwards, which takes a while and is not there for all places.
        altitude_agl_feet: altitude_msl_feet
            .filter(|_| random.percent(92))
            .map(|feet| (feet - terrain_feet).max(0)),
        course: random.between(1, 1_000).gt(&6).then(|| course(&state)),
        climb_fpm: climb(layout, &state),
        turn: matches!(layout, Layout::Flarm | Layout::Tracker)
            .then(|| (state.turn_degrees_per_second / 3.0 * 10.0).round() as i32),
        flight_level: matches!(layout, Layout::Adsb | Layout::Tracker).then_some(level.max(0)),
        signal: by_radio.then(|| signal(random)),
        gps: matches!(layout, Layout::Flarm | Layout::Tracker | Layout::SafeSky)
            .then(|| (random.below(6) + 1, random.below(8) + 1)),
        is_active: state.airborne,
        time_gap_seconds: observed.time_gap_seconds,
        has_metadata: random.between(1, 1_000) > 12,
    }
}

/// The nearest receiver most of the time.
fn heard(random: &mut Random, receivers: [usize; 3]) -> usize {
    receivers[random.pick(&[0_usize, 0, 0, 1, 1, 2])]
}

fn course(state: &State) -> (i32, i32) {
    (state.track_degrees.round() as i32 % 360, state.speed_knots)
}

fn climb(layout: Layout, state: &State) -> Option<i32> {
    match layout {
        Layout::Flarm | Layout::Tracker | Layout::Fanet | Layout::SafeSky => {
            Some(state.climb_fpm.round() as i32)
        }
        // Transponders report multiples of 64.
        Layout::Adsb => Some((state.climb_fpm / 64.0).round() as i32 * 64),
        Layout::PilotAware => None,
    }
}

fn signal(random: &mut Random) -> Signal {
    // The sum of two draws peaks in the middle, as signals do.
    let snr = random.between(0, 190) + random.between(0, 190);
    Signal {
        snr,
        bit_errors: if snr < 120 { random.below(10) } else { 0 },
        frequency_offset: random.between(-60, 60) + random.between(-60, 60),
    }
}
