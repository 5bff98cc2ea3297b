//! Topics and subjects with names in them: `esp/{well_id}/telemetry` is subscribed to as `esp/+/telemetry`, and what stands in the place of a
//! name becomes an attribute of the record.

use crate::Error;
use std::sync::Arc;

/// A pattern of levels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicPattern {
    levels: Vec<Level>,
    separator: char,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Level {
    /// As it stands; wildcards of the broker's too.
    Plain(String),
    /// One level, whatever it is.
    Named(String),
}

impl TopicPattern {
    /// `separator` is what the broker has between levels.
    pub(crate) fn parse(text: &str, separator: char) -> Result<TopicPattern, Error> {
        let levels = text.split(separator).map(|level| {
            let named = level
                .strip_prefix('{')
                .and_then(|rest| rest.strip_suffix('}'));
            match named {
                Some(name) if !name.is_empty() && !name.contains(['{', '}']) => {
                    Some(Level::Named(name.to_owned()))
                }
                None if !level.is_empty() && !level.contains(['{', '}']) => {
                    Some(Level::Plain(level.to_owned()))
                }
                _ => None,
            }
        });
        match levels.collect() {
            Some(levels) => Ok(TopicPattern { levels, separator }),
            None => Err(Error::usage(format!("\"{text}\" is no pattern of topics")).hint(format!(
                "Write levels and names of levels, such as esp{separator}{{well_id}}{separator}telemetry."
            ))),
        }
    }

    /// As the broker takes it, whose sign for any level is `any`.
    pub(crate) fn subscription(&self, any: char) -> String {
        let levels = self.levels.iter().map(|level| match level {
            Level::Plain(text) => text.clone(),
            Level::Named(_) => any.to_string(),
        });
        levels.collect::<Vec<_>>().join(&self.separator.to_string())
    }

    /// What stands in the places of names.
    pub(crate) fn attributes(&self, topic: &str) -> Arc<[(String, String)]> {
        let levels = topic.split(self.separator);
        let named = self
            .levels
            .iter()
            .zip(levels)
            .filter_map(|(level, text)| match level {
                Level::Plain(_) => None,
                Level::Named(name) => Some((name.clone(), text.to_owned())),
            });
        named.collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn names_are_any_level_and_become_attributes() {
        let pattern = TopicPattern::parse("esp/{well_id}/telemetry/{part}/#", '/');
        let Ok(pattern) = pattern else {
            panic!("it is no pattern");
        };
        assert_eq!(pattern.subscription('+'), "esp/+/telemetry/+/#");
        let attributes = pattern.attributes("esp/W-17/telemetry/hot/a/b");
        let expected = [("well_id", "W-17"), ("part", "hot")];
        assert_eq!(attributes.len(), expected.len());
        for (attribute, (name, value)) in attributes.iter().zip(expected) {
            assert_eq!(attribute, &(name.to_owned(), value.to_owned()));
        }
    }

    #[test]
    fn names_are_whole_levels() {
        for text in ["", "a//b", "a/{}", "a/{b", "a/b{c}", "a/{b{c}}"] {
            assert!(TopicPattern::parse(text, '/').is_err(), "{text}");
        }
    }
}
