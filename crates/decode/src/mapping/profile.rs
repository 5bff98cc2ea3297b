//! Profiles: what streams of a known kind have in common, so that a stream says only what is its own.

use super::MappingError;
use toml::{Table, Value};

/// By name; the texts are in the program.
const PROFILES: &[(&str, &str)] = &[
    (
        "esp-telemetry",
        include_str!("../../profiles/esp-telemetry.toml"),
    ),
    (
        "diagnostic-results",
        include_str!("../../profiles/diagnostic-results.toml"),
    ),
    ("fixes", include_str!("../../profiles/fixes.toml")),
    (
        "metric-hist",
        include_str!("../../profiles/metric-hist.toml"),
    ),
];

/// Keys of a column of which only one can be, so that a stream's own takes the place of the profile's.
const CONVERSIONS: &[&str] = &["unit", "scale", "offset"];

/// The names of all profiles.
pub fn profile_names() -> impl Iterator<Item = &'static str> {
    PROFILES.iter().map(|(name, _)| *name)
}

/// Fills in what a stream does not say from the profile that it names, and takes `profile` out of it. What the stream says
/// stands: tables are merged key by key, the tables of `column` by their `name`.
///
/// # Errors
///
/// If there is no such profile.
pub fn fill_from_profile(mut stream: Table) -> Result<Table, MappingError> {
    let Some(name) = stream.remove("profile") else {
        return Ok(stream);
    };
    let known = || profile_names().collect::<Vec<_>>().join(", ");
    let found = PROFILES
        .iter()
        .find(|(known, _)| Some(*known) == name.as_str());
    let Some((name, text)) = found else {
        let name = name.as_str().unwrap_or_default();
        return Err(MappingError::new(format!("there is no profile \"{name}\""))
            .hint(format!("Profiles are {}.", known())));
    };
    let mut profile: Table = text
        .parse()
        .map_err(|error| MappingError::new(format!("profile {name}: {error}")))?;
    lay_over(&mut profile, stream);
    Ok(profile)
}

/// Puts the keys of `over` into `base`.
fn lay_over(base: &mut Table, over: Table) {
    if over.keys().any(|key| CONVERSIONS.contains(&key.as_str())) {
        base.retain(|key, _| !CONVERSIONS.contains(&key));
    }
    for (key, value) in over {
        match base.get_mut(&key) {
            Some(known) => lay_over_value(&key, known, value),
            None => {
                base.insert(key, value);
            }
        }
    }
}

fn lay_over_value(key: &str, base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Table(base), Value::Table(over)) => lay_over(base, over),
        (Value::Array(base), Value::Array(over)) if key == "column" => {
            over.into_iter()
                .for_each(|column| lay_over_column(base, column));
        }
        (base, over) => *base = over,
    }
}

fn lay_over_column(base: &mut Vec<Value>, over: Value) {
    let name = over.get("name");
    let mut known = base.iter();
    let same = known.position(|known| name.is_some() && known.get("name") == name);
    let place = same.unwrap_or(base.len());
    match base.get_mut(place) {
        Some(same) => lay_over_value("", same, over),
        None => base.push(over),
    }
}
