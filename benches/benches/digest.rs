//! How fast tuples that are framed already are summed up, in bytes per second of one core.

#![allow(
    missing_docs,
    reason = "criterion's macros generate undocumented items"
)]

mod sample;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hyperhaul_pgcopy::{Digest, Tuple, Tuples};

/// Rows of one bench iteration: about 28 MB, so that they come from memory and not from a cache.
const ROW_COUNT: usize = 80_000;

fn digest(criterion: &mut Criterion) {
    let stream = sample::tuples(&sample::fixes(ROW_COUNT));
    let tuples: Vec<Tuple<'_>> = Tuples::new(&stream).flatten().collect();
    assert_eq!(tuples.len(), ROW_COUNT);
    let mut group = criterion.benchmark_group("digest");
    group.throughput(Throughput::Bytes(stream.len() as u64));
    group.bench_function("fixes", |bencher| {
        bencher.iter(|| {
            let mut digest = Digest::default();
            for tuple in &tuples {
                digest.add(*tuple);
            }
            digest
        });
    });
    group.finish();
}

criterion_group!(benches, digest);
criterion_main!(benches);
