//! What an aggregate computes and how a columnstore sorts, as people write it: `avg(cpu_usage) AS avg_cpu`, `received_at DESC`.

use crate::{Relation, quote_ident};
use serde::{Deserialize, Serialize};

macro_rules! functions {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// Functions of a measure: those that both editions know, and that may stand in a continuous aggregate.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum MeasureFunction {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl MeasureFunction {
            const ALL: &'static [MeasureFunction] = &[$(MeasureFunction::$variant,)+];

            /// Its name in SQL.
            pub fn name(self) -> &'static str {
                match self { $(MeasureFunction::$variant => $name,)+ }
            }
        }
    };
}

functions! {
    /// Rows, or values that are not NULL.
    Count = "count",
    /// Sum.
    Sum = "sum",
    /// Mean.
    Avg = "avg",
    /// Smallest value.
    Min = "min",
    /// Largest value.
    Max = "max",
    /// Standard deviation of a sample.
    Stddev = "stddev",
    /// Variance of a sample.
    Variance = "variance",
    /// Whether all are true.
    BoolAnd = "bool_and",
    /// Whether one is true.
    BoolOr = "bool_or",
    /// The value of the earliest row.
    First = "first",
    /// The value of the latest row.
    Last = "last",
}

/// One computed column of an aggregate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measure {
    /// The function.
    pub function: MeasureFunction,
    /// The column that it is applied to; `None`: whole rows, for `count(*)`.
    pub column: Option<String>,
    /// The computed column's name.
    pub name: String,
}

impl Measure {
    /// Reads `function(column) AS name`, identifiers with SQL's quoting rules. Without a name it is `function_column`.
    ///
    /// # Errors
    ///
    /// Says what is wrong and what would be right.
    pub fn parse(text: &str) -> Result<Measure, String> {
        let wrong = || {
            format!(
                "\"{text}\" is not a measure: write function(column) AS name, such as avg(cpu_usage) AS avg_cpu"
            )
        };
        let (function_text, rest) = text.trim().split_once('(').ok_or_else(wrong)?;
        let (argument, rest) = rest.rsplit_once(')').ok_or_else(wrong)?;
        let function = function(function_text.trim(), text)?;
        let column = match argument.trim() {
            "*" if function == MeasureFunction::Count => None,
            argument => Some(identifier(argument).ok_or_else(wrong)?),
        };
        let name = match rest.trim() {
            "" => match &column {
                Some(column) => format!("{}_{column}", function.name()),
                None => function.name().to_owned(),
            },
            rest => {
                let (word, name) = rest.split_once(char::is_whitespace).ok_or_else(wrong)?;
                if !word.eq_ignore_ascii_case("as") {
                    return Err(wrong());
                }
                identifier(name.trim()).ok_or_else(wrong)?
            }
        };
        Ok(Measure {
            function,
            column,
            name,
        })
    }
}

fn function(name: &str, text: &str) -> Result<MeasureFunction, String> {
    let lower = name.to_lowercase();
    let found = MeasureFunction::ALL
        .iter()
        .find(|function| function.name() == lower);
    found.copied().ok_or_else(|| {
        let known: Vec<&str> = MeasureFunction::ALL
            .iter()
            .map(|function| function.name())
            .collect();
        format!(
            "\"{text}\": there is no measure \"{name}\"; there are {}",
            known.join(", ")
        )
    })
}

/// One column of a columnstore's order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderBy {
    /// The column.
    pub column: String,
    /// Largest first.
    pub descending: bool,
    /// Where NULLs go; `None`: where SQL has them, last if ascending.
    pub nulls_first: Option<bool>,
}

impl OrderBy {
    /// Reads `column [ASC|DESC] [NULLS FIRST|LAST]`, the column with SQL's quoting rules.
    ///
    /// # Errors
    ///
    /// Says what is wrong and what would be right.
    pub fn parse(text: &str) -> Result<OrderBy, String> {
        let wrong = || {
            format!(
                "\"{text}\" is not an order: write column, column DESC or column DESC NULLS LAST"
            )
        };
        let (column, rest) = column_and_rest(text.trim());
        let column = identifier(column).ok_or_else(wrong)?;
        let words: Vec<String> = rest.split_whitespace().map(str::to_uppercase).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (descending, nulls) = match words.as_slice() {
            ["DESC", nulls @ ..] => (true, nulls),
            ["ASC", nulls @ ..] | nulls => (false, nulls),
        };
        let nulls_first = match nulls {
            [] => None,
            ["NULLS", "FIRST"] => Some(true),
            ["NULLS", "LAST"] => Some(false),
            _ => return Err(wrong()),
        };
        Ok(OrderBy {
            column,
            descending,
            nulls_first,
        })
    }

    /// As SQL has it.
    pub(crate) fn sql(&self) -> String {
        let column = quote_ident(&self.column);
        let direction = if self.descending { " DESC" } else { "" };
        let nulls = match self.nulls_first {
            None => "",
            Some(true) => " NULLS FIRST",
            Some(false) => " NULLS LAST",
        };
        format!("{column}{direction}{nulls}")
    }
}

/// A quoted identifier may hold spaces.
fn column_and_rest(text: &str) -> (&str, &str) {
    let end = match text.strip_prefix('"').and_then(|rest| rest.rfind('"')) {
        Some(quote) => quote + 2,
        None => text.find(char::is_whitespace).unwrap_or(text.len()),
    };
    text.split_at(end)
}

/// One identifier with SQL's quoting rules: a relation's name without a schema.
fn identifier(text: &str) -> Option<String> {
    let whole = Relation::parse(&format!("_.{text}"))?;
    Some(whole.name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn measures_are_read_as_sql_has_them() {
        for (text, function, column, name) in [
            (
                "avg(cpu_usage) AS avg_cpu",
                MeasureFunction::Avg,
                Some("cpu_usage"),
                "avg_cpu",
            ),
            ("MAX( Cpu )", MeasureFunction::Max, Some("cpu"), "max_cpu"),
            ("count(*)", MeasureFunction::Count, None, "count"),
            (
                "last(\"Flow (bbl)\") as \"Last\"",
                MeasureFunction::Last,
                Some("Flow (bbl)"),
                "Last",
            ),
        ] {
            let measure = Measure::parse(text).unwrap();
            assert_eq!(
                (
                    measure.function,
                    measure.column.as_deref(),
                    measure.name.as_str()
                ),
                (function, column, name)
            );
        }
    }

    #[test]
    fn what_is_no_measure_says_what_would_be() {
        for (text, part) in [
            ("cpu_usage", "function(column) AS name"),
            ("avg(a.b)", "function(column) AS name"),
            ("avg(*)", "function(column) AS name"),
            ("avg(a) b", "function(column) AS name"),
            ("avg(a) AS b, pg_sleep(9)", "function(column) AS name"),
            ("pg_sleep(a)", "there are count, sum"),
        ] {
            let message = Measure::parse(text).unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn orders_are_read_and_written_as_sql_has_them() {
        for (text, sql) in [
            ("received_at DESC", "\"received_at\" DESC"),
            ("Received_At", "\"received_at\""),
            ("a asc nulls first", "\"a\" NULLS FIRST"),
            ("\"Of Day\" desc NULLS LAST", "\"Of Day\" DESC NULLS LAST"),
        ] {
            assert_eq!(OrderBy::parse(text).unwrap().sql(), sql);
        }
        for text in ["", "a b", "a DESC, b", "a.b", "a NULLS", "a DESC DESC"] {
            assert!(OrderBy::parse(text).is_err(), "{text}");
        }
    }
}
