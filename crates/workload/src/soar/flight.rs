//! How an aircraft moves. A flight is a function of time alone: position, track, speed, climb and turn at any second follow
//! from its few parameters, so that a block of rows can begin anywhere without replaying what came before.

use uuid::Uuid;

use super::airfields::AIRFIELDS;
use super::fleet::{Fleet, is_overflight};
use super::profile::FlightKind;
use crate::random::{Purpose, Random, mix};
use crate::trigonometry::sin_cos_degrees;

/// Part of a flight's window that is spent on the ground before takeoff and after landing.
const GROUND_PART: f64 = 0.04;

/// Seconds for which an aircraft that flies over is heard.
const OVERFLIGHT_SECONDS: i64 = 1_200;

/// Part of a climb-and-glide cycle that is spent climbing in circles.
const THERMAL_PART: f64 = 0.35;

/// Seconds of a climb-and-glide cycle and of a circle in it, roughly.
const CYCLE_SECONDS: f64 = 400.0;
const CIRCLE_SECONDS: f64 = 24.0;

/// What flies in a lane when: windows of equal length follow each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lane {
    day: i64,
    lane: u64,
    window_seconds: i64,
    /// Seconds by which window 1 began before midnight.
    phase_seconds: i64,
    shift: u64,
}

impl Lane {
    pub(crate) fn new(seed: u64, day: i64, lane: u64) -> Self {
        let bits = mix(seed, day as u64, lane);
        let window_seconds = if is_overflight(lane) {
            OVERFLIGHT_SECONDS
        } else {
            2_400 + (bits % 6_600) as i64
        };
        let shift = bits >> 32;
        Self {
            day,
            lane,
            window_seconds,
            phase_seconds: shift as i64 % window_seconds,
            shift,
        }
    }

    /// Number of the window in which `second` (since midnight, not before the evening of the day before) lies.
    pub(crate) fn window_at(&self, second: i64) -> u64 {
        ((second + self.phase_seconds).div_euclid(self.window_seconds) + 1).unsigned_abs()
    }

    fn window_start(&self, window: u64) -> i64 {
        (window as i64 - 1) * self.window_seconds - self.phase_seconds
    }
}

/// Where an aircraft is at some second, and how it moves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    /// Degrees north and east.
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
    pub(crate) altitude_feet: f64,
    pub(crate) speed_knots: i32,
    /// In `[0, 360)`.
    pub(crate) track_degrees: f64,
    pub(crate) climb_fpm: f64,
    /// Positive to the right.
    pub(crate) turn_degrees_per_second: f64,
    pub(crate) airborne: bool,
}

/// Nautical miles east and north of home, heading, degrees turned in a second.
type Motion = (f64, f64, f64, f64);

/// One flight: who, when, and along which path.
#[derive(Debug)]
pub(crate) struct Flight {
    /// Number of the window in its lane.
    pub(crate) window: u64,
    pub(crate) aircraft: usize,
    /// Row in `flights`, unless takeoff was not noticed.
    pub(crate) id: Option<Uuid>,
    pub(crate) call_sign: Option<String>,
    pub(crate) squawk: Option<String>,
    /// Seconds since midnight.
    pub(crate) takeoff: i64,
    pub(crate) landing: i64,
    pub(crate) kind: FlightKind,
    home: usize,
    speed_knots: i32,
    heading: f64,
    /// 1 turns right, -1 left.
    turn: f64,
    /// Feet above home at which the flight goes on after takeoff, or above sea level for an overflight.
    height_feet: f64,
    /// Feet gained in a thermal, or feet per minute of an overflight.
    gain_feet: f64,
}

impl Flight {
    pub(crate) fn derive(seed: u64, fleet: &Fleet, lane: &Lane, window: u64) -> Self {
        let mut random =
            Random::derive(seed, Purpose::Flight, lane.day, (lane.lane << 32) | window);
        let aircraft = fleet.assigned(lane.lane, window, lane.shift);
        let profile = fleet.aircraft[aircraft].profile;
        let start = lane.window_start(window);
        let overflight = profile.flights == FlightKind::Overflight;
        let ground = if overflight {
            0
        } else {
            (lane.window_seconds as f64 * GROUND_PART) as i64
        };
        let id = random.uuid();
        let known = random.percent(if overflight { 60 } else { 93 });
        let climbs = random.percent(30);
        let (height_feet, gain_feet) = if overflight {
            let slope = f64::from(random.between(-15, 15)) * 64.0;
            (
                f64::from(random.between(220, 380)) * 100.0,
                if climbs { slope } else { 0.0 },
            )
        } else {
            (
                f64::from(random.between(1_200, 4_200)),
                f64::from(random.between(400, 1_200)),
            )
        };
        Self {
            window,
            aircraft,
            id: known.then_some(id),
            call_sign: (overflight && random.percent(95)).then(|| call_sign(&mut random)),
            squawk: (overflight && random.percent(90)).then(|| squawk(&mut random)),
            takeoff: start + ground,
            landing: start + lane.window_seconds - ground,
            kind: profile.flights,
            home: fleet.aircraft[aircraft].home,
            speed_knots: random.between(profile.speeds.0, profile.speeds.1),
            heading: f64::from(random.below(360)),
            turn: if random.percent(50) { 1.0 } else { -1.0 },
            height_feet,
            gain_feet,
        }
    }

    /// Metres flown between takeoff and landing.
    pub(crate) fn distance_meters(&self) -> f64 {
        f64::from(self.speed_knots) * (self.landing - self.takeoff) as f64 / 3_600.0 * 1_852.0
    }

    /// Where the aircraft is at `second` since midnight, which lies in the flight's window.
    pub(crate) fn state_at(&self, second: i64) -> State {
        let home = &AIRFIELDS[self.home];
        let airborne = (self.takeoff..self.landing).contains(&second);
        let elapsed = (second.clamp(self.takeoff, self.landing) - self.takeoff) as f64;
        let duration = (self.landing - self.takeoff) as f64;
        let (east, north, heading, turn) = match self.kind {
            FlightKind::Circuits(radius) => {
                self.circuits(elapsed, duration, f64::from(radius) / 10.0)
            }
            FlightKind::CrossCountry => self.cross_country(elapsed, duration),
            FlightKind::Overflight => self.overflight(elapsed, duration),
        };
        let (altitude_feet, climb_fpm) =
            self.altitude(elapsed, duration, f64::from(home.elevation_feet));
        let latitude = home.latitude + north / 60.0;
        let (_, shrink) = sin_cos_degrees((home.latitude + latitude) / 2.0);
        let moving = f64::from(u8::from(airborne));
        State {
            latitude,
            longitude: home.longitude + east / 60.0 / shrink,
            altitude_feet,
            speed_knots: if airborne { self.speed_knots } else { 0 },
            track_degrees: heading - 360.0 * (heading / 360.0).floor(),
            climb_fpm: climb_fpm * moving,
            turn_degrees_per_second: turn * moving,
            airborne,
        }
    }

    /// Whole turns, so that the last ends where the first began: at home.
    fn circuits(&self, elapsed: f64, duration: f64, radius_nm: f64) -> Motion {
        let lap_seconds =
            2.0 * std::f64::consts::PI * radius_nm / f64::from(self.speed_knots) * 3_600.0;
        let laps = (duration / lap_seconds).round().max(1.0);
        self.circle(self.heading, elapsed, 360.0 * laps / duration)
    }

    /// Three legs of equal length, each of whole cycles of circling in a thermal and gliding on.
    fn cross_country(&self, elapsed: f64, duration: f64) -> Motion {
        let cycles_per_leg = (duration / 3.0 / CYCLE_SECONDS).round().max(1.0);
        let cycle_seconds = duration / (3.0 * cycles_per_leg);
        let thermal_seconds = cycle_seconds * THERMAL_PART;
        let glide_nm = (cycle_seconds - thermal_seconds) * f64::from(self.speed_knots) / 3_600.0;
        let cycle = (elapsed / cycle_seconds)
            .floor()
            .min(3.0 * cycles_per_leg - 1.0);
        let leg = (cycle / cycles_per_leg).floor();
        let heading = self.heading + 120.0 * leg * self.turn;

        let (mut east, mut north) = (0.0, 0.0);
        for flown in 0..3 {
            let glides = (cycle - f64::from(flown) * cycles_per_leg).clamp(0.0, cycles_per_leg);
            let (sin, cos) = sin_cos_degrees(self.heading + 120.0 * f64::from(flown) * self.turn);
            east += sin * glides * glide_nm;
            north += cos * glides * glide_nm;
        }
        let within = elapsed - cycle * cycle_seconds;
        if within < thermal_seconds {
            let circles = (thermal_seconds / CIRCLE_SECONDS).round().max(1.0);
            let (x, y, track, turn) =
                self.circle(heading, within, 360.0 * circles / thermal_seconds);
            (east + x, north + y, track, turn)
        } else {
            let (sin, cos) = sin_cos_degrees(heading);
            let gone_nm = (within - thermal_seconds) * f64::from(self.speed_knots) / 3_600.0;
            (east + sin * gone_nm, north + cos * gone_nm, heading, 0.0)
        }
    }

    /// A straight line that passes the airfield in the middle of the window.
    fn overflight(&self, elapsed: f64, duration: f64) -> Motion {
        let (sin, cos) = sin_cos_degrees(self.heading);
        let gone_nm = (elapsed - duration / 2.0) * f64::from(self.speed_knots) / 3_600.0;
        (sin * gone_nm, cos * gone_nm, self.heading, 0.0)
    }

    /// A circle that begins with `heading`, at `degrees_per_second` to the flight's side.
    fn circle(&self, heading: f64, elapsed: f64, degrees_per_second: f64) -> Motion {
        let radius_nm = f64::from(self.speed_knots) / 3_600.0 / degrees_per_second.to_radians();
        let track = heading + self.turn * degrees_per_second * elapsed;
        let (sin_before, cos_before) = sin_cos_degrees(heading);
        let (sin_now, cos_now) = sin_cos_degrees(track);
        let reach = radius_nm * self.turn;
        (
            reach * (cos_before - cos_now),
            reach * (sin_now - sin_before),
            track,
            self.turn * degrees_per_second,
        )
    }

    /// Feet above sea level, and feet per minute.
    fn altitude(&self, elapsed: f64, duration: f64, elevation_feet: f64) -> (f64, f64) {
        if self.kind == FlightKind::Overflight {
            return (
                self.height_feet + self.gain_feet * (elapsed - duration / 2.0) / 60.0,
                self.gain_feet,
            );
        }
        // Up in the first tenth, down in the last.
        let ramp_seconds = duration * 0.1;
        let height = self.height_feet * (elapsed.min(duration - elapsed) / ramp_seconds).min(1.0);
        let ramp_fpm = self.height_feet / ramp_seconds * 60.0;
        let slope_fpm = if elapsed < ramp_seconds {
            ramp_fpm
        } else if elapsed > duration - ramp_seconds {
            -ramp_fpm
        } else {
            0.0
        };
        let (saw, saw_fpm) = match self.kind {
            FlightKind::CrossCountry => self.thermals(elapsed, duration),
            FlightKind::Circuits(_) | FlightKind::Overflight => (0.0, 0.0),
        };
        (elevation_feet + height + saw, slope_fpm + saw_fpm)
    }

    /// Feet gained and not yet lost again in the cycles of [`Self::cross_country`], and feet per minute.
    fn thermals(&self, elapsed: f64, duration: f64) -> (f64, f64) {
        let cycles = 3.0 * (duration / 3.0 / CYCLE_SECONDS).round().max(1.0);
        let cycle_seconds = duration / cycles;
        let thermal_seconds = cycle_seconds * THERMAL_PART;
        let glide_seconds = cycle_seconds - thermal_seconds;
        let within = elapsed - cycle_seconds * (elapsed / cycle_seconds).floor().min(cycles - 1.0);
        if within < thermal_seconds {
            (
                self.gain_feet * within / thermal_seconds,
                self.gain_feet / thermal_seconds * 60.0,
            )
        } else {
            (
                self.gain_feet * (cycle_seconds - within) / glide_seconds,
                -self.gain_feet / glide_seconds * 60.0,
            )
        }
    }
}

fn call_sign(random: &mut Random) -> String {
    const AIRLINES: [&str; 10] = [
        "EZY", "DLH", "SWR", "AFR", "KLM", "RYR", "BAW", "AUA", "WZZ", "EJU",
    ];
    let airline = random.pick(&AIRLINES);
    let number = random.between(10, 9_999);
    if number < 1_000 && random.percent(60) {
        let letters = [0, 1].map(|_| char::from(b'A' + random.below(26) as u8));
        format!("{airline}{:02}{}{}", number % 100, letters[0], letters[1])
    } else {
        format!("{airline}{number}")
    }
}

/// Four octal digits.
fn squawk(random: &mut Random) -> String {
    format!("{:04o}", random.below(0o10000))
}
