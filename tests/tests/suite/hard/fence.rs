//! Writes to the source while it is fenced: refused by every way in, told why; readers go on.

use super::{DONE, call, refused};
use crate::support::{Positions, rows_seen, target_database};
use hyperhaul_testkit::TestDatabase;

/// The fence's own SQLSTATE.
const FENCED: &str = "ZH001";

const WRITES: &[&str] = &[
    "INSERT INTO positions (received_at, aircraft_id, packet) VALUES ('2025-12-11 12:00+00', 1, 'new')",
    "INSERT INTO positions_p20251211 (id, received_at, aircraft_id, packet) VALUES (-1, '2025-12-11 12:00+00', 1, 'new')",
    "UPDATE positions SET packet = 'changed' WHERE id = 1",
    "UPDATE positions SET received_at = received_at + interval '1 day' WHERE id = 1",
    "UPDATE positions_p20251212 SET altitude_feet = 0",
    "DELETE FROM positions WHERE id = 1",
    "DELETE FROM ONLY positions_p20251211",
    "TRUNCATE positions",
    "TRUNCATE ONLY positions_p20251212",
    "COPY positions (received_at, aircraft_id, packet) FROM PROGRAM 'true'",
    "MERGE INTO positions p USING (SELECT 1 AS id) AS new ON p.id = new.id WHEN MATCHED THEN DELETE",
    "WITH gone AS (DELETE FROM positions_p20251211 RETURNING 1) SELECT count(*) FROM gone",
];

/// Writes that come by other tables, through a foreign key. A session that plays replica fires none.
const CASCADES: &[&str] = &[
    "DELETE FROM aircraft WHERE id = 1",
    "TRUNCATE aircraft CASCADE",
];

/// A fenced table, its rows not copied yet.
async fn fenced(prefix: &str) -> TestDatabase {
    let database = target_database(prefix).await;
    Positions {
        days: 2,
        rows_per_day: 100,
        packet_bytes: 32,
    }
    .create(&database)
    .await;
    call("migrate", &database)
        .table("positions")
        .failpoint("slice.claimed")
        .run()
        .await
        .expect_killed();
    database
}

#[tokio::test]
async fn the_fence_refuses_every_write_and_says_why() {
    let database = fenced("fenced").await;
    let before = rows_seen(&database, Positions::ROWS).await;
    let session = database.connect().await.unwrap();
    for statement in WRITES.iter().chain(CASCADES) {
        let (message, hint) = refused(&session, statement, FENCED).await;
        assert!(
            message.contains("takes no writes while it is moved to a hypertable"),
            "{statement}: {message}"
        );
        assert!(message.contains("positions"), "{statement}: {message}");
        assert!(hint.contains("hyperhaul rollback"), "{statement}: {hint}");
    }
    session
        .batch_execute("SET session_replication_role = replica")
        .await
        .unwrap();
    for statement in WRITES {
        refused(&session, statement, FENCED).await;
    }
    assert_eq!(
        rows_seen(&database, Positions::ROWS).await,
        before,
        "readers go on, and see what was there"
    );
}

#[tokio::test]
async fn the_fence_refuses_the_tables_owner_too() {
    let database = fenced("fenced_owner").await;
    let owner = database.owner_role().await.unwrap();
    database.give_schema(&owner, "public").await.unwrap();
    database
        .exec(&format!(
            "ALTER TABLE positions OWNER TO {0}; ALTER TABLE positions_p20251211 OWNER TO {0};
            ALTER TABLE positions_p20251212 OWNER TO {0}",
            owner.name()
        ))
        .await
        .unwrap();
    let session = database.connect_as(&owner).await.unwrap();
    for statement in WRITES
        .iter()
        .filter(|statement| !statement.contains("PROGRAM"))
    {
        refused(&session, statement, FENCED).await;
    }
}

#[tokio::test]
async fn a_rollback_lifts_the_fence() {
    let database = fenced("unfenced").await;
    call("rollback", &database).run().await.expect_code(DONE);
    let session = database.connect().await.unwrap();
    for statement in WRITES.iter().chain(CASCADES) {
        let undone = format!("BEGIN; {statement}; ROLLBACK");
        session
            .batch_execute(&undone)
            .await
            .unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }
}
