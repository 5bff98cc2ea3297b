-- What a relation itself is, as one JSON object; no row where there is no such relation. $1 schema, $2 name.
SELECT json_build_object(
    'oid', c.oid::bigint,
    'relkind', c.relkind::text,
    'is_partition', c.relispartition,
    'owner', pg_get_userbyid(c.relowner),
    'is_owner', pg_has_role(c.relowner, 'USAGE'),
    'create_in_schema', has_schema_privilege(c.relnamespace, 'CREATE'),
    'partition_key', (
        SELECT json_build_object(
            'strategy', p.partstrat::text,
            'definition', pg_get_partkeydef(c.oid),
            'columns', (
                SELECT json_agg(a.attname ORDER BY k.position)
                FROM unnest(p.partattrs) WITH ORDINALITY AS k (attnum, position)
                LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.attnum AND k.attnum > 0
            ))
        FROM pg_partitioned_table AS p WHERE p.partrelid = c.oid
    ),
    'dropped_columns', (
        SELECT count(*) FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.attisdropped
    ),
    'row_security', c.relrowsecurity,
    'force_row_security', c.relforcerowsecurity,
    'comment', obj_description(c.oid, 'pg_class'),
    'replica_identity', c.relreplident::text,
    'replica_index', (
        SELECT i.relname FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
        WHERE x.indrelid = c.oid AND x.indisreplident
    ),
    'options', coalesce(to_json(c.reloptions), '[]'),
    'tablespace', (SELECT spcname FROM pg_tablespace WHERE oid = c.reltablespace),
    'grants', (
        SELECT coalesce(json_agg(json_build_object(
            'grantee', CASE WHEN g.grantee <> 0 THEN pg_get_userbyid(g.grantee) END,
            'privilege', g.privilege_type,
            'grantable', g.is_grantable) ORDER BY g.grantee::regrole::text, g.privilege_type), '[]')
        FROM aclexplode(c.relacl) AS g WHERE g.grantee <> c.relowner
    ),
    'inherits', (
        SELECT coalesce(json_agg(json_build_object('schema', pn.nspname, 'name', p.relname) ORDER BY h.inhseqno), '[]')
        FROM pg_inherits AS h
        JOIN pg_class AS p ON p.oid = h.inhparent
        JOIN pg_namespace AS pn ON pn.oid = p.relnamespace
        WHERE h.inhrelid = c.oid AND NOT c.relispartition
    ),
    'inherited_by', (
        SELECT coalesce(json_agg(json_build_object('schema', kn.nspname, 'name', k.relname)
            ORDER BY kn.nspname, k.relname), '[]')
        FROM pg_inherits AS h
        JOIN pg_class AS k ON k.oid = h.inhrelid
        JOIN pg_namespace AS kn ON kn.oid = k.relnamespace
        WHERE h.inhparent = c.oid AND NOT k.relispartition AND k.relkind IN ('r', 'f', 'p')
    )
)::text
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2
