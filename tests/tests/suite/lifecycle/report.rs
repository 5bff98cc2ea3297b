//! `report`: its numbers are the ledger's, its page is well-formed, and it tells who called what and how that ended.

use crate::support::{
    Hyperhaul, Positions, SOAR_TABLES, community_database, soar_database, target_database,
};
use hyperhaul_testkit::TestDatabase;
use roxmltree::{Document, Node, ParsingOptions};
use serde_json::Value;
use std::path::PathBuf;

fn call(arguments: &str, database: &TestDatabase) -> Hyperhaul {
    Hyperhaul::new(arguments).source(database.url())
}

async fn reported(database: &TestDatabase) -> Value {
    let call = call("report --json -", database).run().await;
    call.expect_code(0).json()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn sum(values: &[Value], name: &str) -> i64 {
    values.iter().filter_map(|value| value[name].as_i64()).sum()
}

/// A file of one test's own.
fn file(database: &TestDatabase, ending: &str) -> PathBuf {
    std::env::temp_dir().join(format!("hyperhaul-{}.{ending}", database.name()))
}

fn is_row_of_slices(node: &Node<'_, '_>) -> bool {
    let class = node.attribute("class").unwrap_or_default();
    node.has_tag_name("rect") && class.starts_with('t')
}

#[tokio::test]
async fn a_report_has_the_numbers_of_the_ledger() {
    let database = soar_database("report", 3_000).await;
    let moved = format!("migrate {SOAR_TABLES} --workers 2 --slice-size 64kB --strategy copy");
    call(&moved, &database).run().await.expect_code(0);
    call("verify", &database).run().await.expect_code(0);
    let (html, json) = (file(&database, "html"), file(&database, "json"));
    let written = call("report 1", &database)
        .arg("--html")
        .arg(html.to_str().unwrap())
        .arg("--json")
        .arg(json.to_str().unwrap());
    written
        .run()
        .await
        .expect_code(0)
        .expect_printed(&["run 1: wrote"]);
    let (page, object) = (
        std::fs::read_to_string(&html).unwrap(),
        std::fs::read(&json).unwrap(),
    );
    std::fs::remove_file(html).unwrap();
    std::fs::remove_file(json).unwrap();
    let report: Value = serde_json::from_slice(&object).unwrap();

    let number = async |sql: &str| database.value::<i64>(sql).await.unwrap();
    let slices = list(&report["slices"]);
    assert_eq!(
        slices.len() as i64,
        number("SELECT count(*) FROM hyperhaul.slice").await
    );
    assert!(slices.len() > 15, "a table is cut: {}", slices.len());
    let rows = number("SELECT sum(row_count)::bigint FROM hyperhaul.slice").await;
    assert_eq!(sum(slices, "rows"), rows);
    assert_eq!(sum(list(&report["tables"]), "moved_rows"), rows);
    assert_eq!(
        rows,
        number("SELECT (SELECT count(*) FROM fixes) + (SELECT count(*) FROM raw_messages)").await
    );
    for slice in slices {
        let worker = slice["worker"].as_u64().unwrap();
        assert!(worker < 2, "{slice}");
        assert!(
            slice["started_at"].as_str() <= slice["finished_at"].as_str(),
            "{slice}"
        );
    }
    let done = list(&report["steps"])
        .iter()
        .filter(|step| step["seconds"].is_number())
        .count();
    assert_eq!(
        done as i64,
        number("SELECT count(*) FROM hyperhaul.step").await
    );

    let mut digests = 0;
    for table in list(&report["tables"]) {
        for verdict in [&table["before_cutover"], &table["after_cutover"]] {
            assert_eq!(verdict["equal"], true, "{verdict}");
            let chunks = list(&verdict["chunks"]);
            assert_eq!(
                sum(chunks, "source_rows"),
                table["moved_rows"].as_i64().unwrap()
            );
            for chunk in chunks {
                assert_eq!(chunk["source_sum"], chunk["target_sum"]);
                let digest = chunk["source_sum"].as_str().unwrap();
                assert!(digest.len() == 32 && page.contains(digest), "{digest}");
                digests += 1;
            }
        }
    }
    assert!(digests >= 30, "{digests}");

    let accepted: Vec<&Value> = list(&report["findings"])
        .iter()
        .filter(|finding| finding["accepted"] == true)
        .collect();
    assert_eq!(accepted.len(), 1);
    assert_eq!(accepted[0]["code"], "hypertable_foreign_key");
    let versions = "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'";
    let installed: String = database.value(versions).await.unwrap();
    let parts = list(&report["target"]["timescaledb"]["version"])
        .iter()
        .map(Value::to_string);
    assert_eq!(parts.collect::<Vec<_>>().join("."), installed);

    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    let page = Document::parse_with_options(&page, options).unwrap();
    assert_eq!(
        page.descendants().filter(is_row_of_slices).count(),
        slices.len()
    );
}

#[tokio::test]
async fn it_is_told_who_called_what_and_how_that_ended() {
    let database = target_database("report_calls").await;
    Positions::default().create(&database).await;
    call("plan --table positions", &database)
        .run()
        .await
        .expect_code(0);
    database
        .exec("ALTER TABLE positions ADD COLUMN late integer")
        .await
        .unwrap();
    call("migrate", &database).run().await.expect_code(3);
    database
        .exec("ALTER TABLE positions DROP COLUMN late")
        .await
        .unwrap();
    call(
        "migrate --table positions --slice-size 64kB --run 1",
        &database,
    )
    .run()
    .await
    .expect_code(2);
    call("migrate", &database)
        .failpoint("slice.before_commit:2")
        .run()
        .await
        .expect_killed();
    call("migrate", &database).run().await.expect_code(0);
    database
        .exec("DELETE FROM positions WHERE id = 7")
        .await
        .unwrap();
    call("verify", &database).run().await.expect_code(4);
    call("rollback --discard-new-rows", &database)
        .run()
        .await
        .expect_code(0);

    let report = reported(&database).await;
    assert_eq!(report["state"], "rolled_back");
    let calls = list(&report["calls"]);
    let text = |name: &str| {
        calls
            .iter()
            .map(|call| call[name].as_str().unwrap_or("none").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        text("command"),
        [
            "plan", "migrate", "migrate", "migrate", "verify", "rollback"
        ]
    );
    let outcomes = text("outcome");
    assert!(
        outcomes[1].contains("changed since the plan was made"),
        "{outcomes:?}"
    );
    let rest = [
        &outcomes[0],
        &outcomes[2],
        &outcomes[3],
        &outcomes[4],
        &outcomes[5],
    ];
    assert_eq!(
        rest,
        ["done", "none", "done", "source and target differ", "done"]
    );
    assert_eq!(calls[5]["flags"], serde_json::json!(["--discard-new-rows"]));
    let role: String = database.value("SELECT session_user::text").await.unwrap();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    for call in calls {
        assert_eq!(call["role"], role.as_str());
        assert_eq!(call["host"], host.trim());
        assert!(call["os_user"].is_string(), "{call}");
    }
    // Slices of the process that was killed are told with those of the one that went on.
    let slices = list(&report["slices"]);
    assert!(
        slices.iter().all(|slice| slice["worker"].is_number()),
        "{slices:?}"
    );
}

#[tokio::test]
async fn a_report_outlives_cleanup_and_names_its_files_itself() {
    let database = target_database("report_after").await;
    Positions::default().create(&database).await;
    let folder = file(&database, "folder");
    std::fs::create_dir(&folder).unwrap();
    call("report", &database)
        .run()
        .await
        .expect_code(2)
        .expect_printed(&["the target has no run"]);
    call("migrate --table positions", &database)
        .run()
        .await
        .expect_code(0);
    call("cleanup --yes --accept-differences", &database)
        .run()
        .await
        .expect_code(0);
    let named = call("report --run 1", &database)
        .within(&folder)
        .run()
        .await
        .expect_code(0);
    assert_eq!(
        named.stdout,
        "run 1: wrote hyperhaul-run-1.html and hyperhaul-run-1.json\n"
    );
    let report = std::fs::read(folder.join("hyperhaul-run-1.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    let page = std::fs::read_to_string(folder.join("hyperhaul-run-1.html")).unwrap();
    std::fs::remove_dir_all(folder).unwrap();
    assert_eq!(report["state"], "cleaned_up");
    let last = list(&report["calls"]).last().unwrap();
    assert_eq!(
        (&last["command"], &last["outcome"]),
        (&"cleanup".into(), &"done".into())
    );
    assert_eq!(last["flags"], serde_json::json!(["--accept-differences"]));
    assert!(page.contains("The run was cleaned up"));
    let refused = [
        "report 9",
        "report --html - --json -",
        "report --json /nowhere/at/all.json",
    ];
    for arguments in refused {
        call(arguments, &database).run().await.expect_code(2);
    }
}

#[tokio::test]
async fn names_of_tables_are_only_text() {
    let database = target_database("report_names").await;
    let create = r#"CREATE TABLE "</title><script>alert('1')</script>" (at timestamptz PRIMARY KEY);
        INSERT INTO "</title><script>alert('1')</script>" SELECT '2025-12-11'::timestamptz + n * interval '1 hour'
        FROM generate_series(1, 50) AS n"#;
    database.exec(create).await.unwrap();
    call("migrate", &database)
        .table("\"</title><script>alert('1')</script>\"")
        .arg("--time-column=at")
        .run()
        .await
        .expect_code(0);
    let page = call("report --html -", &database)
        .run()
        .await
        .expect_code(0)
        .stdout;
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    let page = Document::parse_with_options(&page, options).unwrap();
    assert!(!page.descendants().any(|node| node.has_tag_name("script")));
    let heading = page
        .descendants()
        .find(|node| node.has_tag_name("h1"))
        .unwrap();
    assert_eq!(
        heading.text(),
        Some("public.\"</title><script>alert('1')</script>\"")
    );
}

#[tokio::test]
async fn attached_partitions_are_told_with_their_files() {
    let Some(database) = community_database("report_attached").await else {
        return;
    };
    Positions::default().create(&database).await;
    call("migrate --table positions", &database)
        .run()
        .await
        .expect_code(0);
    let report = reported(&database).await;
    let leaves = list(&report["tables"][0]["leaves"]);
    assert_eq!(leaves.len(), 4);
    for leaf in leaves {
        assert_eq!(leaf["strategy"], "attach");
        let name = leaf["leaf"]["name"].as_str().unwrap();
        let sql = format!("SELECT pg_relation_filenode('{name}')::bigint");
        let file: i64 = database.value(&sql).await.unwrap();
        assert_eq!(leaf["attached"]["relfilenode"], file, "{leaf}");
    }
    let page = call("report --html -", &database)
        .run()
        .await
        .expect_code(0)
        .stdout;
    assert!(
        page.contains("4 of 4") && page.contains("No slice was moved."),
        "{page}"
    );
}
