//! Sources of live rows against servers that behave, and misbehave, as real ones do.

mod aprs_outages;
mod aprs_packets;
mod aprs_rows;
mod aprs_sink;
mod aprs_tables;
