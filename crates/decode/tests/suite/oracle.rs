//! What PostgreSQL makes of a text, against what it gives back for the tuple that we made of the same text.

use crate::server::Database;
use crate::values::{decoder, kinds, record};
use hyperhaul_decode::{ColumnKind, Reason, Rows, TargetColumn};
use hyperhaul_pgcopy::Numeric;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

/// Random texts for each kind of value.
const SAMPLES: usize = 400;

/// What storing a text gives, or the SQLSTATE.
const ASKED: &str = "
    CREATE TYPE message_source AS ENUM ('ogn', 'beast', 'sbs');
    CREATE FUNCTION asked(value text) RETURNS text LANGUAGE plpgsql AS $$
    DECLARE result text;
    BEGIN
        EXECUTE format('INSERT INTO own (v) VALUES (%L) RETURNING v::text', value) INTO result;
        RETURN result;
    EXCEPTION WHEN OTHERS THEN
        RETURN 'SQLSTATE ' || SQLSTATE;
    END $$";

struct Oracle {
    database: Database,
}

impl Oracle {
    async fn new() -> Oracle {
        let database = Database::new(ASKED).await;
        let set = "SET timezone = 'UTC'; SET datestyle = 'ISO'; SET bytea_output = 'hex'";
        database.run(set).await;
        Oracle { database }
    }

    /// An empty table with a column `v`.
    async fn table(&self, name: &str, type_name: &str) {
        let sql = format!(
            "DROP TABLE IF EXISTS {name}; CREATE TABLE {name} (id bigserial, v {type_name})"
        );
        self.database.run(&sql).await;
    }

    /// What the server makes of each text.
    async fn ask(&self, type_name: &str, texts: &[String]) -> Vec<String> {
        self.table("own", type_name).await;
        let sql = "SELECT asked(value) FROM unnest($1::text[]) WITH ORDINALITY AS t (value, place) ORDER BY place";
        let rows = self.database.query(sql, &[&texts]).await;
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// What the server gives back for tuples that were copied in.
    async fn stored(&self, type_name: &str, rows: &mut Rows) -> Vec<Option<String>> {
        self.table("copied", type_name).await;
        self.database.copy("copied (v)", rows).await;
        let sql = "SELECT v::text FROM copied ORDER BY id";
        let rows = self.database.query(sql, &[]).await;
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Compares each text: what we take, the server takes with the same value; what we refuse, it refuses, unless it is stricter
    /// on purpose.
    async fn compare(&self, type_name: &str, kind: ColumnKind, texts: &[String]) {
        let mut texts: Vec<String> = texts
            .iter()
            .filter(|text| !text.contains('\0'))
            .cloned()
            .collect();
        texts.sort();
        texts.dedup();
        let toml = "table = \"t\"\ndecoder = \"csv\"\n[csv]\nheader = [\"v\"]\n[[column]]\nname = \"v\"\ninfinity = true";
        let is_time = kind.is_time();
        let toml = if is_time {
            toml
        } else {
            toml.trim_end_matches("infinity = true")
        };
        let decoder = decoder(toml, &[TargetColumn::new("v", kind.clone())]);
        let mut rows = decoder.empty_rows();
        let mut ours = Vec::new();
        for text in &texts {
            let line = format!("\"{}\"", text.replace('"', "\"\""));
            ours.push(decoder.decode(&record(line.as_bytes(), 0), &mut rows));
        }
        let asked = self.ask(type_name, &texts).await;
        let mut stored = self.stored(type_name, &mut rows[0]).await.into_iter();
        let mut taken = 0;
        for ((text, ours), asked) in texts.iter().zip(ours).zip(&asked) {
            match ours {
                Ok(()) => {
                    taken += 1;
                    let stored = stored.next().expect("there is a row for it");
                    let is_wider = is_wider_on_purpose(&kind, text);
                    assert!(
                        is_wider || stored.as_ref() == Some(asked),
                        "{type_name} of {text:?}: stored {stored:?}, the server's own is {asked:?}"
                    );
                }
                Err(refusal) => {
                    let is_refused = asked.starts_with("SQLSTATE");
                    assert!(
                        is_refused || is_stricter_on_purpose(&kind, text, refusal.reason),
                        "{type_name} of {text:?}: refused ({}), the server makes it {asked:?}",
                        refusal.reason.code()
                    );
                }
            }
        }
        assert!(taken > 0, "{type_name}: no text was taken");
    }
}

/// Texts of which we make more than the server does.
fn is_wider_on_purpose(kind: &ColumnKind, text: &str) -> bool {
    let is_number = || text.trim().parse::<f64>().is_ok();
    match kind {
        // 12.0 is 12, and 3e2 is 300.
        ColumnKind::Int2 | ColumnKind::Int4 | ColumnKind::Int8 => text.contains(['.', 'e', 'E']),
        // A number is seconds since 1970.
        kind if kind.is_time() => is_number(),
        _ => false,
    }
}

/// Texts that the server takes for values, and we do not.
fn is_stricter_on_purpose(kind: &ColumnKind, text: &str, reason: Reason) -> bool {
    match kind {
        // Hexadecimal, octal, binary, and underscores between digits.
        kind if kind.is_number() => text.contains(['_', 'x', 'X', 'o', 'O', 'b', 'B']),
        // Formats and words that depend on settings, on the clock or on who reads them.
        kind if kind.is_time() => matches!(reason, Reason::BadTime),
        _ => false,
    }
}

fn samples(pattern: &'static str) -> Vec<String> {
    let mut runner = TestRunner::deterministic();
    (0..SAMPLES)
        .map(|_| {
            let tree = pattern.new_tree(&mut runner);
            tree.expect("the pattern is one").current()
        })
        .collect()
}

fn listed(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[tokio::test]
async fn numbers_are_what_the_server_makes_of_them() {
    let oracle = Oracle::new().await;
    let mut texts = listed(&[
        "0",
        "-0",
        "+1",
        " 42 ",
        "32767",
        "32768",
        "-32768",
        "2147483647",
        "2147483648",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "9007199254740993",
        "NaN",
        "nan",
        "Infinity",
        "-inf",
        "+infinity",
        "1e400",
        "-1e400",
        "1e-400",
        "5e-324",
        "1e-46",
        "1e39",
        "3.4028236e38",
        "0.1",
        ".5",
        "5.",
        ".",
        "",
        "1e",
        "e5",
        "1.2.3",
        "0x10",
        "1_000",
        "abc",
        "1 2",
        "123456789012345678901234567890.123456789",
        "0.000000000000000000001",
        "10000",
        "100000000",
        "1e131071",
        "1e131072",
        "1e-16383",
        "1e-16384",
        "0e999",
        "0.0000",
        "-0.00",
        "99999999999999999999",
        "1e10",
        "1.50e1",
    ]);
    texts.extend(samples("[-+]?[0-9]{1,6}"));
    texts.extend(samples(
        "[-+]?[0-9]{0,25}(\\.[0-9]{0,12})?([eE][-+]?[0-9]{1,3})?",
    ));
    for (name, kind) in kinds() {
        if kind.is_number() {
            oracle.compare(name, kind, &texts).await;
        }
    }
}

#[tokio::test]
async fn times_are_what_the_server_makes_of_them() {
    let oracle = Oracle::new().await;
    let mut texts = listed(&[
        "2025-12-11T10:00:00Z",
        "2025-12-11 10:00:00.123456+00",
        "2025-12-11t10:00:00z",
        "2025-12-11 10:00",
        "2025-12-11",
        "2025-12-11T10:00:00",
        "2025-12-11 10:00:00 +05:30",
        "2025-12-11T10:00:00+0530",
        "2025-12-11T10:00:00-08",
        "2025-12-11T10:00:00+05:30:15",
        "2025-12-11T10:00:00.1234565Z",
        "2025-12-11T10:00:00.9999995Z",
        "2025-12-11T10:00:00.999999999Z",
        "2025-12-11T10:00:00.0000005Z",
        "2016-12-31T23:59:60Z",
        "2016-12-31T23:59:60.5Z",
        "2016-12-31T23:59:61Z",
        "2025-12-11T24:00:00Z",
        "2025-12-11T24:00:01Z",
        "2025-12-11T23:60:00Z",
        "2024-02-29",
        "2025-02-29",
        "1900-02-29",
        "2000-02-29",
        "1970-01-01 00:00:00+00",
        "1969-12-31 23:59:59.999999+00",
        "0001-01-01 00:00:00+00",
        "0000-01-01",
        "10000-01-01 00:00:00+00",
        "294276-12-31 23:59:59.999999+00",
        "294277-01-01 00:00:00+00",
        "294277-01-01 10:59:59+11",
        "5874897-12-31",
        "5874898-01-01",
        "infinity",
        "-infinity",
        "Infinity",
        "now",
        "2025-12-11T10:00:00+15:59",
        "2025-12-11T10:00:00+16:00",
        "2025-13-01",
        "2025-00-01",
        "2025-01-00",
        "",
        "2025-12-11T10:00:00.Z",
        "2025-12-11 10:00:00 Europe/Berlin",
        "0044-03-15 BC",
    ]);
    texts.extend(samples("[12][0-9]{3}-[01][0-9]-[0-3][0-9]"));
    texts.extend(samples(
        "[12][0-9]{3}-(0[1-9]|1[0-2])-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,9})?(Z|[-+][01][0-9](:?[0-6][0-9])?)?",
    ));
    for (name, kind) in kinds() {
        if kind.is_time() {
            oracle.compare(name, kind, &texts).await;
        }
    }
}

#[tokio::test]
async fn other_values_are_what_the_server_makes_of_them() {
    let oracle = Oracle::new().await;
    let mut texts = listed(&[
        "",
        "t",
        "TRUE",
        " yes ",
        "o",
        "of",
        "on",
        "1",
        "0",
        "2",
        "abc",
        "abcde",
        "abcdef",
        "abcde  ",
        "äöüßé",
        "äöüßéx",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "{A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11}",
        "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
        "ogn",
        "OGN",
        "beast",
        "\\xdeadBEEF",
        "\\x de ad",
        "\\xabc",
        "\\xzz",
        "a\\\\b\\001",
        "a\\",
        "{\"a\": [1, 2.50, null]}",
        "[]",
        "{",
        "\"a\"",
        "nul",
        "null",
        "1e5",
        "\"\\u0000\"",
        "\"\\ud83d\\ude80\"",
        "\"\\ud83d\"",
        "\"\\ude80\"",
        "\"\\ud83dx\"",
        "01",
        "{\"a\": 1, \"a\": 2}",
        " [1] ",
        "[1,]",
        "1e131071",
        "1e131072",
        "[1e-20000]",
        "\"\t\"",
        "\"\\x\"",
    ]);
    texts.extend(samples("[a-zA-Z0-9 ]{0,8}"));
    texts.extend(samples(
        "\\{?[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\\}?",
    ));
    texts.extend(samples("(\\\\x)?[0-9a-f]{0,9}"));
    texts.extend(samples("\"(\\\\u[dD][89a-fA-F][0-9a-f]{2}|\\\\n|a){1,4}\""));
    for (name, kind) in kinds() {
        if !kind.is_number() && !kind.is_time() {
            oracle.compare(name, kind, &texts).await;
        }
    }
}

#[tokio::test]
async fn arrays_of_texts_are_stored_as_they_are() {
    let oracle = Oracle::new().await;
    let toml = "table = \"t\"\ndecoder = \"ndjson\"\ncolumns = \"all\"";
    let decoder = decoder(toml, &[TargetColumn::new("v", ColumnKind::TextArray)]);
    let mut rows = decoder.empty_rows();
    for array in [r#"["a", "b c", "\"{", 1.50]"#, "[]", r#"[""]"#] {
        let payload = format!("{{\"v\": {array}}}");
        let decoded = decoder.decode(&record(payload.as_bytes(), 0), &mut rows);
        assert_eq!(decoded, Ok(()), "{array}");
    }
    let stored = oracle.stored("text[]", &mut rows[0]).await;
    let expected = [r#"{a,"b c","\"{",1.50}"#, "{}", "{\"\"}"];
    assert_eq!(stored, expected.map(|text| Some(text.to_owned())));
}

/// But for the infinities: the scale that the server sends with those means nothing.
#[tokio::test]
async fn numerics_have_the_bytes_that_the_server_sends() {
    let database = Database::new("SELECT").await;
    let mut texts = listed(&[
        "0", "-0.00", "NaN", "1e131071", "1e-16383", "10000", "0.0001",
    ]);
    texts.extend(samples(
        "[-+]?[0-9]{1,25}(\\.[0-9]{1,12})?([eE][-+]?[0-9]{1,2})?",
    ));
    let sql = "SELECT numeric_send(value::numeric) FROM unnest($1::text[]) WITH ORDINALITY AS t (value, place) ORDER BY place";
    let sent = database.query(sql, &[&texts]).await;
    for (text, row) in texts.iter().zip(sent) {
        let mut ours = Vec::new();
        Numeric::parse(text).expect(text).write(&mut ours);
        assert_eq!(ours, row.get::<_, Vec<u8>>(0), "{text}");
    }
}
