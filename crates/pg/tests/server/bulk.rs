//! COPY TO past the client library: the same bytes, the same errors, and what is left when it is given up.

use bytes::BytesMut;
use hyperhaul_pg::{Disposition, Server, Session};

use crate::{database, text};

const ROWS: &str = "COPY (SELECT g, repeat('x', g % 700) FROM generate_series(1, 50000) AS g) \
                    TO STDOUT (FORMAT binary)";
/// Long enough that a client which stops reading stops the server.
const MANY_ROWS: &str =
    "COPY (SELECT generate_series(1, 300000), repeat('y', 100)) TO STDOUT (FORMAT binary)";

async fn bulk_session(database: &hyperhaul_testkit::TestDatabase) -> Session {
    let server = Server::parse(database.url()).unwrap();
    server.connect_for_bulk("test").await.unwrap()
}

async fn plainly(session: &Session, sql: &str) -> BytesMut {
    let mut copy = session.copy_out(sql).await.unwrap();
    let mut all = BytesMut::new();
    while let Some(piece) = copy.next().await.unwrap() {
        all.extend_from_slice(&piece);
    }
    all
}

pub(crate) async fn in_batches(session: &Session, sql: &str) -> BytesMut {
    let mut copy = session.copy_out_batches(sql).await.unwrap();
    let mut all = BytesMut::new();
    while let Some(batch) = copy.next().await.unwrap() {
        all.extend_from_slice(&batch);
    }
    assert!(copy.next().await.unwrap().is_none());
    all
}

#[tokio::test]
async fn batches_hold_the_bytes_of_the_pieces_in_every_kind_of_session() {
    let database = database("bulk").await;
    let bulk = bulk_session(&database).await;
    let ordinary = crate::session(&database).await;
    let expected = plainly(&ordinary, ROWS).await;
    assert!(expected.len() > 10_000_000);
    assert!(in_batches(&ordinary, ROWS).await == expected);
    assert!(in_batches(&bulk, ROWS).await == expected);
    // Again, with other statements and a COPY without batches in between.
    assert_eq!(text(&bulk, "SELECT 'between'").await, "between");
    assert!(plainly(&bulk, ROWS).await == expected);
    assert!(in_batches(&bulk, ROWS).await == expected);
    let nothing = in_batches(&bulk, "COPY (SELECT 1 WHERE false) TO STDOUT").await;
    assert!(nothing.is_empty());
}

#[tokio::test]
async fn a_refused_copy_is_an_error_and_the_next_one_works() {
    let database = database("bulk_refused").await;
    let bulk = bulk_session(&database).await;
    let wrong = bulk.copy_out_batches("COPY public.nowhere TO STDOUT").await;
    assert!(wrong.unwrap_err().is_undefined_object());
    assert_eq!(
        &in_batches(&bulk, "COPY (SELECT 7) TO STDOUT").await[..],
        b"7\n"
    );
}

#[tokio::test]
async fn a_copy_that_fails_half_way_says_so() {
    let database = database("bulk_fails").await;
    let bulk = bulk_session(&database).await;
    let sql = "COPY (SELECT 1 / (90000 - g), repeat('x', 50) FROM generate_series(1, 100000) AS g) TO STDOUT";
    let mut copy = bulk.copy_out_batches(sql).await.unwrap();
    let mut bytes = 0;
    let error = loop {
        match copy.next().await {
            Ok(Some(batch)) => bytes += batch.len(),
            Ok(None) => panic!("the COPY ended"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.sqlstate(), Some("22012"));
    assert!(bytes > 1_000_000, "{bytes}");
    drop(copy);
    assert_eq!(text(&bulk, "SELECT 'still here'").await, "still here");
}

#[tokio::test]
async fn a_copy_that_is_given_up_does_not_get_into_the_next_one() {
    let database = database("bulk_given_up").await;
    let bulk = bulk_session(&database).await;
    let mut copy = bulk.copy_out_batches(MANY_ROWS).await.unwrap();
    assert!(copy.next().await.unwrap().is_some());
    drop(copy);
    let expected = plainly(&crate::session(&database).await, ROWS).await;
    assert!(in_batches(&bulk, ROWS).await == expected);
}

#[tokio::test]
async fn a_copy_can_be_cancelled() {
    let database = database("bulk_cancel").await;
    let bulk = bulk_session(&database).await;
    let mut copy = bulk.copy_out_batches(MANY_ROWS).await.unwrap();
    assert!(copy.next().await.unwrap().is_some());
    bulk.canceller().cancel().await.unwrap();
    let error = loop {
        match copy.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the COPY ended"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.disposition(), Disposition::Cancelled, "{error}");
}
