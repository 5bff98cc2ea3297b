//! The target's disk is full: a clear stop, nothing half in, and on it goes when there is room.

use super::Moved;
use crate::support::Positions;
use hyperhaul_testkit::{Servers, SmallDisk, TestDatabase, skip};

pub(super) const MIB: u64 = 1 << 20;
/// Without the limit that would pause the run before the disk is full.
const MIGRATE: &str = "migrate --min-free-disk 0";

/// A database whose files are all on the small disk.
pub(super) async fn database_on(disk: &SmallDisk) -> TestDatabase {
    let servers = Servers::shared().unwrap();
    let url = servers.target.url();
    let database = TestDatabase::create_in(url, "disk_full", disk.tablespace());
    let database = database.await.unwrap();
    database.with_extensions(&["timescaledb"]).await.unwrap()
}

#[tokio::test]
async fn a_full_disk_stops_the_run_and_room_lets_it_go_on() {
    let servers = Servers::shared().unwrap();
    let disk = match SmallDisk::create(&servers.target, 128 * MIB) {
        Ok(disk) => disk,
        Err(error) if error.is_unavailable() => {
            return skip("a_full_disk_stops_the_run_and_room_lets_it_go_on", &error);
        }
        Err(error) => panic!("{error}"),
    };
    let positions = Positions {
        days: 2,
        rows_per_day: 25_000,
        packet_bytes: 250,
    };
    let moved = Moved::new(database_on(&disk).await, None, positions).await;
    moved.plan("--workers 2").await;
    // Room for some of the slices, then for all of them and not for the indexes.
    let stages = [(5 * MIB, "slice", false), (MIB / 2, "add ", true)];
    for (free_bytes, what, copied) in stages {
        disk.fill(free_bytes).unwrap();
        let stopped = moved.call(MIGRATE).run().await.expect_code(3);
        let stopped = stopped.expect_printed(&[
            what,
            "No space left on device",
            "HINT:",
            "Free disk space on the server",
        ]);
        assert!(!stopped.stderr.contains("panicked"), "{stopped:?}");
        moved.assert_wholly_in_or_out().await;
        let pending = "SELECT count(*) FROM hyperhaul.slice WHERE NOT done";
        assert_eq!(
            moved.target().value::<i64>(pending).await.unwrap() == 0,
            copied
        );
        disk.free().unwrap();
        if !copied {
            let call = moved.call(MIGRATE).failpoint("copy.before_mark");
            call.run().await.expect_killed();
        }
    }
    moved.call(MIGRATE).run().await.expect_code(0);
    moved.assert_moved().await;
}
