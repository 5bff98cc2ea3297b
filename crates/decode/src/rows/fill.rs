//! What was looked up comes into finished tuples: ids in the place of zeros, chosen fields in the place of NULLs.

use super::writer::LENGTH_WORD_BYTES;
use super::{Alternatives, Choice, Lookup, Rewrite, Rows};
use crate::lookup::{Found, LookupKey};
use crate::refusal::{Reason, Refusal};

impl Rows {
    /// Fills in what was found for the keys of a lookup; `find` is asked once for each distinct key. Returns the rows that have
    /// to be dropped with [`retain`](Rows::retain), in order: their key is not known, or their value is not what the lookup asks
    /// for. As long as they are there, [`take`](Rows::take) gives nothing out.
    pub fn patch<'f>(
        &mut self,
        lookup: usize,
        mut find: impl FnMut(&LookupKey) -> Option<Found<'f>>,
    ) -> Vec<(usize, Refusal)> {
        let Some(Lookup { id_type, keys }) = self.lookups.get(lookup) else {
            return Vec::new();
        };
        let mut found: Vec<Option<Option<Found<'f>>>> = vec![None; keys.len()];
        let bytes = self.encoder.as_mut_bytes();
        let mut refused = Vec::new();
        self.pending.retain(|id| {
            if id.lookup != lookup {
                return true;
            }
            let answer = found.get_mut(id.key).and_then(|answer| {
                *answer.get_or_insert_with(|| keys.get(id.key).and_then(&mut find))
            });
            let place = bytes.get_mut(id.at..id.at + id_type.bytes());
            let is_written = match (answer, place) {
                (Some(answer), Some(place)) => answer.id.write(place),
                _ => false,
            };
            if !is_written {
                refused.push((id.row, Refusal::record(Reason::UnknownKey)));
            }
            !is_written
        });
        let found: Vec<Option<Found<'f>>> = found.into_iter().map(Option::flatten).collect();
        self.choose(lookup, &found, &mut refused);
        refused.sort_by_key(|(row, _)| *row);
        refused
    }

    /// Puts the chosen fields of a lookup into their tuples. `found` is by key.
    fn choose(
        &mut self,
        lookup: usize,
        found: &[Option<Found<'_>>],
        refused: &mut Vec<(usize, Refusal)>,
    ) {
        let mut chosen: Vec<(usize, usize, Vec<u8>)> = Vec::new();
        let choices = std::mem::take(&mut self.choices);
        for mut choice in choices {
            let answer = found.get(choice.key).copied().flatten();
            let (true, Some(answer)) = (choice.lookup == lookup, answer) else {
                self.choices.push(choice);
                continue;
            };
            match choice.alternatives.take(answer.returned) {
                Ok(tail) => {
                    let nulls_bytes = choice.alternatives.field_count * LENGTH_WORD_BYTES;
                    let end = self.start(choice.row + 1);
                    chosen.push((choice.row, end.saturating_sub(nulls_bytes), tail));
                }
                Err(refusal) => {
                    refused.push((choice.row, refusal));
                    self.choices.push(Choice { ..choice });
                }
            }
        }
        if chosen.is_empty() {
            return;
        }
        let mut next = chosen.iter().peekable();
        self.rewrite(|row| match next.next_if(|(chosen, ..)| *chosen == row) {
            Some((_, from, bytes)) => Rewrite::Tail { from: *from, bytes },
            None => Rewrite::Keep,
        });
    }
}

impl Alternatives {
    /// The fields for what was returned.
    fn take(&mut self, returned: Option<&str>) -> Result<Vec<u8>, Refusal> {
        let named = returned.and_then(|returned| {
            let mut labels = self.tails.iter();
            labels.position(|(label, _)| &**label == returned)
        });
        let tail = self.tails.get_mut(named.unwrap_or(self.otherwise));
        match tail {
            Some((_, Ok(tail))) => Ok(std::mem::take(tail)),
            Some((_, Err(refusal))) => Err(refusal.clone()),
            None => Err(Refusal::record(Reason::WrongType)),
        }
    }
}
