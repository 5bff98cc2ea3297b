//! How fast the spool takes records in and gives them out, and how long an acknowledgement takes beside one sync of a file.

#![allow(
    missing_docs,
    reason = "criterion's macros generate undocumented items"
)]
#![allow(clippy::expect_used, reason = "a bench that fails has nothing to tell")]

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use hyperhaul_spool::{BatchLimits, Keeper, KeeperLimits, Limits, Parcel, RealDisk, Spool};

/// As large as a telemetry row in NDJSON.
const RECORD_BYTES: usize = 200;
const BATCH_RECORDS: usize = 5_000;

/// The acknowledgement is measured with single records at this rate, for so long.
const RATE_PER_SECOND: u32 = 5_000;
const MEASURED_SECONDS: u32 = 5;

/// A folder on the disk that the build is on: one in memory would say nothing about syncs.
fn folder(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::remove_dir_all(&path).ok();
    path
}

fn spool(name: &str) -> Spool {
    let disk = RealDisk::open(folder(name)).expect("the folder can be made");
    Spool::open(disk, Limits::default())
        .expect("the spool opens")
        .0
}

fn parcel(records: usize) -> Parcel {
    std::iter::repeat_n([b'x'; RECORD_BYTES], records).collect()
}

fn store(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("spool");
    group.throughput(Throughput::Elements(BATCH_RECORDS as u64));
    group.bench_function("parcel", |bencher| bencher.iter(|| parcel(BATCH_RECORDS)));
    let mut spool = spool("spool-store");
    group.bench_function("parcel, append and sync", |bencher| {
        bencher.iter(|| {
            spool
                .append(&[parcel(BATCH_RECORDS)])
                .expect("there is room");
            let durable = spool.sync().expect("the disk works");
            spool.release(durable).expect("the disk works");
        });
    });
    group.finish();
}

fn read(criterion: &mut Criterion) {
    let mut spool = spool("spool-read");
    for _ in 0..20 {
        spool
            .append(&[parcel(BATCH_RECORDS)])
            .expect("there is room");
    }
    let durable = spool.sync().expect("the disk works");
    let limits = BatchLimits {
        records_max: BATCH_RECORDS,
        bytes_max: usize::MAX,
    };
    let mut group = criterion.benchmark_group("spool");
    group.throughput(Throughput::Elements(durable));
    group.bench_function("read", |bencher| {
        bencher.iter_batched(
            || spool.reader(),
            |mut reader| {
                let mut next = 1;
                while next <= durable {
                    next = reader.read(next, limits).expect("the disk works").next();
                }
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

/// Prints percentiles: criterion's means would hide what a sender waits for.
fn acknowledge(_: &mut Criterion) {
    let syncs = sync_times();
    percentiles("one write and sync of a file", syncs.clone());
    let ideal = percentiles(
        "acknowledgement that nothing but syncs delays",
        group_times(&syncs),
    );
    let answer = percentiles("acknowledgement of a record", answer_times());
    for (name, ideal, answer) in [("p50", ideal[0], answer[0]), ("p99", ideal[1], answer[1])] {
        let ratio = answer.as_secs_f64() / ideal.as_secs_f64();
        println!("spool/acknowledgement {name}: {ratio:.2} x of what syncs alone take");
    }
}

/// How long records wait that come while one sync is at work, and are made durable by the next. More of them meet a slow sync.
fn group_times(syncs: &[Duration]) -> Vec<Duration> {
    let between = Duration::from_secs(1) / RATE_PER_SECOND;
    let waits = syncs.windows(2).flat_map(|pair| {
        let arrivals = (0..)
            .map(move |n| between * n)
            .take_while(move |at| *at < pair[0]);
        arrivals.map(move |at| pair[0] - at + pair[1])
    });
    waits.collect()
}

/// What the keeper's groups cost without a spool: as many bytes as come while the disk is at work.
fn sync_times() -> Vec<Duration> {
    let path = folder("spool-sync");
    std::fs::create_dir_all(&path).expect("the folder can be made");
    let mut file = File::create(path.join("file")).expect("a file can be made");
    let bytes = vec![b'x'; 10 * RECORD_BYTES];
    let end = Instant::now() + Duration::from_secs(1) * MEASURED_SECONDS;
    // As long as the records come: other users of the disk stall both alike.
    let times = std::iter::from_fn(|| {
        let began = Instant::now();
        (began < end).then(|| {
            file.write_all(&bytes).expect("there is room");
            file.sync_data().expect("the disk works");
            began.elapsed()
        })
    });
    times.collect()
}

fn answer_times() -> Vec<Duration> {
    let spool = spool("spool-acknowledge");
    let keeper = Keeper::start(spool, KeeperLimits::default(), Box::new(|_| {}))
        .expect("a thread can be started");
    let (sender, receiver) = channel();
    let began = Instant::now();
    for n in 0..RATE_PER_SECOND * MEASURED_SECONDS {
        let due = began + Duration::from_secs(1) / RATE_PER_SECOND * n;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let sender = sender.clone();
        keeper.store(
            parcel(1),
            Box::new(move |answer| {
                answer.expect("the disk works");
                // Against the moment when it was due, so that a slow answer does not hide those that wait behind it.
                sender.send(due.elapsed()).expect("somebody waits");
            }),
        );
    }
    drop((sender, keeper));
    receiver.iter().collect()
}

fn percentiles(name: &str, mut times: Vec<Duration>) -> [Duration; 2] {
    times.sort_unstable();
    let at = |percent: usize| times[times.len() * percent / 100];
    println!(
        "spool/{name}: p50 {:?}, p99 {:?}, of {}",
        at(50),
        at(99),
        times.len()
    );
    [at(50), at(99)]
}

criterion_group!(benches, store, read, acknowledge);
criterion_main!(benches);
