//! Estimates of time and disk, made from sizes alone.

use crate::Phase;
use serde::{Deserialize, Serialize};

/// What the run will take.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Time per phase, in order.
    pub phases: Vec<PhaseEstimate>,
    /// Bytes that the target's disk must hold in addition at the peak: heap, TOAST, indexes, WAL.
    pub disk_bytes: u64,
    /// Of those, heap and TOAST.
    pub heap_bytes: u64,
    /// Of those, indexes, with the space that their builds sort in.
    pub index_bytes: u64,
    /// Of those, WAL that piles up between checkpoints.
    pub wal_bytes: u64,
}

/// Time of one phase.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseEstimate {
    /// The phase.
    pub phase: Phase,
    /// Seconds, estimated from sizes and from rates measured on two cores.
    pub seconds: f64,
}

impl Estimate {
    /// Seconds of all phases.
    pub fn seconds(&self) -> f64 {
        self.phases.iter().map(|phase| phase.seconds).sum()
    }
}
