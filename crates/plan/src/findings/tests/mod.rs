//! One deviation from a sound table per case: the finding's code, severity and the numbers that it must say; and the
//! messages of SOAR as people read them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod around;
mod servers;
mod tables;

use crate::facts::Facts;
use crate::testing::*;
use crate::{Code, Finding, Options, Relation, Severity};
use expect_test::expect;

fn found(facts: Facts, options: Options) -> Vec<Finding> {
    crate::plan(facts, options).unwrap().findings
}

/// A change of the facts and options, and the finding that it must lead to, with all the words that it must say.
struct Case {
    name: &'static str,
    bend: fn(&mut Facts, &mut Options),
    code: Code,
    severity: Severity,
    acceptable: bool,
    says: &'static [&'static str],
}

fn block(
    name: &'static str,
    code: Code,
    says: &'static [&'static str],
    bend: fn(&mut Facts, &mut Options),
) -> Case {
    Case {
        name,
        bend,
        code,
        severity: Severity::Block,
        acceptable: false,
        says,
    }
}

fn acceptable(
    name: &'static str,
    code: Code,
    says: &'static [&'static str],
    bend: fn(&mut Facts, &mut Options),
) -> Case {
    Case {
        acceptable: true,
        ..block(name, code, says, bend)
    }
}

fn warn(
    name: &'static str,
    code: Code,
    says: &'static [&'static str],
    bend: fn(&mut Facts, &mut Options),
) -> Case {
    Case {
        severity: Severity::Warn,
        ..block(name, code, says, bend)
    }
}

fn info(
    name: &'static str,
    code: Code,
    says: &'static [&'static str],
    bend: fn(&mut Facts, &mut Options),
) -> Case {
    Case {
        severity: Severity::Info,
        ..block(name, code, says, bend)
    }
}

/// A sound run of one table: nothing in it blocks or warns.
fn sound() -> (Facts, Options) {
    let (mut facts, _) = measured_fixes();
    let table = fixes(&mut facts);
    table.foreign_keys.clear();
    table.views.clear();
    table.partman.as_mut().unwrap().retention = None;
    let options = options(&facts);
    (facts, options)
}

fn sound_elsewhere() -> (Facts, Options) {
    let (mut facts, options) = sound();
    let (elsewhere, _) = soar_elsewhere();
    facts.same_database = false;
    facts.source = elsewhere.source;
    facts.target = elsewhere.target;
    (facts, options)
}

/// Whether two findings say the same of the same thing.
fn is_new(finding: &Finding, before: &[Finding]) -> bool {
    !before.contains(finding)
}

fn run(base: fn() -> (Facts, Options), cases: Vec<Case>) {
    let (facts, options) = base();
    let before = found(facts, options);
    for case in cases {
        let (mut facts, mut options) = base();
        (case.bend)(&mut facts, &mut options);
        let after = found(facts, options);
        let new: Vec<&Finding> = after
            .iter()
            .filter(|finding| is_new(finding, &before))
            .collect();
        let matching: Vec<&Finding> = new
            .iter()
            .copied()
            .filter(|finding| finding.code == case.code && finding.severity == case.severity)
            .collect();
        let text = |finding: &Finding| {
            format!(
                "{}\n{}\n{}",
                finding.message,
                finding.detail,
                finding.resolution.join("\n")
            )
        };
        let says = |finding: &Finding| case.says.iter().all(|words| text(finding).contains(words));
        let finding = matching
            .iter()
            .find(|finding| says(finding))
            .unwrap_or_else(|| panic!("{}: {:?} not in {new:#?}", case.name, case.says));
        assert_eq!(finding.acceptable, case.acceptable, "{}", case.name);
        let text = text(finding);
        // What people judge: a message begins in lower case (or with a name) and ends without a period.
        assert!(!finding.message.ends_with('.'), "{}: {text}", case.name);
        assert!(
            finding.detail.is_empty() || finding.detail.ends_with(['.', ':', '?']),
            "{}: {text}",
            case.name
        );
        if case.severity == Severity::Block && case.acceptable {
            assert!(
                finding
                    .resolution
                    .contains(&format!("--accept {}", case.code)),
                "{}",
                case.name
            );
        }
    }
}

#[test]
fn a_sound_run_neither_blocks_nor_warns() {
    for base in [sound, sound_elsewhere] {
        let (facts, options) = base();
        let worse: Vec<Finding> = found(facts, options)
            .into_iter()
            .filter(|finding| finding.severity > Severity::Info)
            .collect();
        assert_eq!(worse, Vec::new());
    }
}

#[test]
fn what_is_accepted_warns_and_only_that() {
    let (facts, mut options) = soar();
    let before = found(facts.clone(), options.clone());
    assert!(
        before
            .iter()
            .any(|finding| finding.code == Code::HypertableForeignKey
                && finding.severity == Severity::Block)
    );
    options.accept.insert(Code::HypertableForeignKey);
    // Accepting a code has no say over blocks that are not acceptable.
    options.accept.insert(Code::Standby);
    let mut standby = facts.clone();
    standby.target.in_recovery = true;
    let after = found(standby, options);
    let severity = |code| {
        let mut findings = after.iter();
        findings
            .find(|finding| finding.code == code)
            .map(|finding| finding.severity)
    };
    assert_eq!(severity(Code::HypertableForeignKey), Some(Severity::Warn));
    assert_eq!(severity(Code::Standby), Some(Severity::Block));
    let accepted = after
        .iter()
        .find(|finding| finding.code == Code::HypertableForeignKey)
        .unwrap();
    assert!(
        accepted
            .detail
            .ends_with("Accepted with --accept hypertable_foreign_key.")
    );
}

#[test]
fn findings_are_sorted_worst_first_then_by_table() {
    let (mut facts, options) = soar();
    facts.target.free_disk_bytes = None;
    let findings = found(facts, options);
    let rank = |finding: &Finding| {
        let table = finding.table.as_ref().map(|table| table.name.as_str());
        let table = match table {
            None => 0,
            Some("raw_messages") => 1,
            Some(_) => 2,
        };
        (std::cmp::Reverse(finding.severity), table, finding.code)
    };
    assert!(findings.is_sorted_by_key(rank));
}

/// As `check` might print them.
fn rendered(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let table = finding.table.as_ref().map(Relation::plain);
        text.push_str(&format!(
            "{} {} {}\n  {}\n",
            finding.severity,
            finding.code,
            table.as_deref().unwrap_or("-"),
            finding.message
        ));
        if !finding.detail.is_empty() {
            text.push_str(&format!("    {}\n", finding.detail));
        }
        for line in &finding.resolution {
            text.push_str(&format!("    > {line}\n"));
        }
    }
    text
}

#[test]
fn soar_in_one_database() {
    let (facts, options) = soar();
    expect![[r#"
        block hypertable_foreign_key public.fixes
          foreign key "fixes_raw_message_id_fkey" (raw_message_id, received_at) -> public.raw_messages (id, received_at) cannot exist: both tables become hypertables in this run
            TimescaleDB refuses it ("hypertables cannot be used as foreign key references of hypertables"). If you accept it, the hypertable is made without this constraint: nothing is lost, but rows without a counterpart are no longer refused, and ON DELETE no longer acts. The query below finds such rows afterwards. Or leave public.raw_messages out of the run: a hypertable's foreign key may refer to a partitioned or an ordinary table.
            > --accept hypertable_foreign_key
            > SELECT * FROM "public"."fixes" AS referring WHERE referring."raw_message_id" IS NOT NULL AND referring."received_at" IS NOT NULL AND NOT EXISTS (SELECT FROM "public"."raw_messages" AS referred WHERE referred."id" = referring."raw_message_id" AND referred."received_at" = referring."received_at");
        warn referenced_by public.raw_messages
          foreign key "receiver_statuses_raw_message_id_fkey" of public.receiver_statuses (about 12,000 rows) refers to the table by (id, received_at); it is re-pointed
            At cutover it is dropped, added again to the hypertable in the same transaction, and validated right after. Know that TimescaleDB does not drop chunks of a hypertable while a foreign key refers to it, not even chunks that no row refers to: drop_chunks and retention policies fail with "cannot drop constraint ... because other objects depend on it" (seen on 2.19.3; timescaledb#8013). pg_partman's retention of 30 days can't simply become a retention policy. To drop old chunks all the same, take the constraint off around it:
            > BEGIN; ALTER TABLE "public"."receiver_statuses" DROP CONSTRAINT "receiver_statuses_raw_message_id_fkey"; SELECT drop_chunks('"public"."raw_messages"', older_than => INTERVAL '30 days'); ALTER TABLE "public"."receiver_statuses" ADD CONSTRAINT "receiver_statuses_raw_message_id_fkey" FOREIGN KEY (raw_message_id, received_at) REFERENCES public.raw_messages(id, received_at) NOT VALID; COMMIT;
        warn partman public.raw_messages
          pg_partman 5.2.4 manages the table: interval 1 day, retention 30 days (detached, kept as tables), automatic maintenance on
            Its row in part_config is saved and taken out right after the fence, and put back by a rollback. From cutover on nothing removes old rows, and the Apache edition has no retention policies: call drop_chunks every day from cron. It drops for good. It is refused as long as public.receiver_statuses refers to the table: see referenced_by.
            > SELECT drop_chunks('"public"."raw_messages"', older_than => INTERVAL '30 days');
        warn partman public.fixes
          pg_partman 5.2.4 manages the table: interval 1 day, retention 30 days (detached, kept as tables), automatic maintenance on
            Its row in part_config is saved and taken out right after the fence, and put back by a rollback. From cutover on nothing removes old rows, and the Apache edition has no retention policies: call drop_chunks every day from cron. It drops for good.
            > SELECT drop_chunks('"public"."fixes"', older_than => INTERVAL '30 days');
        info edition -
          TimescaleDB 2.19.3, Apache edition, preloaded
            Everything that the run needs works. Afterwards the columnstore, retention and compression policies and continuous aggregates are refused; what is declared of retention and aggregates, hyperhaul maintain does.
        info disk -
          the run needs about 786.5 MiB on the target, 50.0 GiB are free
            Heap and TOAST 253.2 MiB, indexes with the space to sort the largest 140.0 MiB, WAL between checkpoints 393.2 MiB. The old table keeps its space until cleanup.
        info locks -
          one transaction of the run locks up to 120 relations on the server, whose lock table holds 25,600
            The lock table holds max_locks_per_transaction (256) x (max_connections (100) + max_prepared_transactions (0)), for all sessions together.
        info default_partition public.raw_messages
          1,200 rows in the default partition, in 2 chunks from 2025-12-18T00:00:00Z to 2025-12-19T23:59:59Z
            Each is routed into its chunk by its time; the hypertable needs no default partition.
        info view public.fixes
          view public.latest_fixes reads the table
            It is replaced in the cutover's transaction so that it reads the hypertable; its grants, owner and whatever reads it stay.
        info generated_column public.fixes
          2 generated columns are computed by the target: "location" (public.geography(Point,4326), stored), "location_geom" (public.geometry(Point,4326), stored)
            Their values are not copied; verification compares them with their expressions.
    "#]].assert_eq(&rendered(&found(facts, options)));
}

#[test]
fn soar_brought_to_another_server() {
    let (facts, options) = soar_elsewhere();
    expect![[r#"
        block hypertable_foreign_key public.fixes
          foreign key "fixes_raw_message_id_fkey" (raw_message_id, received_at) -> public.raw_messages (id, received_at) cannot exist: both tables become hypertables in this run
            TimescaleDB refuses it ("hypertables cannot be used as foreign key references of hypertables"). If you accept it, the hypertable is made without this constraint: nothing is lost, but rows without a counterpart are no longer refused, and ON DELETE no longer acts. The query below finds such rows afterwards. Or leave public.raw_messages out of the run: a hypertable's foreign key may refer to a partitioned or an ordinary table.
            > --accept hypertable_foreign_key
            > SELECT * FROM "public"."fixes" AS referring WHERE referring."raw_message_id" IS NOT NULL AND referring."received_at" IS NOT NULL AND NOT EXISTS (SELECT FROM "public"."raw_messages" AS referred WHERE referred."id" = referring."raw_message_id" AND referred."received_at" = referring."received_at");
        warn referenced_rows public.raw_messages
          foreign key "raw_messages_receiver_id_fkey" (receiver_id) -> public.receivers (id) is validated against the rows that the target has
            public.receivers is not part of the run. If a row that is referred to is missing there, validation fails after the copy, and the run stops until it has been brought over.
        warn referenced_rows public.fixes
          foreign key "fixes_aircraft_id_fkey" (aircraft_id) -> public.aircraft (id) is validated against the rows that the target has
            public.aircraft is not part of the run. If a row that is referred to is missing there, validation fails after the copy, and the run stops until it has been brought over.
        warn referenced_rows public.fixes
          foreign key "fixes_flight_id_fkey" (flight_id) -> public.flights (id) is validated against the rows that the target has
            public.flights is not part of the run. If a row that is referred to is missing there, validation fails after the copy, and the run stops until it has been brought over.
        warn referenced_rows public.fixes
          foreign key "fixes_receiver_id_fkey" (receiver_id) -> public.receivers (id) is validated against the rows that the target has
            public.receivers is not part of the run. If a row that is referred to is missing there, validation fails after the copy, and the run stops until it has been brought over.
        warn view public.fixes
          view public.latest_fixes reads the table and is not made on the target
            Make it there after the run, if it is wanted:
            > CREATE VIEW "public"."latest_fixes" AS SELECT DISTINCT ON (aircraft_id) aircraft_id, id AS fix_id FROM public.fixes;
        info edition -
          TimescaleDB 2.19.3, Apache edition, preloaded
            Everything that the run needs works. Afterwards the columnstore, retention and compression policies and continuous aggregates are refused; what is declared of retention and aggregates, hyperhaul maintain does.
        info disk -
          the run needs about 786.5 MiB on the target, 50.0 GiB are free
            Heap and TOAST 253.2 MiB, indexes with the space to sort the largest 140.0 MiB, WAL between checkpoints 393.2 MiB.
        info locks -
          one transaction of the run locks up to 58 relations on the source, whose lock table holds 25,600
            The lock table holds max_locks_per_transaction (256) x (max_connections (100) + max_prepared_transactions (0)), for all sessions together.
        info locks -
          one transaction of the run locks up to 120 relations on the target, whose lock table holds 25,600
            The lock table holds max_locks_per_transaction (256) x (max_connections (100) + max_prepared_transactions (0)), for all sessions together.
        info default_partition public.raw_messages
          1,200 rows in the default partition, in 2 chunks from 2025-12-18T00:00:00Z to 2025-12-19T23:59:59Z
            Each is routed into its chunk by its time; the hypertable needs no default partition.
        info referenced_by public.raw_messages
          foreign key "receiver_statuses_raw_message_id_fkey" of public.receiver_statuses (about 12,000 rows) refers to the table by (id, received_at); it stays on the source
            That table is not part of the run, and goes on referring to the old table.
        info partman public.raw_messages
          pg_partman 5.2.4 manages the table: interval 1 day, retention 30 days (detached, kept as tables), automatic maintenance on
            Its row in part_config is saved and taken out right after the fence, and put back by a rollback. The target's chunks are made by TimescaleDB; retention there has to be set up on its own.
        info generated_column public.fixes
          2 generated columns are computed by the target: "location" (public.geography(Point,4326), stored), "location_geom" (public.geometry(Point,4326), stored)
            Their values are not copied; verification compares them with their expressions.
        info partman public.fixes
          pg_partman 5.2.4 manages the table: interval 1 day, retention 30 days (detached, kept as tables), automatic maintenance on
            Its row in part_config is saved and taken out right after the fence, and put back by a rollback. The target's chunks are made by TimescaleDB; retention there has to be set up on its own.
    "#]].assert_eq(&rendered(&found(facts, options)));
}
