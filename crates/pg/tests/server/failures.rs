//! What failures say and what they ask for.

use std::time::Duration;

use bytes::Bytes;
use hyperhaul_pg::Disposition;
use hyperhaul_testkit::eventually;

use crate::{database, session};

#[tokio::test]
async fn a_killed_backend_asks_for_reconnecting_whatever_it_was_doing() {
    let database = database("killed").await;
    let other = session(&database).await;
    other.batch("CREATE TABLE public.t (a int)").await.unwrap();

    let idle = session(&database).await;
    kill(&other, &idle).await;
    let error = idle.query("SELECT 1", &[]).await.unwrap_err();
    assert_eq!(error.disposition(), Disposition::Reconnect, "{error:?}");
    assert_eq!(
        error.message(),
        "connection lost: terminating connection due to administrator command"
    );
    assert!(idle.is_closed());

    let running = session(&database).await;
    let sleeping = running.batch("SELECT pg_catalog.pg_sleep(60)");
    let (slept, ()) = tokio::join!(sleeping, kill_when_active(&other, running.backend_pid()));
    let error = slept.unwrap_err();
    assert_eq!(error.sqlstate(), Some("57P01"), "{error:?}");
    assert_eq!(error.disposition(), Disposition::Reconnect);

    let copying = session(&database).await;
    let mut copy = copying.copy_in("COPY public.t FROM STDIN").await.unwrap();
    kill(&other, &copying).await;
    let line = Bytes::from_static(b"1\n");
    let error = loop {
        if let Err(error) = copy.send(line.clone()).await {
            break error;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    assert_eq!(error.disposition(), Disposition::Reconnect, "{error:?}");
    assert_eq!(error.attempted(), "run COPY public.t FROM STDIN");
}

async fn kill(other: &hyperhaul_pg::Session, victim: &hyperhaul_pg::Session) {
    let sql = "SELECT pg_catalog.pg_terminate_backend($1, 10000)";
    let gone: bool = other
        .query_one(sql, &[&victim.backend_pid()])
        .await
        .unwrap()
        .get(0);
    assert!(gone);
}

async fn kill_when_active(other: &hyperhaul_pg::Session, pid: i32) {
    let sql = "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity \
               WHERE pid = $1 AND wait_event = 'PgSleep'";
    eventually("the backend sleeps", Duration::from_secs(20), || async {
        other.query_opt(sql, &[&pid]).await.unwrap().is_some()
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_lock_that_is_not_to_be_had_is_tried_again() {
    let database = database("lock").await;
    let (holder, waiter) = (session(&database).await, session(&database).await);
    holder.batch("CREATE TABLE public.t (a int)").await.unwrap();
    holder.batch("BEGIN; LOCK TABLE public.t").await.unwrap();
    let error = waiter
        .batch("BEGIN; SET LOCAL lock_timeout = '20ms'; LOCK TABLE public.t")
        .await
        .unwrap_err();
    assert_eq!(error.disposition(), Disposition::Retry, "{error:?}");
    assert!(error.is_lock_timeout());
    holder.batch("COMMIT").await.unwrap();
    waiter
        .batch("ROLLBACK; BEGIN; LOCK TABLE public.t; COMMIT")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_cancelled_statement_says_so_and_the_session_goes_on() {
    let database = database("cancel").await;
    let session = session(&database).await;
    let canceller = session.canceller();
    let cancelled = async {
        // The request is lost when it comes before the statement: ask until it hits.
        let cancelling = async {
            loop {
                canceller.cancel().await.unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            slept = session.batch("SELECT pg_catalog.pg_sleep(60)") => slept,
            () = cancelling => Ok(()),
        }
    };
    let error = cancelled.await.unwrap_err();
    assert_eq!(error.disposition(), Disposition::Cancelled, "{error:?}");
    assert!(error.is_cancelled());
    // A late request may still be under way: it must not hit the next statement unnoticed.
    eventually("the session works", Duration::from_secs(20), || async {
        session.batch("SELECT 1").await.is_ok()
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn objects_are_named_and_values_are_not() {
    let database = database("values").await;
    let session = session(&database).await;
    session
        .batch("CREATE TABLE public.t (a text PRIMARY KEY, n int NOT NULL, CHECK (a <> 'tabu'))")
        .await
        .unwrap();
    session
        .batch("INSERT INTO public.t VALUES ('secret', 1)")
        .await
        .unwrap();
    for (sql, sqlstate, constraint) in [
        (
            "INSERT INTO public.t VALUES ('secret', 2)",
            "23505",
            Some("t_pkey"),
        ),
        (
            "INSERT INTO public.t VALUES ('secret2', NULL)",
            "23502",
            None,
        ),
        (
            "INSERT INTO public.t VALUES ('tabu', 4711)",
            "23514",
            Some("t_a_check"),
        ),
        ("SELECT 'secret'::int", "22P02", None),
        ("SELECT 'secret 2020'::date", "22007", None),
        ("SELECT '{\"secret\"}'::json", "22P02", None),
    ] {
        let error = session.batch(sql).await.unwrap_err();
        assert_eq!(error.sqlstate(), Some(sqlstate), "{sql}");
        assert_eq!(error.constraint(), constraint, "{sql}");
        assert_eq!(error.disposition(), Disposition::Fix, "{sql}");
        let everything = format!("{error} {error:?}");
        for value in ["secret", "tabu", "4711"] {
            assert!(!everything.contains(value), "{everything}");
        }
    }
    let missing = session
        .batch("SELECT * FROM public.nowhere")
        .await
        .unwrap_err();
    assert!(missing.is_undefined_object());
    assert_eq!(
        missing.message(),
        "relation \"public.nowhere\" does not exist"
    );
}

#[tokio::test]
async fn a_missing_privilege_is_told_from_other_errors() {
    let database = database("privilege").await;
    database
        .exec("CREATE TABLE public.t (a int)")
        .await
        .unwrap();
    let role = database.owner_role().await.unwrap();
    let server = hyperhaul_pg::Server::parse(&database.url_as(&role).unwrap()).unwrap();
    let session = server.connect("test").await.unwrap();
    let error = session
        .query("SELECT * FROM public.t", &[])
        .await
        .unwrap_err();
    assert!(
        error.is_privilege() && error.disposition() == Disposition::Fix,
        "{error:?}"
    );
}
