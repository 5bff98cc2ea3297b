//! Mappings as people write them, and what is said about those that make no sense.
#![allow(clippy::expect_used)]

use super::{Mapping, MappingError, fill_from_profile, profile_names};
use crate::testing::{TEXT, decode, decoder, float8, mapping, record};
use crate::{ColumnKind, TargetColumn};
use serde::Deserialize;

fn esp() -> Vec<TargetColumn> {
    let measures = [
        "flow_rate",
        "pip",
        "motor_current",
        "motor_temp",
        "vibration",
        "vsd_frequency",
    ];
    let mut columns = vec![
        TargetColumn::needed("id", ColumnKind::Int4).with_default(),
        TargetColumn::needed(
            "well_id",
            ColumnKind::Text {
                chars_max: Some(50),
            },
        ),
        TargetColumn::needed("timestamp", ColumnKind::Timestamptz).with_default(),
        TargetColumn::new("created_at", ColumnKind::Timestamptz).with_default(),
    ];
    columns.extend(measures.map(|name| TargetColumn::new(name, ColumnKind::Float8)));
    columns
}

fn message(result: Result<Box<dyn crate::Decoder>, MappingError>) -> String {
    match result {
        Ok(_) => "no error".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_profile_is_a_mapping_but_for_what_is_not_decoding() {
    for name in profile_names() {
        let stream = format!("profile = \"{name}\"").parse().expect("it is TOML");
        let mut stream = fill_from_profile(stream).expect("there is the profile");
        let mapping = Mapping::take(&mut stream).expect("the profile is a mapping");
        // The times of packets are held to limits of their own.
        let has_limits = mapping.time.is_some() || mapping.aprs.is_some();
        assert!(has_limits, "{name}");
        let left: Vec<&str> = stream.keys().map(String::as_str).collect();
        assert!(left.iter().all(|key| *key == "key"), "{name}: {left:?}");
    }
}

#[test]
fn what_the_stream_says_stands_over_its_profile() {
    let mapping = mapping(
        "profile = \"esp-telemetry\"
        table = \"plant.telemetry\"
        time = { column = \"timestamp\", future_max = \"1 day\" }
        [[column]]
        name = \"motor_temp\"
        from = \"temp\"
        unit = { from = \"degF\", to = \"degC\" }
        max = 150
        [[column]]
        name = \"site\"",
    )
    .expect("the mapping is one");
    assert_eq!(mapping.table, "plant.telemetry");
    let time = mapping.time.as_ref().expect("it has a time");
    assert_eq!(time.future_max.us(), 86_400_000_000);
    assert_eq!(time.past_max.us(), 315_576_000_000_000);
    let named = |name: &'static str| {
        mapping
            .column
            .iter()
            .filter(move |column| column.name == name)
    };
    assert_eq!(named("motor_temp").count(), 1);
    let temp = named("motor_temp").next().expect("it is there");
    assert_eq!(
        (temp.from.as_deref(), temp.min, temp.max),
        (Some("temp"), Some(-50.0), Some(150.0))
    );
    assert_eq!(named("site").count(), 1);
    assert_eq!(named("pip").count(), 1);
}

#[test]
fn a_conversion_of_the_stream_takes_the_place_of_any_other() {
    let toml = "
        profile = \"esp-telemetry\"
        [[column]]
        name = \"motor_temp\"
        unit = { from = \"degF\", to = \"degC\" }";
    let decoder = decoder(toml, &esp()).expect("the profile fits");
    let target = &decoder.targets()[0];
    let place = target.columns.iter().position(|name| name == "motor_temp");
    let payload = br#"{"well_id": "W", "timestamp": "2025-12-11T10:00:00Z", "motor_temp": 212}"#;
    let row = decode(&*decoder, &record(payload)).expect("212 degF are plausible");
    assert_eq!(row[place.expect("it is mapped")], float8(100.0));
}

#[test]
fn unknown_words_are_errors() {
    for (toml, expected) in [
        ("profile = \"esp\"", "there is no profile \"esp\""),
        ("decoder = \"ndjson\"", "missing field `table`"),
        (
            "table = \"t\"\ndecoder = \"xml\"",
            "unknown variant `xml`, expected one of `ndjson`, `csv`, `aprs`",
        ),
    ] {
        let error = mapping(toml).expect_err(toml);
        assert_eq!(error.to_string(), expected, "{toml}");
    }
    let misspelt = "table = \"t\"\ndecoder = \"csv\"\n[[column]]\nname = \"a\"\nform = \"b\"";
    let error = mapping(misspelt).expect_err("form is no word").to_string();
    assert!(error.starts_with("unknown field `form`"), "{error}");
    let span = "table = \"t\"\ndecoder = \"csv\"\ntime = { column = \"a\", past_max = \"10\" }";
    let error = mapping(span).expect_err("10 has no unit").to_string();
    assert!(error.contains("a span of time like 100 ms"), "{error}");
}

#[test]
fn no_part_of_a_mapping_is_left_in_the_stream() {
    let other = "other = 1".parse().expect("it is TOML");
    let error = Mapping::deserialize(toml::Value::Table(other)).expect_err("there is no other");
    let expected = error.message().split('`').skip(3).step_by(2);
    assert_eq!(expected.collect::<Vec<_>>(), super::PARTS);
}

#[test]
fn words_of_others_are_left_in_the_stream() {
    let toml = "name = \"esp\"\ntable = \"t\"\ndecoder = \"csv\"\nkey = [\"a\"]";
    let mut stream = toml.parse().expect("it is TOML");
    assert!(Mapping::take(&mut stream).is_ok());
    assert_eq!(stream.keys().collect::<Vec<_>>(), ["key", "name"]);
}

#[test]
fn columns_that_do_not_fit_are_errors_before_the_first_record() {
    let columns = [
        TargetColumn::needed("at", ColumnKind::Timestamptz),
        TargetColumn::new("flow", ColumnKind::Float8),
        TargetColumn::new("well", TEXT),
        TargetColumn::needed("pip", ColumnKind::Float8),
        TargetColumn::new("receiver_id", ColumnKind::Uuid),
    ];
    let of = "column \"flow\" of t";
    for (lines, expected) in [
        (
            "name = \"gor\"",
            "column \"gor\" of t is not there, or cannot be written".into(),
        ),
        (
            "name = \"flow\"\n[[column]]\nname = \"flow\"",
            format!("{of} is mapped twice"),
        ),
        (
            "name = \"flow\"\nunit = { from = \"psig\", to = \"bar\" }",
            format!("{of} has a unit: there is no unit \"psig\""),
        ),
        (
            "name = \"flow\"\nunit = { from = \"psi\", to = \"A\" }",
            format!("{of} has a unit: unit \"psi\" cannot be converted to \"A\""),
        ),
        (
            "name = \"flow\"\nscale = 2\nunit = { from = \"psi\", to = \"bar\" }",
            format!("{of} has a unit and a scale or offset: one of them"),
        ),
        (
            "name = \"flow\"\nscale = 0",
            format!("{of} has a scale or offset that makes no number"),
        ),
        (
            "name = \"flow\"\nmin = 2\nmax = 1",
            format!("{of} has min = 2 and max = 1: nothing is between them"),
        ),
        ("name = \"flow\"\nmin = nan", format!("{of} has min = NaN")),
        (
            "name = \"flow\"\nimplausible = \"null\"",
            format!("{of} says what implausible numbers become, and has no min or max"),
        ),
        (
            "name = \"flow\"\ntime_format = \"unix-s\"",
            format!("{of} is of type double precision: a time_format is for times"),
        ),
        (
            "name = \"flow\"\ninfinity = true",
            format!("{of} is of type double precision: infinity"),
        ),
        (
            "name = \"flow\"\nfrom = \"$received_at\"",
            format!("{of} is of type double precision: $received_at is a time"),
        ),
        (
            "name = \"flow\"\nfrom = \"$now\"",
            format!("{of} has from = \"$now\": what begins with $"),
        ),
        (
            "name = \"flow\"\nfrom = \"\"",
            format!("{of} has an empty from"),
        ),
        (
            "name = \"well\"\nmin = 1",
            "column \"well\" of t is of type text: min or max is for measured numbers".into(),
        ),
        (
            "name = \"pip\"\nmin = 1\nimplausible = \"null\"",
            "column \"pip\" of t must have a value: implausible numbers cannot become NULL".into(),
        ),
        (
            "name = \"flow\"\nlookup = { table = \"r\", id = \"id\", key = [\"a\"] }",
            format!("{of} is of type double precision: a lookup gives uuid"),
        ),
        (
            "name = \"receiver_id\"\nlookup = { table = \"r\", id = \"id\", key = [] }",
            "column \"receiver_id\" of t has a lookup without a key".into(),
        ),
        (
            "name = \"receiver_id\"\nfrom = \"x\"\nlookup = { table = \"r\", id = \"id\", key = [\"a\", \"b\"] }",
            "column \"receiver_id\" of t has a from and a lookup by several values".into(),
        ),
        (
            "name = \"receiver_id\"\nlookup = { table = \"r\", id = \"id\", key = [\"a\"], extra = { a = \"b\" } }",
            "column \"receiver_id\" of t has \"a\" in the key and the extra of its lookup".into(),
        ),
    ] {
        let toml = format!("table = \"t\"\ndecoder = \"ndjson\"\n[[column]]\n{lines}");
        let message = message(decoder(&toml, &columns));
        assert!(message.starts_with(&expected), "{lines}: {message}");
    }
}

#[test]
fn columns_that_must_have_a_value_are_mapped() {
    let columns = [
        TargetColumn::needed("at", ColumnKind::Timestamptz),
        TargetColumn::needed("well", TEXT),
        TargetColumn::new("flow", ColumnKind::Float8),
        TargetColumn::needed("id", ColumnKind::Int8).with_default(),
    ];
    let stream = |more: &str| format!("table = \"t\"\ndecoder = \"ndjson\"\n{more}");
    let flow = stream("[[column]]\nname = \"flow\"");
    let expected = "at, well of t must have a value, and is not mapped";
    assert_eq!(message(decoder(&flow, &columns)), expected);
    let none = message(decoder(&stream(""), &columns));
    assert_eq!(none, "0 columns of t are mapped");
    let all = stream("columns = \"all\"\n[[column]]\nname = \"flow\"\nfrom = \"q\"");
    let decoder = decoder(&all, &columns).expect("all are mapped");
    assert_eq!(decoder.targets()[0].columns, ["flow", "at", "well"]);
}

#[test]
fn a_table_may_lack_optional_columns() {
    let esp_decoder = decoder("profile = \"esp-telemetry\"", &esp()).expect("the profile fits");
    assert!(!esp_decoder.targets()[0].columns.contains(&"gor".to_owned()));
    let lacking: Vec<_> = esp()
        .into_iter()
        .filter(|column| column.name != "pip")
        .collect();
    let message = message(decoder("profile = \"esp-telemetry\"", &lacking));
    assert!(message.starts_with("column \"pip\" of public.esp_telemetry is not there"));
}

#[test]
fn the_time_of_the_rows_is_a_time() {
    let columns = [
        TargetColumn::new("at", ColumnKind::Timestamptz),
        TargetColumn::new("flow", ColumnKind::Float8),
    ];
    for (time, expected) in [
        (
            "flow",
            "column \"flow\" of t is of type double precision: it is no time",
        ),
        (
            "ts",
            "column \"ts\" of t is not there, or cannot be written",
        ),
    ] {
        let toml = format!("table = \"t\"\ndecoder = \"ndjson\"\ntime = {{ column = \"{time}\" }}");
        assert_eq!(message(decoder(&toml, &columns)), expected);
    }
    let toml = "table = \"t\"\ndecoder = \"ndjson\"\ntime = { column = \"at\" }";
    let decoder = decoder(toml, &columns).expect("the time is mapped by its name");
    assert_eq!(decoder.targets()[0].columns, ["at"]);
}

#[test]
fn choices_that_do_not_fit_are_errors() {
    let columns = [
        TargetColumn::needed("at", ColumnKind::Timestamptz),
        TargetColumn::new("def_id", ColumnKind::Uuid),
        TargetColumn::new("number", ColumnKind::Float8),
        TargetColumn::needed("note", TEXT),
    ];
    let choice = |lookup: &str, columns: &str| {
        format!(
            "table = \"t\"\ndecoder = \"ndjson\"\n[[column]]\nname = \"at\"\n[[column]]\nname = \"def_id\"\n\
             lookup = {{ table = \"d\", id = \"id\", key = [\"k\"] }}\n\
             [choice]\nfrom = \"v\"\nlookup = \"{lookup}\"\nreturned = \"type\"\ncolumns = {{ {columns} }}"
        )
    };
    for (toml, expected) in [
        (
            choice("at", "A = \"number\""),
            "column \"at\" of t has no lookup",
        ),
        (
            choice("def_id", "A = \"x\""),
            "column \"x\" of t is not there",
        ),
        (
            choice("def_id", "A = \"at\""),
            "column \"at\" of t is mapped twice",
        ),
        (
            choice("def_id", "A = \"number\", B = \"number\""),
            "column \"number\" of t is mapped twice",
        ),
        (
            choice("def_id", "A = \"note\""),
            "column \"note\" of t must have a value",
        ),
    ] {
        let message = message(decoder(&toml, &columns));
        assert!(message.starts_with(expected), "{message}");
    }
}

#[test]
fn errors_say_what_to_do() {
    let error = mapping("profile = \"esp\"").expect_err("there is none");
    let expected = "Profiles are esp-telemetry, diagnostic-results, fixes, metric-hist.";
    assert_eq!(error.hint_text(), Some(expected));
}

#[test]
fn packets_have_tables_and_nothing_else_to_be_mapped() {
    let fixes =
        mapping("profile = \"fixes\"\ntable = \"live.fixes\"\n[aprs]\nraw_messages = \"live.raw\"");
    let fixes = fixes.expect("it is a mapping");
    assert_eq!(fixes.tables(), ["live.raw", "live.fixes"]);
    let columns = crate::AprsDecoder::columns();
    let decoder = fixes.decoder(&columns).expect("the tables fit");
    let targets = decoder.targets().iter().map(|target| target.table.as_str());
    assert_eq!(targets.collect::<Vec<_>>(), ["live.raw", "live.fixes"]);
    let refused = message(fixes.decoder(&[Vec::new(), Vec::new()]));
    assert!(
        refused.contains("live.raw has no column \"id\""),
        "{refused}"
    );
    for (more, part) in [
        ("columns = \"all\"", "columns"),
        ("time = { column = \"timestamp\" }", "time"),
        ("[[column]]\nname = \"squawk\"", "column"),
        ("[csv]\ndelimiter = \";\"", "csv"),
    ] {
        let refused = mapping(&format!("profile = \"fixes\"\n{more}")).map(|_| ());
        let refused = refused.expect_err(more).to_string();
        assert!(
            refused.starts_with(&format!("\"{part}\" means nothing")),
            "{refused}"
        );
    }
    let other = "table = \"t\"\ndecoder = \"ndjson\"\n[aprs]\n";
    let refused = mapping(other).map(|_| ()).expect_err(other);
    assert_eq!(
        refused.hint_text(),
        Some("It belongs to streams with decoder = \"aprs\".")
    );
}
