-- TimescaleDB's jobs that could touch the tables named ($1 schemas, $2 names), one JSON array; only where the Community edition
-- runs jobs at all.
-- Policies: those of the tables themselves, of hypertables that a foreign key ties to them, of continuous aggregates over either.
-- Other jobs: those whose procedure or configuration names one of the tables.
WITH RECURSIVE own AS (
    SELECT c.oid, n.nspname, c.relname
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN unnest($1::text[], $2::text[]) AS wanted (schema_name, table_name)
        ON n.nspname = wanted.schema_name AND c.relname = wanted.table_name
), tree AS (
    SELECT oid FROM own
    UNION
    SELECT i.inhrelid FROM pg_inherits AS i JOIN tree ON tree.oid = i.inhparent
), near AS (
    SELECT oid FROM own
    UNION
    SELECT k.conrelid FROM pg_constraint AS k JOIN tree ON tree.oid = k.confrelid WHERE k.contype = 'f'
    UNION
    SELECT k.confrelid FROM pg_constraint AS k JOIN tree ON tree.oid = k.conrelid WHERE k.contype = 'f'
), involved AS (
    SELECT n.nspname::text AS schema_name, c.relname::text AS table_name
    FROM near JOIN pg_class AS c ON c.oid = near.oid JOIN pg_namespace AS n ON n.oid = c.relnamespace
    UNION
    -- A view of an aggregate, and the hypertable behind it: which of the two a policy names depends on the version.
    SELECT built.schema_name, built.table_name
    FROM involved JOIN timescaledb_information.continuous_aggregates AS a
        ON a.hypertable_schema = involved.schema_name AND a.hypertable_name = involved.table_name
    CROSS JOIN LATERAL (VALUES (a.view_schema::text, a.view_name::text),
        (a.materialization_hypertable_schema::text, a.materialization_hypertable_name::text)) AS built (schema_name, table_name)
)
SELECT coalesce(json_agg(json_build_object(
    'id', j.job_id,
    'name', j.application_name,
    'about', CASE WHEN j.hypertable_name IS NULL THEN format('procedure %s.%s', j.proc_schema, j.proc_name)
        ELSE format('%s.%s', j.hypertable_schema, j.hypertable_name) END,
    'scheduled', j.scheduled,
    'next_start', CASE WHEN isfinite(j.next_start)
        THEN to_char(j.next_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') END,
    'owner', j.owner::text,
    'can_alter', pg_has_role(j.owner::oid, 'MEMBER')
) ORDER BY j.job_id), '[]')::text
FROM timescaledb_information.jobs AS j
WHERE current_setting('timescaledb.license', true) = 'timescale'
    AND CASE WHEN j.hypertable_name IS NOT NULL
        THEN EXISTS (SELECT FROM involved AS i
            WHERE i.schema_name = j.hypertable_schema AND i.table_name = j.hypertable_name)
        ELSE j.proc_schema NOT LIKE '\_timescaledb%' AND EXISTS (
            SELECT FROM own
            WHERE concat_ws(' ', j.config::text, (SELECT string_agg(concat(p.prosrc, pg_get_function_sqlbody(p.oid)), ' ')
                FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
                WHERE n.nspname = j.proc_schema AND p.proname = j.proc_name))
                ~* ('(^|[^[:alnum:]_])' || regexp_replace(own.relname, '([^[:alnum:]_])', '\\\1', 'g') || '($|[^[:alnum:]])'))
        END
