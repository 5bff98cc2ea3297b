//! What a migration must survive besides crashes: sources that change under it, odd time bounds, large values, locks and
//! timeouts of others, roles that may little, and tables of every shape. What is killed and resumed is tested elsewhere.

mod carried;
mod changed_source;
mod fence;
mod fence_stood;
pub(crate) mod foreign_keys;
mod locks;
mod many_chunks;
mod privileges;
mod privileges_around;
mod properties;
mod replicated;
mod row_hash;
mod shapes;
mod time_bounds;
mod timeouts;
mod toast;

use crate::support::{Ended, Hyperhaul, rows_seen};
use hyperhaul_testkit::TestDatabase;

/// Exit codes of the program.
const DONE: i32 = 0;
const BLOCKED: i32 = 3;

/// A call about the runs of a database that is source and target.
pub(crate) fn call(arguments: &str, database: &TestDatabase) -> Hyperhaul {
    Hyperhaul::new(arguments).source(database.url())
}

/// Migrates `table` within its database, in the quickest way and, after a rollback, by copying; panics unless the
/// hypertable then has the rows that the table had, each slice was done once, and `verify` agrees.
async fn moves_equal(database: &TestDatabase, table: &str, options: &str) -> Ended {
    if !options.contains("--strategy") {
        moves_equal_once(database, table, options).await;
        call("rollback", database).run().await.expect_code(DONE);
    }
    moves_equal_once(database, table, &format!("--strategy copy {options}")).await
}

pub(crate) async fn moves_equal_once(database: &TestDatabase, table: &str, options: &str) -> Ended {
    let query = format!("TABLE {table}");
    let before = rows_seen(database, &query).await;
    let migrated = call(&format!("migrate {options}"), database)
        .table(table)
        .run()
        .await
        .expect_code(DONE);
    assert_eq!(rows_seen(database, &query).await, before, "rows of {table}");
    assert_newest_run_did_each_slice_once(database).await;
    assert_is_hypertable(database, table).await;
    call("verify", database).run().await.expect_code(DONE);
    migrated
}

/// Panics unless each slice of the newest run was done once. Plans that were never carried out leave slices behind.
async fn assert_newest_run_did_each_slice_once(database: &TestDatabase) {
    let sql = "SELECT count(*), count(*) FILTER (WHERE times_done = 1) FROM hyperhaul.slice
        WHERE run_id = (SELECT max(run_id) FROM hyperhaul.run)";
    let row = database.query_one(sql, &[]).await.unwrap();
    let (slices, once): (i64, i64) = (row.get(0), row.get(1));
    assert!(
        slices > 0 && once == slices,
        "{once} of {slices} slices were done once"
    );
}

async fn assert_is_hypertable(database: &TestDatabase, table: &str) {
    let sql = format!(
        "SELECT count(*) FROM timescaledb_information.hypertables
        WHERE format('%I.%I', hypertable_schema, hypertable_name)::regclass = '{table}'::regclass"
    );
    assert_eq!(
        database.value::<i64>(&sql).await.unwrap(),
        1,
        "{table} is a hypertable"
    );
}

/// Panics unless the statement fails with this SQLSTATE; gives the server's message and hint.
pub(crate) async fn refused(
    client: &hyperhaul_testkit::Client,
    sql: &str,
    state: &str,
) -> (String, String) {
    let error = client.batch_execute(sql).await.expect_err(sql);
    let error = error
        .as_db_error()
        .unwrap_or_else(|| panic!("{sql}: {error:?}"));
    assert_eq!(error.code().code(), state, "{sql}: {error}");
    (
        error.message().to_owned(),
        error.hint().unwrap_or_default().to_owned(),
    )
}
