//! Numbers out of text, without loss: integers stay exact beyond 2^53, and what does not fit is refused, not rounded to
//! infinity or zero. The binary form of `numeric` is known to `pgcopy`.

use crate::refusal::Reason;

/// A decimal number: `mantissa` x 10^`exponent`, exactly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Decimal {
    mantissa: i128,
    exponent: i64,
}

/// Digits that an `i128` certainly holds.
const SIGNIFICANT_DIGITS_MAX: u64 = 38;

/// Larger exponents make no difference: nothing that is read here holds such a number.
const EXPONENT_MAX: i64 = 1_000_000_000;

impl Decimal {
    /// Reads `[+-]digits[.digits][e[+-]digits]`, with a digit on one side of the point at least.
    ///
    /// # Errors
    ///
    /// If it is no number, or has more than 38 significant digits.
    pub(crate) fn parse(text: &str) -> Result<Decimal, Reason> {
        let (is_negative, rest) = sign(text.as_bytes());
        let mut digits = Digits::default();
        let mut rest = digits.read(rest);
        let whole_count = digits.count;
        if let [b'.', fraction @ ..] = rest {
            rest = digits.read(fraction);
        }
        let power = match rest {
            [] => 0,
            [b'e' | b'E', exponent @ ..] => exponent_of(exponent)?,
            _ => return Err(Reason::WrongType),
        };
        if digits.count == 0 {
            return Err(Reason::WrongType);
        }
        if digits.significant > SIGNIFICANT_DIGITS_MAX {
            return Err(Reason::Overflow);
        }
        if digits.mantissa == 0 {
            return Ok(Decimal {
                mantissa: 0,
                exponent: 0,
            });
        }
        let behind_point = digits.count.saturating_sub(whole_count);
        Ok(Decimal {
            mantissa: if is_negative {
                -digits.mantissa
            } else {
                digits.mantissa
            },
            exponent: small(digits.zeros) - small(behind_point) + power,
        })
    }

    /// The number as an integer.
    ///
    /// # Errors
    ///
    /// [`Reason::WrongType`] if it has a fraction, [`Reason::Overflow`] if 64 bits do not hold it.
    pub(crate) fn integer(self) -> Result<i64, Reason> {
        let (whole, has_rest) = self.scaled(0, Rounding::Down)?;
        if has_rest {
            return Err(Reason::WrongType);
        }
        Ok(whole)
    }

    /// The number times 10^`power`, rounded to the nearest integer, halves away from zero.
    ///
    /// # Errors
    ///
    /// If 64 bits do not hold it.
    pub(crate) fn rounded(self, power: i64) -> Result<i64, Reason> {
        self.scaled(power, Rounding::Nearest)
            .map(|(whole, _)| whole)
    }

    /// The number times 10^`power` as an integer, and whether something was rounded.
    fn scaled(self, power: i64, rounding: Rounding) -> Result<(i64, bool), Reason> {
        let exponent = self.exponent.saturating_add(power);
        let factor = u32::try_from(exponent.unsigned_abs())
            .ok()
            .and_then(|exponent| 10_i128.checked_pow(exponent));
        let (whole, has_rest) = match (exponent >= 0, factor) {
            (true, Some(factor)) => {
                let whole = self.mantissa.checked_mul(factor);
                (whole.ok_or(Reason::Overflow)?, false)
            }
            (true, None) if self.mantissa == 0 => (0, false),
            (true, None) => return Err(Reason::Overflow),
            (false, Some(factor)) => {
                let half = match rounding {
                    Rounding::Down => 0,
                    Rounding::Nearest => self.mantissa.signum() * (factor / 2),
                };
                let sum = self.mantissa.saturating_add(half);
                (sum / factor, self.mantissa % factor != 0)
            }
            // A mantissa has less than 39 digits: the number is below 0.1.
            (false, None) => (0, self.mantissa != 0),
        };
        let whole = i64::try_from(whole).map_err(|_| Reason::Overflow)?;
        Ok((whole, has_rest))
    }
}

#[derive(Clone, Copy)]
enum Rounding {
    Down,
    Nearest,
}

/// Digits as they come.
#[derive(Default)]
struct Digits {
    mantissa: i128,
    /// Of the mantissa.
    significant: u64,
    /// Zeros that belong to the mantissa only if another digit follows.
    zeros: u64,
    /// All digits.
    count: u64,
}

impl Digits {
    /// Reads digits, and returns what follows them.
    fn read<'b>(&mut self, mut bytes: &'b [u8]) -> &'b [u8] {
        while let [digit @ b'0'..=b'9', rest @ ..] = bytes {
            bytes = rest;
            self.count += 1;
            match digit {
                b'0' if self.significant == 0 => {}
                b'0' => self.zeros += 1,
                digit => self.push(digit - b'0'),
            }
        }
        bytes
    }

    fn push(&mut self, digit: u8) {
        self.significant += self.zeros + 1;
        if self.significant <= SIGNIFICANT_DIGITS_MAX {
            for _ in 0..=self.zeros {
                self.mantissa *= 10;
            }
            self.mantissa += i128::from(digit);
        }
        self.zeros = 0;
    }
}

fn sign(bytes: &[u8]) -> (bool, &[u8]) {
    match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, bytes),
    }
}

fn small(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX).min(EXPONENT_MAX)
}

fn exponent_of(bytes: &[u8]) -> Result<i64, Reason> {
    let (is_negative, digits) = sign(bytes);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Reason::WrongType);
    }
    let power = digits.iter().fold(0_i64, |power, digit| {
        (power * 10 + i64::from(digit - b'0')).min(EXPONENT_MAX)
    });
    Ok(if is_negative { -power } else { power })
}

/// An integer, also where it is written `12.0` or `3e2`.
///
/// # Errors
///
/// If it is no number, has a fraction, or does not fit.
pub(crate) fn integer(text: &str) -> Result<i64, Reason> {
    let text = text.trim_ascii();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map_err(|_| Reason::Overflow);
    }
    Decimal::parse(text)?.integer()
}

/// A `double precision`, as `float8in` reads it: `NaN` and `Infinity` are numbers, too large ones and those that would become
/// zero are not.
///
/// # Errors
///
/// If it is no number, or not in the range.
pub(crate) fn float8(text: &str) -> Result<f64, Reason> {
    let text = text.trim_ascii();
    let value: f64 = text.parse().map_err(|_| Reason::WrongType)?;
    if value.is_nan() {
        return Ok(f64::NAN);
    }
    in_float_range(text, value == 0.0, value.is_infinite())?;
    Ok(value)
}

/// A `real`, rounded once.
///
/// # Errors
///
/// As [`float8`].
pub(crate) fn float4(text: &str) -> Result<f32, Reason> {
    let text = text.trim_ascii();
    let value: f32 = text.parse().map_err(|_| Reason::WrongType)?;
    if value.is_nan() {
        return Ok(f32::NAN);
    }
    in_float_range(text, value == 0.0, value.is_infinite())?;
    Ok(value)
}

/// A `double precision` as a `real`.
///
/// # Errors
///
/// If it is too large, or would become zero.
pub(crate) fn narrowed(value: f64) -> Result<f32, Reason> {
    let narrow = value as f32;
    let is_too_large = narrow.is_infinite() && value.is_finite();
    let is_too_small = narrow == 0.0 && value != 0.0;
    if is_too_large || is_too_small {
        return Err(Reason::Overflow);
    }
    Ok(narrow)
}

/// A `double precision` as an integer, rounded to the nearest, halves to the even one, as the server's cast does.
///
/// # Errors
///
/// If it is not finite or 64 bits do not hold it.
pub(crate) fn rounded_float(value: f64) -> Result<i64, Reason> {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    let rounded = value.round_ties_even();
    if !(-TWO_TO_63..TWO_TO_63).contains(&rounded) {
        return Err(Reason::Overflow);
    }
    let whole = rounded as i64;
    Ok(whole)
}

/// Whether a float is what was written, and not what was left of it.
fn in_float_range(text: &str, is_zero: bool, is_infinite: bool) -> Result<(), Reason> {
    let is_written_infinite = || text.contains(['i', 'I']);
    let is_written_zero = || {
        let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
        !mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9'))
    };
    if (is_infinite && !is_written_infinite()) || (is_zero && !is_written_zero()) {
        return Err(Reason::Overflow);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]

    use super::{Decimal, float4, float8, integer, narrowed, rounded_float};
    use crate::refusal::Reason;
    use Reason::{Overflow, WrongType};

    #[test]
    fn integers_are_exact_or_refused() {
        for (text, value) in [
            ("0", Ok(0)),
            ("-7", Ok(-7)),
            (" +42 ", Ok(42)),
            ("9007199254740993", Ok(9_007_199_254_740_993)),
            ("9223372036854775807", Ok(i64::MAX)),
            ("-9223372036854775808", Ok(i64::MIN)),
            ("9223372036854775808", Err(Overflow)),
            ("12.0", Ok(12)),
            ("9007199254740993.000", Ok(9_007_199_254_740_993)),
            ("3e2", Ok(300)),
            ("1.5e1", Ok(15)),
            ("0e999999999999", Ok(0)),
            ("12.5", Err(WrongType)),
            ("1e-1", Err(WrongType)),
            ("1e400", Err(Overflow)),
            ("1e-99999999999", Err(WrongType)),
            ("", Err(WrongType)),
            ("-", Err(WrongType)),
            (".", Err(WrongType)),
            ("1e", Err(WrongType)),
            ("0x10", Err(WrongType)),
            ("NaN", Err(WrongType)),
        ] {
            assert_eq!(integer(text), value, "{text}");
        }
    }

    #[test]
    fn decimals_are_rounded_once() {
        for (text, power, value) in [
            ("1765432100.123456", 6, Ok(1_765_432_100_123_456)),
            ("1765432100", 6, Ok(1_765_432_100_000_000)),
            ("0.0000005", 6, Ok(1)),
            ("-0.0000005", 6, Ok(-1)),
            ("0.00000049", 6, Ok(0)),
            ("1e-300", 6, Ok(0)),
            ("1.7e9", 6, Ok(1_700_000_000_000_000)),
            ("1e30", 6, Err(Overflow)),
            ("100200300", -2, Ok(1_002_003)),
        ] {
            let decimal = Decimal::parse(text).expect(text);
            assert_eq!(decimal.rounded(power), value, "{text}");
        }
    }

    #[test]
    fn a_mantissa_has_38_digits() {
        let digits = "9".repeat(38);
        assert!(Decimal::parse(&digits).is_ok());
        assert!(Decimal::parse(&format!("{digits}00000.000")).is_ok());
        assert_eq!(Decimal::parse(&format!("{digits}9")), Err(Overflow));
    }

    #[test]
    fn floats_keep_their_range() {
        for (text, value) in [
            ("1.5", Ok(1.5)),
            (" 1e308", Ok(1e308)),
            ("-0", Ok(0.0)),
            ("0e-999", Ok(0.0)),
            ("5e-324", Ok(5e-324)),
            ("Infinity", Ok(f64::INFINITY)),
            ("-inf", Ok(f64::NEG_INFINITY)),
            ("1e400", Err(Overflow)),
            ("-1e400", Err(Overflow)),
            ("1e-400", Err(Overflow)),
            ("", Err(WrongType)),
            ("1,5", Err(WrongType)),
            ("true", Err(WrongType)),
        ] {
            assert_eq!(float8(text), value, "{text}");
        }
        assert!(float8("nan").is_ok_and(f64::is_nan));
        assert_eq!(float4("1e39"), Err(Overflow));
        assert_eq!(float4("1e-50"), Err(Overflow));
        assert_eq!(float4("0.1"), Ok(0.1_f32));
    }

    #[test]
    fn conversions_between_numbers_keep_the_range() {
        assert_eq!(narrowed(1e39), Err(Overflow));
        assert_eq!(narrowed(1e-50), Err(Overflow));
        assert_eq!(narrowed(f64::INFINITY), Ok(f32::INFINITY));
        assert_eq!(rounded_float(2.5), Ok(2));
        assert_eq!(rounded_float(-3.5), Ok(-4));
        assert_eq!(rounded_float(9_223_372_036_854_775_808.0), Err(Overflow));
        assert_eq!(rounded_float(-9_223_372_036_854_775_808.0), Ok(i64::MIN));
        assert_eq!(rounded_float(f64::NAN), Err(Overflow));
    }
}
