//! Retention of a table that a foreign key refers to: no chunk of it can be dropped, so its rows are deleted.

use super::Ticks;

const RETENTION: &str =
    "[[table]]\nname = \"ticks\"\ntime_column = \"at\"\nretention = \"30 days\"\n";

/// Alarms of two old ticks and a young one.
fn alarms(on_delete: &str) -> String {
    format!(
        "CREATE TABLE alarms (id serial PRIMARY KEY, tick bigint, tick_at timestamptz,
            FOREIGN KEY (tick, tick_at) REFERENCES ticks (id, at) {on_delete});
        INSERT INTO alarms (tick, tick_at) SELECT id, at FROM ticks WHERE id IN (10, 1800, 1801)"
    )
}

async fn old_rows(ticks: &Ticks) -> i64 {
    let sql = "SELECT count(*) FROM ticks WHERE at < date_trunc('day', now() - interval '30 days', 'UTC')";
    ticks.database.value(sql).await.unwrap()
}

#[tokio::test]
async fn chunks_are_emptied_but_for_those_whose_rows_are_still_referred_to() {
    let ticks = Ticks::on_apache("policies_referred", RETENTION).await;
    ticks.database.exec(&alarms("")).await.unwrap();
    let check = ticks.call("check").run().await.expect_code(0);
    check.expect_printed(&[
        "TimescaleDB drops no chunk while",
        "alarms_tick_tick_at_fkey",
    ]);
    ticks.migrate().await;

    let refused = ticks.call("maintain").run().await.expect_code(3);
    refused.expect_printed(&[
        "emptied",
        "still referred to by foreign key alarms_tick_tick_at_fkey",
    ]);
    let left = old_rows(&ticks).await;
    assert!(
        (1..=96).contains(&left),
        "{left} rows left, of the chunks that are referred to"
    );
    let empty = "SELECT count(*) FROM show_chunks('ticks') AS c WHERE pg_relation_size(c) = 0";
    let empty: i64 = ticks.database.value(empty).await.unwrap();
    assert!(empty >= 8, "{empty} chunks gave their space back");

    ticks
        .database
        .exec("DELETE FROM alarms WHERE tick > 10")
        .await
        .unwrap();
    ticks.call("maintain").run().await.expect_code(0);
    assert_eq!(old_rows(&ticks).await, 0);
    let alarms: i64 = ticks
        .database
        .value("SELECT count(*) FROM alarms")
        .await
        .unwrap();
    assert_eq!(alarms, 1);
    ticks.call("maintain").run().await.expect_code(0);
    ticks.call("verify").run().await.expect_code(0);
}

#[tokio::test]
async fn a_foreign_key_that_would_take_other_rows_along_keeps_everything() {
    let ticks = Ticks::on_apache("policies_cascade", RETENTION).await;
    ticks
        .database
        .exec(&alarms("ON DELETE CASCADE"))
        .await
        .unwrap();
    ticks.migrate().await;
    let before = old_rows(&ticks).await;
    let refused = ticks.call("maintain").run().await.expect_code(3);
    refused.expect_printed(&["would change or delete rows there"]);
    assert_eq!(old_rows(&ticks).await, before);
}

#[tokio::test]
async fn a_chunk_whose_rows_were_deleted_by_a_killed_process_gives_its_space_back() {
    let ticks = Ticks::on_apache("policies_emptied", RETENTION).await;
    ticks.database.exec(&alarms("")).await.unwrap();
    let young = "DELETE FROM alarms WHERE tick > 10";
    ticks.database.exec(young).await.unwrap();
    ticks.migrate().await;
    let killed = ticks.call("maintain").failpoint("maintain.emptied");
    killed.run().await.expect_killed();
    let held = "SELECT count(*) FROM show_chunks('ticks', older_than => date_trunc('day', now() - interval '30 days', 'UTC')) \
                AS c WHERE pg_relation_size(c) > 0";
    let chunks: i64 = ticks.database.value(held).await.unwrap();
    assert!(chunks > 1, "{chunks} chunks");
    for arguments in ["maintain --dry-run", "maintain"] {
        let ended = ticks.call(arguments).run().await.expect_code(0);
        ended.expect_printed(&[&format!("{chunks} chunks")]);
    }
    assert_eq!(ticks.database.value::<i64>(held).await.unwrap(), 0);
}
