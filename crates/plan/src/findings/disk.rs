//! The target's free disk against what the copy needs.

use super::Case;
use crate::phrase;
use crate::{Code, Finding, Severity};

/// Free space over the need below which a person should look: sizes are estimates, and others write too.
const RESERVE: f64 = 1.2;

pub(super) fn check(case: &Case) -> Option<Finding> {
    let need = case.estimate;
    if need.disk_bytes == 0 {
        return None;
    }
    let columnstore = match need.columnstore_bytes {
        0 => String::new(),
        bytes => format!("chunks in the columnstore {}, ", phrase::bytes(bytes)),
    };
    let parts = format!(
        "heap and TOAST {}, indexes with the space to sort the largest {}, {columnstore}WAL between checkpoints {}",
        phrase::bytes(need.heap_bytes),
        phrase::bytes(need.index_bytes),
        phrase::bytes(need.wal_bytes)
    );
    let kept = if case.same_database() {
        " The old table keeps its space until cleanup."
    } else {
        ""
    };
    let needed = phrase::bytes(need.disk_bytes);
    let Some(free) = case.facts.target.free_disk_bytes else {
        return Some(
            Finding::new(
                Code::Disk,
                Severity::Warn,
                format!("the run needs about {needed} on the target; its free disk can't be seen from here"),
            )
            .detail(format!("{}.{kept} Compare by hand.", sentence(&parts)))
            .resolve("df -h DATA_DIRECTORY  # on the server; SHOW data_directory tells where, to a superuser"),
        );
    };
    let message = format!(
        "the run needs about {needed} on the target, {} are free",
        phrase::bytes(free)
    );
    #[expect(clippy::cast_precision_loss, reason = "compared with a margin of 20 %")]
    let tight = (free as f64) < need.disk_bytes as f64 * RESERVE;
    let detail = format!("{}.{kept}", sentence(&parts));
    let finding = if free < need.disk_bytes {
        let more = phrase::bytes(need.disk_bytes - free);
        Finding::new(Code::Disk, Severity::Block, message)
            .detail(format!(
                "{detail} Make room for {more} more. If the disk fills up all the same, the run stops, nothing is lost, \
                 and it resumes when there is room."
            ))
            .resolve("--accept disk")
            .acceptable()
    } else {
        let severity = if tight {
            Severity::Warn
        } else {
            Severity::Info
        };
        Finding::new(Code::Disk, severity, message).detail(detail)
    };
    Some(finding)
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().collect::<String>() + letters.as_str(),
        None => String::new(),
    }
}
