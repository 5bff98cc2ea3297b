-- Keys, indexes, checks, foreign keys and extended statistics, as one JSON object. $1 oid of the table.
-- Sizes over all leaves come from leaves.sql.
WITH key_columns AS (
    SELECT x.indexrelid,
        (SELECT json_agg(a.attname ORDER BY k.position)
         FROM unnest(x.indkey) WITH ORDINALITY AS k (attnum, position)
         LEFT JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = k.attnum AND k.attnum > 0
         WHERE k.position <= x.indnkeyatts) AS columns,
        (SELECT coalesce(json_agg(a.attname ORDER BY k.position), '[]')
         FROM unnest(x.indkey) WITH ORDINALITY AS k (attnum, position)
         JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = k.attnum
         WHERE k.position > x.indnkeyatts) AS include
    FROM pg_index AS x WHERE x.indrelid = $1
)
SELECT json_build_object(
    'unique_keys', (
        SELECT coalesce(json_agg(json_build_object(
            'index_oid', x.indexrelid::bigint,
            'name', c.conname,
            'kind', CASE c.contype WHEN 'p' THEN 'primary' WHEN 'u' THEN 'unique' ELSE 'exclusion' END,
            'columns', k.columns,
            'include', k.include,
            'definition', pg_get_constraintdef(c.oid),
            'comment', obj_description(c.oid, 'pg_constraint'),
            'clustered', x.indisclustered,
            'options', (SELECT coalesce(to_json(i.reloptions), '[]') FROM pg_class AS i WHERE i.oid = x.indexrelid)
        ) ORDER BY c.contype, c.conname), '[]')
        FROM pg_constraint AS c
        JOIN pg_index AS x ON x.indexrelid = c.conindid
        JOIN key_columns AS k ON k.indexrelid = x.indexrelid
        WHERE c.conrelid = $1 AND c.contype IN ('p', 'u', 'x')
    ),
    'indexes', (
        SELECT coalesce(json_agg(json_build_object(
            'index_oid', x.indexrelid::bigint,
            'name', i.relname,
            'unique', x.indisunique,
            'tail_sql', substr(pg_get_indexdef(x.indexrelid), 1 + length(format(
                'CREATE %sINDEX %I ON %s%I.%I ',
                CASE WHEN x.indisunique THEN 'UNIQUE ' ELSE '' END, i.relname,
                CASE WHEN i.relkind = 'I' THEN 'ONLY ' ELSE '' END, n.nspname, t.relname))),
            'columns', k.columns,
            'method', m.amname,
            'valid', x.indisvalid,
            'comment', obj_description(i.oid, 'pg_class'),
            'statistics_targets', (
                SELECT coalesce(json_agg(json_build_array(a.attnum, a.attstattarget) ORDER BY a.attnum), '[]')
                FROM pg_attribute AS a WHERE a.attrelid = i.oid AND a.attstattarget >= 0
            ),
            'tablespace', (SELECT spcname FROM pg_tablespace WHERE oid = i.reltablespace),
            'clustered', x.indisclustered
        ) ORDER BY i.relname), '[]')
        FROM pg_index AS x
        JOIN pg_class AS i ON i.oid = x.indexrelid
        JOIN pg_am AS m ON m.oid = i.relam
        JOIN pg_class AS t ON t.oid = x.indrelid
        JOIN pg_namespace AS n ON n.oid = t.relnamespace
        JOIN key_columns AS k ON k.indexrelid = x.indexrelid
        WHERE x.indrelid = $1 AND NOT EXISTS (
            SELECT FROM pg_constraint AS c WHERE c.conindid = x.indexrelid AND c.contype IN ('p', 'u', 'x'))
    ),
    'checks', (
        SELECT coalesce(json_agg(json_build_object(
            'name', c.conname,
            'definition', pg_get_constraintdef(c.oid),
            'comment', obj_description(c.oid, 'pg_constraint')
        ) ORDER BY c.conname), '[]')
        FROM pg_constraint AS c WHERE c.conrelid = $1 AND c.contype = 'c'
    ),
    'foreign_keys', (
        SELECT coalesce(json_agg(json_build_object(
            'name', c.conname,
            'references', json_build_object('schema', n.nspname, 'name', t.relname),
            'columns', (
                SELECT json_agg(a.attname ORDER BY k.position)
                FROM unnest(c.conkey) WITH ORDINALITY AS k (attnum, position)
                JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.attnum),
            'referenced_columns', (
                SELECT json_agg(a.attname ORDER BY k.position)
                FROM unnest(c.confkey) WITH ORDINALITY AS k (attnum, position)
                JOIN pg_attribute AS a ON a.attrelid = c.confrelid AND a.attnum = k.attnum),
            'definition', pg_get_constraintdef(c.oid),
            'validated', c.convalidated,
            'comment', obj_description(c.oid, 'pg_constraint')
        ) ORDER BY c.conname), '[]')
        FROM pg_constraint AS c
        JOIN pg_class AS t ON t.oid = c.confrelid
        JOIN pg_namespace AS n ON n.oid = t.relnamespace
        WHERE c.conrelid = $1 AND c.contype = 'f' AND c.conparentid = 0
    ),
    'referenced_by', (
        SELECT coalesce(json_agg(json_build_object(
            'relation', json_build_object('schema', n.nspname, 'name', t.relname),
            'name', c.conname,
            'definition', pg_get_constraintdef(c.oid),
            'columns', (
                SELECT json_agg(a.attname ORDER BY k.position)
                FROM unnest(c.conkey) WITH ORDINALITY AS k (attnum, position)
                JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.attnum),
            'referenced_columns', (
                SELECT json_agg(a.attname ORDER BY k.position)
                FROM unnest(c.confkey) WITH ORDINALITY AS k (attnum, position)
                JOIN pg_attribute AS a ON a.attrelid = c.confrelid AND a.attnum = k.attnum),
            'validated', c.convalidated,
            'partitioned', t.relkind = 'p',
            'rows_estimate', (
                WITH RECURSIVE below (oid) AS (
                    SELECT t.oid
                    UNION ALL SELECT h.inhrelid FROM below JOIN pg_inherits AS h ON h.inhparent = below.oid)
                SELECT coalesce(sum(greatest(r.reltuples::bigint, 0)), 0)
                FROM below JOIN pg_class AS r ON r.oid = below.oid WHERE r.relkind = 'r'
            ),
            'owner', pg_get_userbyid(t.relowner),
            'can_change', pg_has_role(t.relowner, 'USAGE'),
            'comment', obj_description(c.oid, 'pg_constraint')
        ) ORDER BY n.nspname, t.relname, c.conname), '[]')
        FROM pg_constraint AS c
        JOIN pg_class AS t ON t.oid = c.conrelid
        JOIN pg_namespace AS n ON n.oid = t.relnamespace
        WHERE c.confrelid = $1 AND c.conrelid <> $1 AND c.contype = 'f' AND c.conparentid = 0
    ),
    'statistics', (
        SELECT coalesce(json_agg(json_build_object(
            'relation', json_build_object('schema', n.nspname, 'name', s.stxname),
            'body_sql', trim(both ' ' FROM left(substr(
                pg_get_statisticsobjdef(s.oid),
                1 + length(format('CREATE STATISTICS %I.%I', n.nspname, s.stxname))),
                -length(format(' FROM %I.%I', tn.nspname, t.relname)))),
            'target', nullif(s.stxstattarget, -1),
            'comment', obj_description(s.oid, 'pg_statistic_ext')
        ) ORDER BY n.nspname, s.stxname), '[]')
        FROM pg_statistic_ext AS s
        JOIN pg_namespace AS n ON n.oid = s.stxnamespace
        JOIN pg_class AS t ON t.oid = s.stxrelid
        JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
        WHERE s.stxrelid = $1
    )
)::text
