//! Checks on what writes to the table besides its users, and on other runs that keep writers off it.

use super::{Case, Subject};
use crate::facts::{Fence, Subscription};
use crate::phrase;
use crate::sql::{LEDGER_SCHEMA, fence_owner};
use crate::{Code, Finding, Severity, quote_ident, quote_literal};

pub(super) fn check(case: &Case, subject: Subject) -> Vec<Finding> {
    let found = subject.found;
    let subscriptions = found.subscriptions.iter();
    let fences = found.fences.iter();
    subscriptions
        .map(|subscription| subscribed(case, subscription))
        .chain(fences.map(|fence| fenced(case, fence)))
        .collect()
}

fn subscribed(case: &Case, subscription: &Subscription) -> Finding {
    let name = quote_ident(&subscription.name);
    let disabled = if subscription.enabled {
        ""
    } else {
        " (disabled)"
    };
    let afterwards = if case.same_database() {
        "After the cutover they would be skipped without a word, since a subscription keeps to the tables that it was \
         made with."
    } else {
        "After the cutover they would still come to the source, and not to the target."
    };
    Finding::new(
        Code::Subscription,
        Severity::Block,
        format!(
            "subscription {name}{disabled} writes to {}",
            subscription.relation.plain()
        ),
    )
    .object(subscription.name.clone())
    .detail(format!(
        "Rows that come by logical replication stop the subscription with an error while the fence stands. \
         {afterwards} Take the table out of the publication on the publisher, then out of the subscription here."
    ))
    .resolve(format!(
        "ALTER PUBLICATION publication DROP TABLE {};  -- on the publisher",
        subscription.relation
    ))
    .resolve(format!(
        "ALTER SUBSCRIPTION {name} REFRESH PUBLICATION;"
    ))
}

fn fenced(case: &Case, fence: &Fence) -> Finding {
    let own = fence
        .argument
        .starts_with(&format!("{}, ", fence_owner(&case.facts.target)));
    let whose = match fence.argument.split_once(", table ") {
        Some(_) if own => "of this target".to_owned(),
        Some((owner, _)) => format!("to another target ({owner})"),
        None => "of unknown origin".to_owned(),
    };
    let relations = phrase::count(u64::from(fence.relations), "relation");
    Finding::new(
        Code::Fenced,
        Severity::Block,
        format!("a run {whose} keeps writers off the table: its fence stands on {relations}"),
    )
    .object("fence")
    .detail(
        "Two runs over one table would lift each other's fence, and rows would be lost. Finish that run and clean up \
         after it, or go back with it. Where its ledger is gone, this lifts what it has left, in psql:",
    )
    .resolve("hyperhaul rollback")
    .resolve(format!(
        "SELECT format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass) FROM pg_trigger \
         WHERE tgfoid = {}::regprocedure \
         AND replace(encode(tgargs, 'escape'), '\\000', '') = {} \\gexec",
        quote_literal(&format!("{LEDGER_SCHEMA}.fence()")),
        quote_literal(&fence.argument)
    ))
}
