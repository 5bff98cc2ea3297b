//! COPY, notices and snapshots.

use bytes::{Bytes, BytesMut};
use hyperhaul_pg::snapshot::{ExportedSnapshot, adopt};

use crate::{database, session, text};

#[tokio::test]
async fn what_copy_gives_out_copy_takes_in_however_it_is_cut() {
    let database = database("copy").await;
    let session = session(&database).await;
    session
        .batch(
            "CREATE TABLE public.a AS SELECT g, repeat('x', g % 7000) t FROM generate_series(1, 999) g; \
             CREATE TABLE public.b (LIKE public.a)",
        )
        .await
        .unwrap();
    let mut out = session
        .copy_out("COPY (SELECT g, t FROM ONLY public.a) TO STDOUT (FORMAT binary)")
        .await
        .unwrap();
    let mut all = BytesMut::new();
    while let Some(piece) = out.next().await.unwrap() {
        all.extend_from_slice(&piece);
    }
    let all = all.freeze();
    let mut copy = session
        .copy_in("COPY public.b (g, t) FROM STDIN (FORMAT binary)")
        .await
        .unwrap();
    for piece in all.chunks(70_001) {
        copy.send(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    assert_eq!(copy.finish().await.unwrap(), 999);
    let differences = "SELECT count(*)::text FROM (TABLE public.a EXCEPT TABLE public.b) d";
    assert_eq!(text(&session, differences).await, "0");
}

#[tokio::test]
async fn a_copy_that_is_dropped_leaves_nothing_and_the_session_usable() {
    let database = database("dropped").await;
    let session = session(&database).await;
    session
        .batch("CREATE TABLE public.t (a int)")
        .await
        .unwrap();
    let mut copy = session.copy_in("COPY public.t FROM STDIN").await.unwrap();
    copy.send(Bytes::from_static(b"1\n2\n")).await.unwrap();
    drop(copy);
    assert_eq!(
        text(&session, "SELECT count(*)::text FROM public.t").await,
        "0"
    );
}

#[tokio::test]
async fn bad_copy_data_is_located_without_its_value() {
    let database = database("bad").await;
    let session = session(&database).await;
    session
        .batch("CREATE TABLE public.t (a int)")
        .await
        .unwrap();
    let mut copy = session.copy_in("COPY public.t FROM STDIN").await.unwrap();
    copy.send(Bytes::from_static(b"1\nsecret\n")).await.unwrap();
    let error = copy.finish().await.unwrap_err();
    assert_eq!(error.message(), "invalid input syntax for type integer");
    assert_eq!(error.context(), Some("COPY t, line 2, column a"));
    assert!(!format!("{error:?}").contains("secret"));
}

#[tokio::test]
async fn notices_are_kept_until_they_are_taken() {
    let database = database("notices").await;
    let session = session(&database).await;
    session
        .batch("DROP TABLE IF EXISTS public.nowhere")
        .await
        .unwrap();
    let notices = session.take_notices();
    assert_eq!(notices.len(), 1);
    assert_eq!(notices[0].severity, "NOTICE");
    assert_eq!(
        notices[0].message,
        "table \"nowhere\" does not exist, skipping"
    );
    assert!(session.take_notices().is_empty());
    session
        .batch("DO $$ BEGIN FOR i IN 1..1000 LOOP RAISE NOTICE '%', i; END LOOP; END $$")
        .await
        .unwrap();
    let notices = session.take_notices();
    assert_eq!(notices.len(), 256);
    assert_eq!(notices[255].message, "1000");
}

#[tokio::test]
async fn sessions_share_the_view_of_an_exported_snapshot() {
    let database = database("snapshot").await;
    let writer = session(&database).await;
    writer
        .batch("CREATE TABLE public.t AS SELECT 1 AS a")
        .await
        .unwrap();
    let exported = ExportedSnapshot::export(session(&database).await)
        .await
        .unwrap();
    writer
        .batch("INSERT INTO public.t VALUES (2)")
        .await
        .unwrap();
    let reader = session(&database).await;
    adopt(&reader, exported.id()).await.unwrap();
    let count = "SELECT count(*)::text FROM public.t";
    assert_eq!(text(&reader, count).await, "1");
    assert_eq!(text(exported.session(), count).await, "1");
    let id = exported.id().to_owned();
    let holder = exported.release().await.unwrap();
    assert_eq!(text(&holder, count).await, "2");
    assert_eq!(text(&reader, count).await, "1");
    let late = session(&database).await;
    assert!(adopt(&late, &id).await.is_err());
    assert!(
        adopt(&session(&database).await, "x'; DROP TABLE public.t; --")
            .await
            .is_err()
    );
}
