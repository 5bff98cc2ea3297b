//! Named units, and the way from one to another: an exact affine map. A unit is a scale and an offset to the SI unit of its
//! quantity, written as products and quotients of decimals, so that definitions can be compared with their source (NIST
//! Special Publication 811; API Manual of Petroleum Measurement Standards for the barrel).

/// What two units must have in common to be converted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Quantity {
    Flow,
    Pressure,
    Current,
    Voltage,
    Power,
    Energy,
    Temperature,
    Frequency,
    Acceleration,
    Speed,
    Length,
    Torque,
    GasLiquidRatio,
    Duration,
    Ratio,
}

/// Value in SI = value x scale + offset.
struct Unit {
    name: &'static str,
    quantity: Quantity,
    scale: &'static str,
    offset: &'static str,
}

macro_rules! units {
    ($($quantity:ident: $($name:literal = $scale:literal $(+ $offset:literal)?),+;)+) => {
        const UNITS: &[Unit] = &[$($(Unit {
            name: $name,
            quantity: Quantity::$quantity,
            scale: $scale,
            offset: concat!("0" $(, " + ", $offset)?),
        },)+)+];
    };
}

// A barrel is 42 US gallons of 231 cubic inches; a pound-force is 0.45359237 kg x 9.80665 m/s2.
units! {
    Flow: "m3/s" = "1", "m3/h" = "1 / 3600", "m3/d" = "1 / 86400", "L/s" = "0.001", "L/min" = "0.001 / 60",
        "bbl/d" = "0.158987294928 / 86400", "bbl/h" = "0.158987294928 / 3600", "gal/min" = "0.003785411784 / 60",
        "ft3/d" = "0.028316846592 / 86400", "Mcf/d" = "28.316846592 / 86400";
    Pressure: "Pa" = "1", "hPa" = "100", "kPa" = "1000", "MPa" = "1000000", "mbar" = "100", "bar" = "100000",
        "psi" = "4.4482216152605 / 0.00064516", "atm" = "101325", "kgf/cm2" = "98066.5";
    Current: "A" = "1", "mA" = "0.001", "kA" = "1000";
    Voltage: "V" = "1", "mV" = "0.001", "kV" = "1000";
    Power: "W" = "1", "kW" = "1000", "MW" = "1000000", "hp" = "0.3048 * 550 * 4.4482216152605";
    Energy: "J" = "1", "kJ" = "1000", "MJ" = "1000000", "Wh" = "3600", "kWh" = "3600000", "MWh" = "3600000000";
    Temperature: "K" = "1", "degC" = "1" + "273.15", "degF" = "5 / 9" + "2298.35 / 9", "degR" = "5 / 9";
    Frequency: "Hz" = "1", "kHz" = "1000", "rpm" = "1 / 60";
    Acceleration: "m/s2" = "1", "g" = "9.80665", "mg" = "0.00980665", "ft/s2" = "0.3048";
    Speed: "m/s" = "1", "mm/s" = "0.001", "km/h" = "1 / 3.6", "kn" = "1852 / 3600", "mph" = "1609.344 / 3600",
        "ft/s" = "0.3048", "ft/min" = "0.3048 / 60", "in/s" = "0.0254";
    Length: "m" = "1", "mm" = "0.001", "cm" = "0.01", "km" = "1000", "in" = "0.0254", "ft" = "0.3048",
        "mi" = "1609.344", "nmi" = "1852";
    Torque: "N.m" = "1", "lbf.ft" = "4.4482216152605 * 0.3048";
    GasLiquidRatio: "m3/m3" = "1", "scf/bbl" = "0.028316846592 / 0.158987294928";
    Duration: "s" = "1", "ms" = "0.001", "min" = "60", "h" = "3600", "d" = "86400";
    Ratio: "1" = "1", "%" = "0.01";
}

/// value x `numerator` / `denominator` + `offset`. Numerator and denominator are integers, and all but those of horsepower are
/// such that a float holds them exactly: 212 degF are 100 degC and not 100.00000000000001.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Affine {
    numerator: f64,
    denominator: f64,
    offset: f64,
}

impl Affine {
    /// By numbers that somebody chose.
    pub(crate) fn new(scale: f64, offset: f64) -> Self {
        Affine {
            numerator: scale,
            denominator: 1.0,
            offset,
        }
    }

    pub(crate) fn apply(self, value: f64) -> f64 {
        value * self.numerator / self.denominator + self.offset
    }
}

/// The way from one unit to another.
///
/// # Errors
///
/// If there is no such unit, or they are of different quantities; says so.
pub(crate) fn conversion(from: &str, to: &str) -> Result<Affine, String> {
    let (from, to) = (unit(from)?, unit(to)?);
    if from.quantity != to.quantity {
        return Err(format!(
            "unit \"{}\" cannot be converted to \"{}\": one is of {}, the other of {}",
            from.name,
            to.name,
            from.quantity.name(),
            to.quantity.name(),
        ));
    }
    affine(from, to).ok_or_else(|| {
        format!(
            "unit \"{}\" cannot be converted to \"{}\": its definition cannot be read",
            from.name, to.name
        )
    })
}

/// to = (from x scale_from + offset_from - offset_to) / scale_to
fn affine(from: &Unit, to: &Unit) -> Option<Affine> {
    let scale_to = Ratio::parse(to.scale)?;
    let scale = Ratio::parse(from.scale)?.divided_by(scale_to)?;
    let offset = Ratio::parse(from.offset)?.minus(Ratio::parse(to.offset)?)?;
    let offset = offset.divided_by(scale_to)?;
    Some(Affine {
        numerator: scale.numerator as f64,
        denominator: scale.denominator as f64,
        offset: offset.numerator as f64 / offset.denominator as f64,
    })
}

fn unit(name: &str) -> Result<&'static Unit, String> {
    UNITS.iter().find(|unit| unit.name == name).ok_or_else(|| {
        let known: Vec<&str> = UNITS.iter().map(|unit| unit.name).collect();
        format!(
            "there is no unit \"{name}\"; there are {}",
            known.join(", ")
        )
    })
}

impl Quantity {
    fn name(self) -> &'static str {
        match self {
            Quantity::Flow => "flow",
            Quantity::Pressure => "pressure",
            Quantity::Current => "current",
            Quantity::Voltage => "voltage",
            Quantity::Power => "power",
            Quantity::Energy => "energy",
            Quantity::Temperature => "temperature",
            Quantity::Frequency => "frequency",
            Quantity::Acceleration => "acceleration",
            Quantity::Speed => "speed",
            Quantity::Length => "length",
            Quantity::Torque => "torque",
            Quantity::GasLiquidRatio => "gas-liquid ratio",
            Quantity::Duration => "duration",
            Quantity::Ratio => "ratio",
        }
    }
}

/// A reduced fraction; the denominator is positive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Ratio {
    numerator: i128,
    denominator: i128,
}

impl Ratio {
    fn new(numerator: i128, denominator: i128) -> Option<Ratio> {
        if denominator == 0 {
            return None;
        }
        let divisor = greatest_common_divisor(numerator, denominator) * denominator.signum();
        Some(Ratio {
            numerator: numerator / divisor,
            denominator: denominator / divisor,
        })
    }

    /// Reads decimals joined by ` * `, ` / ` and ` + `, from left to right.
    fn parse(text: &str) -> Option<Ratio> {
        let mut words = text.split(' ');
        let mut result = Ratio::decimal(words.next()?)?;
        while let Some(operator) = words.next() {
            let operand = Ratio::decimal(words.next()?)?;
            result = match operator {
                "*" => result.times(operand)?,
                "/" => result.divided_by(operand)?,
                "+" => result.plus(operand)?,
                _ => return None,
            };
        }
        Some(result)
    }

    fn decimal(text: &str) -> Option<Ratio> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let numerator = format!("{whole}{fraction}").parse().ok()?;
        let power = u32::try_from(fraction.len()).ok()?;
        Ratio::new(numerator, 10_i128.checked_pow(power)?)
    }

    fn times(self, other: Ratio) -> Option<Ratio> {
        // Reduced crosswise first, so that the products stay small.
        let left = Ratio::new(self.numerator, other.denominator)?;
        let right = Ratio::new(other.numerator, self.denominator)?;
        Ratio::new(
            left.numerator.checked_mul(right.numerator)?,
            left.denominator.checked_mul(right.denominator)?,
        )
    }

    fn divided_by(self, other: Ratio) -> Option<Ratio> {
        self.times(Ratio::new(other.denominator, other.numerator)?)
    }

    fn plus(self, other: Ratio) -> Option<Ratio> {
        let left = self.numerator.checked_mul(other.denominator)?;
        let right = other.numerator.checked_mul(self.denominator)?;
        let denominator = self.denominator.checked_mul(other.denominator)?;
        Ratio::new(left.checked_add(right)?, denominator)
    }

    fn minus(self, other: Ratio) -> Option<Ratio> {
        self.plus(Ratio::new(
            other.numerator.checked_neg()?,
            other.denominator,
        )?)
    }
}

/// Always positive.
fn greatest_common_divisor(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.saturating_abs(), b.saturating_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]

    use super::{UNITS, conversion};
    use std::collections::BTreeSet;

    #[test]
    fn names_are_distinct() {
        let names: BTreeSet<&str> = UNITS.iter().map(|unit| unit.name).collect();
        assert_eq!(names.len(), UNITS.len());
    }

    #[test]
    fn units_of_one_quantity_convert_exactly_and_others_do_not() {
        for from in UNITS {
            for to in UNITS {
                let way = conversion(from.name, to.name);
                assert_eq!(
                    way.is_ok(),
                    from.quantity == to.quantity,
                    "{} to {}: {way:?}",
                    from.name,
                    to.name
                );
                if let Ok(way) = &way
                    && from.name != "hp"
                    && to.name != "hp"
                {
                    let is_exact = |value: f64| value.fract() == 0.0 && value <= 2_f64.powi(53);
                    assert!(
                        is_exact(way.numerator) && is_exact(way.denominator),
                        "{way:?}"
                    );
                }
                if from.name == to.name {
                    assert_eq!(way.map(|way| way.apply(12.34)), Ok(12.34));
                }
            }
        }
    }

    #[test]
    fn known_values() {
        for (value, from, to, expected) in [
            (100.0, "m3/d", "bbl/d", 628.981_077_043_210_5),
            (1.0, "bbl/d", "m3/d", 0.158_987_294_928),
            (1.0, "bbl/d", "gal/min", 42.0 / 1440.0),
            (1000.0, "psi", "bar", 68.947_572_931_683_61),
            (1000.0, "psi", "kPa", 6_894.757_293_168_361),
            (1.0, "atm", "psi", 14.695_948_775_513_45),
            (42.0, "A", "mA", 42_000.0),
            (212.0, "degF", "degC", 100.0),
            (-40.0, "degF", "degC", -40.0),
            (37.0, "degC", "degF", 98.6),
            (25.0, "degC", "K", 298.15),
            (0.0, "K", "degF", -459.67),
            (1.0, "g", "m/s2", 9.80665),
            (9.80665, "m/s2", "g", 1.0),
            (3000.0, "rpm", "Hz", 50.0),
            (1.0, "lbf.ft", "N.m", 1.355_817_948_331_400_4),
            (100.0, "kn", "km/h", 185.2),
            (500.0, "scf/bbl", "m3/m3", 500.0 * 1728.0 / 9702.0),
            (85.0, "%", "1", 0.85),
        ] {
            let found = conversion(from, to)
                .expect("the units are there")
                .apply(value);
            let error = ((found - expected) / expected.abs().max(1.0)).abs();
            assert!(error <= 2.0 * f64::EPSILON, "{value} {from}: {found} {to}");
        }
    }

    #[test]
    fn messages_say_what_is_wrong() {
        let message = |from, to| conversion(from, to).expect_err("the units do not fit");
        assert!(message("psig", "bar").starts_with("there is no unit \"psig\"; there are m3/s, "));
        assert_eq!(
            message("psi", "degC"),
            "unit \"psi\" cannot be converted to \"degC\": one is of pressure, the other of temperature"
        );
    }
}
