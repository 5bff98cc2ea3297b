-- What live rows are encoded for, as a JSON object. $1 oid of the table. A domain stands as its base type.
SELECT json_build_object(
    'oid', c.oid::bigint,
    'columns', (
        SELECT coalesce(json_agg(json_build_object(
            'name', a.attname,
            'type_sql', format_type(a.atttypid, a.atttypmod),
            'base_oid', CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE a.atttypid END::bigint,
            'type_modifier', CASE t.typtype WHEN 'd' THEN t.typtypmod ELSE a.atttypmod END,
            'labels', (SELECT coalesce(json_agg(e.enumlabel ORDER BY e.enumsortorder), '[]')
                FROM pg_enum AS e WHERE e.enumtypid = a.atttypid),
            'not_null', a.attnotnull OR t.typnotnull,
            'has_default', a.atthasdef OR a.attidentity <> '',
            'generated', a.attgenerated <> '' OR a.attidentity = 'a'
        ) ORDER BY a.attnum), '[]')
        FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    ),
    'unique_keys', (
        SELECT coalesce(json_agg((
            SELECT json_agg(a.attname ORDER BY k.n)
            FROM unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (attnum, n)
            JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.attnum
            WHERE k.n <= i.indnkeyatts
        ) ORDER BY i.indisprimary DESC, i.indexrelid), '[]')
        FROM pg_index AS i
        WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
    )
)::text
FROM pg_class AS c WHERE c.oid = $1
