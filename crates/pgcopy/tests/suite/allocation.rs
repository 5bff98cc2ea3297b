//! Counts what a thread allocates, so that tests can hold memory to a bound.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static LIVE_BYTES: Cell<isize> = const { Cell::new(0) };
    static PEAK_BYTES: Cell<isize> = const { Cell::new(0) };
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[expect(
    unsafe_code,
    reason = "the trait is unsafe; every call goes on to the system's allocator"
)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn count(bytes: isize) {
    let live = LIVE_BYTES.get() + bytes;
    LIVE_BYTES.set(live);
    PEAK_BYTES.set(PEAK_BYTES.get().max(live));
    ALLOCATIONS.set(ALLOCATIONS.get() + usize::from(bytes > 0));
}

/// What a piece of work allocated on this thread.
#[derive(Debug)]
pub(crate) struct Used {
    /// Most bytes held at once, beyond those held before.
    pub(crate) peak_bytes: usize,
    /// Bytes still held at the end, beyond those held before.
    pub(crate) held_bytes: isize,
    pub(crate) allocations: usize,
}

pub(crate) fn measure(work: impl FnOnce()) -> Used {
    let live_before = LIVE_BYTES.get();
    let allocations_before = ALLOCATIONS.get();
    PEAK_BYTES.set(live_before);
    work();
    Used {
        peak_bytes: usize::try_from(PEAK_BYTES.get() - live_before).unwrap(),
        held_bytes: LIVE_BYTES.get() - live_before,
        allocations: ALLOCATIONS.get() - allocations_before,
    }
}

#[test]
fn the_counter_sees_what_is_allocated() {
    let used = measure(|| drop(std::hint::black_box(vec![1_u8; 10_000])));
    assert_eq!(
        (used.peak_bytes, used.held_bytes, used.allocations),
        (10_000, 0, 1)
    );
}
