//! Strategies: what was asked for and cannot be had, and what attaching means for readers.

use super::{Case, Subject};
use crate::phrase;
use crate::{Code, Finding, Severity, StrategyChoice, Way};

pub(super) fn check(case: &Case, subject: Subject) -> Vec<Finding> {
    let ways: Vec<&Way> = case.ways_of(subject).collect();
    impossible(case, subject, &ways)
        .into_iter()
        .chain(attached(subject, &ways))
        .chain(staged(subject, &ways))
        .collect()
}

/// A strategy that was asked for by name and is possible for no leaf.
fn impossible(case: &Case, subject: Subject, ways: &[&Way]) -> Option<Finding> {
    let StrategyChoice::Only(asked) = case.asked_strategy(subject) else {
        return None;
    };
    let first = ways.first()?;
    if ways.iter().any(|way| way.strategy == asked) {
        return None;
    }
    let (_, reason) = first
        .ruled_out
        .iter()
        .find(|(strategy, _)| *strategy == asked)?;
    let message = format!(
        "strategy {} is impossible: {reason}; {} is taken",
        asked.name(),
        first.strategy.name()
    );
    Some(
        Finding::new(Code::Strategy, Severity::Block, message)
            .detail("It was asked for by name.")
            .resolve("--strategy auto")
            .acceptable(),
    )
}

/// What readers see while partitions change sides, and what happens to those that cannot.
fn attached(subject: Subject, ways: &[&Way]) -> Option<Finding> {
    let table = subject.table;
    if table.attached.is_empty() {
        return None;
    }
    let rest = ways.len() - table.attached.len();
    let message = format!(
        "{} become chunks as they are, {} moved row by row",
        phrase::count_of(&table.attached, "partition"),
        match rest {
            0 => "none is".to_owned(),
            1 => "1 is".to_owned(),
            rest => format!("{rest} are"),
        }
    );
    let detail = format!(
        "Each is detached from {name} and attached in one transaction, which locks {name} and the partition against readers \
         too, for as long as its rows are read once for its bounds. From the first one to the cutover, readers of {name} \
         miss the rows of those that have gone over, writers of tables that it refers to wait while a partition is \
         attached, and foreign keys that refer to it do not hold: keep writers of those tables off, too. Foreign keys are validated after the cutover, for which the rows \
         are read again beside the application.",
        name = table.relation.plain()
    );
    let severity = Severity::Warn;
    Some(
        Finding::new(Code::Strategy, severity, message)
            .detail(detail)
            .resolve("--strategy server"),
    )
}

/// What a kill costs, and where the tables stay.
fn staged(subject: Subject, ways: &[&Way]) -> Option<Finding> {
    let table = subject.table;
    let largest = table.staged.iter().map(|leaf| leaf.bytes).max()?;
    let schema = &table.staged.first()?.chunk.schema;
    let rest = ways.len() - table.staged.len();
    let message = format!(
        "{} are loaded into tables of their own, which become chunks; {} moved otherwise",
        phrase::count_of(&table.staged, "partition"),
        match rest {
            0 => "none is".to_owned(),
            1 => "1 is".to_owned(),
            rest => format!("{rest} are"),
        }
    );
    let detail = format!(
        "Each is one transaction of one worker: a process killed while it loads one begins with that one again, {} at the most. \
         The chunks stay in schema {schema}.",
        phrase::bytes(largest)
    );
    Some(Finding::new(Code::Strategy, Severity::Info, message).detail(detail))
}

impl<'a> Case<'a> {
    fn ways_of(&self, subject: Subject<'a>) -> impl Iterator<Item = &'a Way> {
        let relation = &subject.table.relation;
        let index = self
            .tables
            .iter()
            .position(|table| table.relation == *relation);
        self.ways.iter().filter(move |way| Some(way.table) == index)
    }

    fn asked_strategy(&self, subject: Subject) -> StrategyChoice {
        let mut tables = self.options.tables.iter();
        let own = tables.find(|table| table.relation == subject.table.relation);
        own.and_then(|table| table.strategy)
            .unwrap_or(self.options.strategy)
    }
}
