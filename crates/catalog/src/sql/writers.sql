-- Subscriptions that write to a table or to something below it, and fences on them, as one JSON object. $1 oid of the
-- table, $2 schema of the fence's function.
WITH RECURSIVE tree (oid) AS (
    SELECT $1::oid
    UNION ALL
    SELECT h.inhrelid FROM tree JOIN pg_inherits AS h ON h.inhparent = tree.oid
    JOIN pg_class AS c ON c.oid = h.inhrelid AND c.relispartition
)
SELECT json_build_object(
    'subscriptions', (
        SELECT coalesce(json_agg(json_build_object(
            'name', s.subname,
            'enabled', s.subenabled,
            'relation', json_build_object('schema', n.nspname, 'name', c.relname)
        ) ORDER BY s.subname, n.nspname, c.relname), '[]')
        FROM tree
        JOIN pg_subscription_rel AS r ON r.srrelid = tree.oid
        JOIN pg_subscription AS s ON s.oid = r.srsubid
        JOIN pg_class AS c ON c.oid = tree.oid
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
    ),
    'fences', (
        SELECT coalesce(json_agg(json_build_object('argument', f.argument, 'relations', f.relations)
            ORDER BY f.argument), '[]')
        FROM (
            -- Arguments end with a zero byte each; a fence has one, or, where it is of another making, none.
            SELECT replace(encode(t.tgargs, 'escape'), '\000', '') AS argument, count(DISTINCT t.tgrelid) AS relations
            FROM tree
            JOIN pg_trigger AS t ON t.tgrelid = tree.oid
            JOIN pg_proc AS p ON p.oid = t.tgfoid
            JOIN pg_namespace AS pn ON pn.oid = p.pronamespace
            WHERE pn.nspname = $2 AND p.proname = 'fence'
            GROUP BY 1
        ) AS f
    )
)::text
