//! Damage costs the records that it touches, and is told with their positions.

use super::simulated_disk::{End, SimulatedDisk};
use super::{fresh, numbered, open, parcel, read_all, records, store};
use crate::format::segment_name;
use crate::{Batch, Loss, Parcel, Position, Reason, Spool};

const PAYLOADS: [&str; 5] = [
    "first",
    "the second record",
    "",
    "the fourth record",
    "last",
];
const HEADER_BYTES: usize = 64;
const RECORD_HEADER_BYTES: usize = 16;

/// A spool with the payloads in its first segment, which another one follows.
fn sealed() -> (SimulatedDisk, Spool<SimulatedDisk>) {
    let (disk, mut spool) = fresh();
    spool.append(&[Parcel::from_iter(PAYLOADS)]).unwrap();
    spool.sync().unwrap();
    drop(spool);
    let disk = disk.restart(End::Kill);
    let (spool, recovery) = open(&disk);
    assert_eq!((recovery.next_position, recovery.torn_bytes), (6, 0));
    (disk, spool)
}

/// Where each record begins, and the end.
fn offsets() -> Vec<usize> {
    let mut offsets = vec![HEADER_BYTES];
    for payload in PAYLOADS {
        offsets.push(offsets[offsets.len() - 1] + RECORD_HEADER_BYTES + payload.len());
    }
    offsets
}

/// Which record the byte belongs to; 0 for the header.
fn record_at(byte: usize) -> Position {
    offsets().iter().filter(|offset| **offset <= byte).count() as Position
}

fn all_but(lost: &[Position]) -> Vec<(Position, String)> {
    let mut all = numbered(1, &PAYLOADS);
    all.retain(|(position, _)| !lost.contains(position));
    all
}

fn lost(batch: &Batch) -> Vec<Position> {
    batch
        .losses()
        .iter()
        .flat_map(|loss| loss.from..=loss.to)
        .collect()
}

#[test]
fn a_flipped_bit_costs_the_record_that_it_is_in_and_no_other() {
    for byte in 0..offsets()[PAYLOADS.len()] {
        for bit in 0..8 {
            let (disk, spool) = sealed();
            disk.flip(&segment_name(1), byte, bit);
            let expected: Vec<Position> = match record_at(byte) {
                0 => vec![],
                position => vec![position],
            };
            let batch = read_all(&spool, 1);
            assert_eq!(lost(&batch), expected, "byte {byte}, bit {bit}");
            assert_eq!(
                records(&batch),
                all_but(&expected),
                "byte {byte}, bit {bit}"
            );
            // The same after a restart.
            drop(spool);
            let (spool, recovery) = open(&disk.restart(End::Kill));
            assert_eq!(read_all(&spool, 1), batch);
            assert_eq!((recovery.segments_damaged, recovery.next_position), (0, 6));
        }
    }
}

#[test]
fn a_flipped_bit_in_the_last_segment_costs_one_record_and_no_position_comes_again() {
    for byte in 0..offsets()[PAYLOADS.len()] {
        let (disk, mut spool) = fresh();
        spool.append(&[Parcel::from_iter(PAYLOADS)]).unwrap();
        spool.sync().unwrap();
        drop(spool);
        disk.flip(&segment_name(1), byte, 3);
        let (mut spool, recovery) = open(&disk.restart(End::Kill));
        let next = recovery.next_position;
        assert!(next >= 6, "byte {byte}: {recovery:?}");
        assert_eq!(store(&mut spool, "behind"), next);
        let batch = read_all(&spool, 1);
        let mut expected = match record_at(byte) {
            0 => all_but(&[]),
            position => all_but(&[position]),
        };
        expected.push((next, "behind".to_owned()));
        assert_eq!(records(&batch), expected, "byte {byte}");
        let bound = 1 + recovery.positions_skipped;
        assert!(
            lost(&batch).len() as u64 <= bound,
            "byte {byte}: {:?}",
            batch.losses()
        );
    }
}

#[test]
fn a_segment_that_was_cut_off_anywhere_gives_what_is_whole() {
    let offsets = offsets();
    for length in 0..offsets[PAYLOADS.len()] {
        let (disk, mut spool) = fresh();
        spool.append(&[Parcel::from_iter(PAYLOADS)]).unwrap();
        spool.sync().unwrap();
        drop(spool);
        let name = segment_name(1);
        disk.set_content(&name, &disk.content(&name)[..length]);
        let (mut spool, recovery) = open(&disk.restart(End::Kill));
        let whole = offsets[1..].iter().filter(|end| **end <= length).count();
        let whole = if length < 32 { 0 } else { whole };
        assert_eq!(
            records(&read_all(&spool, 1)),
            numbered(1, &PAYLOADS[..whole]),
            "{length} bytes"
        );
        let is_torn = length < HEADER_BYTES || !offsets.contains(&length);
        assert_eq!(
            recovery.positions_skipped > 0,
            is_torn && !(32..=64).contains(&length),
            "{length} bytes"
        );
        let next = store(&mut spool, "behind");
        assert_eq!(next, recovery.next_position);
        assert!(next > whole as Position);
        let (again, recovery) = open(&disk.restart(End::Kill));
        assert_eq!((recovery.next_position, recovery.torn_bytes), (next + 1, 0));
        assert_eq!(
            records(&read_all(&again, next)),
            numbered(next, &["behind"])
        );
    }
}

#[test]
fn several_damaged_headers_cost_exactly_their_records() {
    let cases: [(&[usize], &[Loss]); 4] = [
        (
            &[1, 2],
            &[Loss {
                from: 2,
                to: 3,
                reason: Reason::Header,
            }],
        ),
        (
            &[0, 3],
            &[
                Loss {
                    from: 1,
                    to: 1,
                    reason: Reason::Header,
                },
                Loss {
                    from: 4,
                    to: 4,
                    reason: Reason::Header,
                },
            ],
        ),
        (
            &[4],
            &[Loss {
                from: 5,
                to: 5,
                reason: Reason::Tail,
            }],
        ),
        (
            &[0, 1, 2, 3, 4],
            &[Loss {
                from: 1,
                to: 5,
                reason: Reason::Tail,
            }],
        ),
    ];
    for (damaged, expected) in cases {
        let (disk, spool) = sealed();
        for record in damaged {
            disk.flip(&segment_name(1), offsets()[*record] + 5, 0);
        }
        assert_eq!(read_all(&spool, 1).losses(), expected, "{damaged:?}");
    }
}

#[test]
fn a_payload_that_holds_records_is_never_taken_for_them() {
    let (disk, mut spool) = fresh();
    store(&mut spool, "a");
    store(&mut spool, "b");
    // What a sender could know: another spool's bytes, and this one's so far.
    let (other_disk, _other) = sealed();
    let name = segment_name(1);
    let forged = [other_disk.content(&name), disk.content(&name)].concat();
    let parcel_of = |payload: &[u8]| [Parcel::from_iter([payload])];
    let at = disk.content(&name).len();
    spool.append(&parcel_of(&forged)).unwrap();
    spool.append(&parcel("c")).unwrap();
    spool.sync().unwrap();
    disk.flip(&name, at, 0);
    let batch = read_all(&spool, 1);
    let expected = [(1, "a"), (2, "b"), (4, "c")].map(|(at, text)| (at, text.to_owned()));
    assert_eq!(records(&batch), expected);
    assert_eq!(
        batch.losses(),
        [Loss {
            from: 3,
            to: 3,
            reason: Reason::Header
        }]
    );
}

#[test]
fn a_segment_without_a_readable_header_costs_its_records_and_no_others() {
    let (disk, mut spool) = sealed();
    store(&mut spool, "behind");
    drop(spool);
    for copy in [0, 32] {
        disk.flip(&segment_name(1), copy + 9, 0);
    }
    let (spool, recovery) = open(&disk.restart(End::Kill));
    assert_eq!((recovery.segments, recovery.segments_damaged), (2, 1));
    let batch = read_all(&spool, 1);
    assert_eq!(
        batch.losses(),
        [Loss {
            from: 1,
            to: 5,
            reason: Reason::Segment
        }]
    );
    assert_eq!(records(&batch), numbered(6, &["behind"]));
    assert!(!batch.losses()[0].reason.is_exact());
    assert_eq!(batch.losses()[0].count(), 5);
}

#[test]
fn damage_at_the_end_of_what_is_written_to_does_not_cost_what_comes_behind() {
    let (disk, mut spool) = fresh();
    store(&mut spool, "a");
    let at = disk.content(&segment_name(1)).len();
    store(&mut spool, "damaged");
    disk.flip(&segment_name(1), at, 0);
    let mut reader = spool.reader();
    let batch = reader.read(1, super::ALL).unwrap();
    assert_eq!(
        (records(&batch), lost(&batch)),
        (numbered(1, &["a"]), vec![2])
    );
    store(&mut spool, "b");
    store(&mut spool, "c");
    let batch = reader.read(3, super::ALL).unwrap();
    assert_eq!(
        (records(&batch), lost(&batch)),
        (numbered(3, &["b", "c"]), vec![])
    );
}

#[test]
fn segments_of_others_are_refused() {
    let (disk, spool) = sealed();
    drop(spool);
    let name = segment_name(1);
    let renamed = segment_name(3);
    crate::Disk::rename(&disk, &name, &renamed).unwrap();
    let open = |disk: &SimulatedDisk| Spool::open(disk.clone(), super::SMALL).map(|_| ());
    let error = open(&disk).unwrap_err();
    assert!(
        error.is_foreign() && error.to_string().contains(&renamed),
        "{error}"
    );
    crate::Disk::rename(&disk, &renamed, &name).unwrap();
    assert!(open(&disk).is_ok());
    let mut newer = disk.content(&name);
    for copy in newer[..HEADER_BYTES].chunks_exact_mut(32) {
        copy[8] = 2;
        let checksum = crc32c::crc32c(&copy[..28]);
        copy[28..].copy_from_slice(&checksum.to_le_bytes());
    }
    disk.set_content(&name, &newer);
    let error = open(&disk).unwrap_err();
    assert!(
        error.is_foreign() && error.to_string().contains("version 2"),
        "{error}"
    );
}
