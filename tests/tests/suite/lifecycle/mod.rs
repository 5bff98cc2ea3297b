//! Whole migrations by the command line, from `check` to `cleanup` and back: one file a subject.

mod adapting;
mod bad_input;
mod calibrating;
mod catalog;
mod identifiers;
mod in_the_way;
mod inserting;
mod interrupting;
mod mistaken;
mod other_owner;
mod other_server;
mod plan;
mod report;
mod rollback;
mod soar;
mod verify;

use hyperhaul_testkit::{Client, TestDatabase};

/// A session that keeps rows from getting into any chunk, until it lets go.
async fn hold_chunks(database: &TestDatabase) -> Client {
    let holder = database.connect().await.unwrap();
    holder
        .batch_execute(
            "BEGIN; DO $$ DECLARE chunk regclass; BEGIN
                FOR chunk IN SELECT format('%I.%I', chunk_schema, chunk_name) FROM timescaledb_information.chunks LOOP
                    EXECUTE format('LOCK TABLE %s IN SHARE MODE', chunk);
                END LOOP;
            END $$",
        )
        .await
        .unwrap();
    holder
}
