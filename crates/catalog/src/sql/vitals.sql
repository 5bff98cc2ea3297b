-- How the server bears a run, as one JSON object. {redo} is where the last checkpoint's WAL begins, or NULL where the role may
-- not see it. $1: whether to measure the database. Standbys of others show no positions without pg_monitor.
WITH wal AS (
    SELECT pg_current_wal_lsn() AS now
), slots AS (
    SELECT slot_name, restart_lsn, coalesce(confirmed_flush_lsn, restart_lsn) AS reached
    FROM pg_catalog.pg_replication_slots WHERE restart_lsn IS NOT NULL
), archived AS (
    -- The end of the segment that was archived last, from its file's name.
    SELECT '0/0'::pg_lsn + (('x' || substr(last_archived_wal, 9, 8))::bit(32)::bigint * 4294967296
        + (('x' || substr(last_archived_wal, 17, 8))::bit(32)::bigint + 1)
            * pg_size_bytes(current_setting('wal_segment_size')))::numeric AS reached
    FROM pg_catalog.pg_stat_archiver
    WHERE current_setting('archive_mode') <> 'off' AND last_archived_wal ~ '^[0-9A-F]{24}$'
)
SELECT json_build_object(
    'database_bytes', CASE WHEN $1 THEN pg_database_size(current_database()) END,
    'wal_bytes', (wal.now - '0/0'::pg_lsn)::bigint,
    'wal_kept_bytes', greatest(0, wal.now - least({redo}, (SELECT min(restart_lsn) FROM slots), (SELECT reached FROM archived)))::bigint,
    'lags', (
        SELECT coalesce(json_agg(json_build_object('who', who, 'bytes', greatest(0, wal.now - reached)::bigint)), '[]')
        FROM (
            SELECT format('standby "%s"', application_name) AS who, replay_lsn AS reached
            FROM pg_catalog.pg_stat_replication WHERE replay_lsn IS NOT NULL
            UNION ALL
            SELECT format('slot "%s"', slot_name), reached FROM slots
        ) AS followers
    ),
    'hidden_standbys', (SELECT count(*) FROM pg_catalog.pg_stat_replication WHERE state IS NULL),
    'archiver_fails', (
        SELECT current_setting('archive_mode') <> 'off'
            AND coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false)
        FROM pg_catalog.pg_stat_archiver
    )
)::text
FROM wal
