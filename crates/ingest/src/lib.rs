//! Live rows into hypertables: sources, and what becomes of what they take in.

pub mod source;
