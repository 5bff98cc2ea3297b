//! A table of very many partitions.

use super::moves_equal;
use crate::support::target_database;

#[tokio::test]
async fn a_table_of_1500_partitions_becomes_1500_chunks() {
    let database = target_database("many_chunks").await;
    database
        .exec(
            "CREATE TABLE readings (device integer NOT NULL, at timestamptz NOT NULL, value float8, PRIMARY KEY (device, at))
                PARTITION BY RANGE (at);
            DO $$ BEGIN FOR day IN 0..1499 LOOP
                EXECUTE format('CREATE TABLE readings_%s PARTITION OF readings FOR VALUES FROM (%L) TO (%L)', day,
                    timestamptz '2021-11-01 00:00+00' + day * interval '24 hours',
                    timestamptz '2021-11-02 00:00+00' + day * interval '24 hours');
            END LOOP; END $$;
            INSERT INTO readings SELECT n % 5, timestamptz '2021-11-01 00:00+00' + n / 5 * interval '12 hours', n
            FROM generate_series(0, 14999) AS n",
        )
        .await
        .unwrap();
    moves_equal(&database, "readings", "").await;
    let chunks: i64 = database
        .value("SELECT count(*) FROM show_chunks('readings')")
        .await
        .unwrap();
    assert_eq!(chunks, 1500);
}
