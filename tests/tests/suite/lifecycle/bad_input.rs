//! What is asked for wrongly is refused with a message, a hint and the exit code that says whose turn it is; nothing is changed.

use super::catalog;
use crate::support::{Hyperhaul, Positions, target_database, url_with_login};
use hyperhaul_testkit::TestDatabase;

const USAGE: i32 = 2;
const BLOCKED: i32 = 3;

async fn database(prefix: &str) -> TestDatabase {
    let database = target_database(prefix).await;
    Positions {
        days: 2,
        rows_per_day: 20,
        packet_bytes: 40,
    }
    .create(&database)
    .await;
    database
}

/// Runs `arguments` with each command that looks at tables; all refuse alike and change nothing.
async fn refused(database: &TestDatabase, arguments: &str, code: i32, texts: &[&str]) {
    let before = catalog::everything(database).await;
    for command in ["check", "plan", "migrate"] {
        Hyperhaul::new(&format!("{command} {arguments}"))
            .source(database.url())
            .run()
            .await
            .expect_code(code)
            .expect_printed(texts);
    }
    catalog::assert_same(&before, &catalog::everything(database).await);
    let planned: bool = database
        .value("SELECT to_regclass('hyperhaul.run') IS NOT NULL")
        .await
        .unwrap();
    assert!(!planned, "{arguments} left a plan behind");
}

#[tokio::test]
async fn a_table_that_is_not_there_or_no_table_is_refused() {
    let database = database("bad_table").await;
    refused(
        &database,
        "--table no_such_table",
        USAGE,
        &["public.no_such_table", "HINT"],
    )
    .await;
    refused(
        &database,
        "--table no_such_schema.positions",
        USAGE,
        &["no_such_schema.positions", "HINT"],
    )
    .await;
    refused(
        &database,
        "--table positions_pkey",
        USAGE,
        &["public.positions_pkey", "HINT"],
    )
    .await;
    refused(
        &database,
        "--table a.b.c.d",
        USAGE,
        &["a.b.c.d", "schema.table"],
    )
    .await;
    refused(
        &database,
        "--table positions --table public.positions",
        USAGE,
        &["named twice"],
    )
    .await;
    for command in ["check", "plan"] {
        let call = Hyperhaul::new(command).source(database.url());
        call.run()
            .await
            .expect_code(USAGE)
            .expect_printed(&["no table is named", "--table"]);
    }
    for command in ["migrate", "verify", "rollback", "cleanup"] {
        let call = Hyperhaul::new(command).source(database.url());
        call.run()
            .await
            .expect_code(USAGE)
            .expect_printed(&["HINT"]);
    }
}

#[tokio::test]
async fn a_time_column_that_is_unknown_or_not_the_partition_key_is_refused() {
    let database = database("bad_time").await;
    database
        .exec("ALTER TABLE positions ADD COLUMN landed_at timestamptz")
        .await
        .unwrap();
    refused(
        &database,
        "--table positions --time-column nothing",
        USAGE,
        &["nothing", "HINT"],
    )
    .await;
    refused(
        &database,
        "--table positions --time-column landed_at",
        USAGE,
        &["landed_at", "RANGE (received_at)", "--time-column"],
    )
    .await;
    refused(
        &database,
        "--table positions --time-column packet",
        USAGE,
        &["packet", "HINT"],
    )
    .await;
}

#[tokio::test]
async fn a_table_that_cannot_become_a_hypertable_is_refused() {
    let database = database("bad_kind").await;
    database
        .exec(
            "CREATE TABLE by_list (at timestamptz NOT NULL, kind text) PARTITION BY LIST (kind);
            CREATE VIEW seen AS SELECT * FROM positions;
            CREATE TABLE already (at timestamptz NOT NULL, n integer);
            SELECT create_hypertable('already', by_range('at'));
            INSERT INTO already VALUES ('2025-12-11', 1)",
        )
        .await
        .unwrap();
    refused(
        &database,
        "--table by_list --time-column at",
        USAGE,
        &[
            "public.by_list",
            "LIST (kind)",
            "HINT",
            "CREATE TABLE ... AS",
        ],
    )
    .await;
    refused(
        &database,
        "--table already --time-column nothing",
        USAGE,
        &["public.already is a hypertable already", "hyperhaul status"],
    )
    .await;
    refused(
        &database,
        "--table already --time-column at",
        BLOCKED,
        &["already", "hypertable"],
    )
    .await;
    refused(
        &database,
        "--table seen --time-column received_at",
        BLOCKED,
        &["table_kind", "public.seen", "neither a table nor"],
    )
    .await;
}

#[tokio::test]
async fn flags_with_wrong_values_are_refused() {
    let database = database("bad_flags").await;
    for (arguments, text) in [
        ("--accept no_such_finding", "no_such_finding"),
        ("--workers 0", "--workers"),
        ("--chunk-interval yesterday", "yesterday"),
        ("--slice-size 12parsecs", "12parsecs"),
        ("--strategy fastest", "fastest"),
        ("--no-such-flag", "--no-such-flag"),
    ] {
        refused(
            &database,
            &format!("--table positions {arguments}"),
            USAGE,
            &[text],
        )
        .await;
    }
}

#[tokio::test]
async fn a_configuration_file_is_refused_with_the_line_that_is_wrong() {
    let database = database("bad_file").await;
    let path = std::env::temp_dir().join(format!("hyperhaul-{}.toml", database.name()));
    let file = path.to_str().unwrap();
    let config = format!("--config {file}");
    for (content, texts) in [
        (
            "[[table]]\nname = \"positions\"\ntime_colum = \"received_at\"\n",
            ["time_colum", "toml:3:"],
        ),
        ("worker = 2\n", ["worker", "toml:1:"]),
        (
            "accept = [\"no_such_finding\"]\n",
            ["no_such_finding", "toml:1:"],
        ),
        (
            "[[table]]\nname = \"positions\"\nchunk_interval = \"one day\"\n",
            ["one day", "toml:3:"],
        ),
        ("[[table]\n", ["toml:1:", "hyperhaul: error"]),
        (
            "[[table]]\ntime_column = \"received_at\"\n",
            ["name", "toml:1:"],
        ),
    ] {
        std::fs::write(&path, content).unwrap();
        refused(&database, &config, USAGE, &texts).await;
    }
    std::fs::remove_file(&path).unwrap();
    refused(&database, &config, USAGE, &[file]).await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_or_lets_nobody_in_is_named_without_the_password() {
    let database = database("bad_url").await;
    let secret = "secret-hunter2-word";
    let wrong_password = url_with_login(database.url(), "postgres", secret);
    let no_database = database.url().replace(database.name(), "no_such_database");
    let nobody = url_with_login(database.url(), "no_such_role", secret);
    for (url, texts) in [
        (wrong_password.as_str(), ["postgres", "HINT"]),
        (nobody.as_str(), ["no_such_role", "HINT"]),
        (no_database.as_str(), ["no_such_database", "HINT"]),
        // Nothing listens on port 1.
        (
            "postgresql://me:secret-hunter2-word@127.0.0.1:1/nowhere",
            ["127.0.0.1", "HINT"],
        ),
        (
            "postgresql://me:secret-hunter2-word@host-that-is-not.invalid/nowhere",
            ["host-that-is-not.invalid", "HINT"],
        ),
        (
            "postgresql://me:secret-hunter2-word@127.0.0.1:notaport/x",
            ["source", "HINT"],
        ),
        (
            "host=127.0.0.1 password=secret-hunter2-word sslmode=sometimes",
            ["sslmode", "source"],
        ),
        (
            "mysql://me:secret-hunter2-word@127.0.0.1/x",
            ["source", "HINT"],
        ),
    ] {
        for command in [
            "check --table positions",
            "migrate --table positions",
            "status",
            "rollback -vv",
        ] {
            let ended = Hyperhaul::new(command)
                .source(url)
                .run()
                .await
                .expect_code(USAGE)
                .expect_printed(&texts);
            assert!(
                !format!("{}{}", ended.stdout, ended.stderr).contains(secret),
                "{}",
                ended.stderr
            );
        }
    }
    let ended = Hyperhaul::new("check --table positions -vv")
        .source(database.url())
        .target(&nobody)
        .run()
        .await;
    let ended = ended.expect_code(USAGE).expect_printed(&["no_such_role"]);
    assert!(!ended.stderr.contains(secret), "{}", ended.stderr);
}

#[tokio::test]
async fn a_password_is_neither_stored_nor_printed() {
    let database = database("bad_password").await;
    let role = database.owner_role().await.unwrap();
    for table in [
        "positions",
        "positions_p20251211",
        "positions_p20251212",
        "aircraft",
    ] {
        database
            .exec(&format!("ALTER TABLE {table} OWNER TO \"{}\"", role.name()))
            .await
            .unwrap();
    }
    database.grant_create(&role).await.unwrap();
    database.give_schema(&role, "public").await.unwrap();
    let url = database.url_as(&role).unwrap();
    // `Hyperhaul` looks for the password in all that is printed.
    for command in [
        "check -vv --table positions",
        "plan --json --table positions",
        "migrate -vv",
        "status --json",
        "verify -vv --json",
    ] {
        Hyperhaul::new(command)
            .source(&url)
            .run()
            .await
            .expect_code(0);
    }
    let stored: bool = database
        .value(&format!(
            "SELECT bool_or(run::text LIKE '%{}%') FROM hyperhaul.run",
            role.password()
        ))
        .await
        .unwrap();
    assert!(!stored);
}

#[tokio::test]
async fn a_role_that_may_not_is_told_what_to_grant() {
    let database = database("bad_privilege").await;
    let role = database.owner_role().await.unwrap();
    let before = catalog::everything(&database).await;
    let url = database.url_as(&role).unwrap();
    for (command, next) in [
        ("check", "GRANT CREATE ON DATABASE"),
        ("plan", "GRANT CREATE ON DATABASE"),
        ("migrate", "hyperhaul check"),
    ] {
        Hyperhaul::new(&format!("{command} --table positions"))
            .source(&url)
            .run()
            .await
            .expect_code(BLOCKED)
            .expect_printed(&["privilege", "is not a member of", next]);
    }
    catalog::assert_same(&before, &catalog::everything(&database).await);
}
