//! What is durable when, and what a failed sync means.

use super::simulated_disk::{End, Trouble};
use super::{fresh, numbered, open, parcel, read_all, records, store};

#[test]
fn an_append_syncs_nothing_and_a_sync_syncs_once() {
    let (disk, mut spool) = fresh();
    let before = disk.syncs();
    for _ in 0..5 {
        spool.append(&parcel("a record")).unwrap();
    }
    assert_eq!(disk.syncs(), before);
    assert_eq!(spool.sync().unwrap(), 5);
    assert_eq!(spool.sync().unwrap(), 5);
    assert_eq!(disk.syncs(), before + 1);
}

#[test]
fn what_was_synced_outlives_a_power_cut_and_the_rest_gets_no_acknowledged_position() {
    let (disk, mut spool) = fresh();
    store(&mut spool, "synced");
    spool.append(&parcel("not synced")).unwrap();
    drop(spool);
    let (spool, recovery) = open(&disk.restart(End::PowerCut));
    assert!(recovery.next_position >= 2);
    assert_eq!(records(&read_all(&spool, 1))[..1], numbered(1, &["synced"]));
}

#[test]
fn a_killed_process_leaves_what_it_wrote() {
    let (disk, mut spool) = fresh();
    spool.append(&parcel("not synced")).unwrap();
    drop(spool);
    let disk = disk.restart(End::Kill);
    let (spool, recovery) = open(&disk);
    assert_eq!((recovery.next_position, recovery.segments), (2, 1));
    // Whoever reads it may rely on it: it has become durable.
    assert_eq!(records(&read_all(&spool, 1)), numbered(1, &["not synced"]));
    let (spool, _) = open(&disk.restart(End::PowerCut));
    assert_eq!(records(&read_all(&spool, 1)), numbered(1, &["not synced"]));
}

#[test]
fn after_a_failed_sync_nothing_is_taken_any_more() {
    let (disk, mut spool) = fresh();
    store(&mut spool, "a");
    spool.append(&parcel("b")).unwrap();
    disk.set_trouble(Trouble {
        sync_fails_after: Some(0),
        ..Trouble::default()
    });
    let error = spool.sync().unwrap_err();
    assert!(
        error.is_poisoned() && error.to_string().contains("durable"),
        "{error}"
    );
    for error in [
        spool.sync().unwrap_err(),
        spool.append(&parcel("c")).unwrap_err(),
        spool.release(1).unwrap_err(),
        spool.advance(10).unwrap_err(),
    ] {
        assert!(error.is_poisoned(), "{error}");
        assert!(
            error
                .to_string()
                .starts_with("the spool takes nothing more: could not make"),
            "{error}"
        );
        assert!(error.hint().ends_with('.'));
    }
    assert_eq!(spool.durable(), 1);
    assert_eq!(records(&read_all(&spool, 1)), numbered(1, &["a"]));
    drop(spool);
    let (mut spool, _) = open(&disk.restart(End::Kill));
    assert!(store(&mut spool, "d") >= 2);
}

#[test]
fn what_a_failed_sync_has_dropped_can_vanish_later_without_its_position_coming_again() {
    for seed in 0..200 {
        let disk = super::SimulatedDisk::new(seed);
        let (mut spool, _) = open(&disk);
        store(&mut spool, "a");
        spool.append(&parcel(&"b".repeat(100))).unwrap();
        disk.set_trouble(Trouble {
            sync_fails_after: Some(0),
            ..Trouble::default()
        });
        spool.sync().unwrap_err();
        let disk = disk.restart(End::Kill);
        let (spool, _) = open(&disk);
        // The system still shows it, and a consumer has it.
        assert_eq!(read_all(&spool, 1).record_count(), 2);
        let (mut spool, recovery) = open(&disk.restart(End::PowerCut));
        assert_eq!(recovery.next_position, 3, "seed {seed}");
        assert_eq!(store(&mut spool, "c"), 3, "seed {seed}");
    }
}

#[test]
fn each_failing_sync_of_a_new_segment_poisons_and_costs_nothing() {
    for fails_after in 0..3 {
        let (disk, mut spool) = fresh();
        store(&mut spool, &"a".repeat(700));
        disk.set_trouble(Trouble {
            sync_fails_after: Some(fails_after),
            ..Trouble::default()
        });
        // It does not fit beside the first.
        spool
            .append(&parcel(&"b".repeat(700)))
            .and_then(|_| spool.sync())
            .unwrap_err();
        assert!(spool.poison().is_some(), "{fails_after}");
        drop(spool);
        let disk = disk.restart(End::Kill);
        let (mut spool, _) = open(&disk);
        let next = store(&mut spool, "c");
        drop(spool);
        let (spool, _) = open(&disk.restart(End::PowerCut));
        let read = records(&read_all(&spool, 1));
        assert_eq!(read[0].1, "a".repeat(700));
        assert_eq!(
            read[read.len() - 1],
            (next, "c".to_owned()),
            "{fails_after}"
        );
    }
}

#[test]
fn a_write_that_fails_half_way_leaves_nothing_behind() {
    let (disk, mut spool) = fresh();
    store(&mut spool, "a");
    for _ in 0..20 {
        disk.set_trouble(Trouble {
            append_fails_after: Some(0),
            ..Trouble::default()
        });
        let error = spool.append(&parcel(&"b".repeat(100))).unwrap_err();
        assert!(!error.is_full() && !error.is_poisoned(), "{error}");
    }
    assert_eq!(store(&mut spool, "c"), 2);
    assert_eq!(records(&read_all(&spool, 1)), numbered(1, &["a", "c"]));
    let (_, recovery) = open(&disk.restart(End::Kill));
    assert_eq!((recovery.torn_bytes, recovery.next_position), (0, 3));
}
