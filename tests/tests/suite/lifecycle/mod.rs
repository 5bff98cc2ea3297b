//! Whole migrations by the command line, from `check` to `cleanup` and back: one file a subject.

mod bad_input;
mod catalog;
mod identifiers;
mod in_the_way;
mod inserting;
mod interrupting;
mod mistaken;
mod other_owner;
mod other_server;
mod plan;
mod report;
mod rollback;
mod soar;
mod verify;
