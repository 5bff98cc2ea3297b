-- The types of a table's columns and every type inside them, as a JSON array. $1 oid of the table.
WITH RECURSIVE inside (oid) AS (
    SELECT a.atttypid FROM pg_attribute AS a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
    UNION
    SELECT part.oid
    FROM inside
    JOIN pg_type AS t ON t.oid = inside.oid
    CROSS JOIN LATERAL (
        SELECT t.typbasetype
        UNION ALL SELECT t.typelem WHERE t.typsubscript = 'pg_catalog.array_subscript_handler'::regproc
        UNION ALL SELECT r.rngsubtype FROM pg_range AS r WHERE r.rngtypid = t.oid OR r.rngmultitypid = t.oid
        UNION ALL SELECT a.atttypid FROM pg_attribute AS a
            WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
    ) AS part (oid)
    WHERE part.oid <> 0
)
SELECT coalesce(json_agg(json_build_object(
    'oid', t.oid::bigint,
    'schema', n.nspname,
    'name', t.typname,
    'kind', t.typtype::text,
    'base', nullif(t.typbasetype::bigint, 0),
    'element', CASE WHEN t.typsubscript = 'pg_catalog.array_subscript_handler'::regproc
        THEN nullif(t.typelem::bigint, 0) END,
    'subtype', (SELECT r.rngsubtype::bigint FROM pg_range AS r WHERE r.rngtypid = t.oid OR r.rngmultitypid = t.oid),
    'fields', (
        SELECT coalesce(json_agg(a.atttypid::bigint), '[]') FROM pg_attribute AS a
        WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
    ),
    'has_binary_form', t.typsend <> 0 AND t.typreceive <> 0
)), '[]')::text
FROM (SELECT DISTINCT oid FROM inside) AS i
JOIN pg_type AS t ON t.oid = i.oid
JOIN pg_namespace AS n ON n.oid = t.typnamespace
