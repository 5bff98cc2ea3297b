//! How fast packets become rows, in packets per second of one core. Target: 300,000.

#![allow(
    missing_docs,
    reason = "criterion's macros generate undocumented items"
)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hyperhaul_decode::{
    APRS_FIX_KEY, AprsDecoder, AprsOptions, Decoder, Found, Id, RecentKeys, Record, Rows,
};
use hyperhaul_workload::{Soar, SoarOptions, SoarPacket, SoarTable};

/// For tables that take all that a packet says.
fn decoder() -> AprsDecoder {
    let [raw_messages, fixes] = AprsDecoder::columns();
    AprsDecoder::new(&AprsOptions::default(), &raw_messages, &fixes)
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Packets of a sample: a fix in each of three out of five, then status reports and positions of receivers.
fn packets() -> Vec<SoarPacket> {
    let soar = Soar::new(&SoarOptions::sized(20_000)).unwrap_or_else(|error| panic!("{error}"));
    (0..soar.block_count(SoarTable::RawMessages))
        .flat_map(|block| soar.packets(block))
        .collect()
}

fn decode(decoder: &AprsDecoder, packets: &[SoarPacket]) -> Vec<Rows> {
    let mut rows = decoder.empty_rows();
    for (position, packet) in packets.iter().enumerate() {
        let record = Record {
            payload: &packet.bytes,
            received_at_us: packet.received_us,
            position: position as u64,
            source: "ogn",
            attributes: &[],
        };
        let decoded = decoder.decode(black_box(&record), &mut rows);
        assert!(decoded.is_ok());
    }
    rows
}

fn fill_ids(decoder: &AprsDecoder, rows: &mut [Rows]) {
    for rows in rows {
        for lookup in 0..decoder.lookups().len() {
            rows.patch(lookup, |_| {
                Some(Found {
                    id: Id::Uuid([7; 16]),
                    returned: None,
                })
            });
        }
    }
}

fn aprs(criterion: &mut Criterion) {
    let (decoder, packets) = (decoder(), packets());
    let columns = &decoder.targets()[1].columns;
    let mut group = criterion.benchmark_group("aprs");
    group.throughput(Throughput::Elements(packets.len() as u64));
    group.bench_function("decode", |bencher| {
        bencher.iter(|| decode(&decoder, &packets));
    });
    group.bench_function("decode, fill ids in, drop duplicates", |bencher| {
        let mut recent = RecentKeys::new(columns, APRS_FIX_KEY, 1 << 19);
        bencher.iter(|| {
            let mut rows = decode(&decoder, &packets);
            fill_ids(&decoder, &mut rows);
            if let (Some(recent), [_, fixes]) = (&mut recent, rows.as_mut_slice()) {
                black_box(recent.drop_duplicates(fixes));
            }
            rows
        });
    });
    group.finish();
}

criterion_group!(benches, aprs);
criterion_main!(benches);
