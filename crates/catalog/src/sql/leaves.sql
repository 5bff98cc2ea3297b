-- The partitions below a table (or the table itself, where it is ordinary), and the sizes of its indexes over all
-- leaves, as one JSON object. $1 oid of the table, $2 name of the time column ('' for none).
-- pg_partition_tree() would lock every partition: a table with 1,500 of them would fill the lock table.
-- `bounds` are those of the levels that are partitioned by the time column alone, top first.
WITH RECURSIVE tree (oid, parent, level, bounds) AS (
    SELECT $1::oid, NULL::oid, 0, '{}'::text[] COLLATE "C"
    UNION ALL
    SELECT c.oid, tree.oid, tree.level + 1,
        CASE WHEN p.partstrat = 'r' AND p.partnatts = 1 AND k.attname = $2
            THEN tree.bounds || pg_get_expr(c.relpartbound, c.oid) ELSE tree.bounds END
    FROM tree
    JOIN pg_inherits AS h ON h.inhparent = tree.oid AND NOT h.inhdetachpending
    JOIN pg_class AS c ON c.oid = h.inhrelid AND c.relispartition
    JOIN pg_partitioned_table AS p ON p.partrelid = tree.oid
    LEFT JOIN pg_attribute AS k ON k.attrelid = tree.oid AND k.attnum = p.partattrs[0] AND k.attnum > 0
),
index_tree (root, oid) AS (
    SELECT x.indexrelid, x.indexrelid FROM pg_index AS x WHERE x.indrelid = $1
    UNION ALL
    SELECT t.root, h.inhrelid FROM index_tree AS t JOIN pg_inherits AS h ON h.inhparent = t.oid
),
-- Each index once. The planner takes these lists for short ones, so they are not joined to each other.
index_sizes AS MATERIALIZED (
    SELECT t.root, x.indrelid, NULL::name AS own, coalesce(pg_relation_size(t.oid), 0) AS bytes
    FROM index_tree AS t JOIN pg_index AS x ON x.indexrelid = t.oid
    UNION ALL
    SELECT NULL, x.indrelid, i.relname, coalesce(pg_relation_size(x.indexrelid), 0)
    FROM tree
    JOIN pg_index AS x ON x.indrelid = tree.oid
    JOIN pg_class AS i ON i.oid = x.indexrelid
    WHERE tree.oid <> $1 AND NOT EXISTS (SELECT FROM pg_inherits AS h WHERE h.inhrelid = x.indexrelid)
),
leaf_indexes AS (
    SELECT s.indrelid, sum(s.bytes) AS bytes,
        coalesce(json_agg(s.own ORDER BY s.own) FILTER (WHERE s.own IS NOT NULL), '[]') AS own
    FROM index_sizes AS s
    GROUP BY s.indrelid
),
-- A tuple's width by its types, for tables that were never analysed.
width AS (
    SELECT 28 + sum(CASE WHEN t.typlen > 0 THEN t.typlen ELSE 32 END) AS bytes
    FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
    WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
),
members AS (
    SELECT tree.*, c.relkind, c.relpersistence, c.reltuples, c.relpages, c.reltoastrelid, c.reloptions, c.reltablespace,
        json_build_object('schema', n.nspname, 'name', c.relname) AS relation,
        has_table_privilege(c.oid, 'SELECT') AS can_select,
        pg_get_userbyid(c.relowner) AS owner,
        pg_has_role(c.relowner, 'USAGE') AS is_owner,
        row_security_active(c.oid) AS hides_rows,
        CASE WHEN c.relkind IN ('r', 'm') THEN coalesce(pg_relation_size(c.oid), 0) ELSE 0 END AS heap_bytes
    FROM tree
    JOIN pg_class AS c ON c.oid = tree.oid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
),
leaves AS (
    SELECT json_build_object(
        'relation', m.relation,
        'oid', m.oid::bigint,
        'relfilenode', coalesce(pg_relation_filenode(m.oid), 0)::bigint,
        'bounds', to_json(m.bounds),
        'blocks', m.heap_bytes / current_setting('block_size')::bigint,
        'heap_bytes', m.heap_bytes,
        'toast_bytes', coalesce(pg_relation_size(nullif(m.reltoastrelid, 0)), 0),
        'index_bytes', coalesce(l.bytes, 0),
        'rows_estimate', CASE
            WHEN m.heap_bytes = 0 THEN 0
            WHEN m.reltuples >= 0 AND m.relpages > 0 THEN round(
                m.reltuples::numeric * (m.heap_bytes / current_setting('block_size')::bigint) / m.relpages)
            ELSE m.heap_bytes / (SELECT bytes FROM width) END,
        'options', coalesce(to_json(m.reloptions), '[]'),
        'tablespace', (SELECT spcname FROM pg_tablespace WHERE oid = m.reltablespace),
        'own_indexes', coalesce(l.own, '[]'),
        'statistics_target', (SELECT max(a.attstattarget) FROM pg_attribute AS a
            WHERE a.attrelid = m.oid AND a.attnum > 0 AND a.attstattarget > 0),
        'unlogged', m.relpersistence = 'u',
        'foreign_server', (
            SELECT s.srvname FROM pg_foreign_table AS f JOIN pg_foreign_server AS s ON s.oid = f.ftserver
            WHERE f.ftrelid = m.oid
        )
    ) AS leaf
    FROM members AS m LEFT JOIN leaf_indexes AS l ON l.indrelid = m.oid
    WHERE m.relkind IN ('r', 'f')
)
SELECT json_build_object(
    'leaves', (SELECT coalesce(json_agg(leaf), '[]') FROM leaves),
    'branches', (
        SELECT coalesce(json_agg(relation ORDER BY level, relation ->> 'schema', relation ->> 'name'), '[]')
        FROM members WHERE relkind = 'p' AND level > 0
    ),
    'can_select', (SELECT bool_and(can_select) FROM members),
    'not_owned', (
        SELECT coalesce(json_agg(json_build_object('relation', relation, 'owner', owner)
            ORDER BY level, relation ->> 'schema', relation ->> 'name'), '[]')
        FROM members WHERE level > 0 AND NOT is_owner
    ),
    'hides_rows', (SELECT bool_or(hides_rows) FROM members),
    'index_bytes', (
        SELECT coalesce(json_agg(json_build_object('oid', t.root::bigint, 'bytes', t.bytes)), '[]')
        FROM (SELECT s.root, sum(s.bytes) AS bytes FROM index_sizes AS s WHERE s.root IS NOT NULL GROUP BY s.root) AS t
    )
)::text
