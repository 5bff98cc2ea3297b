//! Who holds locks, and what happens where looking itself has to wait.

use hyperhaul_catalog::blocking_sessions;
use hyperhaul_pg::Disposition;
use hyperhaul_plan::Relation;

use crate::{databases, look, session};

const TABLES: &str = "\
CREATE TABLE t (id int, t timestamptz, PRIMARY KEY (id, t)) PARTITION BY RANGE (t);
CREATE TABLE p1 PARTITION OF t FOR VALUES FROM ('2025-01-01') TO ('2025-01-02');
CREATE TABLE r (id int, t timestamptz, FOREIGN KEY (id, t) REFERENCES t); CREATE TABLE other ();
INSERT INTO t VALUES (1, '2025-01-01 12:00Z')";

#[tokio::test]
async fn holders_of_locks_are_named_with_their_strongest_lock() {
    for database in databases("holders").await {
        database.exec(TABLES).await.unwrap();
        let idle = session(database.url()).await;
        idle.batch(
            "BEGIN; SELECT * FROM public.t; INSERT INTO public.p1 VALUES (2, '2025-01-01 12:00Z')",
        )
        .await
        .unwrap();
        let referrer = session(database.url()).await;
        referrer
            .batch("BEGIN; LOCK public.r IN EXCLUSIVE MODE; LOCK public.other")
            .await
            .unwrap();
        let unrelated = session(database.url()).await;
        unrelated
            .batch("BEGIN; LOCK public.other IN ACCESS SHARE MODE NOWAIT")
            .await
            .unwrap_err();
        let gid = format!("gid of {}", database.name());
        let preparing = session(database.url()).await;
        preparing
            .batch(&format!(
                "BEGIN; LOCK public.p1 IN ROW SHARE MODE; INSERT INTO public.p1 VALUES (7, '2025-01-01 13:00Z'); \
                 PREPARE TRANSACTION '{gid}'"
            ))
            .await
            .unwrap();

        let asking = session(database.url()).await;
        let table = Relation::new("public", "t");
        let holders = blocking_sessions(&asking, &table).await.unwrap();
        let seen: Vec<_> = holders
            .iter()
            .map(|holder| {
                (
                    holder.pid,
                    holder.state.as_str(),
                    holder.relation.name.as_str(),
                    holder.lock.as_str(),
                )
            })
            .collect();
        let idle_in = "idle in transaction";
        assert_eq!(
            seen,
            [
                (Some(idle.backend_pid()), idle_in, "p1", "RowExclusiveLock"),
                (Some(referrer.backend_pid()), idle_in, "r", "ExclusiveLock"),
                (None, "prepared", "p1", "RowExclusiveLock"),
            ]
        );
        assert_eq!(holders[2].gid.as_deref(), Some(gid.as_str()));
        assert_eq!(holders[2].role.as_deref(), Some("postgres"));
        assert_eq!(holders[0].application.as_deref(), Some("hyperhaul test"));

        let role = database.owner_role().await.unwrap();
        let plain = session(&database.url_as(&role).unwrap()).await;
        let hidden = blocking_sessions(&plain, &table).await.unwrap();
        assert_eq!(hidden.len(), 3);
        assert!(
            hidden
                .iter()
                .any(|holder| holder.pid == Some(idle.backend_pid()) && holder.state == "unknown")
        );

        preparing
            .batch(&format!("ROLLBACK PREPARED '{gid}'"))
            .await
            .unwrap();
        idle.batch("ROLLBACK").await.unwrap();
        referrer.batch("ROLLBACK").await.unwrap();
        assert!(blocking_sessions(&asking, &table).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn an_exclusive_lock_is_reported_with_its_holder_instead_of_waited_for() {
    for database in databases("locked").await {
        database.exec(TABLES).await.unwrap();
        let holder = session(database.url()).await;
        holder
            .batch("BEGIN; LOCK public.p1 IN ACCESS EXCLUSIVE MODE")
            .await
            .unwrap();
        let error = look(&database, "t", None).await.unwrap_err();
        assert_eq!(error.to_string(), "cannot look at public.t: it is locked");
        assert_eq!(error.disposition(), Disposition::Retry);
        let detail = error.detail().unwrap();
        assert!(
            detail.contains(&format!("process {} of postgres", holder.backend_pid())),
            "{detail}"
        );
        assert!(
            detail.contains("AccessExclusiveLock on public.p1"),
            "{detail}"
        );
    }
}
