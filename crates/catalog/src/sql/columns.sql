-- Columns in order, dropped ones left out, as a JSON array. $1 oid of the table.
SELECT coalesce(json_agg(json_build_object(
    'name', a.attname,
    'attribute_number', a.attnum,
    'type_sql', format_type(a.atttypid, a.atttypmod),
    'type_oid', a.atttypid::bigint,
    'collation', (
        SELECT format('%I.%I', n.nspname, c.collname)
        FROM pg_collation AS c JOIN pg_namespace AS n ON n.oid = c.collnamespace
        WHERE c.oid = a.attcollation AND a.attcollation <> t.typcollation
    ),
    'not_null', a.attnotnull,
    'expression', pg_get_expr(d.adbin, d.adrelid),
    'generated', a.attgenerated::text,
    'identity', a.attidentity::text,
    'storage', CASE WHEN a.attstorage <> t.typstorage THEN
        CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'x' THEN 'EXTENDED' ELSE 'MAIN' END END,
    'compression', CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END,
    'statistics_target', nullif(a.attstattarget, -1),
    'options', coalesce(to_json(a.attoptions), '[]'),
    'comment', col_description(a.attrelid, a.attnum),
    'grants', (
        SELECT coalesce(json_agg(json_build_object(
            'grantee', CASE WHEN g.grantee <> 0 THEN pg_get_userbyid(g.grantee) END,
            'privilege', g.privilege_type,
            'grantable', g.is_grantable) ORDER BY g.grantee::regrole::text, g.privilege_type), '[]')
        FROM aclexplode(a.attacl) AS g
        WHERE g.grantee <> (SELECT c.relowner FROM pg_class AS c WHERE c.oid = a.attrelid)
    )
) ORDER BY a.attnum), '[]')::text
FROM pg_attribute AS a
JOIN pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
