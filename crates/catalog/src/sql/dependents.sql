-- What hangs on a table, as one JSON object. $1 oid of the table, $2 schema whose functions' triggers are ours.
WITH RECURSIVE tree (oid) AS (
    SELECT $1::oid
    UNION ALL
    SELECT h.inhrelid FROM tree JOIN pg_inherits AS h ON h.inhparent = tree.oid
    JOIN pg_class AS c ON c.oid = h.inhrelid AND c.relispartition
),
readers AS (
    SELECT DISTINCT c.oid, c.relkind, c.relname, c.relowner, c.reloptions, c.relacl, n.nspname
    FROM pg_depend AS d
    JOIN pg_rewrite AS r ON r.oid = d.objid
    JOIN pg_class AS c ON c.oid = r.ev_class
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
        AND d.refobjid = $1 AND c.oid <> $1 AND c.relkind IN ('v', 'm')
)
SELECT json_build_object(
    'views', (
        SELECT coalesce(json_agg(json_build_object(
            'relation', json_build_object('schema', r.nspname, 'name', r.relname),
            'definition', rtrim(pg_get_viewdef(r.oid), ';'),
            'options', coalesce(to_json(r.reloptions), '[]'),
            'owner', pg_get_userbyid(r.relowner),
            'columns', (SELECT json_agg(a.attname ORDER BY a.attnum) FROM pg_attribute AS a
                WHERE a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped),
            'can_replace', pg_has_role(r.relowner, 'USAGE')
        ) ORDER BY r.nspname, r.relname), '[]')
        FROM readers AS r WHERE r.relkind = 'v'
    ),
    'materialized_views', (
        SELECT coalesce(json_agg(json_build_object(
            'relation', json_build_object('schema', r.nspname, 'name', r.relname),
            'definition', rtrim(pg_get_viewdef(r.oid), ';'),
            'size_bytes', pg_total_relation_size(r.oid),
            'indexes', (SELECT coalesce(json_agg(pg_get_indexdef(x.indexrelid) ORDER BY x.indexrelid), '[]')
                FROM pg_index AS x WHERE x.indrelid = r.oid),
            'grants', (
                SELECT coalesce(json_agg(json_build_object(
                    'grantee', CASE WHEN g.grantee <> 0 THEN pg_get_userbyid(g.grantee) END,
                    'privilege', g.privilege_type,
                    'grantable', g.is_grantable) ORDER BY g.grantee::regrole::text, g.privilege_type), '[]')
                FROM aclexplode(r.relacl) AS g WHERE g.grantee <> r.relowner
            )
        ) ORDER BY r.nspname, r.relname), '[]')
        FROM readers AS r WHERE r.relkind = 'm'
    ),
    'functions', (
        SELECT coalesce(json_agg(json_build_object('signature', f.signature, 'tie', f.tie)
            ORDER BY f.signature), '[]')
        FROM (
            -- Its body first: one that has both ties is named once.
            SELECT DISTINCT ON (signature) signature, tie
            FROM (
                SELECT d.objid::regprocedure::text AS signature,
                    CASE WHEN d.refclassid = 'pg_catalog.pg_class'::regclass THEN 'body' ELSE 'row type' END AS tie
                FROM pg_depend AS d
                WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND (
                    (d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = $1)
                    OR (d.refclassid = 'pg_catalog.pg_type'::regclass AND d.refobjid IN (
                        SELECT unnest(ARRAY[t.oid, t.typarray]) FROM pg_type AS t WHERE t.typrelid = $1)))
            ) AS ties
            ORDER BY signature, tie
        ) AS f
    ),
    'triggers', (
        SELECT coalesce(json_agg(json_build_object(
            'name', g.tgname,
            'definition', pg_get_triggerdef(g.oid),
            'enabled', g.tgenabled::text,
            'for_each_row', g.tgtype & 1 = 1,
            'transition_tables', g.tgoldtable IS NOT NULL OR g.tgnewtable IS NOT NULL,
            'comment', obj_description(g.oid, 'pg_trigger'),
            'leaf', CASE WHEN g.tgrelid <> $1 THEN json_build_object('schema', n.nspname, 'name', c.relname) END
        ) ORDER BY g.tgrelid <> $1, n.nspname, c.relname, g.tgname), '[]')
        FROM tree
        JOIN pg_trigger AS g ON g.tgrelid = tree.oid
        JOIN pg_class AS c ON c.oid = g.tgrelid
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        JOIN pg_proc AS p ON p.oid = g.tgfoid
        JOIN pg_namespace AS pn ON pn.oid = p.pronamespace
        WHERE NOT g.tgisinternal AND g.tgparentid = 0 AND pn.nspname <> $2
    ),
    'rules', (
        SELECT coalesce(json_agg(json_build_object(
            'name', r.rulename, 'definition', pg_get_ruledef(r.oid)) ORDER BY r.rulename), '[]')
        FROM pg_rewrite AS r WHERE r.ev_class = $1 AND r.rulename <> '_RETURN'
    ),
    'policies', (
        SELECT coalesce(json_agg(json_build_object(
            'name', p.polname,
            'permissive', p.polpermissive,
            'command', CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
            'roles', (SELECT json_agg(CASE WHEN role = 0 THEN 'public' ELSE pg_get_userbyid(role) END)
                FROM unnest(p.polroles) AS role),
            'using', pg_get_expr(p.polqual, p.polrelid),
            'check', pg_get_expr(p.polwithcheck, p.polrelid),
            'comment', obj_description(p.oid, 'pg_policy')
        ) ORDER BY p.polname), '[]')
        FROM pg_policy AS p WHERE p.polrelid = $1
    )
)::text
