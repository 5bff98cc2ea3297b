-- Sequences that columns own (a: serial, i: identity) or whose defaults use them (n), as a JSON array. $1 oid of the table.
WITH feeds AS (
    SELECT d.objid AS sequence, d.refobjsubid AS attnum, d.deptype::text AS tie
    FROM pg_depend AS d
    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
        AND d.refobjid = $1 AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
    UNION ALL
    SELECT d.refobjid, f.adnum, 'n'
    FROM pg_attrdef AS f
    JOIN pg_depend AS d ON d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid = f.oid
        AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'n'
    WHERE f.adrelid = $1
), best AS (
    -- One row for each column and sequence; owned before used.
    SELECT DISTINCT ON (sequence, attnum) sequence, attnum, tie FROM feeds ORDER BY sequence, attnum, tie
)
SELECT coalesce(json_agg(json_build_object(
    'tie', best.tie,
    'relation', json_build_object('schema', n.nspname, 'name', c.relname),
    'column', a.attname,
    'owned', best.tie <> 'n',
    'type_sql', format_type(s.seqtypid, NULL),
    'start', s.seqstart,
    'increment', s.seqincrement,
    'min', s.seqmin,
    'max', s.seqmax,
    'cache', s.seqcache,
    'cycle', s.seqcycle,
    'last_value', CASE WHEN has_sequence_privilege(s.seqrelid, 'SELECT, USAGE')
        THEN pg_sequence_last_value(s.seqrelid) END,
    'owner', pg_get_userbyid(c.relowner),
    'grants', (
        SELECT coalesce(json_agg(json_build_object(
            'grantee', CASE WHEN g.grantee <> 0 THEN pg_get_userbyid(g.grantee) END,
            'privilege', g.privilege_type,
            'grantable', g.is_grantable) ORDER BY g.grantee::regrole::text, g.privilege_type), '[]')
        FROM aclexplode(c.relacl) AS g WHERE g.grantee <> c.relowner
    ),
    'comment', obj_description(c.oid, 'pg_class')
) ORDER BY a.attnum, n.nspname, c.relname), '[]')::text
FROM best
JOIN pg_sequence AS s ON s.seqrelid = best.sequence
JOIN pg_class AS c ON c.oid = s.seqrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = $1 AND a.attnum = best.attnum
