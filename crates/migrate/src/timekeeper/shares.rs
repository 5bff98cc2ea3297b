//! How much of each phase is done: steps by their weight, slices by their bytes.

use crate::forecast::Seen;
use hyperhaul_ledger as ledger;
use hyperhaul_plan::{Action, Phase, Plan, Proof, Step, StepId, Strategy};
use std::collections::BTreeMap;

/// Whether a step counts as done when it ends. How far all others of a phase are together, its meter tells.
pub(super) fn weighs(step: &Step) -> bool {
    match step.phase {
        Phase::Chunks | Phase::Copy | Phase::Backfill | Phase::Columnstore => false,
        Phase::Verify | Phase::Proof => step.action != Action::Verify,
        _ => true,
    }
}

pub(super) fn weights(plan: &Plan, phase: Phase) -> impl Iterator<Item = f64> {
    let steps = plan.steps.iter().filter(move |step| step.phase == phase);
    steps.map(weight)
}

#[expect(clippy::cast_precision_loss, reason = "a share needs few digits")]
pub(super) fn weight(step: &Step) -> f64 {
    step.weight_bytes.max(1) as f64
}

pub(super) fn seen(plan: &Plan, phase: Phase) -> Seen {
    let steady = match phase {
        Phase::Copy | Phase::Backfill => plan
            .slices
            .iter()
            .all(|slice| matches!(slice.strategy, Strategy::Copy | Strategy::Stage)),
        Phase::Verify | Phase::Proof => {
            let mut steps = plan.steps.iter().filter(|step| step.phase == phase);
            let tuples = plan.tables.iter().all(|table| table.proof == Proof::Tuples);
            tuples && !steps.any(weighs)
        }
        _ => false,
    };
    if steady {
        Seen::Steadily
    } else {
        Seen::Stepwise
    }
}

/// The share of each phase that is done, by its marked steps and slices.
#[expect(clippy::cast_precision_loss, reason = "a share needs few digits")]
pub(crate) fn shares(
    plan: &Plan,
    done: impl Fn(&StepId) -> bool,
    slices: &[ledger::SliceRecord],
) -> BTreeMap<Phase, f64> {
    let mut shares = BTreeMap::new();
    for phase in Phase::ALL {
        let steps = plan.steps.iter().filter(|step| step.phase == phase);
        let weight_done: f64 = steps.filter(|step| done(&step.id)).map(weight).sum();
        let all: f64 = weights(plan, phase).sum();
        if all > 0.0 {
            shares.insert(phase, weight_done / all);
        }
    }
    let bytes = |all: bool| -> u64 {
        let counted = slices
            .iter()
            .filter(|record| ledger::Batch::Direct.has(&record.slice))
            .filter(|record| all || record.done);
        counted.map(|record| record.slice.bytes.max(1)).sum()
    };
    let copying = match plan.is_backfill() {
        true => Phase::Backfill,
        false => Phase::Copy,
    };
    let copied = shares.get(&copying).is_some_and(|share| *share >= 1.0);
    if bytes(true) > 0 && !copied {
        shares.insert(copying, bytes(false) as f64 / bytes(true) as f64);
    }
    shares
}
