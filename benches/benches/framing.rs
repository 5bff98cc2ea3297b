//! How fast a stream is cut into tuples, summed up and routed, in bytes per second of one core.
//! Target of framing and digesting together: 1.5 GB/s.

#![allow(
    missing_docs,
    reason = "criterion's macros generate undocumented items"
)]

mod sample;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hyperhaul_pgcopy::{
    Digest, Framer, HEADER, POSTGRES_EPOCH_OFFSET_US, Router, TimePoint, TimeType, Tuple, Tuples,
};

/// Rows of one bench iteration: about 28 MB, so that they come from memory and not from a cache.
const ROW_COUNT: usize = 80_000;

/// The engine's batch.
const BATCH_BYTES: usize = 256 * 1024;

/// What one read of a socket may bring.
const READ_BYTES: usize = 8 * 1024;

fn framing(criterion: &mut Criterion) {
    let stream = sample::tuples(&sample::fixes(ROW_COUNT));
    let mut group = criterion.benchmark_group("framing");
    group.throughput(Throughput::Bytes(stream.len() as u64));
    group.bench_function("batches_of_256_kib", |bencher| {
        bencher.iter(|| {
            frame(&stream, BATCH_BYTES, |tuple| {
                black_box(tuple);
            })
        });
    });
    group.bench_function("reads_of_8_kib", |bencher| {
        bencher.iter(|| {
            frame(&stream, READ_BYTES, |tuple| {
                black_box(tuple);
            })
        });
    });
    group.bench_function("and_digest", |bencher| {
        bencher.iter(|| {
            let mut digest = Digest::default();
            frame(&stream, BATCH_BYTES, |tuple| digest.add(tuple));
            digest
        });
    });
    group.bench_function("and_digest_and_route", |bencher| {
        let mut router = week();
        bencher.iter(|| {
            let mut digest = Digest::default();
            let mut routed = 0_usize;
            for tuple in Tuples::new(&stream).flatten() {
                digest.add(tuple);
                routed += usize::from(route(&mut router, tuple).is_some());
            }
            assert_eq!(routed, ROW_COUNT);
            digest
        });
    });
    group.finish();
}

fn frame(stream: &[u8], piece_bytes: usize, mut each: impl FnMut(Tuple<'_>)) {
    let mut framer = Framer::new();
    let pieces = [&HEADER[..]].into_iter().chain(stream.chunks(piece_bytes));
    for piece in pieces {
        assert!(framer.push(piece, &mut each).is_ok());
    }
}

/// Seven chunks of a day from 2025-12-11 on.
fn week() -> Router {
    const DAY_US: i64 = 86_400_000_000;
    let first_us = POSTGRES_EPOCH_OFFSET_US + 9476 * DAY_US;
    let days = (0..7).map(|day| (first_us + day * DAY_US, first_us + (day + 1) * DAY_US));
    match Router::new(days.collect()) {
        Ok(router) => router,
        Err(error) => panic!("{error}"),
    }
}

fn route(router: &mut Router, tuple: Tuple<'_>) -> Option<usize> {
    let field = tuple.field(sample::RECEIVED_AT).ok()??;
    match TimeType::Timestamptz.unix_us(field) {
        Ok(TimePoint::UnixUs(time_us)) => router.route(time_us),
        _ => None,
    }
}

criterion_group!(benches, framing);
criterion_main!(benches);
