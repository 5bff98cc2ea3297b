//! Roles that may little: an owner without superuser does everything, and whoever lacks something gets the GRANT to paste.

use super::{BLOCKED, DONE, assert_is_hypertable};
use crate::support::{Hyperhaul, Positions, RowsSeen, rows_seen, target_database};
use hyperhaul_testkit::{OwnerRole, TestDatabase};

/// Tables that a role owns which may create in their schema and in the database, and nothing more.
async fn owned(prefix: &str) -> (TestDatabase, OwnerRole, RowsSeen) {
    let database = target_database(prefix).await;
    Positions {
        days: 2,
        rows_per_day: 200,
        packet_bytes: 32,
    }
    .create(&database)
    .await;
    let role = database.owner_role().await.unwrap();
    database.give_schema(&role, "public").await.unwrap();
    database.grant_create(&role).await.unwrap();
    let own = format!(
        "DO $$ DECLARE name text; BEGIN FOR name IN SELECT oid::regclass FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
        LOOP EXECUTE format('ALTER TABLE %s OWNER TO {}', name); END LOOP; END $$",
        role.name()
    );
    database.exec(&own).await.unwrap();
    let before = rows_seen(&database, Positions::ROWS).await;
    (database, role, before)
}

/// A command that goes well for the role of this connection string.
async fn done(command: &str, url: &str) {
    Hyperhaul::new(command)
        .source(url)
        .run()
        .await
        .expect_code(DONE);
}

#[tokio::test]
async fn a_plain_owner_goes_through_the_whole_lifecycle() {
    let (database, role, before) = owned("plain_owner").await;
    let url = database.url_as(&role).unwrap();
    let table = "--table positions";
    for command in [
        format!("check {table}"),
        format!("plan {table}"),
        "migrate".to_owned(),
        "status".to_owned(),
        "verify".to_owned(),
        "rollback".to_owned(),
        format!("migrate {table}"),
        "verify".to_owned(),
    ] {
        done(&command, &url).await;
        assert_eq!(
            rows_seen(&database, Positions::ROWS).await,
            before,
            "after {command}"
        );
    }
    assert_is_hypertable(&database, "positions").await;
    let owner: String = database
        .value("SELECT relowner::regrole::text FROM pg_class WHERE oid = 'positions'::regclass")
        .await
        .unwrap();
    assert_eq!(owner, role.name());
    done("cleanup --yes", &url).await;
    assert_eq!(rows_seen(&database, Positions::ROWS).await, before);
}

#[tokio::test]
async fn a_role_that_lacks_something_gets_the_grants_that_help() {
    let (database, _owner, before) = owned("grants").await;
    // A login that sees the schema and may nothing else.
    let stranger = database.owner_role().await.unwrap();
    let url = database.url_as(&stranger).unwrap();
    let sees = format!(
        "REVOKE ALL ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA public TO {}",
        stranger.name()
    );
    database.exec(&sees).await.unwrap();

    // What is printed as a resolution is run as it stands, until nothing is in the way.
    let mut rounds = 0;
    loop {
        let checked = Hyperhaul::new("check --json --table positions")
            .source(&url)
            .run()
            .await;
        let findings = checked.json()["findings"].as_array().unwrap().clone();
        let lacking: Vec<_> = findings
            .iter()
            .filter(|finding| finding["severity"] == "block")
            .collect();
        if lacking.is_empty() {
            checked.expect_code(DONE);
            break;
        }
        let migrated = Hyperhaul::new("migrate --table positions")
            .source(&url)
            .run()
            .await
            .expect_code(BLOCKED);
        migrated.expect_printed(&["hyperhaul check"]);
        checked.expect_code(BLOCKED);
        rounds += 1;
        assert!(rounds < 5, "the resolutions do not help: {lacking:?}");
        for finding in lacking {
            assert_eq!(finding["code"], "privilege", "{finding}");
            let resolution: Vec<&str> = finding["resolution"]
                .as_array()
                .unwrap()
                .iter()
                .map(|sql| sql.as_str().unwrap())
                .collect();
            assert!(
                resolution.iter().all(|sql| sql.starts_with("GRANT ")),
                "{finding}"
            );
            database.exec(&resolution.join(" ")).await.unwrap();
        }
    }
    assert!(rounds > 0, "a stranger lacks something");
    done("migrate --table positions", &url).await;
    assert_eq!(rows_seen(&database, Positions::ROWS).await, before);
    done("rollback", &url).await;
    assert_eq!(rows_seen(&database, Positions::ROWS).await, before);
}

#[tokio::test]
async fn an_owner_who_may_not_create_schemas_is_told_the_grant() {
    let (database, role, before) = owned("no_create").await;
    database
        .exec(&format!(
            "REVOKE CREATE ON DATABASE \"{}\" FROM {}",
            database.name(),
            role.name()
        ))
        .await
        .unwrap();
    let url = database.url_as(&role).unwrap();
    let grant = format!(
        "GRANT CREATE ON DATABASE {} TO {};",
        quoted(database.name()),
        quoted(role.name())
    );
    for command in ["check", "plan"] {
        let ended = Hyperhaul::new(command)
            .source(&url)
            .table("positions")
            .run()
            .await
            .expect_code(BLOCKED);
        ended.expect_printed(&[&grant]);
    }
    database.exec(&grant).await.unwrap();
    Hyperhaul::new("migrate")
        .source(&url)
        .table("positions")
        .run()
        .await
        .expect_code(DONE);
    assert_eq!(rows_seen(&database, Positions::ROWS).await, before);
}

fn quoted(identifier: &str) -> String {
    format!("\"{identifier}\"")
}
