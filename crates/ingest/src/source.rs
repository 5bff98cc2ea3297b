//! Where records come from. Each source is a module of its own; none knows tables.

pub mod aprs;
