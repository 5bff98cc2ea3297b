-- Functions that hash stored columns' values by themselves, as a JSON array. $1 oid of the table.
-- It is what the type's default hash operator class has for hashes with a seed, if SQL can call it for that type: not all of these
-- functions are declared for the type that they serve. Types of extensions are left out, whose functions a role may be kept from.
WITH RECURSIVE base AS (
    SELECT a.attnum, a.atttypid AS type, false AS is_domain
    FROM pg_attribute AS a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    UNION ALL
    SELECT b.attnum, t.typbasetype, true
    FROM base AS b JOIN pg_type AS t ON t.oid = b.type WHERE t.typtype = 'd'
), hashed AS (
    SELECT b.attnum, t.typcollation <> 0 AS collatable, b.type, CASE
        WHEN b.type = 'varchar'::regtype THEN 'text'::regtype
        WHEN b.type = 'timestamptz'::regtype THEN 'timestamp'::regtype
        WHEN b.type = 'boolean'::regtype THEN 'integer'::regtype
        WHEN t.typsubscript = 'array_subscript_handler'::regproc THEN 'anyarray'::regtype
        WHEN t.typtype = 'r' THEN 'anyrange'::regtype
        WHEN t.typtype = 'm' THEN 'anymultirange'::regtype
        -- A domain over an enum is no enum to the server.
        WHEN t.typtype = 'e' AND NOT b.is_domain THEN 'anyenum'::regtype
        ELSE b.type END AS argument
    FROM base AS b JOIN pg_type AS t ON t.oid = b.type WHERE t.typtype <> 'd'
)
SELECT coalesce(json_agg(json_build_object(
    'column', a.attname,
    'name', p.proname,
    'argument', CASE h.type
        WHEN 'timestamptz'::regtype THEN 'timestamp'
        WHEN 'boolean'::regtype THEN 'integer'
        ELSE CASE WHEN h.collatable THEN 'bytes' ELSE 'value' END END,
    -- PostgreSQL 18 has NOT NULL that rows were not held against.
    'nullable', NOT a.attnotnull OR EXISTS (
        SELECT FROM pg_constraint AS c
        WHERE c.conrelid = a.attrelid AND c.contype = 'n' AND c.conkey = ARRAY[a.attnum] AND NOT c.convalidated)
) ORDER BY a.attnum), '[]')::text
FROM hashed AS h
JOIN pg_attribute AS a ON a.attrelid = $1 AND a.attnum = h.attnum
JOIN pg_opclass AS o ON o.opcintype = h.argument AND o.opcdefault
JOIN pg_am AS m ON m.oid = o.opcmethod AND m.amname = 'hash'
JOIN pg_amproc AS f ON f.amprocfamily = o.opcfamily AND f.amproclefttype = h.argument AND f.amprocrighttype = h.argument
    AND f.amprocnum = 2
JOIN pg_proc AS p ON p.oid = f.amproc AND p.proargtypes[0] = h.argument AND p.pronamespace = 'pg_catalog'::regnamespace
