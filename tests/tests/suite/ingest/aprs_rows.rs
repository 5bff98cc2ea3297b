//! The sample's packets through the decoder against the sample's rows: two programs that share nothing but the format.

use hyperhaul_decode::{
    APRS_FIX_KEY, AprsDecoder, AprsKind, AprsOptions, Decoder, Found, Id, RecentKeys, Record, Rows,
};
use hyperhaul_pgcopy::{Tuple, Tuples};
use hyperhaul_workload::{Soar, SoarOptions, SoarTable};
use std::collections::HashMap;

/// For tables that take all that a packet says.
pub(super) fn decoder() -> AprsDecoder {
    let [raw_messages, fixes] = AprsDecoder::columns();
    AprsDecoder::new(&AprsOptions::default(), &raw_messages, &fixes).unwrap()
}

/// All rows of a table, as maps from column to value.
fn table(soar: &Soar, table: SoarTable) -> Vec<HashMap<String, Option<Vec<u8>>>> {
    (0..soar.block_count(table))
        .flat_map(|block| {
            let encoded = soar.encode_block(table, block);
            Tuples::new(&encoded.tuples)
                .map(|tuple| columns(table.columns().iter(), tuple.unwrap()))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn columns<C: ToString>(
    names: impl Iterator<Item = C>,
    tuple: Tuple<'_>,
) -> HashMap<String, Option<Vec<u8>>> {
    let values = tuple.fields().map(|value| value.map(<[u8]>::to_vec));
    names.map(|name| name.to_string()).zip(values).collect()
}

/// Ids of receivers and aircraft by what they are looked up by.
fn ids(soar: &Soar) -> HashMap<Vec<String>, [u8; 16]> {
    let field = |row: &HashMap<String, Option<Vec<u8>>>, name: &str| row[name].clone().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let receivers = table(soar, SoarTable::Receivers).into_iter().map(|row| {
        (
            vec![text(field(&row, "callsign"))],
            field(&row, "id").try_into().unwrap(),
        )
    });
    let aircraft = table(soar, SoarTable::Aircraft).into_iter().map(|row| {
        let address = i32::from_be_bytes(field(&row, "address").try_into().unwrap());
        let key = vec![address.to_string(), text(field(&row, "address_type"))];
        (key, field(&row, "id").try_into().unwrap())
    });
    receivers.chain(aircraft).collect()
}

/// Decodes all packets and fills the ids in.
pub(super) fn decode(soar: &Soar, decoder: &AprsDecoder) -> Vec<Rows> {
    let mut rows = decoder.empty_rows();
    let mut position = 0;
    for block in 0..soar.block_count(SoarTable::RawMessages) {
        for packet in soar.packets(block) {
            position += 1;
            let record = Record {
                payload: &packet.bytes,
                received_at_us: packet.received_us,
                position,
                source: "ogn",
                attributes: &[],
            };
            decoder.decode(&record, &mut rows).unwrap();
        }
    }
    let ids = ids(soar);
    for rows in &mut rows {
        for lookup in 0..decoder.lookups().len() {
            let unknown = rows.patch(lookup, |key| {
                let id = ids.get(&key.key)?;
                Some(Found {
                    id: Id::Uuid(*id),
                    returned: None,
                })
            });
            assert!(
                unknown.is_empty(),
                "lookup {lookup}: {} keys are not the sample's",
                unknown.len()
            );
        }
    }
    rows
}

/// Packets of one kind.
pub(super) fn count(rows: &[Rows], kind: AprsKind) -> u64 {
    let counts = rows[0].kind_counts();
    counts.get(kind as usize).copied().unwrap_or_default()
}

/// What the sample's metadata says is said by the packet's; that may say more.
fn assert_metadata(expected: &[u8], found: &[u8]) {
    let json = |bytes: &[u8]| -> serde_json::Value { serde_json::from_slice(&bytes[1..]).unwrap() };
    let found = json(found);
    for (name, value) in json(expected).as_object().unwrap() {
        assert_eq!(&found[name], value, "{name}");
    }
}

#[test]
fn fixes_of_the_sample_s_packets_are_the_sample_s_fixes() {
    let soar = Soar::new(&SoarOptions::sized(20_000)).unwrap();
    let decoder = decoder();
    let rows = decode(&soar, &decoder);
    let names = &decoder.targets()[1].columns;
    let expected = table(&soar, SoarTable::Fixes);
    assert_eq!(rows[1].len(), expected.len());
    // Both are in order of reception.
    for (index, expected) in expected.iter().enumerate() {
        let found = columns(
            names.iter(),
            Tuple::parse(rows[1].row_bytes(index)).unwrap(),
        );
        for name in names {
            match name.as_str() {
                // Made of the record here, and at random there.
                "id" | "raw_message_id" => {}
                "source_metadata" => {
                    if let Some(expected) = &expected[name] {
                        assert_metadata(expected, found[name].as_ref().unwrap());
                    }
                }
                _ => assert_eq!(found[name], expected[name], "{name} of fix {index}"),
            }
        }
    }
}

#[test]
fn raw_messages_of_the_sample_s_packets_are_the_sample_s() {
    let soar = Soar::new(&SoarOptions::sized(5_000)).unwrap();
    let decoder = decoder();
    let rows = decode(&soar, &decoder);
    let names = &decoder.targets()[0].columns;
    let expected: Vec<_> = table(&soar, SoarTable::RawMessages)
        .into_iter()
        .filter(|row| row["source"].as_deref() == Some(b"ogn"))
        .collect();
    assert_eq!(rows[0].len(), expected.len());
    for (index, expected) in expected.iter().enumerate() {
        let found = columns(
            names.iter(),
            Tuple::parse(rows[0].row_bytes(index)).unwrap(),
        );
        for name in [
            "received_at",
            "raw_message",
            "raw_message_hash",
            "receiver_id",
            "source",
        ] {
            assert_eq!(found[name], expected[name], "{name} of raw message {index}");
        }
        assert_eq!(found["unparsed"], None, "raw message {index}");
    }
    assert_eq!(count(&rows, AprsKind::Fix), 5_000);
    let others = [AprsKind::Status, AprsKind::ReceiverPosition];
    let sum: u64 = others.iter().map(|kind| count(&rows, *kind)).sum();
    assert_eq!(
        sum + 5_000,
        expected.len() as u64,
        "nothing in the sample is unreadable"
    );
}

#[test]
fn the_sample_has_no_fix_twice() {
    let soar = Soar::new(&SoarOptions::sized(20_000)).unwrap();
    let decoder = decoder();
    let mut rows = decode(&soar, &decoder);
    let mut recent = RecentKeys::new(&decoder.targets()[1].columns, APRS_FIX_KEY, 100_000).unwrap();
    let dropped = recent.drop_duplicates(&mut rows[1]);
    assert_eq!((dropped.len(), rows[1].len()), (0, 20_000));
    // What the table has is known, whoever wrote it.
    let mut after_restart =
        RecentKeys::new(&decoder.targets()[1].columns, APRS_FIX_KEY, 100_000).unwrap();
    after_restart
        .learn(&key_tuples(&rows[1], &decoder.targets()[1].columns))
        .unwrap();
    assert_eq!(after_restart.drop_duplicates(&mut rows[1]).len(), 20_000);
}

/// What the server answers to a COPY of the key's columns.
fn key_tuples(rows: &Rows, names: &[String]) -> Vec<u8> {
    let mut encoder = hyperhaul_pgcopy::Encoder::new();
    for index in 0..rows.len() {
        let row = columns(names.iter(), Tuple::parse(rows.row_bytes(index)).unwrap());
        let mut tuple = encoder.row(APRS_FIX_KEY.len() as i16);
        for name in APRS_FIX_KEY {
            tuple.raw(row[*name].as_ref().unwrap());
        }
        tuple.finish().unwrap();
    }
    encoder.take().to_vec()
}
