-- What keeps a table from being dropped, as a JSON array of descriptions. $1 and $2 schema and name of the table.
-- What depends on it automatically (indexes, triggers, its own constraints) goes with it and is left out.
WITH RECURSIVE tree (oid) AS (
    SELECT c.oid FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relname = $2
    UNION ALL
    SELECT h.inhrelid FROM tree JOIN pg_inherits AS h ON h.inhparent = tree.oid
),
-- The tables themselves, their row types and the arrays of these.
parts (classid, objid) AS (
    SELECT 'pg_catalog.pg_class'::regclass, tree.oid FROM tree
    UNION ALL
    SELECT 'pg_catalog.pg_type'::regclass, t.oid FROM tree JOIN pg_type AS t ON t.typrelid = tree.oid
    UNION ALL
    SELECT 'pg_catalog.pg_type'::regclass, t.typarray FROM tree JOIN pg_type AS t ON t.typrelid = tree.oid WHERE t.typarray <> 0
),
holders (classid, objid) AS (
    SELECT DISTINCT d.classid, d.objid
    FROM parts JOIN pg_depend AS d ON d.refclassid = parts.classid AND d.refobjid = parts.objid
    WHERE d.deptype = 'n'
        AND (d.classid, d.objid) NOT IN (SELECT p.classid, p.objid FROM parts AS p)
        AND NOT EXISTS (
            SELECT FROM pg_depend AS own JOIN parts AS p ON p.classid = own.refclassid AND p.objid = own.refobjid
            WHERE own.classid = d.classid AND own.objid = d.objid AND own.deptype <> 'n')
),
named AS (
    SELECT CASE WHEN r.oid IS NOT NULL AND r.rulename = '_RETURN'
            THEN pg_describe_object('pg_catalog.pg_class'::regclass, r.ev_class, 0)
            ELSE pg_describe_object(h.classid, h.objid, 0) END AS description,
        r.ev_class AS view, k.conrelid AS referring, k.conname
    FROM holders AS h
    LEFT JOIN pg_rewrite AS r ON h.classid = 'pg_catalog.pg_rewrite'::regclass AND r.oid = h.objid
    LEFT JOIN pg_constraint AS k ON h.classid = 'pg_catalog.pg_constraint'::regclass AND k.oid = h.objid
    -- A partition's or chunk's foreign key goes with its parent's.
    WHERE coalesce(k.conparentid, 0) = 0
)
SELECT coalesce(json_agg(json_build_object(
    'description', named.description,
    'relation', CASE WHEN c.oid IS NOT NULL THEN json_build_object('schema', n.nspname, 'name', c.relname) END,
    'constraint', named.conname
) ORDER BY named.description), '[]')::text
FROM (SELECT DISTINCT * FROM named) AS named
LEFT JOIN pg_class AS c ON c.oid = coalesce(named.view, named.referring)
LEFT JOIN pg_namespace AS n ON n.oid = c.relnamespace
