//! Whole migrations by the command line, from `check` to `cleanup` and back: one file a subject.

mod bad_input;
mod catalog;
mod identifiers;
mod inserting;
mod interrupting;
mod other_server;
mod plan;
mod rollback;
mod soar;
mod verify;
