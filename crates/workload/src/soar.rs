//! SOAR's sample data: aircraft positions of the Open Glider Network with the packets that they came in.
//!
//! ```text
//!   options ──> Soar: fleet (receivers, aircraft) + schedule (days, blocks)
//!                 │
//!                 └─ encode_block(table, n) ──> binary COPY tuples, the same ones every time
//!                      fixes         flight of the lane ─ state at the second ─ fix
//!                      raw_messages  the same fixes as packets, merged with beacons by time
//!                      receiver_statuses  the beacons that are status reports
//! ```
//!
//! A block is a function of the options and its index. Nothing is kept between blocks, so memory does not grow with the number of rows.

mod airfields;
mod beacon;
mod fix;
mod fleet;
mod flight;
mod options;
mod packet;
mod profile;
mod rows;
mod schedule;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use hyperhaul_pgcopy::Encoder;

pub use options::SoarOptions;

use crate::error::WorkloadError;
use crate::random::{Purpose, Random};
use beacon::{Beacon, beacons, status_count};
use fix::{Fix, for_each_fix};
use fleet::Fleet;
use flight::{Flight, Lane};
use schedule::{Block, DAY_US, Schedule};

/// Bytes that the rows of a block are expected to fill at most.
const BLOCK_BYTES: usize = 3 << 20;

/// A table of the sample, in an order in which rows can be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SoarTable {
    /// Ground stations.
    Receivers,
    /// Aircraft.
    Aircraft,
    /// Flights, takeoff to landing.
    Flights,
    /// Packets as received.
    RawMessages,
    /// Positions.
    Fixes,
    /// Reports of ground stations.
    ReceiverStatuses,
}

impl SoarTable {
    /// All tables, referenced ones before those that refer to them.
    pub const ALL: [Self; 6] = [
        Self::Receivers,
        Self::Aircraft,
        Self::Flights,
        Self::RawMessages,
        Self::Fixes,
        Self::ReceiverStatuses,
    ];

    /// The table's name, in schema `public`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Receivers => "receivers",
            Self::Aircraft => "aircraft",
            Self::Flights => "flights",
            Self::RawMessages => "raw_messages",
            Self::Fixes => "fixes",
            Self::ReceiverStatuses => "receiver_statuses",
        }
    }

    /// The columns that rows carry, in order; generated ones are not among them.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Receivers => rows::RECEIVERS,
            Self::Aircraft => rows::AIRCRAFT,
            Self::Flights => rows::FLIGHTS,
            Self::RawMessages => rows::RAW_MESSAGES,
            Self::Fixes => rows::FIXES,
            Self::ReceiverStatuses => rows::RECEIVER_STATUSES,
        }
    }
}

/// The sample data of one set of options.
#[derive(Debug)]
pub struct Soar {
    options: SoarOptions,
    schedule: Schedule,
    fleet: Fleet,
}

/// A packet of OGN as a server gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoarPacket {
    /// When it was received, in microseconds since 1970.
    pub received_us: i64,
    /// Its bytes, without the end of the line. They are UTF-8, not always ASCII.
    pub bytes: Vec<u8>,
}

/// A raw message in the making.
enum Message<'a> {
    /// The packet of a fix.
    Fix(&'a Fix<'a>, &'a str),
    Beacon(&'a Beacon),
}

/// Rows of a block as binary COPY tuples, without header and trailer.
#[derive(Debug)]
pub struct EncodedBlock {
    /// Number of rows.
    pub row_count: u64,
    /// The tuples.
    pub tuples: Bytes,
}

impl Soar {
    /// Prepares to generate.
    ///
    /// # Errors
    ///
    /// As [`SoarOptions::validate`].
    pub fn new(options: &SoarOptions) -> Result<Self, WorkloadError> {
        options.validate()?;
        let schedule = Schedule::new(options);
        let fleet = Fleet::new(options.seed, options.receivers, schedule.lanes_max());
        Ok(Self {
            options: options.clone(),
            schedule,
            fleet,
        })
    }

    /// What this was made from.
    pub fn options(&self) -> &SoarOptions {
        &self.options
    }

    /// Rows of `table`. Those of `flights` are known only once they are made: `None`.
    pub fn row_count(&self, table: SoarTable) -> Option<u64> {
        match table {
            SoarTable::Receivers => Some(self.fleet.receivers.len() as u64),
            SoarTable::Aircraft => Some(self.fleet.aircraft.len() as u64),
            SoarTable::Flights => None,
            SoarTable::RawMessages => Some(self.options.raw_messages),
            SoarTable::Fixes => Some(self.options.fixes),
            SoarTable::ReceiverStatuses => {
                let days = -1..=self.schedule.days();
                Some(
                    days.map(|day| status_count(self.schedule.beacons_on(day)))
                        .sum(),
                )
            }
        }
    }

    /// Blocks of `table`.
    pub fn block_count(&self, table: SoarTable) -> u64 {
        match table {
            SoarTable::Receivers | SoarTable::Aircraft => 1,
            SoarTable::Flights => self.schedule.days().unsigned_abs(),
            SoarTable::Fixes => self.schedule.block_count(),
            // One more at either end, for what lies outside of the days.
            SoarTable::RawMessages | SoarTable::ReceiverStatuses => self.schedule.block_count() + 2,
        }
    }

    /// Makes the block at `index`, which has to be less than [`Self::block_count`]; blocks and their rows are in order of time.
    pub fn encode_block(&self, table: SoarTable, index: u64) -> EncodedBlock {
        let mut encoder = Encoder::with_capacity(BLOCK_BYTES);
        let row_count = match table {
            SoarTable::Receivers => self.encode_receivers(&mut encoder),
            SoarTable::Aircraft => self.encode_aircraft(&mut encoder),
            SoarTable::Flights => self.encode_flights(&mut encoder, index as i64),
            SoarTable::RawMessages => {
                self.encode_raw_messages(&mut encoder, &self.block_or_outside(index))
            }
            SoarTable::Fixes => self.encode_fixes(&mut encoder, &self.schedule.block(index)),
            SoarTable::ReceiverStatuses => {
                self.encode_statuses(&mut encoder, &self.block_or_outside(index))
            }
        };
        EncodedBlock {
            row_count,
            tuples: encoder.take(),
        }
    }

    fn block_or_outside(&self, index: u64) -> Block {
        if index == 0 {
            self.schedule.outside_block(-1)
        } else if index > self.schedule.block_count() {
            self.schedule.outside_block(self.schedule.days())
        } else {
            self.schedule.block(index - 1)
        }
    }

    fn encode_receivers(&self, encoder: &mut Encoder) -> u64 {
        let range = (
            self.schedule.midnight_us(0),
            self.schedule.midnight_us(self.schedule.days()),
        );
        for receiver in &self.fleet.receivers {
            rows::receiver(encoder, receiver, range);
        }
        self.fleet.receivers.len() as u64
    }

    fn encode_aircraft(&self, encoder: &mut Encoder) -> u64 {
        for aircraft in &self.fleet.aircraft {
            rows::aircraft(encoder, aircraft, self.schedule.midnight_us(0));
        }
        self.fleet.aircraft.len() as u64
    }

    fn encode_flights(&self, encoder: &mut Encoder, day: i64) -> u64 {
        let fixes = self.schedule.fixes_on(day);
        if fixes == 0 {
            return 0;
        }
        let mut row_count = 0;
        for lane in 0..self.schedule.lanes_for(fixes) {
            let lane = Lane::new(self.options.seed, day, lane);
            // The first fix of a day may have been sent some seconds before midnight.
            for window in lane.window_at(-3)..=lane.window_at(DAY_US / 1_000_000) {
                let flight = Flight::derive(self.options.seed, &self.fleet, &lane, window);
                if let Some(id) = flight.id {
                    rows::flight(
                        encoder,
                        &self.fleet,
                        &flight,
                        id,
                        self.schedule.midnight_us(day),
                    );
                    row_count += 1;
                }
            }
        }
        row_count
    }

    fn each_fix(&self, block: &Block, each: impl FnMut(&Fix)) {
        for_each_fix(self.options.seed, &self.schedule, &self.fleet, block, each);
    }

    fn encode_fixes(&self, encoder: &mut Encoder, block: &Block) -> u64 {
        let mut json = String::with_capacity(256);
        self.each_fix(block, |fix| rows::fix(encoder, &self.fleet, fix, &mut json));
        block.fixes.end - block.fixes.start
    }

    /// The packets of the block of raw messages at `index`, in order of reception. What did not come over APRS is left out.
    pub fn packets(&self, index: u64) -> Vec<SoarPacket> {
        let mut packets = Vec::new();
        self.each_message(&self.block_or_outside(index), |message| match message {
            Message::Fix(fix, packet) => packets.push(SoarPacket {
                received_us: fix.received_us,
                bytes: packet.as_bytes().to_vec(),
            }),
            Message::Beacon(beacon) if beacon.source == "ogn" => packets.push(SoarPacket {
                received_us: beacon.received_us,
                bytes: beacon.message.clone(),
            }),
            Message::Beacon(_) => {}
        });
        packets
    }

    fn encode_raw_messages(&self, encoder: &mut Encoder, block: &Block) -> u64 {
        let mut row_count = 0;
        self.each_message(block, |message| {
            row_count += 1;
            match message {
                Message::Fix(fix, packet) => {
                    rows::fix_message(encoder, &self.fleet, fix, packet.as_bytes());
                }
                Message::Beacon(beacon) => rows::beacon(encoder, &self.fleet, beacon),
            }
        });
        row_count
    }

    /// Calls `each` with every raw message of `block`, in order of reception.
    fn each_message(&self, block: &Block, mut each: impl FnMut(Message<'_>)) {
        let mut beacons = self.beacons(block).peekable();
        if self.options.link_raw_messages {
            let mut packet = String::with_capacity(512);
            self.each_fix(block, |fix| {
                while let Some(beacon) =
                    beacons.next_if(|beacon| beacon.received_us < fix.received_us)
                {
                    each(Message::Beacon(&beacon));
                }
                packet::write_packet(&mut packet, fix, &self.fleet.receivers[fix.receiver]);
                each(Message::Fix(fix, &packet));
            });
        }
        for beacon in beacons {
            each(Message::Beacon(&beacon));
        }
    }

    fn encode_statuses(&self, encoder: &mut Encoder, block: &Block) -> u64 {
        let mut ids = Random::derive(
            self.options.seed,
            Purpose::Statuses,
            block.day,
            block.number,
        );
        let mut row_count = 0;
        for beacon in self.beacons(block) {
            if let Some(status) = &beacon.status {
                let id = ids.uuid_at(beacon.received_us);
                rows::receiver_status(
                    encoder,
                    &self.fleet.receivers[beacon.receiver],
                    id,
                    &beacon,
                    status,
                );
                row_count += 1;
            }
        }
        row_count
    }

    fn beacons(&self, block: &Block) -> impl Iterator<Item = Beacon> {
        beacons(self.options.seed, &self.schedule, &self.fleet, block)
    }
}
