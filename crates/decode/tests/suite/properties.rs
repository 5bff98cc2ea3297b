//! Whatever comes in, a record is one whole row or a refusal, and nothing panics.

use crate::values::{decoder, kinds, record};
use hyperhaul_decode::{
    ColumnKind, CsvOrder, Decoder, Found, Id, Mapping, RecordEnds, TargetColumn,
};
use hyperhaul_pgcopy::Tuple;
use proptest::prelude::*;

/// One column of every type, and a text array.
fn columns() -> Vec<TargetColumn> {
    let kinds = kinds().into_iter().map(|(_, kind)| kind);
    let kinds = kinds.chain([ColumnKind::TextArray]);
    let named = kinds.enumerate();
    named
        .map(|(index, kind)| TargetColumn::new(&format!("c{index}"), kind))
        .collect()
}

fn json_decoder() -> Box<dyn Decoder> {
    decoder(
        "table = \"t\"\ndecoder = \"ndjson\"\ncolumns = \"all\"",
        &columns(),
    )
}

fn csv_stream() -> String {
    let names: Vec<String> = columns()
        .iter()
        .map(|column| format!("{:?}", column.name))
        .collect();
    format!(
        "table = \"t\"\ndecoder = \"csv\"\ncolumns = \"all\"\n[csv]\nheader = [{}]",
        names.join(", ")
    )
}

/// Values of metrics, whose column a lookup tells.
fn metrics() -> Box<dyn Decoder> {
    let toml = "table = \"t\"
        decoder = \"ndjson\"
        column = [{ name = \"def_id\", lookup = { table = \"d\", id = \"id\", key = [\"key\"] } }]
        [choice]
        from = \"value\"
        lookup = \"def_id\"
        returned = \"value_type\"
        columns = { BOOL = \"b\", INT = \"i\", REAL = \"r\", TEXT = \"t\", JSON = \"j\" }";
    let text = ColumnKind::Text { chars_max: None };
    let columns = [
        TargetColumn::needed("def_id", ColumnKind::Int8),
        TargetColumn::new("b", ColumnKind::Bool),
        TargetColumn::new("i", ColumnKind::Int8),
        TargetColumn::new("r", ColumnKind::Float8),
        TargetColumn::new("t", text),
        TargetColumn::new("j", ColumnKind::Jsonb),
    ];
    decoder(toml, &columns)
}

/// Decodes, and checks that there is a whole row or none.
fn all_or_none(decoder: &dyn Decoder, payload: &[u8]) -> Result<bool, TestCaseError> {
    let mut rows = decoder.empty_rows();
    let is_decoded = decoder.decode(&record(payload, 1), &mut rows).is_ok();
    prop_assert_eq!(rows[0].len(), usize::from(is_decoded));
    if is_decoded {
        let tuple = Tuple::parse(rows[0].row_bytes(0)).expect("a row is one tuple");
        prop_assert_eq!(tuple.field_count(), columns().len());
    } else {
        prop_assert!(rows[0].bytes().is_empty());
    }
    Ok(is_decoded)
}

/// Texts that come near to values of the types.
fn nearly() -> impl Strategy<Value = String> {
    prop_oneof![
        "[-+]?[0-9]{0,25}(\\.[0-9]{0,9})?([eE][-+]?[0-9]{0,6})?",
        "[0-9]{3,7}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]{0,9})?)?(Z| ?[-+][0-9:]{2,9})?)?",
        "\\{?[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\\}?",
        "(t|f|true|false|on|off|NaN|-?[Ii]nfinity|null|ogn|beast)",
        "\\\\x([0-9a-fA-F]{2}){0,9}",
        "\\[(\"[a-z\\\\\"]{0,3}\",?){0,3}\\]",
        "(\\\\u[dD][89a-fA-F][0-9a-f]{2}){1,3}",
        "\\PC{0,12}",
        any::<String>(),
    ]
}

fn json_value() -> impl Strategy<Value = String> {
    prop_oneof![
        nearly(),
        nearly().prop_map(|text| format!("\"{text}\"")),
        nearly().prop_map(|text| serde_json::Value::from(text).to_string()),
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_a_row_or_a_refusal(payload in prop::collection::vec(any::<u8>(), 0..200)) {
        all_or_none(&*json_decoder(), &payload)?;
        all_or_none(&*decoder(&csv_stream(), &columns()), &payload)?;
    }

    #[test]
    fn objects_of_nearly_values_are_a_row_or_a_refusal(
        members in prop::collection::vec((0..20_usize, json_value()), 0..6),
    ) {
        let members: Vec<String> = members
            .iter()
            .map(|(index, value)| format!("\"c{index}\": {value}"))
            .collect();
        all_or_none(&*json_decoder(), format!("{{{}}}", members.join(", ")).as_bytes())?;
    }

    #[test]
    fn lines_of_nearly_values_are_a_row_or_a_refusal(
        values in prop::collection::vec(nearly(), 18),
        place in 0..18_usize,
    ) {
        let decoder = decoder(&csv_stream(), &columns());
        all_or_none(&*decoder, values.join(",").as_bytes())?;
        let one: String = (0..18)
            .map(|index| {
                let comma = if index == 0 { "" } else { "," };
                let value = if index == place { values[place].replace('"', "\"\"") } else { String::new() };
                let quote = if index == place { "\"" } else { "" };
                format!("{comma}{quote}{value}{quote}")
            })
            .collect();
        all_or_none(&*decoder, one.as_bytes())?;
    }

    /// Whatever a lookup finds and returns, a value stands in one column, or its row is refused.
    #[test]
    fn a_value_finds_one_column_or_is_refused(
        values in prop::collection::vec((0..4_usize, json_value()), 1..12),
        found in prop::collection::vec(prop::option::of(prop::option::of(0..6_usize)), 4),
    ) {
        const LABELS: [&str; 6] = ["BOOL", "INT", "REAL", "TEXT", "JSON", "OTHER"];
        let decoder = metrics();
        let mut rows = decoder.empty_rows().pop().expect("there is one target");
        let mut is_null = Vec::new();
        for (key, value) in &values {
            let payload = format!("{{\"key\": {key}, \"value\": {value}}}");
            let decoded = decoder.decode(&record(payload.as_bytes(), 0), std::slice::from_mut(&mut rows));
            if decoded.is_ok() {
                is_null.push(value.trim() == "null");
            }
        }
        let refused = rows.patch(0, |key| {
            let key: usize = key.key[0].parse().expect("keys are numbers");
            let id = Id::Int8(i64::try_from(key).expect("it is small"));
            let returned = found[key]?.map(|label| LABELS[label]);
            Some(Found { id, returned })
        });
        let refused: Vec<usize> = refused.into_iter().map(|(row, _)| row).collect();
        prop_assert_eq!(rows.unresolved() == 0, refused.is_empty());
        rows.retain(|row| !refused.contains(&row));
        prop_assert_eq!(rows.len() + refused.len(), is_null.len());
        let is_null = is_null.iter().enumerate().filter(|(row, _)| !refused.contains(row));
        for (index, (_, is_null)) in is_null.enumerate() {
            let tuple = Tuple::parse(rows.row_bytes(index)).expect("a row is one tuple");
            let filled = tuple.fields().skip(1).filter(Option::is_some).count();
            prop_assert_eq!(filled, usize::from(!is_null));
        }
        prop_assert!(rows.take().is_ok());
    }

    /// What is brought into order is decoded as if it had come in that order.
    #[test]
    fn another_order_makes_the_same_row(texts in prop::collection::vec("[ -~\n]{0,6}", 3)) {
        let columns = [0, 1, 2].map(|index| TargetColumn::new(&format!("c{index}"), ColumnKind::Text { chars_max: None }));
        let toml = "table = \"t\"\ndecoder = \"csv\"\n[[column]]\nname = \"c0\"\n[[column]]\nname = \"c1\"\n[[column]]\nname = \"c2\"";
        let mut stream = toml.parse().expect("it is TOML");
        let mapping = Mapping::take(&mut stream).expect("it is a mapping");
        let order = CsvOrder::new(&mapping, b"c2,x,c0,c1\n").expect("it has the fields");
        let quoted: Vec<String> = texts.iter().map(|text| format!("\"{}\"", text.replace('"', "\"\""))).collect();
        let mut ordered = Vec::new();
        let line = format!("{},,{},{}\n", quoted[2], quoted[0], quoted[1]);
        order.apply(line.as_bytes(), &mut ordered).expect("it has the header's fields");
        let expected = quoted.join(",");
        prop_assert_eq!(&ordered, expected.as_bytes());
        let decoder = mapping.decoder(&[columns.to_vec()]).expect("the mapping fits");
        let mut rows = decoder.empty_rows();
        prop_assert!(decoder.decode(&record(&ordered, 1), &mut rows).is_ok());
        let fields: Vec<Option<&[u8]>> = Tuple::parse(rows[0].bytes()).expect("it is a tuple").fields().collect();
        let expected: Vec<Option<&[u8]>> = texts.iter().map(|text| Some(text.as_bytes())).collect();
        prop_assert_eq!(fields, expected);
    }

    /// Records end where they end, however the bytes are cut.
    #[test]
    fn pieces_make_no_difference_to_records(text in "[ab,\"\n]{0,40}", piece_bytes in 1..9_usize) {
        let ends = |piece_bytes: usize| {
            let mut ends = RecordEnds::new(',');
            let (mut found, mut before) = (Vec::new(), 0);
            for piece in text.as_bytes().chunks(piece_bytes.max(1)) {
                let mut at = 0;
                while let Some(end) = ends.next_end(&piece[at..]) {
                    at += end;
                    found.push(before + at);
                }
                before += piece.len();
            }
            found
        };
        prop_assert_eq!(ends(piece_bytes), ends(text.len()));
    }
}
