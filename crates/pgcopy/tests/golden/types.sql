-- User-defined types inside of arrays, composites and domains; make.sql runs this in two databases.
CREATE TYPE message_source AS ENUM ('ogn', 'beast', 'sbs');
CREATE TYPE reading AS (source message_source, at timestamptz, sources message_source[], note text);
CREATE DOMAIN sources AS message_source[];
CREATE TYPE station AS (name text, readings reading[], latest reading, seen sources);
CREATE TABLE typed (
    id int4, sources message_source[], latest reading, readings reading[], home station, seen sources
);
INSERT INTO typed VALUES
    (1, '{ogn,sbs}', ROW('ogn', '2025-12-11 10:30:00+00', '{beast}', 'first'),
     ARRAY[ROW('sbs', NULL, '{}', NULL), NULL]::reading[],
     ROW('EDDB', ARRAY[ROW('ogn', NULL, '{ogn,NULL}', 'a')]::reading[], ROW('beast', NULL, NULL, 'b')::reading, '{sbs}'), NULL),
    (2, '{}', NULL, '{}', NULL, '{}'),
    (3, '{{ogn,NULL},{beast,sbs}}', ROW(NULL, NULL, NULL, NULL), NULL, ROW(NULL, NULL, NULL, NULL), '{ogn}');
