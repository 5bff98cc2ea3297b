//! Seeds of random operations, with everything that can go wrong, against the model.
//!
//! A seed that fails is printed. `HYPERHAUL_SPOOL_SEED=<seed>` runs it alone.

use super::chance::Chance;
use super::model::Model;
use super::simulated_disk::{End, SimulatedDisk, Trouble};
use crate::disk::Disk;
use crate::format::position_in_name;
use crate::{BatchLimits, Error, Limits, Position, Reader, Spool};

const SEEDS: u64 = 10_000;
const OPERATIONS_MAX: u64 = 120;

/// Small enough to be full now and then.
const LIMITS: Limits = Limits {
    bytes_max: 8 * 1024,
    segment_bytes: 1024,
};

struct Run {
    chance: Chance,
    disk: SimulatedDisk,
    model: Model,
    spool: Spool<SimulatedDisk>,
    reader: Reader<SimulatedDisk>,
    next: Position,
}

impl Run {
    fn begin(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let disk = SimulatedDisk::new(chance.below(u64::MAX));
        let (spool, _) = Spool::open(disk.clone(), LIMITS).unwrap();
        Self {
            chance,
            disk,
            model: Model::default(),
            reader: spool.reader(),
            spool,
            next: 1,
        }
    }

    fn operate(&mut self) {
        match self.chance.below(100) {
            0..36 => self.append(),
            36..56 => self.sync(),
            56..72 => self.read_on(),
            72..76 => self.read_again(),
            76..86 => self.release(),
            86..88 => self.flip(),
            88..91 => self.trouble(),
            91..93 => self.resize_disk(),
            93..94 => self.advance(),
            _ => self.crash(),
        }
        if self.disk.has_ended() || self.spool.poison().is_some() {
            self.assert_nothing_is_taken();
            self.crash();
        }
    }

    fn crash(&mut self) {
        let end = self.some_end();
        self.reopen(end);
    }

    fn some_end(&mut self) -> End {
        match self.chance.percent(50) {
            true => End::Kill,
            false => End::PowerCut,
        }
    }

    /// Room, a disk that works, or an error that says what is wrong.
    fn accept(&self, error: &Error) {
        let is_known = error.is_full() || error.is_poisoned() || self.disk.has_ended();
        assert!(
            is_known || error.to_string().contains("the write fails"),
            "{error}"
        );
    }

    fn append(&mut self) {
        let parcels = self.chance.below(3) + 1;
        let (mut parcels, mut serials) = (Vec::with_capacity(parcels as usize), Vec::new());
        for _ in 0..parcels.capacity() {
            let (parcel, of_parcel) = self.model.parcel(self.chance.below(3));
            serials.push(of_parcel);
            parcels.push(parcel);
        }
        let (next, bytes) = (self.spool.next_position(), self.spool.bytes());
        let all = serials[0].start..serials[serials.len() - 1].end;
        match self.spool.append(&parcels) {
            Ok(positions) => {
                assert_eq!(positions.start, next);
                // Headers of segments that a start begins come on top.
                assert!(positions.is_empty() || self.spool.bytes() <= LIMITS.bytes_max);
                self.model.appended(positions, all);
            }
            Err(error) if error.is_misuse() => {
                assert!(parcels.iter().map(crate::Parcel::bytes).sum::<u64>() > 900);
            }
            Err(error) => {
                self.accept(&error);
                // A new segment may have been begun, and all that was released removed.
                assert_eq!(self.spool.next_position(), next);
                assert!(self.spool.bytes() <= bytes + 64);
                if self.disk.has_ended() {
                    self.model.may_be_appended(next, all);
                }
            }
        }
    }

    fn sync(&mut self) {
        match self.spool.sync() {
            Ok(durable) => self.model.synced(durable),
            Err(error) => self.accept(&error),
        }
    }

    fn read_on(&mut self) {
        let limits = BatchLimits {
            records_max: self.chance.below(12) as usize,
            bytes_max: self.chance.below(900) as usize,
        };
        match self.reader.read(self.next, limits) {
            Ok(batch) => {
                self.model.checks(self.next, &batch);
                self.next = batch.next();
            }
            Err(error) => self.accept(&error),
        }
    }

    fn read_again(&mut self) {
        let from = self.model.released_up_to() + 1;
        self.next = from + self.chance.below(self.spool.next_position() - from + 1);
        self.read_on();
    }

    fn release(&mut self) {
        let releasable = self.model.releasable();
        let count = releasable.end - releasable.start;
        // Mostly all of it, as a consumer does that has committed all that it has read.
        let up_to = match self.chance.percent(60) {
            true => releasable.end - 1,
            false => releasable.start + self.chance.below(count),
        };
        match self.spool.release(up_to) {
            Ok(()) => self.model.released(up_to, self.spool.first_position()),
            Err(error) => {
                self.accept(&error);
                // Any of it may have happened.
                self.model.released(up_to, 0);
            }
        }
    }

    fn flip(&mut self) {
        let Ok(names) = self.disk.list() else { return };
        let segments: Vec<&String> = names
            .iter()
            .filter(|name| position_in_name(name).is_some())
            .collect();
        let name = segments[self.chance.below(segments.len() as u64) as usize];
        let byte = self.chance.below(self.disk.content(name).len() as u64) as usize;
        // One copy of the header may suffer.
        if !(32..64).contains(&byte) {
            self.disk.flip(name, byte, self.chance.below(8) as u8);
            self.model.flips += 1;
        }
    }

    fn trouble(&mut self) {
        let mut after = |percent, end| {
            let happens = self.chance.percent(percent);
            happens.then(|| self.chance.below(end))
        };
        let trouble = Trouble {
            ends_after: after(60, 30),
            sync_fails_after: after(40, 6),
            append_fails_after: after(40, 6),
        };
        self.disk.set_trouble(trouble);
    }

    fn resize_disk(&mut self) {
        let bytes = match self.chance.percent(30) {
            true => usize::MAX,
            false => self.disk.used_bytes() + self.chance.below(2500) as usize,
        };
        self.disk.set_capacity(bytes);
    }

    fn advance(&mut self) {
        let next = self.spool.next_position() + self.chance.below(5);
        match self.spool.advance(next) {
            Ok(()) if self.spool.durable() + 1 == next => self.model.synced(next - 1),
            Ok(()) => {}
            Err(error) => self.accept(&error),
        }
    }

    fn assert_nothing_is_taken(&mut self) {
        let (parcel, _) = self.model.parcel(1);
        assert!(self.spool.append(&[parcel]).is_err());
        assert!(self.spool.sync().is_err() || self.spool.poison().is_none());
    }

    /// The process ends, and others begin, until one of them has got through its recovery.
    fn reopen(&mut self, end: End) {
        let mut end = end;
        loop {
            self.disk = self.disk.restart(end);
            if self.chance.percent(40) {
                let ends_after = Some(self.chance.below(25));
                self.disk.set_trouble(Trouble {
                    ends_after,
                    ..Trouble::default()
                });
            }
            match Spool::open(self.disk.clone(), LIMITS) {
                Ok((spool, recovery)) => {
                    self.model.reopened(&recovery);
                    assert_eq!(spool.next_position(), recovery.next_position);
                    self.reader = spool.reader();
                    self.spool = spool;
                    break;
                }
                Err(error) => assert!(self.disk.has_ended(), "{error}"),
            }
            end = self.some_end();
        }
        self.next = match self.chance.percent(50) {
            true => self.model.released_up_to() + 1,
            false => self.next.min(self.spool.next_position()),
        };
    }

    fn end(&mut self) {
        self.disk.set_capacity(usize::MAX);
        self.reopen(End::PowerCut);
        self.disk.set_trouble(Trouble::default());
        if self.disk.has_ended() {
            self.disk = self.disk.restart(End::Kill);
            let (spool, recovery) = Spool::open(self.disk.clone(), LIMITS).unwrap();
            self.model.reopened(&recovery);
            self.reader = spool.reader();
            self.spool = spool;
        }
        self.next = 1;
        self.read_all();
        self.model.checks_end(self.spool.durable());
        assert!(self.spool.release(self.spool.durable()).is_ok());
        let (parcel, serials) = self.model.parcel(3);
        let positions = self.spool.append(&[parcel]).unwrap();
        self.model.appended(positions, serials);
        self.sync();
        self.read_all();
        assert_eq!(self.next, self.spool.next_position());
    }

    fn read_all(&mut self) {
        while self.next <= self.spool.durable() {
            self.read_on();
        }
    }
}

fn run(seed: u64) {
    let mut run = Run::begin(seed);
    for _ in 0..run.chance.below(OPERATIONS_MAX) {
        run.operate();
    }
    run.end();
}

/// Says which seed it was when a run panics.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("rerun it with HYPERHAUL_SPOOL_SEED={}", self.0);
        }
    }
}

fn run_part(part: u64, parts: u64) {
    let asked = std::env::var("HYPERHAUL_SPOOL_SEED").ok();
    let asked = asked.map(|seed| seed.parse::<u64>().expect("a seed is a number"));
    let seeds = (0..SEEDS).chain(asked.filter(|seed| *seed >= SEEDS));
    for seed in seeds.filter(|seed| asked.is_none_or(|asked| asked == *seed)) {
        if seed % parts == part {
            let _named = Named(seed);
            run(seed);
        }
    }
}

#[test]
fn promises_hold_through_crashes_and_damage_in_even_seeds() {
    run_part(0, 2);
}

#[test]
fn promises_hold_through_crashes_and_damage_in_odd_seeds() {
    run_part(1, 2);
}
