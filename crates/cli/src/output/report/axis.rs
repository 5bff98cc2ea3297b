//! The timeline's axis: moments to places. What is idle for long is cut out, so that a run which stopped overnight stays readable.

use chrono::{DateTime, TimeDelta, Utc};

/// Room between two pieces of the axis.
const CUT_WIDTH: f64 = 26.0;
/// The least room for a piece.
const PIECE_WIDTH_MIN: f64 = 30.0;
/// Idle time shorter than this is never cut out.
const IDLE_S_MIN: f64 = 10.0;
/// Nor idle time shorter than this part of the busy time.
const IDLE_PART_MIN: f64 = 0.2;
/// At most so many cuts: the longest ones.
const CUTS_MAX: usize = 6;
/// About so many ticks over all.
const TICKS_MAX: f64 = 10.0;
/// Lengths between two ticks, seconds.
const TICKS_S: [f64; 24] = [
    0.001, 0.005, 0.01, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0,
    600.0, 1_200.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0, 28_800.0, 86_400.0,
];

/// A time that something took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) from: DateTime<Utc>,
    pub(super) to: DateTime<Utc>,
}

impl Span {
    pub(super) fn seconds(self) -> f64 {
        seconds(self.to - self.from)
    }
}

fn seconds(delta: TimeDelta) -> f64 {
    delta.as_seconds_f64().max(0.0)
}

/// A stretch of time that is drawn without a cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) span: Span,
    pub(super) left: f64,
    pub(super) right: f64,
}

impl Piece {
    fn place(&self, moment: DateTime<Utc>) -> f64 {
        let length = self.span.seconds().max(1e-6);
        let part = (seconds(moment - self.span.from) / length).min(1.0);
        self.left + (self.right - self.left) * part
    }
}

/// Where moments are drawn.
#[derive(Debug)]
pub(super) struct Axis {
    pub(super) pieces: Vec<Piece>,
    /// Seconds between two ticks.
    pub(super) tick_s: f64,
}

impl Axis {
    /// An axis from `left` to `right` over all of these; `None` if there are none.
    pub(super) fn over(spans: &[Span], left: f64, right: f64) -> Option<Axis> {
        let pieces = cut(merged(spans.to_vec(), 0.0));
        let total_s: f64 = pieces.iter().map(|span| span.seconds()).sum();
        if pieces.is_empty() {
            return None;
        }
        let count = crate::output::number::approximate(pieces.len() as u64);
        let room = right - left - CUT_WIDTH * (count - 1.0);
        let mut at = left;
        let place = |span: Span| {
            let part = span.seconds() / total_s.max(1e-6);
            let width = PIECE_WIDTH_MIN + (room - PIECE_WIDTH_MIN * count) * part;
            let only = count < 1.5;
            let piece = Piece {
                span,
                left: at,
                right: if only { right } else { at + width },
            };
            at += width + CUT_WIDTH;
            piece
        };
        let pieces = pieces.into_iter().map(place).collect();
        let fits = |tick_s: &&f64| total_s / **tick_s <= TICKS_MAX;
        let days = (total_s / TICKS_MAX / 86_400.0).ceil() * 86_400.0;
        let tick_s = TICKS_S.iter().find(fits).copied().unwrap_or(days);
        Some(Axis { pieces, tick_s })
    }

    /// The place of a moment; one that was cut out is at the cut.
    pub(super) fn place(&self, moment: DateTime<Utc>) -> f64 {
        let mut pieces = self.pieces.iter();
        let within = pieces.find(|piece| moment <= piece.span.to);
        let piece = within.or(self.pieces.last());
        piece.map_or(0.0, |piece| piece.place(moment))
    }

    /// Places of a piece's ticks, with their seconds from its beginning.
    pub(super) fn ticks(&self, piece: &Piece) -> Vec<(f64, f64)> {
        let mut ticks = Vec::new();
        let mut at_s = self.tick_s;
        let scale = (piece.right - piece.left) / piece.span.seconds().max(1e-6);
        while at_s <= piece.span.seconds() {
            ticks.push((piece.left + at_s * scale, at_s));
            at_s += self.tick_s;
        }
        ticks
    }
}

/// Spans that overlap, or are less than `near_s` apart, become one.
pub(super) fn merged(mut spans: Vec<Span>, near_s: f64) -> Vec<Span> {
    spans.sort_by_key(|span| span.from);
    let mut merged: Vec<Span> = Vec::new();
    for span in spans {
        match merged.last_mut() {
            Some(last) if seconds(span.from - last.to) <= near_s => last.to = last.to.max(span.to),
            _ => merged.push(span),
        }
    }
    merged
}

/// What is left where long idle times are cut out.
fn cut(busy: Vec<Span>) -> Vec<Span> {
    let busy_s: f64 = busy.iter().map(|span| span.seconds()).sum();
    let idle_min_s = IDLE_S_MIN.max(busy_s * IDLE_PART_MIN);
    let between = busy.windows(2).filter_map(|two| match two {
        [one, next] => Some(seconds(next.from - one.to)),
        _ => None,
    });
    let mut idle: Vec<f64> = between.filter(|length_s| *length_s > idle_min_s).collect();
    idle.sort_by(|one, other| other.total_cmp(one));
    let near_s = idle.get(CUTS_MAX).copied().unwrap_or(idle_min_s);
    merged(busy, near_s)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_765_411_200 + second, 0).unwrap()
    }

    fn span(from: i64, to: i64) -> Span {
        Span {
            from: at(from),
            to: at(to),
        }
    }

    #[test]
    fn a_run_without_a_break_fills_the_axis() {
        let axis = Axis::over(&[span(0, 10), span(12, 40)], 100.0, 500.0).unwrap();
        assert_eq!(axis.pieces.len(), 1);
        assert_eq!(
            (axis.place(at(0)), axis.place(at(20)), axis.place(at(40))),
            (100.0, 300.0, 500.0)
        );
        assert_eq!(axis.tick_s, 5.0);
        assert_eq!(axis.ticks(&axis.pieces[0]).len(), 8);
    }

    #[test]
    fn a_night_in_between_is_cut_out() {
        let axis = Axis::over(&[span(0, 30), span(40_000, 40_030)], 0.0, 526.0).unwrap();
        let ends: Vec<(f64, f64)> = axis
            .pieces
            .iter()
            .map(|piece| (piece.left, piece.right))
            .collect();
        assert_eq!(ends, [(0.0, 250.0), (276.0, 526.0)]);
        assert_eq!(axis.place(at(40_000)), 276.0);
    }

    #[test]
    fn of_many_breaks_the_longest_are_cut_out() {
        let spans: Vec<Span> = (0..20)
            .map(|number| span(number * (1_000 + number), number * (1_000 + number) + 1))
            .collect();
        let axis = Axis::over(&spans, 0.0, 1_000.0).unwrap();
        assert_eq!(axis.pieces.len(), CUTS_MAX + 1);
        assert!(
            axis.pieces
                .iter()
                .all(|piece| piece.right - piece.left >= PIECE_WIDTH_MIN)
        );
        assert!((axis.pieces.last().unwrap().right - 1_000.0).abs() < 1e-6);
    }

    #[test]
    fn nothing_has_no_axis_and_a_moment_has_one() {
        assert!(Axis::over(&[], 0.0, 100.0).is_none());
        let axis = Axis::over(&[span(5, 5)], 0.0, 100.0).unwrap();
        assert_eq!(axis.place(at(5)), 0.0);
        assert!(axis.ticks(&axis.pieces[0]).is_empty());
    }
}
