-- Makes the *.copy files of this folder: binary COPY as a real server sends it.
--
-- They were made with PostgreSQL 15. To make them again, on a throwaway server, from this folder:
--   psql -X -v ON_ERROR_STOP=1 -d postgres -f make.sql
-- It creates, and drops again, the databases golden_source and golden_target. OIDs of the new types differ from
-- server to server; oids-source.txt and oids-target.txt record those that are in the files.

\set QUIET on
CREATE DATABASE golden_source TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C';
CREATE DATABASE golden_target TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C';

\c golden_source
SET TimeZone = 'Europe/Berlin';

-- Every type that the encoder writes: one ordinary row, one of NULLs, two of extremes.
CREATE TABLE scalars (
    a_bool bool, an_int2 int2, an_int4 int4, an_int8 int8, a_float4 float4, a_float8 float8,
    a_text text, a_varchar varchar(9), a_bytea bytea, a_uuid uuid,
    a_timestamptz timestamptz, a_timestamp timestamp, a_date date, a_jsonb jsonb, a_text_array text[]
);
INSERT INTO scalars VALUES
    (true, 7, 1200, 9000000000, 87.5, 52.520008, 'OGFLR>OGFLR,qAS,EDDB', 'OGFLR', '\x00ff0a0d', '0191d3c2-7b1a-7c55-8a3e-5f0c1d2e3b4a',
     '2025-12-11 10:30:00.123456+00', '2025-12-11 10:30:00.123456', '2025-12-11', '{"snr": 12.5, "protocol": "ogn"}', '{qAS,EDDB}'),
    (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (false, -32768, -2147483648, -9223372036854775808, '-Infinity', 'NaN', '', '', '', '00000000-0000-0000-0000-000000000000',
     '-infinity', '-infinity', '-infinity', '[]', '{}'),
    (true, 32767, 2147483647, 9223372036854775807, 3.4028235e38, 5e-324, 'größe 気温 🛩', 'ß気', '\xdeadbeef', 'ffffffff-ffff-ffff-ffff-ffffffffffff',
     'infinity', 'infinity', 'infinity', '{"a": {"b": [1, null, "ü"]}}', '{"",größe}');
\copy scalars TO 'scalars.copy' (FORMAT binary)

-- Times at the ends of what the types hold, and around PostgreSQL's and Unix's epochs.
\copy (SELECT t, t AT TIME ZONE 'UTC', (t AT TIME ZONE 'UTC')::date FROM unnest('{1970-01-01 00:00:00+00, 1969-12-31 23:59:59.999999+00, 2000-01-01 00:00:00+00, 1999-12-31 23:59:59.999999+00, 2025-12-11 23:00:00+00, 4714-11-24 00:00:00+00 BC, 294246-12-31 00:00:00+00, infinity, -infinity}'::timestamptz[]) t) TO 'times.copy' (FORMAT binary)
\copy (SELECT '294276-12-31 23:59:59.999999+00'::timestamptz, '294276-12-31 23:59:59.999999'::timestamp, '5874897-12-31'::date) TO 'times-beyond.copy' (FORMAT binary)

-- Arrays: empty, with NULLs, of two dimensions, with another lower bound, NULL itself.
CREATE TABLE arrays (texts text[], numbers int4[], times timestamptz[]);
INSERT INTO arrays VALUES
    ('{}', '{}', '{}'),
    ('{a,NULL,c}', '{1,NULL,3}', '{NULL}'),
    ('{{a,b},{c,d}}', '{{1,2,3},{4,5,6}}', '{{2025-12-11 00:00:00+00}}'),
    ('[0:1]={zero,one}', '[5:5]={5}', NULL),
    (NULL, NULL, '{infinity,-infinity}');
\copy arrays TO 'arrays.copy' (FORMAT binary)

-- 1600 fields, every third NULL: the most that a table may have.
SELECT format('CREATE TABLE wide (%s)', string_agg('c' || i || ' int4', ', ' ORDER BY i))
FROM generate_series(1, 1600) i \gexec
SELECT format('INSERT INTO wide VALUES (%s)', string_agg(CASE WHEN i % 3 = 0 THEN 'NULL' ELSE i::text END, ', ' ORDER BY i))
FROM generate_series(1, 1600) i \gexec
\copy wide TO 'wide.copy' (FORMAT binary)

-- No rows, rows without fields, and one field longer than any read buffer.
\copy (SELECT 1 WHERE false) TO 'empty.copy' (FORMAT binary)
\copy (SELECT FROM generate_series(1, 3)) TO 'fieldless.copy' (FORMAT binary)
\copy (SELECT 1, repeat('0123456789abcdef', 4096), NULL::text UNION ALL SELECT 2, 'short', 'x') TO 'long.copy' (FORMAT binary)

-- The same values of the same user-defined types in two databases, where these types have other OIDs.
\i types.sql
\copy typed TO 'typed-source.copy' (FORMAT binary)
\copy (SELECT typname, oid FROM pg_type WHERE typname IN ('message_source', '_message_source', 'reading', '_reading', 'station', 'sources') ORDER BY typname) TO 'oids-source.txt'

\c golden_target
-- Uses up OIDs, so that the types get others than in golden_source even on a server that hands out the same ones.
CREATE TYPE in_between AS ENUM ('nothing');
\i types.sql
\copy typed TO 'typed-target.copy' (FORMAT binary)
\copy (SELECT typname, oid FROM pg_type WHERE typname IN ('message_source', '_message_source', 'reading', '_reading', 'station', 'sources') ORDER BY typname) TO 'oids-target.txt'

\c postgres
DROP DATABASE golden_source;
DROP DATABASE golden_target;
