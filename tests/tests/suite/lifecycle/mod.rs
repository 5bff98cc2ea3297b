//! Whole migrations by the command line, from `check` to `cleanup` and back: one file a subject.

mod plan;
