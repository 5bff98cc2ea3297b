//! CSV as senders write it.
#![allow(clippy::expect_used)]

use super::{CsvOrder, RecordEnds};
use crate::testing::{TEXT, decode, decoder, int8, mapping, record, text};
use crate::{ColumnKind, Decoder, Reason, TargetColumn};

fn table() -> [TargetColumn; 3] {
    [
        TargetColumn::new("a", ColumnKind::Int8),
        TargetColumn::new("b", TEXT),
        TargetColumn::new("c", TEXT),
    ]
}

fn stream(csv: &str) -> String {
    format!(
        "table = \"t\"\ndecoder = \"csv\"\n[[column]]\nname = \"a\"\n[[column]]\nname = \"b\"\n[[column]]\nname = \"c\"\nfrom = \"C 1\"\n[csv]\n{csv}"
    )
}

fn abc(csv: &str) -> Box<dyn Decoder> {
    decoder(&stream(csv), &table()).expect("the mapping fits")
}

#[test]
fn fields_are_divided_by_rfc_4180() {
    let decoder = abc("");
    for (line, row) in [
        ("1,x,y", vec![int8(1), text("x"), text("y")]),
        ("1,x,y\r\n", vec![int8(1), text("x"), text("y")]),
        ("1,\"x,\ny\",z\n", vec![int8(1), text("x,\ny"), text("z")]),
        (
            "\"1\",\"say \"\"x\"\"\",",
            vec![int8(1), text("say \"x\""), None],
        ),
        (",\"\",", vec![None, text(""), None]),
        (
            "1,5\" pipe, y ",
            vec![int8(1), text("5\" pipe"), text(" y ")],
        ),
        ("1,ä,🚀", vec![int8(1), text("ä"), text("🚀")]),
    ] {
        assert_eq!(
            decode(&*decoder, &record(line.as_bytes())),
            Ok(row),
            "{line}"
        );
    }
}

#[test]
fn lines_that_are_no_such_records_are_refused() {
    let decoder = abc("");
    for (line, reason) in [
        ("", Reason::FieldCount),
        ("1,2", Reason::FieldCount),
        ("1,2,3,4", Reason::FieldCount),
        ("1,\"x,y", Reason::BadCsv),
        ("1,\"x\"y,z", Reason::BadCsv),
        ("\"", Reason::BadCsv),
        ("x,,", Reason::WrongType),
        ("1,a\0b,", Reason::NulByte),
    ] {
        let refusal = decode(&*decoder, &record(line.as_bytes())).expect_err(line);
        assert_eq!(refusal.reason, reason, "{line}");
    }
    let latin_1 = decode(&*decoder, &record(b"1,\xe4,")).expect_err("it is not UTF-8");
    assert_eq!(latin_1.reason, Reason::NotUtf8);
}

#[test]
fn delimiter_null_and_header_are_a_matter_of_the_stream() {
    let decoder =
        abc("delimiter = \";\"\nnull = \"\\\\N\"\nheader = [\"x\", \"b\", \"a\", \"C 1\"]");
    let row = decode(&*decoder, &record(br#"9;\N;1;"\N""#));
    assert_eq!(row, Ok(vec![int8(1), None, text("\\N")]));
    let mut rows = decoder.empty_rows();
    assert_eq!(decoder.decode(&record(b"9;;1;"), &mut rows), Ok(()));
    assert_eq!(rows[0].tally().unknown_members, 1);
}

#[test]
fn a_header_that_does_not_fit_the_mapping_is_an_error() {
    let message = |csv: &str| match decoder(&stream(csv), &table()) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    };
    for (csv, expected) in [
        (
            "header = [\"a\", \"b\"]",
            "\"C 1\" is mapped, and the CSV header does not have it",
        ),
        (
            "header = [\"a\", \"b\", \"C 1\", \"b\"]",
            "the CSV header has \"b\" twice",
        ),
        (
            "header = false",
            "the CSV header is neither a line nor declared",
        ),
        (
            "delimiter = \"ä\"",
            "\"\\u{e4}\" cannot be the delimiter of CSV",
        ),
        (
            "delimiter = '\"'",
            "\"\\\"\" cannot be the delimiter of CSV",
        ),
        ("null = \"a,b\"", "\"a,b\" cannot stand for NULL in CSV"),
    ] {
        assert_eq!(message(csv), expected, "{csv}");
    }
    let all = "table = \"t\"\ndecoder = \"csv\"\ncolumns = \"all\"";
    let error = decoder(all, &table()).err().map(|error| error.to_string());
    let expected = "columns = \"all\" needs the names of the CSV fields";
    assert_eq!(error.as_deref(), Some(expected));
}

#[test]
fn records_of_another_header_come_into_the_order_of_the_mapping() {
    let mapping = mapping(&stream("")).expect("the mapping is one");
    assert_eq!(
        mapping.csv_names(),
        Ok(vec!["a".into(), "b".into(), "C 1".into()])
    );
    let order = CsvOrder::new(&mapping, b"\xef\xbb\xbfz,\"C 1\", a\r\n").expect("it has fields");
    assert!(!order.is_kept());
    let mut line = b"before:".to_vec();
    assert_eq!(order.apply(b"9,\"x,\n\"\"y\",1\r\n", &mut line), Ok(()));
    assert_eq!(line, b"before:1,,\"x,\n\"\"y\"");
    for bad in [&b"1,2\n"[..], b"1,2,3,4", b"1,\"2,3", b"\xff,1,2"] {
        assert!(order.apply(bad, &mut line).is_err(), "{bad:?}");
    }
    assert_eq!(
        line, b"before:1,,\"x,\n\"\"y\"",
        "nothing of a bad record is appended"
    );
    let same = CsvOrder::new(&mapping, b"a,b,C 1\n").expect("it has fields");
    assert!(same.is_kept());
}

#[test]
fn headers_that_cannot_be_used_are_errors() {
    let mapping = mapping(&stream("")).expect("the mapping is one");
    for (header, expected) in [
        (&b"x,y"[..], "the CSV header has no field that is mapped"),
        (b"a,b,a", "the CSV header has \"a\" twice"),
        (b"a,\"b", "the CSV header cannot be read"),
        (b"a,\xff", "the CSV header cannot be read"),
    ] {
        let error = CsvOrder::new(&mapping, header).expect_err("it cannot be used");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn records_end_outside_of_quotes_wherever_the_bytes_are_cut() {
    let bytes = b"a,b\n\"x\ny\",\"\"\"\n\"\n5\" pipe,z\r\n,\"\"\nlast";
    let expected = [
        &b"a,b\n"[..],
        b"\"x\ny\",\"\"\"\n\"\n",
        b"5\" pipe,z\r\n",
        b",\"\"\n",
        b"last",
    ];
    for piece_bytes in 1..=bytes.len() {
        let mut ends = RecordEnds::new(',');
        let mut records: Vec<Vec<u8>> = vec![Vec::new()];
        for piece in bytes.chunks(piece_bytes) {
            let mut rest = piece;
            while let Some(end) = ends.next_end(rest) {
                records
                    .last_mut()
                    .expect("one is open")
                    .extend(&rest[..end]);
                records.push(Vec::new());
                rest = &rest[end..];
            }
            records.last_mut().expect("one is open").extend(rest);
        }
        assert_eq!(records, expected, "pieces of {piece_bytes} bytes");
        assert!(!ends.is_at_start());
    }
}
