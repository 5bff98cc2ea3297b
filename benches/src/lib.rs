//! Benchmarks of hyperhaul.
//!
//! `benches/` holds criterion benches of the pure crates (`cargo bench -p hyperhaul-benches`). The binary `migrate`, under `src/bin/migrate`,
//! compares whole migrations on a real server; `scripts/bench` runs it. Nothing is in this library: it is where a reader begins.
