//! The keeper: many callers, one thread, one sync for all who wait.

use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};

use super::simulated_disk::{End, SimulatedDisk, Trouble};
use super::{ALL, SMALL, open, read_all, records};
use crate::{Completion, Error, Keeper, KeeperLimits, Parcel, Position, Spool};

type Answer = Result<Range<Position>, Error>;

fn start(disk: &SimulatedDisk, limits: KeeperLimits) -> Keeper<SimulatedDisk> {
    Keeper::start(open(disk).0, limits, Box::new(|_| {})).unwrap()
}

fn answers() -> (Sender<Answer>, Receiver<Answer>) {
    channel()
}

fn to(sender: &Sender<Answer>) -> Completion {
    let sender = sender.clone();
    Box::new(move |answer| sender.send(answer).unwrap())
}

fn one(payload: &str) -> Parcel {
    Parcel::from_iter([payload])
}

/// Keeps the thread in a completion until the returned barrier is passed, so that everything gathers behind it.
fn hold(keeper: &Keeper<SimulatedDisk>) -> Arc<Barrier> {
    let (entered, gate) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let inside = (Arc::clone(&entered), Arc::clone(&gate));
    let completion = move |_: Answer| {
        inside.0.wait();
        inside.1.wait();
    };
    keeper.store(one("held"), Box::new(completion));
    entered.wait();
    gate
}

/// Three records behind one that holds the thread.
fn three_waiting(keeper: &Keeper<SimulatedDisk>) -> (Arc<Barrier>, Receiver<Answer>) {
    let gate = hold(keeper);
    let (sender, receiver) = answers();
    for _ in 0..3 {
        keeper.store(one("x"), to(&sender));
    }
    (gate, receiver)
}

#[test]
fn each_caller_gets_its_own_positions_after_the_sync() {
    let disk = SimulatedDisk::new(1);
    let (durable, on_durable) = channel();
    let spool = open(&disk).0;
    let hook = Box::new(move |position| durable.send(position).unwrap());
    let keeper = Arc::new(Keeper::start(spool, KeeperLimits::default(), hook).unwrap());
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let keeper = Arc::clone(&keeper);
            std::thread::spawn(move || store_some(&keeper, thread))
        })
        .collect();
    let mut stored: Vec<(Position, String)> = threads
        .into_iter()
        .flat_map(|thread| thread.join().unwrap())
        .collect();
    stored.sort();
    let read = keeper.reader().read(1, ALL).unwrap();
    assert_eq!(records(&read), stored);
    assert_eq!(stored.len(), 8 * 20 * 2);
    let status = keeper.status();
    assert_eq!((status.durable, status.first_position), (320, 1));
    assert!(status.store_error.is_none() && !status.is_full);
    drop(keeper);
    assert_eq!(on_durable.iter().last(), Some(320));
}

fn store_some(keeper: &Keeper<SimulatedDisk>, thread: u64) -> Vec<(Position, String)> {
    let (sender, receiver) = answers();
    let mut stored = Vec::new();
    for n in 0..20 {
        let payloads = [format!("{thread} {n} a"), format!("{thread} {n} b")];
        keeper.store(payloads.iter().collect(), to(&sender));
        let positions = receiver.recv().unwrap().unwrap();
        // It is durable: every reader sees it.
        assert!(keeper.reader().durable() >= positions.end - 1);
        stored.extend(positions.zip(payloads));
    }
    stored
}

#[test]
fn all_that_waits_is_synced_at_once() {
    let disk = SimulatedDisk::new(1);
    let keeper = start(&disk, KeeperLimits::default());
    let gate = hold(&keeper);
    let before = disk.syncs();
    let (sender, receiver) = answers();
    for n in 0..20 {
        keeper.store(one(&n.to_string()), to(&sender));
    }
    gate.wait();
    for position in 2..22 {
        assert_eq!(receiver.recv().unwrap().unwrap(), position..position + 1);
    }
    assert_eq!(disk.syncs(), before + 1);
}

#[test]
fn the_queue_is_bounded_and_says_so_at_once() {
    let disk = SimulatedDisk::new(1);
    let cases = [
        KeeperLimits {
            requests_max: 3,
            ..KeeperLimits::default()
        },
        KeeperLimits {
            bytes_max: 3 * 17,
            ..KeeperLimits::default()
        },
    ];
    for limits in cases {
        let keeper = start(&disk.restart(End::Kill), limits);
        let gate = hold(&keeper);
        let (sender, receiver) = answers();
        for _ in 0..4 {
            keeper.store(one("x"), to(&sender));
        }
        assert!(
            receiver.try_recv().unwrap().unwrap_err().is_busy(),
            "{limits:?}"
        );
        assert!(receiver.try_recv().is_err(), "the others wait");
        gate.wait();
        drop(keeper);
        drop(sender);
        assert_eq!(receiver.iter().filter(Result::is_ok).count(), 3);
    }
}

#[test]
fn what_does_not_fit_is_refused_by_itself() {
    let disk = SimulatedDisk::new(1);
    let keeper = start(&disk, KeeperLimits::default());
    let (sender, receiver) = answers();
    keeper.store(one(&"x".repeat(2000)), to(&sender));
    assert!(receiver.try_recv().unwrap().unwrap_err().is_misuse());
    let gate = hold(&keeper);
    disk.set_capacity(disk.used_bytes() + 120);
    for payload in ["small", &"x".repeat(150), "small too"] {
        keeper.store(one(payload), to(&sender));
    }
    gate.wait();
    let answers: Vec<Answer> = receiver.iter().take(3).collect();
    assert_eq!(answers[0].as_ref().unwrap(), &(2..3));
    assert!(answers[1].as_ref().unwrap_err().is_full());
    assert_eq!(answers[2].as_ref().unwrap(), &(3..4));
}

#[test]
fn a_failed_sync_refuses_everyone_from_then_on() {
    let disk = SimulatedDisk::new(1);
    let keeper = start(&disk, KeeperLimits::default());
    let (gate, receiver) = three_waiting(&keeper);
    disk.set_trouble(Trouble {
        sync_fails_after: Some(0),
        ..Trouble::default()
    });
    gate.wait();
    for _ in 0..3 {
        assert!(receiver.recv().unwrap().unwrap_err().is_poisoned());
    }
    let (sender, receiver) = answers();
    keeper.store(one("x"), to(&sender));
    assert!(receiver.recv().unwrap().unwrap_err().is_poisoned());
    assert!(keeper.status().store_error.unwrap().is_poisoned());
    assert_eq!(keeper.reader().durable(), 1);
}

#[test]
fn a_release_makes_room_and_its_failure_is_told() {
    let disk = SimulatedDisk::new(1);
    let keeper = start(&disk, KeeperLimits::default());
    let (sender, receiver) = answers();
    let store = |payload: &str| {
        keeper.store(one(payload), to(&sender));
        receiver.recv().unwrap()
    };
    while store(&"x".repeat(500)).is_ok() {}
    let full = keeper.status();
    assert!(full.is_full && full.store_error.unwrap().is_full());
    keeper.release(full.durable);
    while keeper.status().first_position == 1 {
        std::thread::yield_now();
    }
    assert!(store("x").is_ok());
    assert!(keeper.status().bytes < SMALL.bytes_max / 4);
    assert!(!keeper.status().is_full && keeper.status().release_error.is_none());
}

#[test]
fn a_keeper_that_is_dropped_finishes_what_waits() {
    let disk = SimulatedDisk::new(1);
    let keeper = start(&disk, KeeperLimits::default());
    let (gate, receiver) = three_waiting(&keeper);
    let dropped = std::thread::spawn(move || drop(keeper));
    gate.wait();
    dropped.join().unwrap();
    assert_eq!(receiver.try_iter().filter(Result::is_ok).count(), 3);
    let (spool, _): (Spool<SimulatedDisk>, _) = open(&disk.restart(End::PowerCut));
    assert_eq!(read_all(&spool, 1).record_count(), 4);
}

#[test]
fn a_completion_that_panics_costs_nobody_else_the_answer() {
    let disk = SimulatedDisk::new(1);
    let keeper = start(&disk, KeeperLimits::default());
    let gate = hold(&keeper);
    let (sender, receiver) = answers();
    keeper.store(one("x"), to(&sender));
    keeper.store(one("y"), Box::new(|_| panic!("a caller's mistake")));
    keeper.store(one("z"), to(&sender));
    gate.wait();
    assert_eq!(receiver.recv().unwrap().unwrap(), 2..3);
    assert_eq!(receiver.recv().unwrap().unwrap(), 4..5);
}
