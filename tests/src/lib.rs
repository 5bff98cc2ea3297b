//! End-to-end and fault tests of hyperhaul against real servers; the tests are in `tests/`.
