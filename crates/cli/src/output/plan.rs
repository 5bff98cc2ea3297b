//! What `plan` prints: the head and the findings of `check`, then steps with their time, disk, and slices.

use super::check::{Ends, blocked_advice, head};
use super::columns::{Align, Columns};
use super::number::{bytes, bytes_per_second, count, estimated, grouped, seconds};
use super::{Look, Style, findings, ways, wrap};
use hyperhaul_migrate::RunId;
use hyperhaul_plan::{Basis, Phase, PhaseEstimate, Plan, Slice};
use std::collections::BTreeMap;

/// More slices than this are shortened to the largest ones.
const SLICES_SHOWN_MAX: usize = 20;
/// How many are shown of each kind where the list is shortened.
const LARGEST_SHOWN: usize = 3;

pub(crate) fn render(
    plan: &Plan,
    run: Option<RunId>,
    ends: &Ends,
    all_slices: bool,
    look: Look,
) -> String {
    [
        head(plan, ends, look),
        findings::render(&plan.findings, look),
        format!(
            "\n{}\n{}",
            look.paint(Style::Heading, "STEPS"),
            steps(plan, look)
        ),
        format!(
            "\n{}\n{}",
            look.paint(Style::Heading, "DISK"),
            disk(plan, look)
        ),
        ways::render(plan, all_slices, look),
        format!(
            "\n{}\n{}",
            slices_heading(plan, look),
            slices(plan, all_slices, look)
        ),
        format!("\n{}", next(plan, run, look)),
    ]
    .concat()
}

/// Phases with their estimated time, and the steps of each.
fn steps(plan: &Plan, look: Look) -> String {
    let mut text = String::new();
    for phase in Phase::ALL {
        let own = plan.steps.iter().filter(|step| step.phase == phase);
        let titles: String = own.map(|step| step_title(&step.title, look)).collect();
        if titles.is_empty() {
            continue;
        }
        let mut times = plan.estimate.phases.iter();
        let time = times.find(|estimate| estimate.phase == phase);
        let time = time.map_or(String::new(), |estimate| about(estimate.seconds));
        text.push_str(&format!(
            "  {:<12}  {time:>11}{}",
            phase.name(),
            &titles[TITLE_INDENT - 2..]
        ));
    }
    let total = about(plan.estimate.seconds());
    let workers = match plan.worker_range() {
        (min, max) if min < max => format!("{min} to {max} workers"),
        (_, workers) => count(u64::from(workers), "worker"),
    };
    text.push_str(&format!(
        "  {:<12}  {total:>11}  with {workers}\n",
        "in all"
    ));
    if plan.is_backfill() {
        let phases = plan.estimate.phases.iter();
        let kept_out = phases.filter(|estimate| estimate.phase.keeps_out());
        let kept_out = about(kept_out.map(|estimate| estimate.seconds).sum());
        text.push_str(&format!(
            "  {:<12}  {kept_out:>11}  of these, up to the cutover\n",
            "kept out"
        ));
    }
    text.push_str(&wrap(&basis(plan), 2, look.width));
    text
}

/// What the times rest on: rates of another machine, or what a sample took here, with the range.
fn basis(plan: &Plan) -> String {
    let estimate = &plan.estimate;
    let Basis::Calibrated(measured) = &estimate.basis else {
        let measures = match plan.is_backfill() {
            true => "",
            false => "; --calibrate measures it",
        };
        return format!("{}{measures}", estimate.basis_text());
    };
    let (low, high) = estimate
        .phases
        .iter()
        .map(PhaseEstimate::bounds)
        .fold((0.0, 0.0), |sum, own| (sum.0 + own.0, sum.1 + own.1));
    let ways = measured.iter().flat_map(|own| {
        let slices = plan.slices.iter().filter(|slice| slice.table == own.table);
        let moved: u64 = slices.map(|slice| slice.bytes).sum();
        let table = plan
            .tables
            .get(own.table)
            .map(|table| table.relation.plain());
        own.load_s.iter().filter_map(move |(way, _)| {
            let rate = bytes_per_second(own.rate(*way, moved)?);
            Some(format!(
                "{} {} {rate}",
                table.clone().unwrap_or_default(),
                way.name()
            ))
        })
    });
    let ways: Vec<String> = ways.collect();
    format!(
        "{}: {} to {} ({})",
        estimate.basis_text(),
        seconds(low),
        seconds(high),
        ways.join(", ")
    )
}

/// Where titles begin: behind phase and time.
const TITLE_INDENT: usize = 29;

/// A title; its second and further lines stand further to the right.
fn step_title(title: &str, look: Look) -> String {
    wrap(title, TITLE_INDENT + 2, look.width)
        .chars()
        .skip(2)
        .collect()
}

/// `~12 s`; what takes less than a second needs no tilde.
fn about(estimate_s: f64) -> String {
    let text = seconds(estimate_s);
    if text.starts_with('<') {
        text
    } else {
        format!("~{text}")
    }
}

fn disk(plan: &Plan, look: Look) -> String {
    let estimate = &plan.estimate;
    let free = match plan.facts.target.free_disk_bytes {
        Some(free) => format!("{} free", bytes(free)),
        None => "free disk can't be seen from here".to_owned(),
    };
    let columnstore = match estimate.columnstore_bytes {
        0 => String::new(),
        in_columnstore => format!("columnstore {}, ", bytes(in_columnstore)),
    };
    let need = format!(
        "~{} more on the target at the peak (data {}, indexes {}, {columnstore}WAL {}); {free}",
        bytes(estimate.disk_bytes),
        bytes(estimate.heap_bytes),
        bytes(estimate.index_bytes),
        bytes(estimate.wal_bytes)
    );
    wrap(&need, 2, look.width)
}

fn slices_heading(plan: &Plan, look: Look) -> String {
    look.paint(
        Style::Heading,
        &format!("SLICES ({})", grouped(plan.slices.len() as u64)),
    )
}

/// Slices by their reason, largest first.
fn slices(plan: &Plan, all: bool, look: Look) -> String {
    let mut kinds: BTreeMap<String, Vec<&Slice>> = BTreeMap::new();
    let mut largest_first: Vec<&Slice> = plan.slices.iter().collect();
    largest_first.sort_by_key(|slice| std::cmp::Reverse(slice.bytes));
    for slice in largest_first {
        kinds.entry(kind(&slice.reason)).or_default().push(slice);
    }
    let mut kinds: Vec<(String, Vec<&Slice>)> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, slices)| {
        std::cmp::Reverse(slices.iter().map(|slice| slice.bytes).sum::<u64>())
    });
    let shortened = !all && plan.slices.len() > SLICES_SHOWN_MAX;
    let mut text = String::new();
    for (reason, slices) in kinds {
        text.push_str(&wrap(&reason, 2, look.width));
        let shown = if shortened {
            LARGEST_SHOWN.min(slices.len())
        } else {
            slices.len()
        };
        text.push_str(&list(&slices[..shown], look));
        text.push_str(&rest(&slices[shown..], look));
    }
    text
}

fn list(slices: &[&Slice], look: Look) -> String {
    let mut columns = Columns::new([Align::Left, Align::Left, Align::Right, Align::Right]);
    for slice in slices {
        columns.push([
            slice.leaf.plain(),
            blocks(slice),
            bytes(slice.bytes),
            format!("{} rows", estimated(slice.rows_estimate)),
        ]);
    }
    columns.render(4, look)
}

fn rest(slices: &[&Slice], look: Look) -> String {
    if slices.is_empty() {
        return String::new();
    }
    let size = slices.iter().map(|slice| slice.bytes).sum();
    let rows = slices.iter().map(|slice| slice.rows_estimate).sum();
    let line = format!(
        "and {} more: {}, {} rows (--all-slices lists them)",
        grouped(slices.len() as u64),
        bytes(size),
        estimated(rows)
    );
    wrap(&line, 4, look.width)
}

fn blocks(slice: &Slice) -> String {
    match (slice.first_block, slice.end_block) {
        (0, None) => "all blocks".to_owned(),
        (first, None) => format!("blocks {}-", grouped(u64::from(first))),
        (first, Some(end)) => format!(
            "blocks {}-{}",
            grouped(u64::from(first)),
            grouped(u64::from(end.saturating_sub(1)))
        ),
    }
}

/// A slice's reason without the numbers that make it one of a kind: `part 3 of 12` is `part N of M`.
fn kind(reason: &str) -> String {
    let mut letters = ["N", "M"].into_iter();
    let mut text = String::new();
    for piece in reason.split_inclusive(' ') {
        let word = piece.trim_end();
        let number = word.trim_end_matches([';', ',']);
        match number.chars().all(|c| c.is_ascii_digit()) && !number.is_empty() {
            true => text.push_str(&piece.replacen(number, letters.next().unwrap_or("#"), 1)),
            false => text.push_str(piece),
        }
    }
    text
}

fn next(plan: &Plan, run: Option<RunId>, look: Look) -> String {
    let counts = findings::counts(&plan.findings);
    let advice = match run {
        None => blocked_advice(plan),
        Some(run) => format!(
            "Stored as run {run}; nothing else was changed. Next: hyperhaul migrate --run {run}."
        ),
    };
    wrap(&format!("{counts}. {advice}"), 0, look.width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::check::tests::soar;
    use expect_test::expect_file;

    #[test]
    fn slices_of_a_kind_share_their_reason() {
        let reasons = [
            "copy: part 3 of 12; its bounds lie in one chunk",
            "copy: part 11 of 12; its bounds lie in one chunk",
        ];
        for reason in reasons {
            assert_eq!(
                kind(reason),
                "copy: part N of M; its bounds lie in one chunk"
            );
        }
        assert_eq!(
            kind("copy: whole leaf; rows routed by time"),
            "copy: whole leaf; rows routed by time"
        );
    }

    #[test]
    fn a_plan_shows_steps_disk_and_slices() {
        let (plan, ends) = soar();
        let shown = render(&plan, Some(RunId(1)), &ends, false, Look::PLAIN);
        let from_steps = shown.find("STEPS").map_or("", |at| &shown[at..]);
        expect_file!["../../../../fixtures/soar/plan.txt"].assert_eq(from_steps);
    }

    #[test]
    fn many_slices_are_shortened_to_the_largest_of_each_kind() {
        let (mut plan, _) = soar();
        let slice = plan.slices[0].clone();
        plan.slices.extend(std::iter::repeat_n(slice, 30));
        let shown = slices(&plan, false, Look::PLAIN);
        assert!(shown.contains("and 41 more: "), "{shown}");
        assert_eq!(shown.lines().count(), 7, "{shown}");
        assert_eq!(slices(&plan, true, Look::PLAIN).lines().count(), 2 + 45);
    }
}
