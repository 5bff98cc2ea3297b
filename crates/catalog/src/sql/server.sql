-- Facts about the server, the database and the role, as one JSON object.
-- reset_val is what role, database and server configured: the session's own SETs do not show in it.
SELECT json_build_object(
    'version_num', current_setting('server_version_num')::integer,
    'version', current_setting('server_version'),
    'system_identifier',
        CASE WHEN has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')
            THEN (SELECT system_identifier FROM pg_control_system()) END,
    'database', d.datname,
    'database_oid', d.oid::bigint,
    'encoding', pg_encoding_to_char(d.encoding),
    'role', current_user,
    'superuser', (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
    'can_create_schema', has_database_privilege(d.oid, 'CREATE'),
    'in_recovery', pg_is_in_recovery(),
    'clock_us', (extract(epoch FROM now()) * 1000000)::bigint,
    'settings', json_build_object(
        'max_locks_per_transaction', current_setting('max_locks_per_transaction')::bigint,
        'max_connections', current_setting('max_connections')::bigint,
        'max_prepared_transactions', current_setting('max_prepared_transactions')::bigint,
        'wal_level', current_setting('wal_level'),
        'max_wal_size_bytes', pg_size_bytes(current_setting('max_wal_size')),
        'maintenance_work_mem_bytes', pg_size_bytes(current_setting('maintenance_work_mem')),
        'max_worker_processes', current_setting('max_worker_processes')::bigint,
        'max_parallel_maintenance_workers', current_setting('max_parallel_maintenance_workers')::bigint,
        'statement_timeout_ms', coalesce((s.reset ->> 'statement_timeout')::bigint, 0),
        'lock_timeout_ms', coalesce((s.reset ->> 'lock_timeout')::bigint, 0),
        'idle_in_transaction_session_timeout_ms', coalesce((s.reset ->> 'idle_in_transaction_session_timeout')::bigint, 0),
        'transaction_timeout_ms', coalesce((s.reset ->> 'transaction_timeout')::bigint, 0),
        'time_zone', s.reset ->> 'TimeZone'
    ),
    'extensions', (
        SELECT coalesce(json_object_agg(
            e.extname, json_build_object('version', e.extversion, 'schema', n.nspname)), '{}')
        FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
    ),
    'timescale_license', current_setting('timescaledb.license', true),
    'preload', (SELECT setting FROM pg_settings WHERE name = 'shared_preload_libraries'),
    'timescale_available', (
        SELECT default_version FROM pg_available_extensions WHERE name = 'timescaledb'
    ),
    'tablespace_oid', nullif(d.dattablespace::bigint, (SELECT oid::bigint FROM pg_tablespace WHERE spcname = 'pg_default'))
)::text
FROM pg_database AS d,
    (SELECT json_object_agg(name, reset_val) AS reset
     FROM pg_settings
     WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout',
                    'transaction_timeout', 'TimeZone')) AS s
WHERE d.datname = current_database()
