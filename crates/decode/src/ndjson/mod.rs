//! Records that are one JSON object each. The object is walked once: a member that a column wants leaves its JSON text in a slot,
//! others are skipped, and no tree of values is built. Numbers stay text until the column's type is known, so that none is
//! rounded on the way.

use crate::mapping::MappingError;
use crate::raw::Taken;
use crate::refusal::Reason;
use crate::table::Format;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// The members of an object that are wanted; of the outermost, what is wanted of a record.
#[derive(Debug, Default)]
pub(crate) struct Object {
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    name: Box<str>,
    /// Where its value goes.
    slot: Option<usize>,
    /// Members of its own that are wanted.
    object: Object,
}

impl Format for Object {
    fn take<'x>(&self, text: &'x str, slots: &mut [Option<Taken<'x>>]) -> Result<u64, Reason> {
        self.read(text, slots).map_err(|_| Reason::BadJson)
    }
}

/// Divides a path at its dots.
fn path_names(path: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    let mut characters = path.chars();
    while let Some(character) = characters.next() {
        let literal = match character {
            '.' => {
                names.push(String::new());
                continue;
            }
            '\\' => characters.next().unwrap_or('\\'),
            other => other,
        };
        if let Some(name) = names.last_mut() {
            name.push(literal);
        }
    }
    names
}

impl Object {
    /// Wants a member for each slot, by its path.
    ///
    /// # Errors
    ///
    /// If a path has no name between two dots.
    pub(crate) fn of_paths(paths: &[String]) -> Result<Self, MappingError> {
        let mut root = Object::default();
        for (slot, path) in paths.iter().enumerate() {
            let names = path_names(path);
            if names.iter().any(String::is_empty) {
                let message = format!("\"{path}\" is no path: a name between two dots is empty");
                return Err(MappingError::new(message)
                    .hint("A dot that belongs to a name has a backslash before it."));
            }
            root.add(&names, slot);
        }
        Ok(root)
    }

    fn add(&mut self, names: &[String], slot: usize) {
        let Some((name, below)) = names.split_first() else {
            return;
        };
        let known = self
            .members
            .iter()
            .position(|member| *member.name == **name);
        let index = known.unwrap_or_else(|| {
            self.members.push(Member {
                name: name.as_str().into(),
                slot: None,
                object: Object::default(),
            });
            self.members.len() - 1
        });
        let Some(member) = self.members.get_mut(index) else {
            return;
        };
        if below.is_empty() {
            member.slot = Some(slot);
        } else {
            member.object.add(below, slot);
        }
    }

    /// Puts the values of the wanted members into their slots; returns how many others there are.
    fn read<'x>(
        &self,
        text: &'x str,
        slots: &mut [Option<Taken<'x>>],
    ) -> Result<u64, serde_json::Error> {
        let mut walk = Walk {
            object: self,
            slots,
            next: 0,
            unknown: 0,
        };
        let mut deserializer = serde_json::Deserializer::from_str(text);
        deserializer.deserialize_map(&mut walk)?;
        let unknown = walk.unknown;
        deserializer.end()?;
        Ok(unknown)
    }

    /// Empties the slots of all members below.
    fn forget(&self, slots: &mut [Option<Taken<'_>>]) {
        for member in &self.members {
            if let Some(slot) = member.slot.and_then(|slot| slots.get_mut(slot)) {
                *slot = None;
            }
            member.object.forget(slots);
        }
    }
}

/// On the way through one object.
struct Walk<'o, 's, 'x> {
    object: &'o Object,
    slots: &'s mut [Option<Taken<'x>>],
    /// The member that comes next if records have the order of the mapping, or of the record before the last.
    next: usize,
    unknown: u64,
}

impl<'x> Walk<'_, '_, 'x> {
    /// The last of several members of one name counts, as for `jsonb`.
    fn take<E: Error>(&mut self, member: usize, text: &'x str) -> Result<(), E> {
        let Some(member) = self.object.members.get(member) else {
            return Ok(());
        };
        if let Some(slot) = member.slot.and_then(|slot| self.slots.get_mut(slot)) {
            *slot = Some(Taken::Json(text));
        }
        if !member.object.members.is_empty() {
            member.object.forget(self.slots);
            if text.starts_with('{') {
                let unknown = member.object.read(text, self.slots).map_err(E::custom)?;
                self.unknown += unknown;
            }
        }
        Ok(())
    }
}

impl<'x> Visitor<'x> for &mut Walk<'_, '_, 'x> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'x>>(self, mut access: A) -> Result<(), A::Error> {
        while let Some(member) = access.next_key_seed(Name {
            object: self.object,
            next: self.next,
        })? {
            match member {
                Some(member) => {
                    self.next = member + 1;
                    let value: &'x RawValue = access.next_value()?;
                    self.take::<A::Error>(member, value.get())?;
                }
                None => {
                    access.next_value::<IgnoredAny>()?;
                    self.unknown += 1;
                }
            }
        }
        Ok(())
    }
}

/// A member's name, as the index of the member if it is wanted.
#[derive(Clone, Copy)]
struct Name<'o> {
    object: &'o Object,
    next: usize,
}

impl<'x> DeserializeSeed<'x> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'x>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        // Records of one sender have one order: the search begins where the last one ended, and goes around.
        let members = self.object.members.as_slice();
        let is_it = |member: &&Member| *member.name == *name;
        let (before, after) = members
            .split_at_checked(self.next)
            .unwrap_or((members, &[]));
        if let Some(found) = after.iter().position(|member| is_it(&member)) {
            return Ok(Some(before.len() + found));
        }
        Ok(before.iter().position(|member| is_it(&member)))
    }
}

#[cfg(test)]
mod tests;
