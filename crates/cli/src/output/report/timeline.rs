//! The picture of the run: phases above, below them which worker moved which slice when.

use super::LISTED_MAX;
use super::axis::{Axis, Piece, Span, merged};
use super::markup::{Markup, tag};
use super::words::{moment, span_of, spent};
use crate::output::number::{count, grouped};
use hyperhaul_migrate::{Report, SliceReport};
use hyperhaul_plan::{Mode, Phase, Strategy};
use std::collections::BTreeMap;
use std::time::Duration;

const WIDTH: f64 = 1_040.0;
/// Where names end and bars begin.
const LEFT: f64 = 112.0;
/// Above the first lane: when each piece of the axis begins, and its ticks.
const HEAD: f64 = 40.0;
const LANE: f64 = 20.0;
const BAR: f64 = 13.0;
/// What is shorter is still seen.
const BAR_WIDTH_MIN: f64 = 1.0;
/// Room for the beginning of a piece as text, whole and without the date.
const BEGIN_ROOM: (f64, f64) = (150.0, 58.0);
/// Room for the text beside a bar.
const SPENT_ROOM: f64 = 70.0;
/// Room for a tick's text.
const TICK_ROOM: f64 = 40.0;
/// Colours, one a table; from the first again where there are more.
const COLOURS: usize = 6;

/// A lane of the picture.
struct Lane {
    name: String,
    bars: Vec<Bar>,
    /// How long it took over all, where that is worth a word.
    spent: Option<f64>,
}

struct Bar {
    span: Span,
    class: String,
    title: String,
}

/// The picture, with its legend; a sentence where nothing was done yet.
pub(super) fn render(report: &Report) -> Markup {
    let phases: Vec<Lane> = Phase::ALL
        .into_iter()
        .filter_map(|phase| phase_lane(report, phase))
        .collect();
    let workers = worker_lanes(report);
    let bars = phases.iter().chain(&workers).flat_map(|lane| &lane.bars);
    let spans: Vec<Span> = bars.map(|bar| bar.span).collect();
    let Some(axis) = Axis::over(&spans, LEFT, WIDTH) else {
        return tag("p").text("Nothing was done yet, or all of it was undone.");
    };
    let picture = match report.slices.len() {
        ..=LISTED_MAX => picture(report, &axis, &phases, &workers),
        _ => picture(report, &axis, &phases, &coarse(&axis, workers)),
    };
    let legend = match report.slices.iter().all(|slice| !slice.done) {
        true => tag("span").text("No slice was moved."),
        false => Markup::all(report.tables.iter().enumerate().map(|(index, table)| {
            let swatch = tag("span").class(format!("swatch {}", colour(index)));
            let swatch = swatch.with("aria-hidden", "true").text("");
            tag("span").holding(swatch.then(Markup::text(table.table.plain())))
        })),
    };
    tag("figure").lines([picture, tag("figcaption").holding(legend)])
}

/// Slices and steps are one phase's work; the copying of an earlier process is known by its slices alone.
fn phase_lane(report: &Report, phase: Phase) -> Option<Lane> {
    let own = report.steps.iter().filter(|step| step.phase == phase);
    let steps: Vec<Span> = own
        .filter_map(|step| span_of(step.started_at, step.finished_at))
        .collect();
    let mut spans = steps.clone();
    if phase == Phase::Stage || phase == copied_in(report) {
        let slices = report.slices.iter();
        let own =
            slices.filter(|slice| (slice.strategy == Strategy::Stage) == (phase == Phase::Stage));
        spans.extend(own.filter_map(slice_span));
    }
    if spans.is_empty() {
        return None;
    }
    let busy = merged(spans, 0.0);
    let spent_s = busy.iter().map(|span| span.seconds()).sum();
    let title = format!(
        "{}: {} in {}",
        phase.name(),
        count(steps.len(), "step"),
        spent(spent_s)
    );
    let bar = |span| Bar {
        span,
        class: "p".to_owned(),
        title: title.clone(),
    };
    Some(Lane {
        name: phase.name().to_owned(),
        bars: busy.into_iter().map(bar).collect(),
        spent: Some(spent_s),
    })
}

/// The phase in which slices are copied into the hypertable.
fn copied_in(report: &Report) -> Phase {
    match report.options.mode {
        Mode::Window => Phase::Copy,
        Mode::Backfill => Phase::Backfill,
    }
}

fn slice_span(slice: &SliceReport) -> Option<Span> {
    span_of(slice.started_at, slice.finished_at)
}

/// A lane for each worker. Slices whose worker was not recorded share lanes without overlapping.
fn worker_lanes(report: &Report) -> Vec<Lane> {
    let mut known: BTreeMap<u32, Vec<Bar>> = BTreeMap::new();
    let mut unknown: Vec<Vec<Bar>> = Vec::new();
    let mut slices: Vec<(Span, &SliceReport)> = report
        .slices
        .iter()
        .filter_map(|slice| Some((slice_span(slice)?, slice)))
        .collect();
    slices.sort_by_key(|(span, _)| span.from);
    for (span, slice) in slices {
        let bar = slice_bar(span, slice);
        match slice.worker {
            Some(worker) => known.entry(worker).or_default().push(bar),
            None => {
                let free = |lane: &&mut Vec<Bar>| {
                    let last = lane.last();
                    last.is_some_and(|last| last.span.to <= span.from)
                };
                match unknown.iter_mut().find(free) {
                    Some(lane) => lane.push(bar),
                    None => unknown.push(vec![bar]),
                }
            }
        }
    }
    let known = known
        .into_iter()
        .map(|(worker, bars)| (format!("worker {worker}"), bars));
    let unknown = unknown
        .into_iter()
        .map(|bars| ("worker unknown".to_owned(), bars));
    let lane = |(name, bars)| Lane {
        name,
        bars,
        spent: None,
    };
    known.chain(unknown).map(lane).collect()
}

/// Neighbours of one table that are too short to be told apart are drawn as one: no more of them than there is room for.
fn coarse(axis: &Axis, lanes: Vec<Lane>) -> Vec<Lane> {
    let width = |span: Span| axis.place(span.to) - axis.place(span.from);
    let join = |bars: Vec<Bar>| {
        let mut joined: Vec<(Bar, usize)> = Vec::new();
        for bar in bars {
            match joined.last_mut() {
                Some((last, number))
                    if last.class == bar.class
                        && axis.place(bar.span.from) - axis.place(last.span.to) < BAR_WIDTH_MIN
                        && width(last.span).min(width(bar.span)) < BAR_WIDTH_MIN =>
                {
                    *number += 1;
                    last.span.to = last.span.to.max(bar.span.to);
                    last.title = format!("{} one after another", count(*number, "slice"));
                }
                _ => joined.push((bar, 1)),
            }
        }
        joined.into_iter().map(|(bar, _)| bar).collect()
    };
    let lane = |lane: Lane| Lane {
        bars: join(lane.bars),
        ..lane
    };
    lanes.into_iter().map(lane).collect()
}

fn slice_bar(span: Span, slice: &SliceReport) -> Bar {
    let rows = slice.rows.unwrap_or_default();
    let title = format!(
        "slice {}: {}, {} in {}",
        slice.slice,
        slice.leaf.plain(),
        count(rows, "row"),
        spent(span.seconds())
    );
    Bar {
        span,
        class: colour(slice.table),
        title,
    }
}

fn colour(table: usize) -> String {
    format!("t{}", table % COLOURS)
}

fn picture(report: &Report, axis: &Axis, phases: &[Lane], workers: &[Lane]) -> Markup {
    let lanes = crate::output::number::approximate((phases.len() + workers.len()) as u64);
    let gap = if workers.is_empty() { 0.0 } else { LANE * 0.6 };
    let bottom = HEAD + lanes * LANE + gap;
    let mut parts = vec![
        tag("title")
            .with("id", "timeline-title")
            .text(format!("Timeline of run {}", report.run)),
        tag("desc")
            .with("id", "timeline-desc")
            .text(description(report, axis, phases, workers)),
    ];
    let mut top = HEAD;
    let mut rows = Vec::new();
    for (number, lane) in phases.iter().chain(workers).enumerate() {
        if number == phases.len() {
            top += gap;
        }
        rows.push((top, lane));
        top += LANE;
    }
    for (top, lane) in &rows {
        parts.push(label(*top, &lane.name));
        parts.extend(axis.pieces.iter().map(|piece| background(piece, *top)));
    }
    for (number, piece) in axis.pieces.iter().enumerate() {
        parts.extend(scale(axis, number, piece, bottom));
    }
    for (top, lane) in &rows {
        parts.extend(lane.bars.iter().map(|bar| drawn(axis, bar, *top)));
        parts.extend(beside(axis, lane, *top));
    }
    tag("svg")
        .with("viewBox", format!("0 0 {WIDTH} {bottom}"))
        .with("role", "img")
        .with("aria-labelledby", "timeline-title timeline-desc")
        .lines(parts)
}

fn description(report: &Report, axis: &Axis, phases: &[Lane], workers: &[Lane]) -> String {
    let names: Vec<&str> = phases.iter().map(|lane| lane.name.as_str()).collect();
    let ends = (axis.pieces.first(), axis.pieces.last());
    let when = match ends {
        (Some(first), Some(last)) => {
            format!(
                "From {} to {}.",
                moment(first.span.from),
                moment(last.span.to)
            )
        }
        _ => String::new(),
    };
    let slices = report.slices.iter().filter(|slice| slice.done).count();
    let cuts = match axis.pieces.len() {
        0 | 1 => String::new(),
        more => format!(" Idle time is cut out in {}.", count(more - 1, "place")),
    };
    format!(
        "{when} Phases: {}. {} of {} by {}.{cuts} The tables of steps and slices hold the same times.",
        names.join(", "),
        count(slices, "slice"),
        grouped(report.slices.len() as u64),
        count(workers.len(), "worker"),
    )
}

/// One decimal is finer than a screen.
fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

fn write(left: f64, top: f64, class: &'static str, text: &str) -> Markup {
    let at = tag("text").with("x", number(left)).with("y", number(top));
    at.class(class).text(text)
}

fn label(top: f64, name: &str) -> Markup {
    write(LEFT - 10.0, top + BAR - 2.0, "e", name)
}

fn rectangle(left: f64, top: f64, width: f64) -> super::markup::Tag {
    tag("rect")
        .with("x", number(left))
        .with("y", number(top))
        .with("width", number(width))
        .with("height", number(BAR))
}

fn background(piece: &Piece, top: f64) -> Markup {
    rectangle(piece.left, top, piece.right - piece.left)
        .class("lane")
        .empty()
}

fn upright(left: f64, bottom: f64, class: &'static str) -> Markup {
    tag("line")
        .with("x1", number(left))
        .with("x2", number(left))
        .with("y1", HEAD - 6.0)
        .with("y2", bottom)
        .class(class)
        .empty()
}

/// When a piece begins, its ticks, and the cut before it.
fn scale(axis: &Axis, place: usize, piece: &Piece, bottom: f64) -> Vec<Markup> {
    let mut parts = Vec::new();
    let room = piece.right - piece.left;
    let begin = moment(piece.span.from);
    let text = match () {
        () if room >= BEGIN_ROOM.0 => begin.as_str(),
        () if room >= BEGIN_ROOM.1 => begin.get(11..19).unwrap_or_default(),
        () => "",
    };
    if !text.is_empty() {
        parts.push(write(piece.left, 12.0, "q", text));
    }
    if place > 0 {
        parts.push(upright(piece.left - 13.0, bottom, "cut"));
    }
    let mut free = piece.left;
    for (left, at_s) in axis.ticks(piece) {
        parts.push(upright(left, bottom, "tick"));
        if left - free >= TICK_ROOM && left + TICK_ROOM / 2.0 <= WIDTH {
            parts.push(write(left - 8.0, 28.0, "q", &tick_text(at_s)));
            free = left;
        }
    }
    parts
}

fn tick_text(at_s: f64) -> String {
    match at_s {
        ..1.0 => format!(
            "{} ms",
            grouped(Duration::from_secs_f64(at_s).as_millis() as u64)
        ),
        ..60.0 => format!("{} s", number(at_s)),
        _ => crate::output::number::clock(at_s),
    }
}

fn drawn(axis: &Axis, bar: &Bar, top: f64) -> Markup {
    let left = axis.place(bar.span.from);
    // A hair of background between neighbours.
    let width = (axis.place(bar.span.to) - left - 0.4).max(BAR_WIDTH_MIN);
    let left = left.min(WIDTH - BAR_WIDTH_MIN);
    rectangle(left, top, width)
        .class(&bar.class)
        .holding(tag("title").text(&bar.title))
}

/// How long a phase took, at the side of its bar that has room.
fn beside(axis: &Axis, lane: &Lane, top: f64) -> Option<Markup> {
    let text = spent(lane.spent?);
    let first = lane.bars.first()?;
    let last = lane.bars.last()?;
    let (left, right) = (axis.place(first.span.from), axis.place(last.span.to));
    let baseline = top + BAR - 2.5;
    if right + SPENT_ROOM <= WIDTH {
        Some(write(
            right.max(left + BAR_WIDTH_MIN) + 5.0,
            baseline,
            "q",
            &text,
        ))
    } else if left - SPENT_ROOM >= LEFT {
        Some(write(left - 5.0, baseline, "q e", &text))
    } else {
        None
    }
}
