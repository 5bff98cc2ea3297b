//! What `ingest`, `receipts` and `dlq` print.

use super::columns::{Align, Columns};
use super::number::{bytes, count, elapsed, grouped, rows_per_second};
use super::{Look, Style, wrap};
use hyperhaul_ingest::{DeadLetter, Done, Outcome, Receipt, Retried};
use std::time::Duration;

use Align::{Left, Right};

/// What became of the records of each stream.
pub(crate) fn done(streams: &[Done], took: Duration, look: Look) -> String {
    let aligns = [Left, Right, Right, Right, Right, Right, Right, Right];
    let mut table = Columns::new(aligns).heading([
        "stream",
        "records",
        "stored",
        "duplicate",
        "conflict",
        "dead",
        "rate",
        "size",
    ]);
    for stream in streams {
        #[expect(clippy::cast_precision_loss, reason = "a rate needs few digits")]
        let rate = stream.outcome.record_count as f64 / took.as_secs_f64().max(f64::MIN_POSITIVE);
        let [records, stored, duplicate, conflict, dead] = ends(&stream.outcome);
        table.push([
            stream.stream.clone(),
            records,
            stored,
            duplicate,
            conflict,
            dead,
            rows_per_second(rate),
            bytes(stream.bytes),
        ]);
    }
    let kinds: String = streams
        .iter()
        .filter(|stream| !stream.kinds.is_empty())
        .map(|stream| wrap(&kinds(stream), 2, look.width))
        .collect();
    let any_dead = streams.iter().any(|stream| stream.outcome.dead_count > 0);
    let hint = if any_dead {
        let text = "hyperhaul dlq list shows what no table took, and why.";
        wrap(text, 0, look.width)
    } else {
        String::new()
    };
    let table = table.render(0, look);
    format!("{table}{kinds}in {}\n{hint}", elapsed(took))
}

/// What a stream's records were.
fn kinds(stream: &Done) -> String {
    let kinds = stream.kinds.iter();
    let kinds = kinds.map(|(kind, count)| format!("{} {kind}", grouped(*count)));
    format!(
        "{}: {}",
        stream.stream,
        kinds.collect::<Vec<_>>().join(", ")
    )
}

pub(super) fn ends(outcome: &Outcome) -> [String; 5] {
    let Outcome {
        record_count,
        stored_count,
        duplicate_count,
        conflict_count,
        dead_count,
        ..
    } = *outcome;
    [
        record_count,
        stored_count,
        duplicate_count,
        conflict_count,
        dead_count,
    ]
    .map(number)
}

pub(super) fn number(number: i64) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{}", grouped(number.unsigned_abs()))
}

/// What the ledger proves of each source.
pub(crate) fn receipts(receipts: &[Receipt], look: Look) -> String {
    if receipts.is_empty() {
        return "Nothing was ingested in that time.\n".to_owned();
    }
    let aligns = [Left, Left, Right, Right, Right, Right, Right, Right, Left];
    let mut table = Columns::new(aligns).heading([
        "stream",
        "source",
        "records",
        "stored",
        "duplicate",
        "conflict",
        "dead",
        "lost",
        "proof",
    ]);
    for receipt in receipts {
        let [records, stored, duplicate, conflict, dead] = ends(&receipt.outcome);
        let proof = if receipt.is_proved() {
            look.paint(Style::Good, "every record has one end")
        } else {
            look.paint(Style::Bad, "records are missing")
        };
        table.push([
            receipt.stream.clone(),
            receipt.source.clone(),
            records,
            stored,
            duplicate,
            conflict,
            dead,
            number(receipt.outcome.lost_count),
            proof,
        ]);
    }
    let gaps: String = receipts
        .iter()
        .filter(|receipt| receipt.gap_count > 0)
        .map(|receipt| wrap(&gaps(receipt), 0, look.width))
        .collect();
    table.render(0, look) + &gaps
}

fn gaps(receipt: &Receipt) -> String {
    let gap_count = count(receipt.gap_count.unsigned_abs(), "gap");
    let lasted = elapsed(Duration::from_millis(receipt.gap_ms.unsigned_abs()));
    format!(
        "{}: {gap_count}, {lasted} together, in which nothing was heard or kept; table hyperhaul.ingest_gap has them.",
        receipt.stream
    )
}

/// Dead letters, one a line.
pub(crate) fn letters(letters: &[DeadLetter], look: Look) -> String {
    if letters.is_empty() {
        return "There are no dead letters.\n".to_owned();
    }
    let aligns = [Right, Left, Right, Left, Right, Left, Left, Left, Left];
    let mut table = Columns::new(aligns).heading([
        "id",
        "stream",
        "position",
        "received",
        "size",
        "reason",
        "sqlstate",
        "column",
        "constraint",
    ]);
    for letter in letters {
        let size = u64::try_from(letter.payload_bytes).unwrap_or(0);
        table.push([
            letter.id.to_string(),
            letter.stream.clone(),
            number(letter.position),
            letter.received_at.format("%Y-%m-%d %H:%M:%S").to_string(),
            bytes(size),
            letter.reason.clone(),
            letter.sqlstate.clone(),
            letter.column.clone().unwrap_or_default(),
            letter.constraint.clone().unwrap_or_default(),
        ]);
    }
    table.render(0, look)
}

/// What became of letters that were tried again, stream by stream.
pub(crate) fn retried(streams: &[(String, Retried)]) -> String {
    let line = |(stream, retried): &(String, Retried)| {
        let gone = count(retried.gone_count, "dead letter");
        format!("{stream}: {gone} gone, {} kept\n", retried.kept_count)
    };
    streams.iter().map(line).collect()
}

pub(crate) fn dropped(letter_count: u64) -> String {
    format!("dropped {}\n", count(letter_count, "dead letter"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn each_stream_is_a_line_with_the_ends_of_its_records() {
        let stream = Done {
            stream: "esp".to_owned(),
            outcome: Outcome {
                record_count: 1_000_000,
                stored_count: 999_000,
                duplicate_count: 900,
                conflict_count: 90,
                dead_count: 10,
                lost_count: 0,
                skipped_count: 0,
                row_count: 999_000,
            },
            bytes: 210 << 20,
            kinds: [("fix", 990_000), ("status", 10_000)].into(),
        };
        let text = done(&[stream], Duration::from_secs(5), Look::PLAIN);
        expect![[r#"
            stream    records   stored  duplicate  conflict  dead            rate       size
            esp     1,000,000  999,000        900        90    10  200,000 rows/s  210.0 MiB
              esp: 990,000 fix, 10,000 status
            in 5.0 s
            hyperhaul dlq list shows what no table took, and why.
        "#]]
        .assert_eq(&text);
    }
}
