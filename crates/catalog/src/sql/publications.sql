-- Publications that a table or one of its partitions is in, PostgreSQL 15 and later. $1 oid of the table.
WITH RECURSIVE tree (oid) AS (
    SELECT $1::oid
    UNION ALL
    SELECT h.inhrelid FROM tree JOIN pg_inherits AS h ON h.inhparent = tree.oid
    JOIN pg_class AS c ON c.oid = h.inhrelid AND c.relispartition
)
SELECT coalesce(json_agg(json_build_object(
    'publication', m.pubname, 'through', m.through, 'columns', m.columns, 'filter', m.filter,
    'owner', pg_get_userbyid(o.pubowner), 'can_change', pg_has_role(o.pubowner, 'USAGE')
) ORDER BY m.pubname, m.through), '[]')::text
FROM (
    SELECT p.pubname, 'all tables' AS through, NULL::json AS columns, NULL AS filter
    FROM pg_publication AS p WHERE p.puballtables
    UNION ALL
    SELECT p.pubname, 'schema', NULL, NULL
    FROM pg_publication_namespace AS s JOIN pg_publication AS p ON p.oid = s.pnpubid
    WHERE s.pnnspid = (SELECT c.relnamespace FROM pg_class AS c WHERE c.oid = $1)
    UNION ALL
    SELECT p.pubname, 'table',
        (SELECT json_agg(a.attname ORDER BY a.attnum) FROM pg_attribute AS a
         WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs)),
        pg_get_expr(r.prqual, r.prrelid)
    FROM pg_publication_rel AS r JOIN pg_publication AS p ON p.oid = r.prpubid WHERE r.prrelid = $1
    UNION ALL
    SELECT p.pubname, 'leaf', NULL, NULL
    FROM pg_publication_rel AS r JOIN pg_publication AS p ON p.oid = r.prpubid
    WHERE r.prrelid IN (SELECT oid FROM tree) AND r.prrelid <> $1
    GROUP BY p.pubname
) AS m JOIN pg_publication AS o ON o.pubname = m.pubname
