//! To another server by a role that is not the owner: owners, privileges and sequences are the source's, and no others.

use crate::support::{Hyperhaul, source_database, target_database};
use hyperhaul_testkit::TestDatabase;

/// Two tables of another owner, with a sequence of the first's own, an identity, and one that three columns share.
const TABLES: &str = "
    CREATE SEQUENCE shared; COMMENT ON SEQUENCE shared IS 'for all'; GRANT USAGE ON SEQUENCE shared TO reader WITH GRANT OPTION;
    CREATE TABLE events (id bigserial, at timestamptz NOT NULL, first bigint DEFAULT nextval('shared'), second bigint DEFAULT nextval('shared'))
        PARTITION BY RANGE (at);
    CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2025-12-11 00:00+00') TO ('2025-12-12 00:00+00');
    CREATE TABLE notes (id integer GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL, number bigint DEFAULT nextval('shared'));
    GRANT SELECT, USAGE ON SEQUENCE events_id_seq TO reader; COMMENT ON SEQUENCE events_id_seq IS 'of events';
    GRANT SELECT ON SEQUENCE notes_id_seq TO reader; COMMENT ON SEQUENCE notes_id_seq IS 'of notes';
    ALTER TABLE events OWNER TO keeper; ALTER TABLE events_1 OWNER TO keeper; ALTER TABLE notes OWNER TO keeper; ALTER SEQUENCE shared OWNER TO keeper;
    INSERT INTO events (at) SELECT timestamptz '2025-12-11 00:00+00' + n * interval '1 minute' FROM generate_series(1, 100) AS n;
    INSERT INTO notes (at) SELECT at FROM events;";

/// Owner, privileges, comment and options of the tables and sequences.
const SEEN: &str = "SELECT concat_ws(' ', c.relname, c.relowner::regrole, obj_description(c.oid, 'pg_class'),
        (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(c.relacl) AS a WHERE a::text NOT LIKE '%keeper=%'), s.seqtypid::regtype, s.seqincrement, d.deptype)
    FROM pg_class AS c LEFT JOIN pg_sequence AS s ON s.seqrelid = c.oid
        LEFT JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refobjsubid > 0
    WHERE c.relnamespace = 'public'::regnamespace AND c.relname IN ('events', 'notes', 'shared', 'events_id_seq', 'notes_id_seq') ORDER BY 1";

/// The statements with the roles' names, which are this test's own on both servers.
fn with_roles(sql: &str, source: &TestDatabase) -> String {
    let role = |name: &str| format!("{}_{name}", source.name());
    sql.replace("keeper", &role("keeper"))
        .replace("reader", &role("reader"))
        .replace("nosy", &role("nosy"))
}

#[tokio::test]
async fn owners_sequences_and_privileges_are_those_of_the_source() {
    let source = source_database("owners").await;
    let target = target_database("owners").await;
    let roles = with_roles(
        "CREATE ROLE keeper; CREATE ROLE reader; CREATE ROLE nosy;",
        &source,
    );
    source.exec(&roles).await.unwrap();
    target.exec(&roles).await.unwrap();
    source.exec(&with_roles(TABLES, &source)).await.unwrap();
    // Defaults of the target that the source does not have.
    let defaults = with_roles(
        "GRANT USAGE, CREATE ON SCHEMA public TO keeper;
        ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO nosy; ALTER DEFAULT PRIVILEGES GRANT SELECT ON SEQUENCES TO nosy, PUBLIC",
        &source,
    );
    target.exec(&defaults).await.unwrap();

    let call = |arguments: &str| {
        Hyperhaul::new(arguments)
            .source(source.url())
            .target(target.url())
    };
    let tables = "migrate --table events --table notes --time-column at";
    let seen: Vec<String> = source.values(SEEN).await.unwrap();
    assert_eq!(seen.len(), 5, "{seen:?}");
    for goes_back in [true, false] {
        call(tables).run().await.expect_code(0);
        assert_eq!(target.values::<String>(SEEN).await.unwrap(), seen);
        if goes_back {
            call("rollback").run().await.expect_code(0);
            assert!(target.values::<String>(SEEN).await.unwrap().is_empty());
        }
    }
    let added =
        "INSERT INTO events (at) VALUES ('2025-12-11 12:00+00') RETURNING ARRAY[id, first, second]";
    assert_eq!(
        target.value::<Vec<i64>>(added).await.unwrap(),
        [101, 301, 302]
    );
    for database in [&source, &target] {
        let drop = "DROP OWNED BY keeper, reader, nosy CASCADE; DROP ROLE keeper, reader, nosy";
        database.exec(&with_roles(drop, &source)).await.unwrap();
    }
}
