//! The same on a folder of the file system.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::channel;

use super::{ALL, SMALL, parcel, records};
use crate::{Keeper, KeeperLimits, Limits, Parcel, RealDisk, Spool};

/// A folder that is gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("hyperhaul-spool-{}-{test}", std::process::id()));
        fs::remove_dir_all(&path).ok();
        Self(path)
    }

    fn open(&self) -> Spool {
        self.open_with(SMALL)
    }

    fn open_with(&self, limits: Limits) -> Spool {
        let disk = RealDisk::open(self.0.join("deep").join("spool")).unwrap();
        Spool::open(disk, limits).unwrap().0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

#[test]
fn records_outlive_the_process_and_go_when_they_are_released() {
    let folder = Folder::new("outlive");
    for round in 0..3_u64 {
        let mut spool = folder.open();
        assert_eq!(spool.next_position(), round * 100 + 1);
        for n in 0..100 {
            spool
                .append(&parcel(&format!("{:040}", round * 100 + n)))
                .unwrap();
        }
        spool.sync().unwrap();
    }
    let mut spool = folder.open();
    let batch = spool.reader().read(1, ALL).unwrap();
    let read = records(&batch);
    assert_eq!(read.len(), 300);
    for (at, (position, payload)) in read.iter().enumerate() {
        assert_eq!((*position, payload), (at as u64 + 1, &format!("{at:040}")));
    }
    spool.release(300).unwrap();
    let names: Vec<String> = fs::read_dir(folder.0.join("deep/spool"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".segment"))
        .collect();
    assert_eq!(names, ["00000000000000000301.segment"]);
}

#[test]
fn a_reader_follows_a_writer_and_releases_what_it_has_read() {
    const RECORDS: u64 = 3000;
    let folder = Folder::new("follow");
    let (durable, woken) = channel();
    let wake = Box::new(move |position| durable.send(position).unwrap());
    // Never full, however slow the reader is.
    let roomy = Limits {
        bytes_max: 1024 * SMALL.segment_bytes,
        ..SMALL
    };
    let spool = folder.open_with(roomy);
    let keeper = Keeper::start(spool, KeeperLimits::default(), wake).unwrap();
    let keeper = Arc::new(keeper);
    let writer = std::thread::spawn({
        let keeper = Arc::clone(&keeper);
        move || write(&keeper, RECORDS)
    });
    let (mut reader, mut next) = (keeper.reader(), 1);
    while next <= RECORDS {
        woken.recv().unwrap();
        let batch = reader.read(next, ALL).unwrap();
        assert_eq!(batch.losses(), []);
        for (position, payload) in records(&batch) {
            assert_eq!((position, payload), (next, format!("{next:040}")));
            next += 1;
        }
        keeper.release(next - 1);
    }
    writer.join().unwrap();
    drop((keeper, reader));
    let spool = folder.open();
    assert_eq!(spool.next_position(), RECORDS + 1);
    assert!(
        spool.bytes() <= 2 * SMALL.segment_bytes,
        "{}",
        spool.bytes()
    );
}

/// Stores records one by one, with some in flight.
fn write(keeper: &Keeper, records: u64) {
    let (sender, answers) = channel();
    let (mut next, mut waiting) = (1, 0);
    while next <= records || waiting > 0 {
        while next <= records && waiting < 50 {
            let sender = sender.clone();
            let done = Box::new(move |answer| sender.send(answer).unwrap());
            keeper.store(Parcel::from_iter([format!("{next:040}")]), done);
            (next, waiting) = (next + 1, waiting + 1);
        }
        assert!(answers.recv().unwrap().is_ok());
        waiting -= 1;
    }
}

#[test]
fn a_folder_belongs_to_one_spool_at_a_time() {
    let folder = Folder::new("lock");
    let spool = folder.open();
    let path = folder.0.join("deep").join("spool");
    let error = RealDisk::open(&path).unwrap_err();
    assert!(error.is_locked(), "{error}");
    assert!(
        error.to_string().contains(path.to_str().unwrap()),
        "{error}"
    );
    // A reader holds it too.
    let reader = spool.reader();
    drop(spool);
    assert!(RealDisk::open(&path).unwrap_err().is_locked());
    drop(reader);
    assert!(RealDisk::open(&path).is_ok());
}

#[test]
fn what_else_lies_in_the_folder_is_left_alone() {
    let folder = Folder::new("foreign");
    drop(folder.open());
    let path = folder.0.join("deep").join("spool");
    fs::write(path.join("1.segment"), "not ours").unwrap();
    fs::create_dir(path.join("lost+found")).unwrap();
    let mut spool = folder.open();
    spool.append(&parcel("a")).unwrap();
    spool.sync().unwrap();
    spool.release(1).unwrap();
    assert_eq!(
        fs::read_to_string(path.join("1.segment")).unwrap(),
        "not ours"
    );
}

#[test]
fn nobody_else_may_read_what_was_sent() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("mode");
    drop(folder.open());
    let path = folder.0.join("deep").join("spool");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for entry in fs::read_dir(&path).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
    }
}
