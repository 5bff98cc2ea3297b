-- PostgreSQL 14: publications know neither schemas, nor columns, nor row filters. $1 oid of the table.
WITH RECURSIVE tree (oid) AS (
    SELECT $1::oid
    UNION ALL
    SELECT h.inhrelid FROM tree JOIN pg_inherits AS h ON h.inhparent = tree.oid
    JOIN pg_class AS c ON c.oid = h.inhrelid AND c.relispartition
)
SELECT coalesce(json_agg(json_build_object(
    'publication', m.pubname, 'through', m.through, 'columns', NULL, 'filter', NULL,
    'owner', pg_get_userbyid(o.pubowner), 'can_change', pg_has_role(o.pubowner, 'USAGE')
) ORDER BY m.pubname, m.through), '[]')::text
FROM (
    SELECT p.pubname, 'all tables' AS through FROM pg_publication AS p WHERE p.puballtables
    UNION
    SELECT p.pubname, CASE WHEN r.prrelid = $1 THEN 'table' ELSE 'leaf' END
    FROM pg_publication_rel AS r JOIN pg_publication AS p ON p.oid = r.prpubid JOIN tree ON tree.oid = r.prrelid
) AS m JOIN pg_publication AS o ON o.pubname = m.pubname
