//! How the rows of each leaf get to the target, and why not otherwise: a section of what `plan` prints.

use super::{Look, Style, wrap};
use hyperhaul_plan::{Plan, Way};
use std::collections::BTreeMap;

/// More leaves than this are shortened to the first ones of each kind.
const LEAVES_SHOWN_MAX: usize = 20;
/// How many are shown of each kind where the list is shortened.
const FIRST_SHOWN: usize = 3;

pub(super) fn render(plan: &Plan, all: bool, look: Look) -> String {
    let heading = look.paint(Style::Heading, "WAYS");
    // In the order of their first leaf.
    let mut order: Vec<String> = Vec::new();
    let mut kinds: BTreeMap<String, Vec<&Way>> = BTreeMap::new();
    for way in &plan.ways {
        let kind = kind(way);
        if !kinds.contains_key(&kind) {
            order.push(kind.clone());
        }
        kinds.entry(kind).or_default().push(way);
    }
    let shortened = !all && plan.ways.len() > LEAVES_SHOWN_MAX;
    let mut text = format!("\n{heading}\n");
    for kind in order {
        let ways = kinds.remove(&kind).unwrap_or_default();
        for (number, line) in kind.lines().enumerate() {
            text.push_str(&wrap(line, if number == 0 { 2 } else { 4 }, look.width));
        }
        text.push_str(&wrap(&leaves(&ways, shortened), 4, look.width));
    }
    text
}

/// The way on a line, each way that was ruled out on one more.
fn kind(way: &Way) -> String {
    let taken = format!("{}: {}", way.strategy.name(), way.reason);
    let ruled_out = way
        .ruled_out
        .iter()
        .map(|(strategy, reason)| format!("\nnot {}: {reason}", strategy.name()));
    std::iter::once(taken).chain(ruled_out).collect()
}

fn leaves(ways: &[&Way], shortened: bool) -> String {
    let shown = if shortened {
        FIRST_SHOWN.min(ways.len())
    } else {
        ways.len()
    };
    let names: Vec<String> = ways
        .iter()
        .take(shown)
        .map(|way| way.leaf.plain())
        .collect();
    match ways.len() - shown {
        0 => names.join(", "),
        more => format!(
            "{} and {more} more (--all-slices lists them)",
            names.join(", ")
        ),
    }
}
