//! The router, against a search through all ranges.

use hyperhaul_pgcopy::Router;
use proptest::prelude::*;

#[test]
fn ranges_are_half_open_and_may_leave_gaps() {
    let mut router = Router::new(vec![(i64::MIN, 0), (0, 10), (20, 30), (30, i64::MAX)]).unwrap();
    for (time_us, expected) in [
        (i64::MIN, Some(0)),
        (-1, Some(0)),
        (0, Some(1)),
        (9, Some(1)),
        (10, None),
        (19, None),
        (20, Some(2)),
        (29, Some(2)),
        (30, Some(3)),
        (i64::MAX - 1, Some(3)),
        (i64::MAX, None),
        (5, Some(1)),
    ] {
        assert_eq!(router.route(time_us), expected, "{time_us}");
    }
}

#[test]
fn a_router_without_ranges_routes_nothing() {
    assert_eq!(Router::new(Vec::new()).unwrap().route(0), None);
}

#[test]
fn ranges_out_of_order_are_refused() {
    for (ranges, message) in [
        (
            vec![(0, 0)],
            "range 0 is empty, out of order or overlaps its predecessor",
        ),
        (
            vec![(0, 10), (9, 20)],
            "range 1 is empty, out of order or overlaps its predecessor",
        ),
        (
            vec![(0, 5), (10, 20), (5, 10)],
            "range 2 is empty, out of order or overlaps its predecessor",
        ),
    ] {
        let error = Router::new(ranges).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(error.is_misuse());
    }
}

proptest! {
    #[test]
    fn routes_as_a_search_through_all_ranges_would(
        bounds in proptest::collection::btree_set(0_i64..200, 0..40),
        times in proptest::collection::vec(-5_i64..205, 0..60),
    ) {
        // Every other pair of bounds is a range, some of them adjoining, some with a gap between
        // them.
        let bounds: Vec<i64> = bounds.into_iter().collect();
        let ranges: Vec<(i64, i64)> = bounds
            .windows(2)
            .enumerate()
            .filter(|(index, _)| index % 3 != 0)
            .map(|(_, pair)| (pair[0], pair[1]))
            .collect();
        let mut router = Router::new(ranges.clone()).unwrap();
        for time_us in times {
            let expected = ranges.iter().position(|&(start, end)| (start..end).contains(&time_us));
            prop_assert_eq!(router.route(time_us), expected);
        }
    }
}
