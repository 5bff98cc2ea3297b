//! A disk of the system that is really full: what does not fit is refused as a whole, and room lets the spool go on.

use hyperhaul_spool::{BatchLimits, Error, Limits, Parcel, Position, RealDisk, Spool};
use hyperhaul_testkit::{Servers, SmallDisk, skip};

const MIB: u64 = 1 << 20;
const RECORD_BYTES: usize = 10_000;

/// Its own limit is far beyond the disk.
const LIMITS: Limits = Limits {
    bytes_max: 1024 * MIB,
    segment_bytes: 4 * MIB,
};

const ALL: BatchLimits = BatchLimits {
    records_max: usize::MAX,
    bytes_max: usize::MAX,
};

fn open(disk: &SmallDisk) -> Spool {
    let folder = RealDisk::open(disk.folder().join("spool")).unwrap();
    Spool::open(folder, LIMITS).unwrap().0
}

fn payload(position: Position) -> Vec<u8> {
    position.to_le_bytes().repeat(RECORD_BYTES / 8)
}

/// Stores records, each durable, until one is refused.
fn fill(spool: &mut Spool) -> Error {
    loop {
        let parcel = Parcel::from_iter([payload(spool.next_position())]);
        match spool.append(&[parcel]) {
            Ok(positions) => assert_eq!(spool.sync().unwrap(), positions.start),
            Err(error) => return error,
        }
    }
}

/// Reads everything that is not released, and checks each byte.
fn assert_whole(spool: &Spool) {
    let from = spool.first_position();
    let batch = spool.reader().read(from, ALL).unwrap();
    assert_eq!(batch.losses(), []);
    assert_eq!(batch.next(), spool.next_position());
    for (position, bytes) in batch.records() {
        assert_eq!(bytes, payload(position), "record {position}");
    }
}

#[tokio::test]
async fn a_spool_survives_that_its_disk_is_full() {
    let servers = Servers::shared().unwrap();
    let disk = match SmallDisk::create(&servers.target, 16 * MIB) {
        Ok(disk) => disk,
        Err(error) if error.is_unavailable() => {
            return skip("a_spool_survives_that_its_disk_is_full", &error);
        }
        Err(error) => panic!("{error}"),
    };
    let mut spool = open(&disk);
    let error = fill(&mut spool);
    assert!(error.is_disk_full(), "{error}");
    let filled = spool.durable();
    assert!(filled > 1000, "{filled} records");
    assert!(fill(&mut spool).is_disk_full());
    assert_whole(&spool);
    // A restart on the full disk loses nothing, and gives no position twice.
    drop(spool);
    let mut spool = open(&disk);
    assert_eq!(
        (spool.durable(), spool.next_position()),
        (filled, filled + 1)
    );
    assert_whole(&spool);
    // Released segments are room.
    spool.release(filled / 2).unwrap();
    assert!(fill(&mut spool).is_disk_full());
    assert!(spool.durable() > filled + 300, "{}", spool.durable());
    assert_whole(&spool);
    // So is what somebody else frees.
    let durable = spool.durable();
    spool.release(durable).unwrap();
    disk.fill(MIB).unwrap();
    assert!(fill(&mut spool).is_disk_full());
    let durable = spool.durable();
    disk.free().unwrap();
    assert!(fill(&mut spool).is_disk_full());
    assert!(spool.durable() > durable + 300, "{}", spool.durable());
    assert_whole(&spool);
}
