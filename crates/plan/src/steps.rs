//! The steps of a plan, in order; what each part of the lifecycle consists of is in the modules below.

mod attach;
mod build;
mod create;
mod cutover;
mod fence;
mod finish;
mod policies;
mod stage;

pub(crate) use build::can_exist;

use crate::facts::{Facts, TableFacts};
use crate::{Action, Concurrency, Mode, Options, Phase, Side, Step, StepId, TablePlan, Topology};

/// What the steps of one table are made from.
#[derive(Clone, Copy)]
struct Scope<'a> {
    /// Index into `tables`.
    index: usize,
    table: &'a TablePlan,
    found: &'a TableFacts,
    /// All tables of the plan.
    tables: &'a [TablePlan],
    facts: &'a Facts,
    options: &'a Options,
    topology: Topology,
}

/// All steps, in order.
pub(crate) fn steps(
    tables: &[TablePlan],
    facts: &Facts,
    options: &Options,
    topology: Topology,
) -> Vec<Step> {
    let each = |make: fn(Scope<'_>) -> Vec<Step>| {
        let scopes = tables
            .iter()
            .zip(&facts.tables)
            .enumerate()
            .map(|(index, (table, found))| Scope {
                index,
                table,
                found,
                tables,
                facts,
                options,
                topology,
            });
        scopes.flat_map(make).collect::<Vec<Step>>()
    };
    let mut steps = each(fence::steps);
    steps.push(create::schemas(tables, facts));
    steps.extend(each(create::steps));
    // What an attached table already has is matched only if the hypertable has it before.
    steps.extend(each(|scope| scope.built_first(build::keys)));
    steps.extend(each(|scope| scope.built_first(build::indexes)));
    steps.extend(each(build::add_foreign_keys_first));
    steps.extend(each(attach::steps));
    steps.extend(stage::slices(tables));
    steps.extend(each(stage::steps));
    steps.extend(each(create::chunks));
    if options.mode == Mode::Window {
        steps.push(copy(tables, Phase::Copy));
    }
    steps.extend(each(|scope| scope.built_last(build::keys)));
    steps.extend(each(build::checks_later));
    steps.extend(each(|scope| build::foreign_keys(scope, Phase::Columnstore)));
    steps.extend(each(policies::to_columnstore));
    steps.extend(each(|scope| scope.built_last(build::indexes)));
    // Behind the indexes: from then on every deletion in a referenced table looks for rows here.
    steps.extend(each(|scope| build::foreign_keys(scope, Phase::ForeignKeys)));
    steps.extend(each(finish::steps));
    steps.extend(each(build::validate_foreign_keys));
    steps.extend(each(|scope| finish::verify(scope, Phase::Verify)));
    steps.push(cutover::step(tables, facts, topology));
    if options.mode == Mode::Backfill {
        steps.push(copy(tables, Phase::Backfill));
    }
    steps.extend(each(|scope| finish::verify(scope, Phase::Proof)));
    steps.extend(each(cutover::history_is_in));
    steps.extend(each(build::validate_foreign_keys_later));
    steps.extend(each(cutover::after));
    steps.extend(each(policies::steps));
    steps
}

impl Scope<'_> {
    /// What is built over rows: after they are in, which is quicker.
    fn built_last(self, make: fn(Self) -> Vec<Step>) -> Vec<Step> {
        if self.table.is_built_first() {
            Vec::new()
        } else {
            make(self)
        }
    }

    /// The same for a table that others are attached to: while it is empty, which takes no time.
    fn built_first(self, make: fn(Self) -> Vec<Step>) -> Vec<Step> {
        if !self.table.is_built_first() {
            return Vec::new();
        }
        let first = |step: Step| Step {
            phase: Phase::Create,
            concurrency: Concurrency::Alone,
            weight_bytes: 0,
            ..step
        };
        make(self).into_iter().map(first).collect()
    }

    /// A step about the table, alone in its phase, without inverse; the callers change what differs.
    fn step(self, phase: Phase, object: &str, title: String, action: Action) -> Step {
        let name = self.table.relation.plain();
        let object = if object.is_empty() {
            String::new()
        } else {
            format!(":{object}")
        };
        Step {
            id: StepId(format!("{}:{name}{object}", phase.name())),
            phase,
            table: Some(self.index),
            title,
            side: Side::Target,
            action,
            inverse: Vec::new(),
            orphans: Vec::new(),
            concurrency: Concurrency::Alone,
            weight_bytes: 0,
        }
    }
}

/// A step about all tables.
fn common_step(
    phase: Phase,
    object: &str,
    title: &str,
    action: Action,
    inverse: Vec<String>,
) -> Step {
    Step {
        id: StepId(format!("{}:{object}", phase.name())),
        phase,
        table: None,
        title: title.to_owned(),
        side: Side::Target,
        action,
        inverse,
        orphans: Vec::new(),
        concurrency: Concurrency::Alone,
        weight_bytes: 0,
    }
}

fn copy(tables: &[TablePlan], phase: Phase) -> Step {
    let weight_bytes = tables.iter().map(|table| table.data_bytes).sum();
    Step {
        weight_bytes,
        ..common_step(
            phase,
            "slices",
            "copy the slices",
            Action::CopySlices,
            Vec::new(),
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use crate::testing::soar;
    use crate::{Action, Mode, Phase};

    #[test]
    fn history_comes_behind_the_cutover_into_what_is_built_and_empty() {
        let (facts, mut options) = soar();
        options.mode = Mode::Backfill;
        let plan = crate::plan(facts, options).unwrap();
        let steps = &plan.steps;
        assert!(steps.is_sorted_by_key(|step| step.phase));
        let at = |wanted: fn(&Action) -> bool| {
            let found = steps.iter().find(|step| wanted(&step.action));
            found.unwrap().phase
        };
        assert_eq!(at(|action| *action == Action::CopySlices), Phase::Backfill);
        assert_eq!(at(|action| *action == Action::Verify), Phase::Proof);
        assert_eq!(at(|action| *action == Action::CreateChunks), Phase::Chunks);
        let later = [
            Phase::Copy,
            Phase::Keys,
            Phase::Indexes,
            Phase::ForeignKeys,
            Phase::Verify,
        ];
        assert!(steps.iter().all(|step| !later.contains(&step.phase)));
        assert!(plan.slices.iter().all(|slice| !slice.sole_writer));
        let estimated = |phase: Phase| {
            let mut phases = plan.estimate.phases.iter();
            phases.any(|own| own.phase == phase && own.seconds > 0.0)
        };
        assert!(!later.into_iter().any(estimated));
        assert!(estimated(Phase::Backfill) && estimated(Phase::Proof));
    }
}
