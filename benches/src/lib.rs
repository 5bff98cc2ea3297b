//! Benchmarks of hyperhaul: criterion benches of the pure crates, and the end-to-end harness.
