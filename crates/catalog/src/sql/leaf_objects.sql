-- What hangs on partitions of a table and not on the table, triggers and indexes left out, as a JSON array. $1 oid of the
-- table.
WITH RECURSIVE tree (oid) AS (
    SELECT $1::oid
    UNION ALL
    SELECT h.inhrelid FROM tree JOIN pg_inherits AS h ON h.inhparent = tree.oid
    JOIN pg_class AS c ON c.oid = h.inhrelid AND c.relispartition
),
below AS MATERIALIZED (
    SELECT tree.oid, c.reltype, t.typarray FROM tree
    JOIN pg_class AS c ON c.oid = tree.oid JOIN pg_type AS t ON t.oid = c.reltype
    WHERE tree.oid <> $1
),
found (kind, leaf, relation, name) AS (
    SELECT CASE c.relkind WHEN 'v' THEN 'view' ELSE 'materialized_view' END, below.oid, c.oid, c.relname::text
    FROM below
    JOIN pg_depend AS d ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = below.oid
        AND d.classid = 'pg_catalog.pg_rewrite'::regclass
    JOIN pg_rewrite AS r ON r.oid = d.objid
    JOIN pg_class AS c ON c.oid = r.ev_class AND c.relkind IN ('v', 'm')
    UNION
    SELECT 'rule', below.oid, below.oid, r.rulename::text
    FROM below JOIN pg_rewrite AS r ON r.ev_class = below.oid
    UNION
    SELECT 'function', below.oid, below.oid, d.objid::regprocedure::text
    FROM below
    JOIN pg_depend AS d ON d.classid = 'pg_catalog.pg_proc'::regclass AND (
        (d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = below.oid)
        OR (d.refclassid = 'pg_catalog.pg_type'::regclass AND d.refobjid IN (below.reltype, below.typarray)))
    UNION
    -- A foreign key to the table has clones for its partitions, which have a parent.
    SELECT 'referencing', below.oid, c.conrelid, c.conname::text
    FROM below JOIN pg_constraint AS c ON c.confrelid = below.oid AND c.contype = 'f' AND c.conparentid = 0
    WHERE c.conrelid NOT IN (SELECT tree.oid FROM tree)
    UNION
    SELECT CASE c.contype WHEN 'f' THEN 'foreign_key' ELSE 'check' END, below.oid, below.oid, c.conname::text
    FROM below JOIN pg_constraint AS c ON c.conrelid = below.oid
        AND (c.contype = 'f' AND c.conparentid = 0 OR c.contype = 'c' AND c.coninhcount = 0)
)
SELECT coalesce(json_agg(json_build_object(
    'kind', f.kind,
    'leaf', json_build_object('schema', ln.nspname, 'name', l.relname),
    'relation', json_build_object('schema', rn.nspname, 'name', r.relname),
    'name', f.name
) ORDER BY f.kind, ln.nspname, l.relname, rn.nspname, r.relname, f.name), '[]')::text
FROM found AS f
JOIN pg_class AS l ON l.oid = f.leaf JOIN pg_namespace AS ln ON ln.oid = l.relnamespace
JOIN pg_class AS r ON r.oid = f.relation JOIN pg_namespace AS rn ON rn.oid = r.relnamespace
