//! The table `fixes` as every way but hyperhaul makes it anew: columns, keys, indexes and foreign keys of the plan
//! that SOAR wrote for the migration by hand.

/// The columns that can be written: all 26 without the two generated ones.
pub(crate) const COLUMNS: &str = "\
id, source, aprs_type, via, \"timestamp\", latitude, longitude, altitude_msl_feet, flight_number, squawk, \
ground_speed_knots, track_degrees, climb_fpm, turn_rate_rot, flight_id, aircraft_id, received_at, is_active, \
altitude_agl_feet, receiver_id, raw_message_id, altitude_agl_valid, time_gap_seconds, source_metadata";

/// What stands between the parentheses of CREATE TABLE. Needs `public` in the search path, where PostGIS is.
pub(crate) const DEFINITION: &str = "
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    source character varying(9) NOT NULL,
    aprs_type character varying(9) NOT NULL,
    via text[] NOT NULL,
    \"timestamp\" timestamp with time zone NOT NULL,
    latitude double precision NOT NULL,
    longitude double precision NOT NULL,
    location geography(Point,4326) GENERATED ALWAYS AS (st_point(longitude, latitude)::geography) STORED,
    altitude_msl_feet integer,
    flight_number character varying(20),
    squawk character varying(4),
    ground_speed_knots real,
    track_degrees real CHECK (track_degrees >= 0 AND track_degrees < 360),
    climb_fpm integer,
    turn_rate_rot real,
    flight_id uuid,
    aircraft_id uuid NOT NULL,
    received_at timestamp with time zone NOT NULL,
    is_active boolean NOT NULL DEFAULT true,
    altitude_agl_feet integer,
    receiver_id uuid NOT NULL,
    raw_message_id uuid NOT NULL,
    altitude_agl_valid boolean NOT NULL DEFAULT false,
    location_geom geometry(Point,4326) GENERATED ALWAYS AS (st_setsrid(st_makepoint(longitude, latitude), 4326)) STORED,
    time_gap_seconds integer,
    source_metadata jsonb";

/// The plan's keys, indexes and foreign keys in its order. The index on `received_at` is missing: create_hypertable makes it before
/// the rows come. So is the foreign key to `raw_messages`: it cannot exist between two hypertables.
pub(crate) const KEYS_AND_INDEXES: [(&str, &str); 11] = [
    (
        "primary key",
        "ALTER TABLE fixes ADD PRIMARY KEY (id, received_at)",
    ),
    (
        "idx_fixes_aircraft_received_at",
        "CREATE INDEX idx_fixes_aircraft_received_at ON fixes (aircraft_id, received_at DESC)",
    ),
    (
        "idx_fixes_location",
        "CREATE INDEX idx_fixes_location ON fixes USING GIST (location)",
    ),
    (
        "idx_fixes_location_geom",
        "CREATE INDEX idx_fixes_location_geom ON fixes USING GIST (location_geom)",
    ),
    (
        "idx_fixes_source",
        "CREATE INDEX idx_fixes_source ON fixes (source)",
    ),
    (
        "idx_fixes_protocol",
        "CREATE INDEX idx_fixes_protocol ON fixes ((source_metadata ->> 'protocol')) WHERE source_metadata IS NOT NULL",
    ),
    (
        "idx_fixes_source_metadata",
        "CREATE INDEX idx_fixes_source_metadata ON fixes USING GIN (source_metadata)",
    ),
    (
        "idx_fixes_flight_id",
        "CREATE INDEX idx_fixes_flight_id ON fixes (flight_id)",
    ),
    (
        "fixes_aircraft_id_fkey",
        "ALTER TABLE fixes ADD CONSTRAINT fixes_aircraft_id_fkey \
         FOREIGN KEY (aircraft_id) REFERENCES public.aircraft (id) ON DELETE SET NULL",
    ),
    (
        "fixes_flight_id_fkey",
        "ALTER TABLE fixes ADD CONSTRAINT fixes_flight_id_fkey \
         FOREIGN KEY (flight_id) REFERENCES public.flights (id) ON DELETE RESTRICT",
    ),
    (
        "fixes_receiver_id_fkey",
        "ALTER TABLE fixes ADD CONSTRAINT fixes_receiver_id_fkey \
         FOREIGN KEY (receiver_id) REFERENCES public.receivers (id) ON DELETE SET NULL",
    ),
];
