-- pg_partman's configuration of a table, as one JSON object; no row where it does not manage the table.
-- {schema} is the extension's schema. $1 schema, $2 name of the table: pg_partman writes both unquoted.
SELECT json_build_object(
    'parent_table', p.parent_table,
    'control', p.control,
    'interval', p.partition_interval::text,
    'retention', p.retention,
    'retention_keep_table', p.retention_keep_table,
    'automatic_maintenance', p.automatic_maintenance,
    'config', to_jsonb(p),
    'sub_config', (
        SELECT coalesce(json_agg(to_jsonb(s)), '[]') FROM {schema}.part_config_sub AS s
        WHERE s.sub_parent = p.parent_table
    ),
    'template', p.template_table,
    'can_change', has_table_privilege('{schema}.part_config', 'INSERT')
        AND has_table_privilege('{schema}.part_config', 'DELETE')
)::text
FROM {schema}.part_config AS p
WHERE p.parent_table = $1 || '.' || $2
