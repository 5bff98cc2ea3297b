//! The page, as text and as a tree: what is in it, that it is well-formed, that no name becomes markup, and how large it gets.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::render;
use chrono::{DateTime, TimeDelta, Utc};
use expect_test::expect_file;
use hyperhaul_migrate::{
    Call, ChunkReport, FindingReport, LeafReport, Report, RunId, RunState, ServerReport,
    SliceReport, StepReport, TableReport, VerdictReport,
};
use hyperhaul_plan::facts::{License, ServerSettings, Timescale};
use hyperhaul_plan::{
    AttachedLeaf, ChunkRange, Code, Finding, Options, Phase, Policies, Proof, Relation, Severity,
    Strategy, TableOptions, Topology,
};
use roxmltree::{Document, Node, ParsingOptions};

const DAY_US: i64 = 86_400_000_000;

fn at(milliseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_765_411_200, 0).unwrap() + TimeDelta::milliseconds(milliseconds)
}

fn day(number: i64) -> ChunkRange {
    ChunkRange::containing((20_433 + number) * DAY_US, DAY_US)
}

fn server() -> ServerReport {
    ServerReport {
        connection: "postgresql://app@db:5432/soar".to_owned(),
        database: "soar".to_owned(),
        role: "app".to_owned(),
        postgresql: "17.11".to_owned(),
        timescaledb: Some(Timescale {
            version: (2, 29, 2),
            license: License::Community,
            preloaded: Some(true),
        }),
        system_identifier: None,
        settings: ServerSettings {
            max_locks_per_transaction: 64,
            max_connections: 100,
            max_prepared_transactions: 0,
            wal_level: "replica".to_owned(),
            max_wal_size_bytes: 1 << 30,
            maintenance_work_mem_bytes: 64 << 20,
            max_worker_processes: 8,
            max_parallel_maintenance_workers: 2,
            statement_timeout_ms: 0,
            lock_timeout_ms: 5_000,
            idle_in_transaction_session_timeout_ms: 0,
            transaction_timeout_ms: 0,
            time_zone: "UTC".to_owned(),
        },
    }
}

fn call(command: &str, from_ms: i64, outcome: Option<&str>) -> Call {
    Call {
        command: command.to_owned(),
        flags: Vec::new(),
        role: "app".to_owned(),
        os_user: Some("operator".to_owned()),
        host: Some("bastion".to_owned()),
        tool_version: "0.1.0".to_owned(),
        began_at: at(from_ms),
        ended_at: outcome.map(|_| at(from_ms + 500)),
        outcome: outcome.map(str::to_owned),
    }
}

fn step(phase: Phase, title: &str, from_ms: i64, to_ms: i64) -> StepReport {
    StepReport {
        id: format!("{}:{title}", phase.name()),
        phase,
        title: title.to_owned(),
        started_at: Some(at(from_ms)),
        finished_at: Some(at(to_ms)),
        seconds: Some((at(to_ms) - at(from_ms)).as_seconds_f64()),
    }
}

fn slice(
    number: u32,
    table: usize,
    leaf: Relation,
    worker: Option<u32>,
    from_ms: i64,
) -> SliceReport {
    SliceReport {
        slice: number,
        table,
        leaf,
        first_block: 0,
        end_block: None,
        strategy: Strategy::Copy,
        done: true,
        rows: Some(33_042),
        bytes: Some(4 << 20),
        worker,
        started_at: Some(at(from_ms)),
        finished_at: Some(at(from_ms + 900)),
        seconds: Some(0.9),
    }
}

fn leaf(name: &str, strategy: Strategy) -> LeafReport {
    let leaf = Relation::new("public", name);
    let attached = (strategy == Strategy::Attach).then(|| AttachedLeaf {
        leaf: leaf.clone(),
        leaf_oid: 40_001,
        relfilenode: 40_777,
        range: day(2),
        rows_estimate: 30_000,
        bytes: 3 << 20,
    });
    LeafReport {
        leaf,
        strategy,
        reason: "its bounds are a chunk's".to_owned(),
        ruled_out: vec![(Strategy::Server, "a column has no hash".to_owned())],
        attached,
    }
}

fn verdict(days: i64, unequal: Option<i64>) -> VerdictReport {
    let chunk = |number| ChunkReport {
        range: day(number),
        source_rows: 33_042,
        target_rows: 33_042,
        source_sum: Some(format!("{:032x}", number + 0x5eed)),
        target_sum: Some(format!(
            "{:032x}",
            number + 0x5eed + i64::from(unequal == Some(number))
        )),
        equal: unequal != Some(number),
    };
    VerdictReport {
        equal: unequal.is_none(),
        lost_rows: 0,
        verified_at: at(4_000),
        chunks: (0..days).map(chunk).collect(),
    }
}

fn table(name: &str, leaves: Vec<LeafReport>, days: i64) -> TableReport {
    TableReport {
        table: Relation::new("public", name),
        archive: Relation::new("hyperhaul_old_public", name),
        time_column: "received_at".to_owned(),
        chunk_interval_us: DAY_US,
        proof: Proof::Tuples,
        moved_rows: 66_084,
        moved_bytes: 8 << 20,
        leaves,
        policies: Policies {
            retention_us: Some(30 * DAY_US),
            ..Policies::default()
        },
        before_cutover: Some(verdict(days, None)),
        after_cutover: None,
    }
}

/// Two slices by two workers, one attached partition, one accepted finding.
fn small(name: &str) -> Report {
    let table_name = Relation::new("public", name);
    let mut options = Options::new(vec![TableOptions {
        relation: table_name.clone(),
        time_column: None,
        chunk_interval_us: DAY_US,
        strategy: None,
        policies: Policies::default(),
    }]);
    options.accept.insert(Code::HypertableForeignKey);
    let finding = Finding::new(
        Code::HypertableForeignKey,
        Severity::Warn,
        "a foreign key cannot exist",
    )
    .on(&table_name)
    .detail("Accepted with --accept hypertable_foreign_key.")
    .acceptable();
    let leaves = vec![
        leaf("p0", Strategy::Copy),
        leaf("p1", Strategy::Copy),
        leaf("p2", Strategy::Attach),
    ];
    Report {
        format: Report::FORMAT,
        written_at: at(9_000),
        written_by_version: "0.1.0".to_owned(),
        run: RunId(3),
        state: RunState::Done,
        created_at: at(-60_000),
        changed_at: at(6_000),
        planned_by_version: "0.1.0".to_owned(),
        topology: Topology::SameDatabase,
        source: server(),
        target: server(),
        options,
        workers: 2,
        calls: vec![
            call("plan", -60_000, Some("done")),
            call("migrate", 0, None),
        ],
        findings: vec![FindingReport {
            accepted: true,
            finding,
        }],
        tables: vec![table(name, leaves, 2)],
        steps: vec![
            step(Phase::Fence, "keep writers off", 0, 300),
            step(Phase::Copy, "copy the slices", 900, 3_000),
            StepReport {
                started_at: None,
                finished_at: None,
                seconds: None,
                ..step(Phase::After, "gather statistics", 0, 0)
            },
        ],
        slices: vec![
            slice(0, 0, Relation::new("public", "p0"), Some(0), 1_000),
            slice(1, 0, Relation::new("public", "p1"), Some(1), 1_100),
        ],
    }
}

/// Parses the page as XML, which takes nothing that is not well-formed.
fn parsed(page: &str) -> Document<'_> {
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(page, options).unwrap_or_else(|error| panic!("{error}"))
}

fn named<'a>(page: &'a Document<'a>, name: &'a str) -> Vec<Node<'a, 'a>> {
    page.descendants()
        .filter(|node| node.has_tag_name(name))
        .collect()
}

fn text(node: Node<'_, '_>) -> String {
    node.descendants()
        .filter_map(|part| part.text().filter(|_| part.is_text()))
        .collect()
}

#[test]
fn a_small_run_is_a_page() {
    let page = render(&small("fixes"));
    // The style sheet has a file of its own.
    let (before, after) = page.split_once("<style>").unwrap();
    let (_, after) = after.split_once("</style>").unwrap();
    expect_file!["tests/small.html"].assert_eq(&format!("{before}{after}"));
}

#[test]
fn a_page_is_well_formed_and_needs_nothing_else() {
    let page = render(&small("fixes"));
    let page = parsed(&page);
    for name in ["script", "link", "img", "iframe", "object"] {
        assert!(named(&page, name).is_empty(), "{name}");
    }
    for node in page.descendants() {
        for attribute in node.attributes() {
            assert!(!attribute.value().contains("//"), "{attribute:?}");
            assert!(
                !["src", "href"].contains(&attribute.name()) && !attribute.name().starts_with("on")
            );
        }
    }
    assert!(
        !include_str!("style.css").contains("url(")
            && !include_str!("style.css").contains("@import")
    );
    for table in named(&page, "table") {
        let columns = table
            .descendants()
            .filter(|node| node.attribute("scope") == Some("col"));
        let columns = columns.count();
        for row in table.descendants().filter(|node| node.has_tag_name("tr")) {
            let cells = row.children().filter(Node::is_element).count();
            assert_eq!(cells, columns, "{}", text(row));
        }
        assert!(table.descendants().any(|node| node.has_tag_name("caption")));
    }
}

#[test]
fn ids_are_there_once_and_labels_have_theirs() {
    let page = render(&small("fixes"));
    let page = parsed(&page);
    let mut ids: Vec<&str> = page
        .descendants()
        .filter_map(|node| node.attribute("id"))
        .collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
    let labels = page
        .descendants()
        .filter_map(|node| node.attribute("aria-labelledby"));
    for label in labels.flat_map(str::split_whitespace) {
        assert!(ids.contains(&label), "{label}");
    }
}

#[test]
fn no_name_becomes_markup() {
    let name = "</td></title><script>alert(1)</script>'&\u{202e}";
    let mut report = small(name);
    let hostile = Relation::new(name, name);
    report.slices[0].leaf = hostile.clone();
    report.tables[0].leaves[0].leaf = hostile;
    report.tables[0].leaves[0].reason = name.to_owned();
    report.findings[0].finding.object = Some(name.to_owned());
    report.findings[0].finding.message = name.to_owned();
    report.calls[1].outcome = Some(name.to_owned());
    report.calls[1].host = Some(name.to_owned());
    report.steps[0].title = name.to_owned();
    report.target.postgresql = name.to_owned();
    let page = render(&report);
    let page = parsed(&page);
    assert!(named(&page, "script").is_empty());
    let whole = text(page.root_element());
    let shown = name.replace('\u{202e}', "[U+202E]");
    assert!(whole.matches(&shown).count() >= 10, "{whole}");
    assert!(!whole.contains('\u{202e}'));
}

#[test]
fn a_loss_since_the_cutover_leaves_the_proof_of_before_it() {
    let mut report = small("fixes");
    report.tables[0].after_cutover = Some(verdict(2, None));
    let page = render(&report);
    assert!(page.contains("Proved equal.") && page.contains("Verified again since the cutover"));
    let lost = VerdictReport {
        lost_rows: 102,
        ..verdict(2, Some(1))
    };
    report.tables[0].after_cutover = Some(lost);
    let page = render(&report);
    assert!(
        page.contains("Differs since the cutover.")
            && page.contains("102 rows missing or different")
    );
    assert!(!page.contains("Verified again"));
}

#[test]
fn what_differs_comes_first_and_is_said() {
    let mut report = small("fixes");
    report.tables[0].before_cutover = Some(verdict(3_000, Some(2_999)));
    let page = render(&report);
    let page = parsed(&page);
    let whole = text(page.root_element());
    assert!(whole.contains("Differs.") && whole.contains("The first 2,000 of 3,000 are listed"));
    let tables = named(&page, "table");
    let digests = tables
        .iter()
        .find(|table| text(**table).starts_with("\nVerified on"));
    let first = digests
        .unwrap()
        .descendants()
        .filter(|node| node.has_tag_name("tr"))
        .nth(1);
    let first = text(first.unwrap());
    assert!(
        first.ends_with("DIFFERS") && first.starts_with("2034-02-26"),
        "{first}"
    );
}

/// As many leaves and slices, by eight workers.
fn long(slices: u32) -> Report {
    let mut report = small("fixes");
    let name = |number: u32| Relation::new("public", format!("raw_messages_p{number:08}"));
    let one = |number: u32| {
        let from_ms = 1_000 + i64::from(number / 8) * 1_000;
        slice(number, 0, name(number), Some(number % 8), from_ms)
    };
    report.slices = (0..slices).map(one).collect();
    let leaves = (0..slices).map(|number| leaf(&name(number).name, Strategy::Copy));
    report.tables[0].leaves = leaves.collect();
    report.tables[0].before_cutover = Some(verdict(slices.into(), None));
    report
}

fn bars(page: &str) -> usize {
    let page = parsed(page);
    let slices = |node: &&Node<'_, '_>| node.attribute("class") == Some("t0");
    named(&page, "rect").iter().filter(slices).count()
}

#[test]
fn a_long_run_stays_below_a_megabyte() {
    let page = render(&long(1_500));
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    assert_eq!(bars(&page), 1_500);
}

#[test]
fn a_very_long_run_is_shortened() {
    let page = render(&long(50_000));
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    assert!((8..10_000).contains(&bars(&page)), "{}", bars(&page));
    assert!(page.contains("The first 2,000 of 50,000 are listed"));
    assert!(page.contains(" slices one after another"));
}

#[test]
fn slices_of_unknown_workers_share_lanes_without_overlapping() {
    let mut report = small("fixes");
    report
        .slices
        .iter_mut()
        .for_each(|slice| slice.worker = None);
    let page = render(&report);
    let page = parsed(&page);
    let lanes = named(&page, "text");
    let unknown = lanes.iter().filter(|lane| text(**lane) == "worker unknown");
    assert_eq!(unknown.count(), 2);
}

#[test]
fn a_run_that_did_nothing_has_no_picture() {
    let mut report = small("fixes");
    report.slices.clear();
    report.steps.clear();
    report.findings.clear();
    report.calls.clear();
    report.tables[0].before_cutover = None;
    let page = render(&report);
    let page = parsed(&page);
    assert!(named(&page, "svg").is_empty());
    assert!(text(page.root_element()).contains("Not proved yet."));
}
