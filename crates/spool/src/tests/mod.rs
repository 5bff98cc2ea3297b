//! Tests of the crate from within, on a simulated disk: tables, damage at every byte, and seeds of random operations with crashes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod batches;
mod chance;
mod damage;
mod folder;
mod format;
mod keeping;
mod limits;
mod model;
mod simulated_disk;
mod simulation;
mod syncs;

use crate::{Batch, BatchLimits, Limits, Parcel, Position, Recovery, Spool};
use simulated_disk::SimulatedDisk;

/// Segments that some records fill.
const SMALL: Limits = Limits {
    bytes_max: 64 * 1024,
    segment_bytes: 1024,
};

const ALL: BatchLimits = BatchLimits {
    records_max: usize::MAX,
    bytes_max: usize::MAX,
};

fn open(disk: &SimulatedDisk) -> (Spool<SimulatedDisk>, Recovery) {
    Spool::open(disk.clone(), SMALL).unwrap()
}

/// A spool on a disk of its own.
fn fresh() -> (SimulatedDisk, Spool<SimulatedDisk>) {
    let disk = SimulatedDisk::new(1);
    let (spool, _) = open(&disk);
    (disk, spool)
}

fn parcel(payload: &str) -> [Parcel; 1] {
    [Parcel::from_iter([payload])]
}

/// Appends and syncs one record.
fn store(spool: &mut Spool<SimulatedDisk>, payload: &str) -> Position {
    let positions = spool.append(&parcel(payload)).unwrap();
    assert_eq!(spool.sync().unwrap(), positions.start);
    positions.start
}

fn read_all(spool: &Spool<SimulatedDisk>, from: Position) -> Batch {
    spool.reader().read(from, ALL).unwrap()
}

/// Positions and payloads of a batch, for comparisons.
fn records(batch: &Batch) -> Vec<(Position, String)> {
    let text = |payload: &[u8]| String::from_utf8(payload.to_vec()).unwrap();
    batch
        .records()
        .map(|(at, payload)| (at, text(payload)))
        .collect()
}

/// Records as they are expected: payloads with positions from `first` on.
fn numbered(first: Position, payloads: &[&str]) -> Vec<(Position, String)> {
    let owned = payloads.iter().map(ToString::to_string);
    (first..).zip(owned).collect()
}
