-- Sessions and prepared transactions that hold locks on a table, its partitions or tables that refer to it, longest
-- first, as a JSON array. $1 schema, $2 name. Nothing here waits for a lock.
-- Autovacuum gives way to whoever waits for it, unless it prevents a wraparound.
WITH RECURSIVE root AS (
    SELECT c.oid FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relname = $2
),
tree (oid) AS (
    SELECT oid FROM root
    UNION
    SELECT h.inhrelid FROM tree JOIN pg_inherits AS h ON h.inhparent = tree.oid
),
watched (oid) AS (
    SELECT oid FROM tree
    UNION
    SELECT c.conrelid FROM pg_constraint AS c JOIN root ON c.confrelid = root.oid WHERE c.contype = 'f'
),
strength (mode, rank) AS (
    VALUES ('AccessShareLock', 1), ('RowShareLock', 2), ('RowExclusiveLock', 3), ('ShareUpdateExclusiveLock', 4),
        ('ShareLock', 5), ('ShareRowExclusiveLock', 6), ('ExclusiveLock', 7), ('AccessExclusiveLock', 8)
),
locks AS MATERIALIZED (
    SELECT * FROM pg_locks WHERE granted
),
holders AS (
    SELECT DISTINCT ON (coalesce(l.pid::text, l.virtualtransaction)) l.pid, l.virtualtransaction, l.relation, l.mode
    FROM locks AS l
    JOIN watched AS w ON w.oid = l.relation
    JOIN strength AS s ON s.mode = l.mode
    WHERE l.locktype = 'relation' AND l.pid IS DISTINCT FROM pg_backend_pid()
        AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
    ORDER BY coalesce(l.pid::text, l.virtualtransaction), s.rank DESC, l.relation
)
SELECT coalesce(json_agg(json_build_object(
    'pid', h.pid,
    'gid', x.gid,
    'role', coalesce(a.usename, x.owner),
    'application', nullif(a.application_name, ''),
    'state', CASE WHEN h.pid IS NULL THEN 'prepared' ELSE coalesce(a.state, 'unknown') END,
    'relation', json_build_object('schema', n.nspname, 'name', c.relname),
    'lock', h.mode,
    'age_s', greatest(0, floor(extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, x.prepared))))
) ORDER BY coalesce(a.xact_start, x.prepared), h.pid), '[]')::text
FROM holders AS h
JOIN pg_class AS c ON c.oid = h.relation
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_stat_activity AS a ON a.pid = h.pid
-- A prepared transaction has no process; its lock on its own transaction id tells which one it is.
LEFT JOIN locks AS own ON h.pid IS NULL AND own.pid IS NULL AND own.locktype = 'transactionid'
    AND own.virtualtransaction = h.virtualtransaction
LEFT JOIN pg_prepared_xacts AS x ON x.transaction = own.transactionid
WHERE a.backend_type IS DISTINCT FROM 'autovacuum worker' OR a.query LIKE '%wraparound%'
