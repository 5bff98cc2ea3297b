//! The binary `hyperhaul`.
fn main() {}
