//! A process that is killed while it stores records: what it was told is durable is there, at its position, and nothing else.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use hyperhaul_spool::{
    BatchLimits, Keeper, KeeperLimits, Limits, Parcel, Position, RealDisk, Spool,
};

/// Where it is set, the test is the process that is killed.
const FOLDER: &str = "HYPERHAUL_SPOOL_FOLDER";
const TEST: &str = "killed::what_a_killed_process_called_durable_is_there";
const ROUNDS: u64 = 25;

/// Segments that are filled, and removed, many times before the process is killed.
const LIMITS: Limits = Limits {
    bytes_max: 1 << 24,
    segment_bytes: 1 << 13,
};

fn open(folder: &Path) -> Spool {
    Spool::open(RealDisk::open(folder).unwrap(), LIMITS)
        .unwrap()
        .0
}

fn payload(position: Position) -> String {
    format!("{position} ").repeat(1 + position as usize % 40)
}

/// Stores records until it is killed, releases most of them, and says which are durable.
fn store_until_killed(folder: &Path) -> ! {
    let spool = open(folder);
    let mut next = spool.next_position();
    let keeper = Keeper::start(spool, KeeperLimits::default(), Box::new(|_| {})).unwrap();
    let (sender, answers) = channel();
    loop {
        let stored = next..next + next % 7 + 1;
        for position in stored.clone() {
            let sender = sender.clone();
            let done = Box::new(move |answer| sender.send(answer).unwrap());
            keeper.store(Parcel::from_iter([payload(position)]), done);
        }
        for position in stored.clone() {
            let positions = answers.recv().unwrap().unwrap();
            assert_eq!(positions, position..position + 1);
        }
        next = stored.end;
        let durable = next - 1;
        println!("durable {durable}");
        std::io::stdout().flush().unwrap();
        keeper.release(durable.saturating_sub(50));
    }
}

/// Runs such a process for a while, and returns the last position that it called durable.
fn run_and_kill(folder: &Path, milliseconds: u64) -> Position {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", TEST, "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut durable = 0;
    let mut said = |line: String| {
        let position = line
            .strip_prefix("durable ")
            .and_then(|said| said.parse().ok());
        durable = position.unwrap_or(durable);
        position.is_some()
    };
    while !said(lines.next().expect("the process says something").unwrap()) {}
    std::thread::sleep(Duration::from_millis(milliseconds));
    process.kill().unwrap();
    process.wait().unwrap();
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    // The last line may be cut off, and then names a lower position.
    rest.into_iter().for_each(|line| {
        said(line);
    });
    durable
}

#[test]
fn what_a_killed_process_called_durable_is_there() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        store_until_killed(Path::new(&folder));
    }
    let name = format!("hyperhaul-spool-{}-killed", std::process::id());
    let folder: PathBuf = std::env::temp_dir().join(name);
    std::fs::remove_dir_all(&folder).ok();
    let mut before = 0;
    for round in 0..ROUNDS {
        let durable = run_and_kill(&folder, round * 3);
        assert!(durable > before, "round {round}: nothing was stored");
        let spool = open(&folder);
        assert!(spool.durable() >= durable, "round {round}");
        let first = spool.first_position();
        assert!(
            first <= durable,
            "round {round}: more was removed than released"
        );
        let all = BatchLimits {
            records_max: usize::MAX,
            bytes_max: usize::MAX,
        };
        let batch = spool.reader().read(first, all).unwrap();
        assert_eq!(batch.next(), spool.next_position());
        for (position, bytes) in batch.records() {
            assert_eq!(bytes, payload(position).as_bytes(), "round {round}");
        }
        let lost = batch
            .losses()
            .iter()
            .find(|loss| loss.from <= durable && loss.from > before);
        assert_eq!(lost, None, "round {round}");
        before = spool.durable();
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
