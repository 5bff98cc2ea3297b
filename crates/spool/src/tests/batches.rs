//! What a reader gets: records in order, within limits, of what is durable alone.

use super::simulated_disk::End;
use super::{ALL, fresh, numbered, open, parcel, read_all, records, store};
use crate::{BatchLimits, POSITION_MAX, Parcel, Position, Reason};

#[test]
fn records_are_read_in_their_order_and_once_they_are_durable() {
    let (_, mut spool) = fresh();
    assert_eq!((spool.durable(), spool.next_position()), (0, 1));
    assert!(read_all(&spool, 1).is_empty());
    let parcels = [
        Parcel::from_iter(["a", "b"]),
        Parcel::new(),
        Parcel::from_iter([""]),
    ];
    assert_eq!(spool.append(&parcels).unwrap(), 1..4);
    assert!(read_all(&spool, 1).is_empty(), "nothing was synced");
    assert_eq!(spool.sync().unwrap(), 3);
    let batch = read_all(&spool, 1);
    assert_eq!(records(&batch), numbered(1, &["a", "b", ""]));
    assert_eq!(
        (batch.next(), batch.record_count(), batch.payload_bytes()),
        (4, 3, 2)
    );
    assert!(read_all(&spool, 4).is_empty());
    assert_eq!(records(&read_all(&spool, 3)), numbered(3, &[""]));
}

#[test]
fn an_empty_append_takes_no_position() {
    let (_, mut spool) = fresh();
    assert_eq!(spool.append(&[]).unwrap(), 1..1);
    assert_eq!(spool.append(&[Parcel::new()]).unwrap(), 1..1);
    assert_eq!(store(&mut spool, "a"), 1);
}

#[test]
fn a_batch_keeps_to_its_limits_and_holds_at_least_one_record() {
    let (_, mut spool) = fresh();
    let payloads: Vec<String> = (0..100).map(|n| format!("{n:020}")).collect();
    for part in payloads.chunks(10) {
        spool.append(&[part.iter().collect()]).unwrap();
    }
    spool.sync().unwrap();
    let cases = [
        (1, usize::MAX, 1),
        (7, usize::MAX, 7),
        (usize::MAX, 20, 1),
        (usize::MAX, 199, 9),
        (usize::MAX, 200, 10),
        (usize::MAX, 0, 1),
        (0, 0, 1),
        (usize::MAX, usize::MAX, 100),
    ];
    for (records_max, bytes_max, expected) in cases {
        let limits = BatchLimits {
            records_max,
            bytes_max,
        };
        let mut reader = spool.reader();
        let (mut next, mut read) = (1, Vec::new());
        while next <= spool.durable() {
            let batch = reader.read(next, limits).unwrap();
            let rest = payloads.len() - read.len();
            assert_eq!(
                batch.record_count(),
                expected.min(rest),
                "{limits:?} from {next}"
            );
            read.extend(records(&batch).into_iter().map(|(_, payload)| payload));
            next = batch.next();
        }
        assert_eq!(read, payloads);
    }
}

#[test]
fn a_reader_can_begin_anywhere_and_go_back() {
    let (_, mut spool) = fresh();
    for n in 1..=200 {
        assert_eq!(store(&mut spool, &n.to_string()), n);
    }
    let mut reader = spool.reader();
    let limits = BatchLimits {
        records_max: 2,
        ..ALL
    };
    for from in [150, 1, 77, 76, 78, 199, 200, 3] {
        let batch = reader.read(from, limits).unwrap();
        let expected: Vec<(Position, String)> = (from..=200)
            .take(2)
            .map(|at| (at, at.to_string()))
            .collect();
        assert_eq!(records(&batch), expected);
    }
}

#[test]
fn a_record_as_large_as_a_segment_allows_is_read_back() {
    let (disk, mut spool) = fresh();
    let most = usize::try_from(spool.limits().append_bytes_max()).unwrap() - 16;
    let large = "x".repeat(most);
    store(&mut spool, "before");
    store(&mut spool, &large);
    store(&mut spool, "behind");
    let error = spool.append(&parcel(&"x".repeat(most + 1))).unwrap_err();
    assert!(error.is_misuse(), "{error}");
    drop(spool);
    let (spool, _) = open(&disk.restart(End::PowerCut));
    let read = read_all(&spool, 1);
    assert_eq!(records(&read), numbered(1, &["before", &large, "behind"]));
}

#[test]
fn released_segments_are_gone_and_the_rest_is_read() {
    let (disk, mut spool) = fresh();
    for n in 1..=100 {
        store(&mut spool, &format!("{n:080}"));
    }
    let bytes = spool.bytes();
    spool.release(50).unwrap();
    let first = spool.first_position();
    assert!((41..=51).contains(&first), "{first}");
    assert!(spool.bytes() < bytes * 6 / 10);
    let batch = read_all(&spool, 1);
    assert_eq!(
        (batch.losses()[0].from, batch.losses()[0].to),
        (1, first - 1)
    );
    assert_eq!(batch.losses()[0].reason, Reason::Missing);
    assert_eq!(batch.record_count() as u64, 101 - first);
    // What is not durable is not released, whatever is asked for.
    spool.append(&parcel("unsynced")).unwrap();
    spool.release(Position::MAX - 1).unwrap();
    spool.sync().unwrap();
    assert_eq!(
        records(&read_all(&spool, 101)),
        numbered(101, &["unsynced"])
    );
    for n in 102..=150 {
        store(&mut spool, &format!("{n:080}"));
    }
    spool.release(0).unwrap();
    assert_eq!(read_all(&spool, 102).losses(), []);
    drop(spool);
    let (mut spool, recovery) = open(&disk.restart(End::Kill));
    assert_eq!(recovery.next_position, 151);
    spool.release(150).unwrap();
    assert!(spool.bytes() <= 64);
    drop(spool);
    // Nothing is there but a segment that knows where to go on.
    for _ in 0..3 {
        let (spool, recovery) = open(&disk.restart(End::Kill));
        assert_eq!(
            (recovery.first_position, recovery.next_position),
            (151, 151)
        );
        assert!(read_all(&spool, 151).is_empty());
    }
}

#[test]
fn a_reader_goes_on_where_its_segment_was_released() {
    let (_, mut spool) = fresh();
    for n in 1..=40 {
        store(&mut spool, &format!("{n:080}"));
    }
    let mut reader = spool.reader();
    let limits = BatchLimits {
        records_max: 2,
        ..ALL
    };
    assert_eq!(reader.read(1, limits).unwrap().next(), 3);
    spool.release(39).unwrap();
    let batch = reader.read(40, ALL).unwrap();
    assert_eq!(records(&batch), [(40, format!("{:080}", 40))]);
    let batch = reader.read(3, ALL).unwrap();
    assert_eq!(batch.losses()[0].reason, Reason::Missing);
    assert_eq!(batch.next(), 41);
}

#[test]
fn positions_can_be_passed_over() {
    let (disk, mut spool) = fresh();
    store(&mut spool, "a");
    spool.advance(1).unwrap();
    assert_eq!(store(&mut spool, "b"), 2);
    spool.advance(1000).unwrap();
    assert_eq!(spool.next_position(), 1000);
    let error = spool.advance(POSITION_MAX + 1).unwrap_err();
    assert!(error.is_misuse(), "{error}");
    drop(spool);
    let (mut spool, recovery) = open(&disk.restart(End::PowerCut));
    assert_eq!(recovery.next_position, 1000);
    assert_eq!(store(&mut spool, "c"), 1000);
    assert_eq!(records(&read_all(&spool, 1000)), numbered(1000, &["c"]));
}
