//! Limits, the spool's own and the disk's: what does not fit is refused as a whole, and room lets it go on.

use super::simulated_disk::{End, SimulatedDisk};
use super::{SMALL, fresh, numbered, open, parcel, read_all, records, store};
use crate::{Error, Limits, Parcel, Spool};

#[test]
fn limits_that_contradict_themselves_are_refused() {
    let cases = [
        (2048, 1024, true),
        (2047, 1024, false),
        (4096, 1023, false),
        (0, 0, false),
        (u64::MAX, 1 << 30, true),
        (u64::MAX, (1 << 30) + 1, false),
    ];
    for (bytes_max, segment_bytes, is_valid) in cases {
        let limits = Limits {
            bytes_max,
            segment_bytes,
        };
        let opened = Spool::open(SimulatedDisk::new(1), limits);
        assert_eq!(opened.is_ok(), is_valid, "{limits:?}");
        assert!(is_valid || opened.is_err_and(|error| error.is_misuse()));
    }
}

/// Stores records of 100 bytes until one is refused.
fn fill(spool: &mut Spool<SimulatedDisk>) -> Error {
    loop {
        let appended = spool.append(&parcel(&"x".repeat(84)));
        spool.sync().unwrap();
        if let Err(error) = appended {
            return error;
        }
    }
}

#[test]
fn a_full_spool_takes_nothing_until_some_is_released() {
    let (disk, mut spool) = fresh();
    assert!(!spool.is_full());
    let error = fill(&mut spool);
    assert!(error.is_full() && !error.is_disk_full(), "{error}");
    assert!(spool.is_full() && spool.bytes() <= SMALL.bytes_max);
    assert!(spool.bytes() + 200 > SMALL.bytes_max);
    let next = spool.next_position();
    assert!(fill(&mut spool).is_full());
    assert_eq!(spool.next_position(), next);
    // A restart changes nothing.
    drop(spool);
    let (mut spool, recovery) = open(&disk.restart(End::Kill));
    assert_eq!(recovery.next_position, next);
    assert!(fill(&mut spool).is_full());
    spool.release(20).unwrap();
    assert!(!spool.is_full());
    assert_eq!(store(&mut spool, "goes on"), next);
    // Released as a whole, it takes as much as in the beginning.
    spool.release(next).unwrap();
    assert!(fill(&mut spool).is_full());
    assert!(spool.next_position() > next + 500);
}

#[test]
fn a_full_disk_refuses_an_append_as_a_whole_and_room_lets_it_go_on() {
    let (disk, mut spool) = fresh();
    store(&mut spool, "a");
    for free in [0, 1, 15, 16, 17, 50, 115] {
        disk.set_capacity(disk.used_bytes() + free);
        let error = spool.append(&parcel(&"b".repeat(100))).unwrap_err();
        assert!(error.is_disk_full() && error.is_full(), "{free}: {error}");
        assert!(error.to_string().contains("no space"), "{error}");
        assert_eq!(spool.next_position(), 2);
    }
    disk.set_capacity(disk.used_bytes() + 116);
    assert_eq!(store(&mut spool, &"b".repeat(100)), 2);
    disk.set_capacity(usize::MAX);
    assert_eq!(store(&mut spool, "c"), 3);
    let expected = numbered(1, &["a", &"b".repeat(100), "c"]);
    assert_eq!(records(&read_all(&spool, 1)), expected);
}

#[test]
fn a_full_disk_is_freed_by_releasing_what_one_segment_holds() {
    let (disk, mut spool) = fresh();
    disk.set_capacity(disk.used_bytes() + 700);
    let error = fill(&mut spool);
    assert!(error.is_disk_full(), "{error}");
    let last = spool.durable();
    // A part of the segment's records does not help.
    spool.release(last - 1).unwrap();
    assert!(fill(&mut spool).is_disk_full());
    assert_eq!((spool.durable(), spool.first_position()), (last, 1));
    spool.release(last).unwrap();
    for _ in 0..5 {
        let payload = "y".repeat(84);
        let position = store(&mut spool, &payload);
        assert_eq!(
            records(&read_all(&spool, position)),
            numbered(position, &[&payload])
        );
    }
    assert_eq!(spool.first_position(), last + 1);
    drop(spool);
    let (_, recovery) = open(&disk.restart(End::PowerCut));
    assert_eq!(recovery.next_position, last + 6);
}

#[test]
fn a_spool_opens_on_a_full_disk_and_is_read_and_released() {
    let (disk, mut spool) = fresh();
    for _ in 0..15 {
        store(&mut spool, &"x".repeat(84));
    }
    drop(spool);
    let disk = disk.restart(End::Kill);
    crate::Disk::remove(&disk, "reserve").unwrap();
    disk.set_capacity(disk.used_bytes());
    for _ in 0..3 {
        let (mut spool, recovery) = open(&disk.restart(End::Kill));
        assert_eq!(recovery.next_position, 16);
        assert!(spool.append(&parcel("x")).unwrap_err().is_disk_full());
        assert_eq!(read_all(&spool, 1).record_count(), 15);
        spool.sync().unwrap();
    }
    let (mut spool, _) = open(&disk.restart(End::Kill));
    spool.release(15).unwrap();
    assert_eq!(store(&mut spool, "goes on"), 16);
}

#[test]
fn an_append_larger_than_a_segment_is_refused_at_once() {
    let (_, mut spool) = fresh();
    let large: Parcel = std::iter::repeat_n("x".repeat(100), 9).collect();
    assert!(large.bytes() > SMALL.append_bytes_max());
    let error = spool.append(&[large]).unwrap_err();
    assert!(error.is_misuse() && !error.is_full(), "{error}");
    assert_eq!(store(&mut spool, "goes on"), 1);
}
