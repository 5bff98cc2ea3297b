//! Checks on logical replication: a hypertable in a publication does not do what a partitioned table does.
//!
//! Seen on TimescaleDB 2.19.3: `ADD TABLE hypertable` takes the chunks that exist then as members of their own, and
//! no later ones.

use super::{Case, Subject};
use crate::facts::PublicationMember;
use crate::{Code, Finding, Severity, quote_ident};

pub(super) fn check(case: &Case, subject: Subject) -> Vec<Finding> {
    let members = subject.found.publications.iter();
    if case.same_database() {
        members.map(|member| published(subject, member)).collect()
    } else {
        members.map(elsewhere).collect()
    }
}

fn through(member: &PublicationMember) -> &'static str {
    match member.through.as_str() {
        "schema" => " through its schema",
        "all tables" => ", which is for all tables",
        _ => "",
    }
}

fn published(subject: Subject, member: &PublicationMember) -> Finding {
    let publication = quote_ident(&member.publication);
    let consequence = match member.through.as_str() {
        "schema" => {
            "Chunks lie in another schema (_timescaledb_internal), so subscribers receive nothing more from cutover on."
        }
        "all tables" => {
            "Every copied row is published as a new one, under its chunk's name: subscribers stop with an error, since \
             they have no such table, and the server keeps WAL for them until the disk is full."
        }
        _ => {
            "At cutover the hypertable takes the table's place in it. The chunks that exist then are published under \
             their own names, which subscribers do not have; later chunks are not published at all."
        }
    };
    let finding = Finding::new(
        Code::Publication,
        Severity::Block,
        format!("the table is in publication {publication}{}", through(member)),
    )
    .object(member.publication.clone())
    .detail(format!(
        "A hypertable's rows are in its chunks, and logical replication sees chunks, not the hypertable. {consequence} \
         Take the table out of it, or accept that and change the subscribers, for instance to Debezium with its \
         TimescaleDb transformation over schema _timescaledb_internal."
    ));
    let finding = if member.through == "table" {
        finding.resolve(format!(
            "ALTER PUBLICATION {publication} DROP TABLE {};",
            subject.found.relation
        ))
    } else {
        finding
    };
    finding.resolve("--accept publication").acceptable()
}

fn elsewhere(member: &PublicationMember) -> Finding {
    Finding::new(
        Code::Publication,
        Severity::Info,
        format!(
            "the table is in publication {}{} on the source, and stays in it",
            quote_ident(&member.publication),
            through(member)
        ),
    )
    .object(member.publication.clone())
    .detail("The target publishes nothing. Since the fence holds, subscribers of the source receive no more rows.")
}
