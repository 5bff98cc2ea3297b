//! What a session and its connection share while COPY data are diverted: the batch being filled, the one that waits to be taken,
//! and who waits for whom. Where the data come from is `tap`'s business.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};

/// Bytes of COPY data that are handed over together.
pub const COPY_BATCH_BYTES: usize = 256 * 1024;

/// Batches whose memory is taken back when nobody uses them any more. More than are ever under way at once.
const LENT_MAX: usize = 16;

/// What a session and its connection share.
#[derive(Debug, Clone)]
pub(crate) struct Tap(Arc<Mutex<State>>);

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) phase: Phase,
    /// Being filled.
    batch: BytesMut,
    /// Waits to be taken.
    ready: Option<Bytes>,
    /// Our own references to batches handed out: unique again when whoever took them is done.
    lent: VecDeque<Bytes>,
    /// The connection, while it waits for `ready` to be taken.
    pub(crate) wants_room: Option<Waker>,
    /// The taker, while it waits for `ready`.
    wants_batch: Option<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Everything passes.
    Idle,
    /// A COPY was asked for; its data come after the next CopyOutResponse.
    Armed,
    /// CopyData are diverted.
    Diverting,
    /// A diverted COPY was given up, and its data may still come: everything passes, for good.
    Broken,
}

impl Tap {
    pub(crate) fn new() -> Tap {
        Tap(Arc::new(Mutex::new(State {
            phase: Phase::Idle,
            batch: BytesMut::new(),
            ready: None,
            lent: VecDeque::new(),
            wants_room: None,
            wants_batch: None,
        })))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Diverts the data of the COPY that is asked for next; none where an earlier one was given up.
    pub(crate) fn arm(&self) -> Option<Diversion> {
        let mut state = self.state();
        if state.phase != Phase::Idle {
            return None;
        }
        state.phase = Phase::Armed;
        Some(Diversion(self.clone()))
    }
}

/// The data of one COPY on their way past the library. Dropped before [`Diversion::end`], it was given up.
#[derive(Debug)]
pub(crate) struct Diversion(Tap);

impl Diversion {
    /// The next batch, when there is one.
    pub(crate) fn poll_batch(&self, context: &mut Context<'_>) -> Poll<Bytes> {
        let mut state = self.0.state();
        match state.ready.take() {
            Some(batch) => {
                wake(&mut state.wants_room);
                Poll::Ready(batch)
            }
            None => {
                state.wants_batch = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// The library has seen the end of the COPY: returns the last batch, if it was not taken.
    pub(crate) fn end(self) -> Option<Bytes> {
        let mut state = self.0.state();
        state.phase = Phase::Idle;
        state.ready.take()
    }
}

impl Drop for Diversion {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if state.phase != Phase::Idle {
            state.phase = Phase::Broken;
            state.ready = None;
        }
        state.batch = BytesMut::new();
        state.lent.clear();
        wake(&mut state.wants_room);
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

impl State {
    /// Appends as much as the batch has room for; returns how much that was.
    pub(crate) fn gather(&mut self, bytes: &[u8]) -> usize {
        if self.batch.capacity() == 0 {
            self.batch = self.empty_batch();
        }
        let room_bytes = COPY_BATCH_BYTES.saturating_sub(self.batch.len());
        let taken = bytes.get(..room_bytes).unwrap_or(bytes);
        self.batch.extend_from_slice(taken);
        taken.len()
    }

    /// A batch that came back, or a new one.
    fn empty_batch(&mut self) -> BytesMut {
        if self.lent.front().is_some_and(Bytes::is_unique)
            && let Some(Ok(mut batch)) = self.lent.pop_front().map(Bytes::try_into_mut)
        {
            batch.clear();
            if batch.capacity() >= COPY_BATCH_BYTES {
                return batch;
            }
        }
        BytesMut::with_capacity(COPY_BATCH_BYTES)
    }

    /// Moves what was gathered to `ready`; false while something is there.
    pub(crate) fn hand_over(&mut self) -> bool {
        if self.batch.is_empty() {
            return true;
        }
        if self.ready.is_some() {
            return false;
        }
        let batch = std::mem::take(&mut self.batch).freeze();
        if self.lent.len() == LENT_MAX {
            self.lent.pop_front();
        }
        self.lent.push_back(batch.clone());
        self.ready = Some(batch);
        wake(&mut self.wants_batch);
        true
    }
}
