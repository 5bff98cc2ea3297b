//! Tests of `settings`: precedence and habits, in surroundings that are made up.
