//! What a role may not do with the things around a table shows in `check`, with statements that help as they stand.

use super::{BLOCKED, DONE};
use crate::support::{Hyperhaul, rows_seen, source_database, target_database};
use hyperhaul_testkit::{OwnerRole, TestDatabase};

/// Two partitions, a referenced table, and a publication.
const TABLES: &str = "
    CREATE TABLE clubs (id integer PRIMARY KEY); INSERT INTO clubs VALUES (0), (1);
    CREATE TABLE fixes (at timestamptz NOT NULL, club integer REFERENCES clubs) PARTITION BY RANGE (at);
    CREATE TABLE fixes_1 PARTITION OF fixes FOR VALUES FROM ('2025-12-11 00:00+00') TO ('2025-12-12 00:00+00');
    CREATE TABLE fixes_2 PARTITION OF fixes FOR VALUES FROM ('2025-12-12 00:00+00') TO ('2025-12-13 00:00+00');
    INSERT INTO fixes SELECT timestamptz '2025-12-11 00:00+00' + n * interval '1 hour', n % 2 FROM generate_series(0, 47) AS n;";

/// A role that owns `fixes` and may create, and nothing else.
async fn owner_of_fixes(database: &TestDatabase) -> OwnerRole {
    let role = database.owner_role().await.unwrap();
    database.grant_create(&role).await.unwrap();
    let own = format!(
        "GRANT USAGE, CREATE ON SCHEMA public TO {0}; ALTER TABLE fixes OWNER TO {0};
        ALTER TABLE fixes_1 OWNER TO {0}; ALTER TABLE fixes_2 OWNER TO {0}; GRANT SELECT, REFERENCES ON clubs TO {0}",
        role.name()
    );
    database.exec(&own).await.unwrap();
    role
}

/// Sees that `check` blocks by a finding with this message, runs what it says, and goes on until nothing blocks.
async fn resolved(call: impl Fn(&str) -> Hyperhaul, at: &TestDatabase, messages: &[&str]) {
    let blocked = call("check").run().await.expect_code(BLOCKED);
    let findings = blocked.json()["findings"].as_array().unwrap().clone();
    let blocking: Vec<_> = findings
        .iter()
        .filter(|finding| finding["severity"] == "block")
        .collect();
    for message in messages {
        let says =
            |finding: &&&serde_json::Value| finding["message"].as_str().unwrap().contains(message);
        assert!(
            blocking.iter().any(|finding| says(&finding)),
            "{message}: {blocking:#?}"
        );
    }
    assert_eq!(blocking.len(), messages.len(), "{blocking:#?}");
    for finding in blocking {
        for statement in finding["resolution"].as_array().unwrap() {
            let statement = statement.as_str().unwrap();
            if !statement.starts_with("--accept") {
                at.exec(statement).await.unwrap();
            }
        }
    }
    call("check").run().await.expect_code(DONE);
}

#[tokio::test]
async fn what_others_own_around_the_table_is_named_before_the_run() {
    let database = target_database("around").await;
    database.exec(TABLES).await.unwrap();
    let role = owner_of_fixes(&database).await;
    let other = database.owner_role().await.unwrap();
    let take = format!(
        "ALTER TABLE fixes_1 OWNER TO {0}; ALTER TABLE fixes_2 OWNER TO CURRENT_USER; GRANT SELECT ON fixes_1, fixes_2 TO {1};
        REVOKE REFERENCES ON clubs FROM {1}; CREATE PUBLICATION news FOR TABLE fixes",
        other.name(),
        role.name()
    );
    database.exec(&take).await.unwrap();
    let url = database.url_as(&role).unwrap();
    let call = |command: &str| {
        let json = if command == "check" { "--json" } else { "" };
        Hyperhaul::new(&format!(
            "{command} {json} --table fixes --accept publication"
        ))
        .source(&url)
    };
    let messages = [
        "does not own 2 partitions: public.fixes_1 (of",
        "may not refer to public.clubs",
        "may not change publication \"news\"",
    ];
    resolved(call, &database, &messages).await;
    let superusers = "SELECT count(*) FROM pg_auth_members AS m JOIN pg_roles AS r ON r.oid = m.roleid WHERE r.rolsuper";
    assert_eq!(database.value::<i64>(superusers).await.unwrap(), 0);
    let before = rows_seen(&database, "TABLE fixes").await;
    call("migrate").run().await.expect_code(DONE);
    assert_eq!(rows_seen(&database, "TABLE fixes").await, before);
}

#[tokio::test]
async fn a_pg_partman_that_cannot_be_read_blocks_until_it_can() {
    let database = target_database("partman_hidden").await;
    database.exec(TABLES).await.unwrap();
    let role = owner_of_fixes(&database).await;
    database
        .exec(
            "CREATE SCHEMA partman; CREATE EXTENSION pg_partman SCHEMA partman;
            SELECT partman.create_parent('public.fixes', 'at', '1 day', p_premake := 1, p_start_partition := '2025-12-14 00:00:00')",
        )
        .await
        .unwrap();
    let url = database.url_as(&role).unwrap();
    let call = |command: &str| {
        let json = if command == "check" { "--json" } else { "" };
        Hyperhaul::new(&format!("{command} {json} --table fixes")).source(&url)
    };
    let own = format!(
        "DO $$ DECLARE name text; BEGIN FOR name IN SELECT oid::regclass FROM pg_class WHERE relname LIKE 'fixes\\_%'
        LOOP EXECUTE format('ALTER TABLE %s OWNER TO {}', name); END LOOP; END $$",
        role.name()
    );
    database.exec(&own).await.unwrap();
    resolved(call, &database, &["may not read what it manages"]).await;
    call("migrate").run().await.expect_code(DONE);
    let managed = "SELECT count(*) FROM partman.part_config";
    assert_eq!(database.value::<i64>(managed).await.unwrap(), 0);
}

#[tokio::test]
async fn schemas_and_owners_of_another_server_are_named_before_the_run() {
    let source = source_database("grounds").await;
    let target = target_database("grounds").await;
    let role = target.owner_role().await.unwrap();
    target.grant_create(&role).await.unwrap();
    let keeper = format!("{}_keeper", source.name());
    let table = format!(
        "CREATE ROLE {keeper}; CREATE SCHEMA flights; CREATE SEQUENCE numbers;
        CREATE TABLE flights.fixes (id bigint DEFAULT nextval('numbers'), at timestamptz NOT NULL);
        INSERT INTO flights.fixes (at) SELECT timestamptz '2025-12-11 00:00+00' + n * interval '1 hour' FROM generate_series(0, 47) AS n;
        ALTER TABLE flights.fixes OWNER TO {keeper}; ALTER SEQUENCE numbers OWNER TO {keeper}"
    );
    source.exec(&table).await.unwrap();
    target
        .exec(&format!(
            "CREATE ROLE {keeper}; REVOKE ALL ON SCHEMA public FROM PUBLIC"
        ))
        .await
        .unwrap();
    let url = target.url_as(&role).unwrap();
    let call = |command: &str| {
        let json = if command == "check" { "--json" } else { "" };
        Hyperhaul::new(&format!(
            "{command} {json} --table flights.fixes --time-column at"
        ))
        .source(source.url())
        .target(&url)
    };
    let messages = [
        "schema \"flights\" does not exist",
        "may not create in schema \"public\" of the target",
        "can give nothing to",
    ];
    resolved(call, &target, &messages).await;
    call("migrate").run().await.expect_code(DONE);
    let owner =
        "SELECT relowner::regrole::text FROM pg_class WHERE oid = 'flights.fixes'::regclass";
    assert_eq!(target.value::<String>(owner).await.unwrap(), keeper);
    for database in [&source, &target] {
        let drop = format!("DROP OWNED BY {keeper} CASCADE; DROP ROLE {keeper}");
        database.exec(&drop).await.unwrap();
    }
}
