//! Packets' rows in SOAR's own tables: the server takes them, keys, enum, generated columns and all, and takes none twice.

use super::aprs_rows::{decode, decoder};
use hyperhaul_decode::{APRS_FIX_KEY, AprsDecoder, Decoder, RecentKeys, Record};
use hyperhaul_pg::{Server, Session};
use hyperhaul_pgcopy::{HEADER, TRAILER};
use hyperhaul_testkit::{Servers, TestDatabase};
use hyperhaul_workload::{Soar, SoarOptions, load_soar};

use bytes::Bytes;

/// SOAR with receivers and aircraft, and no packet yet.
async fn soar() -> (TestDatabase, Session, Soar) {
    let servers = Servers::shared().unwrap();
    let database = TestDatabase::create(servers.source.url(), "aprs")
        .await
        .unwrap();
    let server = Server::parse(database.url()).unwrap();
    let options = SoarOptions::sized(2_000);
    load_soar(&server, &options, &|_| {}).await.unwrap();
    database
        .exec("TRUNCATE fixes, raw_messages, receiver_statuses")
        .await
        .unwrap();
    let session = server.connect("test").await.unwrap();
    (database, session, Soar::new(&options).unwrap())
}

/// Names as a list of columns.
fn quoted<N: std::fmt::Display>(names: impl Iterator<Item = N>) -> String {
    let quoted: Vec<_> = names.map(|name| format!("\"{name}\"")).collect();
    quoted.join(", ")
}

/// Copies tuples into one of the decoder's tables.
async fn copy(
    session: &Session,
    decoder: &AprsDecoder,
    table: usize,
    tuples: Bytes,
) -> Result<u64, hyperhaul_pg::Error> {
    let target = &decoder.targets()[table];
    let columns = quoted(target.columns.iter());
    let sql = format!(
        "COPY {} ({columns}) FROM STDIN (FORMAT binary)",
        target.table
    );
    let mut copy = session.copy_in(&sql).await?;
    for piece in [
        Bytes::from_static(&HEADER),
        tuples,
        Bytes::from_static(&TRAILER),
    ] {
        copy.send(piece).await?;
    }
    copy.finish().await
}

/// The tuples that a query gives.
async fn copy_out(session: &Session, query: &str) -> Vec<u8> {
    let sql = format!("COPY ({query}) TO STDOUT (FORMAT binary)");
    let mut copy = session.copy_out(&sql).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(piece) = copy.next().await.unwrap() {
        bytes.extend_from_slice(&piece);
    }
    let tuples = bytes.strip_prefix(&HEADER).unwrap();
    tuples.strip_suffix(&TRAILER).unwrap().to_vec()
}

async fn count(database: &TestDatabase, from: &str) -> i64 {
    database
        .value(&format!("SELECT count(*) FROM {from}"))
        .await
        .unwrap()
}

#[tokio::test]
async fn the_server_takes_the_rows_of_packets_and_none_twice() {
    let (database, session, soar) = soar().await;
    let decoder = decoder();
    let mut rows = decode(&soar, &decoder);
    let tuples: Vec<_> = rows.iter_mut().map(|rows| rows.take().unwrap()).collect();
    // The foreign key of fixes wants their raw messages first.
    let raw_messages = copy(&session, &decoder, 0, tuples[0].clone())
        .await
        .unwrap();
    assert_eq!(
        copy(&session, &decoder, 1, tuples[1].clone())
            .await
            .unwrap(),
        2_000
    );
    assert_eq!(
        count(&database, "raw_messages").await.unsigned_abs(),
        raw_messages
    );
    let wrong = [
        (
            "hashes",
            "raw_messages WHERE raw_message_hash <> sha256(raw_message) OR source <> 'ogn'",
        ),
        (
            "locations",
            "fixes WHERE st_x(location_geom) <> longitude OR st_y(location_geom) <> latitude",
        ),
        (
            "metadata",
            "fixes WHERE source_metadata ->> 'protocol' <> 'aprs'",
        ),
        (
            "paths",
            "fixes JOIN receivers ON receivers.id = receiver_id WHERE via[cardinality(via)] <> callsign",
        ),
        ("ids", "fixes WHERE substr(id::text, 15, 1) <> '8'"),
    ];
    for (what, from) in wrong {
        assert_eq!(count(&database, from).await, 0, "{what}");
    }
    // After a restart the table says which fixes came before, whichever record brings them again.
    let key = quoted(APRS_FIX_KEY.iter());
    let known = copy_out(
        &session,
        &format!("SELECT {key} FROM public.fixes ORDER BY received_at"),
    )
    .await;
    let mut recent = RecentKeys::new(&decoder.targets()[1].columns, APRS_FIX_KEY, 10_000).unwrap();
    recent.learn(&known).unwrap();
    let mut again = decode(&soar, &decoder);
    assert_eq!(recent.drop_duplicates(&mut again[1]).len(), 2_000);
    // The same records again have the same ids.
    for (table, tuples) in tuples.into_iter().enumerate() {
        let error = copy(&session, &decoder, table, tuples).await.unwrap_err();
        assert_eq!(error.sqlstate(), Some("23505"), "{error}");
    }
}

#[tokio::test]
async fn the_server_takes_what_can_t_be_read_too() {
    let (database, session, _) = soar().await;
    let decoder = decoder();
    let mut rows = decoder.empty_rows();
    let packets: [&[u8]; 6] = [
        b"\xFF\xFE\0 no packet",
        b"FLRDDE626>OGFLR,qAS,EGHL:/000000h5111.32N/00102.04W' id0ADDE626 H\xF6he\0",
        b"FLRDDE626>OGFLR,qAS,EGHL:/111000/5111.32N/00102.04W' id0ADDE626",
        b"FLRDDE626>OGFLR,qAS,EGHL:/000000h5199.99N/00102.04W' id0ADDE626",
        b"# a line of the server",
        &[b'x'; 513],
    ];
    for (position, packet) in packets.iter().enumerate() {
        let record = Record {
            payload: packet,
            received_at_us: 1_765_411_200_000_000,
            position: position as u64,
            source: "ogn",
            attributes: &[],
        };
        decoder.decode(&record, &mut rows).unwrap();
    }
    let receiver: String = database
        .value("SELECT id::text FROM receivers LIMIT 1")
        .await
        .unwrap();
    let aircraft: String = database
        .value("SELECT id::text FROM aircraft LIMIT 1")
        .await
        .unwrap();
    for (lookup, id) in [(0, receiver), (1, aircraft)] {
        let hex = u128::from_str_radix(&id.replace('-', ""), 16).unwrap();
        for rows in &mut rows {
            rows.patch(lookup, |_| {
                Some(hyperhaul_decode::Found {
                    id: hyperhaul_decode::Id::Uuid(hex.to_be_bytes()),
                    returned: None,
                })
            });
        }
    }
    for (table, expected) in [(0, 6), (1, 1)] {
        let tuples = rows[table].take().unwrap();
        assert_eq!(
            copy(&session, &decoder, table, tuples).await.unwrap(),
            expected
        );
    }
    let codes: Vec<String> = database
        .values("SELECT split_part(unparsed, ':', 1) FROM raw_messages WHERE unparsed LIKE '%:%' ORDER BY 1")
        .await
        .unwrap();
    assert_eq!(codes, ["header", "latitude", "local-time", "oversized"]);
}
