//! `numeric` out of text, in the form that `numeric_recv` reads. Arithmetic is not done here, and precision and scale of a column
//! are the server's.
//!
//! ```text
//! i16 number of digits, i16 weight, u16 sign, u16 scale, then the digits
//! a digit is one of base 10,000, an i16; the first stands for digit x 10,000^weight; the scale counts decimal digits
//! behind the point, also those that are zero
//! ```

use crate::encode::Row;
use crate::error::{Error, Kind};

/// `NUMERIC_POS`, `NUMERIC_NEG`, `NUMERIC_NAN`, `NUMERIC_PINF` and `NUMERIC_NINF` in PostgreSQL's `numeric.c`.
const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const MINUS_INFINITY: u16 = 0xF000;

/// `NUMERIC_DSCALE_MAX`: decimal digits behind the point.
const SCALE_MAX: i64 = 0x3FFF;

/// `NUMERIC_WEIGHT_MAX`: base-10,000 digits before the point, less one.
const WEIGHT_MAX: i64 = 0x7FFF;

/// Decimal digits in one of base 10,000.
const DIGIT_WIDTH: i64 = 4;

/// Larger exponents make no difference: the number overflows, or is zero.
const EXPONENT_MAX: i64 = 1_000_000_000;

/// A number of type `numeric`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Numeric {
    /// Of base 10,000, the most significant first; neither the first nor the last is 0.
    digits: Vec<i16>,
    weight: i16,
    sign: u16,
    scale: u16,
}

impl Numeric {
    /// Reads `[+-]digits[.digits][e[+-]digits]`, `NaN` or `[+-]Infinity`, with blanks around it, as `numeric_in` does. Nothing is
    /// rounded.
    ///
    /// # Errors
    ///
    /// If it is no number, or has more digits than `numeric` holds ([`Error::is_limit`]).
    pub fn parse(text: &str) -> Result<Numeric, Error> {
        let text = text.trim_ascii();
        let (sign, unsigned) = match text.as_bytes() {
            [b'-', rest @ ..] => (NEGATIVE, rest),
            [b'+', rest @ ..] => (POSITIVE, rest),
            rest => (POSITIVE, rest),
        };
        if !matches!(unsigned.first(), Some(b'0'..=b'9' | b'.')) {
            return special(text, sign, unsigned);
        }
        let (whole, rest) = digits(unsigned);
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => digits(rest),
            _ => (&[][..], rest),
        };
        let power = match rest {
            [] => 0,
            [b'e' | b'E', rest @ ..] => exponent(rest)?,
            _ => return Err(Kind::NumericSyntax.into()),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(Kind::NumericSyntax.into());
        }
        let point = length(whole).saturating_add(power);
        let scale = length(fraction).saturating_sub(power).max(0);
        if scale > SCALE_MAX {
            return Err(Kind::NumericRange.into());
        }
        let scale = u16::try_from(scale).map_err(|_| Kind::NumericRange)?;
        let decimals = whole
            .iter()
            .chain(fraction)
            .map(|digit| digit.wrapping_sub(b'0'));
        finite(decimals, point, sign, scale)
    }

    /// Its binary form.
    pub fn write(&self, buffer: &mut Vec<u8>) {
        // At most 32,768 digits before the point and 4,096 behind it: the count has 16 bits without a sign, as in `numeric_send`.
        let count = u16::try_from(self.digits.len()).unwrap_or(u16::MAX);
        buffer.extend_from_slice(&count.to_be_bytes());
        buffer.extend_from_slice(&self.weight.to_be_bytes());
        buffer.extend_from_slice(&self.sign.to_be_bytes());
        buffer.extend_from_slice(&self.scale.to_be_bytes());
        for digit in &self.digits {
            buffer.extend_from_slice(&digit.to_be_bytes());
        }
    }
}

impl Row<'_> {
    /// `numeric`.
    pub fn numeric(&mut self, value: &Numeric) -> &mut Self {
        let mut bytes = Vec::with_capacity(value.digits.len().saturating_add(4).saturating_mul(2));
        value.write(&mut bytes);
        self.raw(&bytes)
    }
}

/// NaN and the infinities. NaN has no sign.
fn special(text: &str, sign: u16, unsigned: &[u8]) -> Result<Numeric, Error> {
    let is_infinite =
        unsigned.eq_ignore_ascii_case(b"infinity") || unsigned.eq_ignore_ascii_case(b"inf");
    let sign = if text.eq_ignore_ascii_case("nan") {
        NAN
    } else if is_infinite && sign == NEGATIVE {
        MINUS_INFINITY
    } else if is_infinite {
        INFINITY
    } else {
        return Err(Kind::NumericSyntax.into());
    };
    Ok(Numeric {
        digits: Vec::new(),
        weight: 0,
        sign,
        scale: 0,
    })
}

/// Gathers decimal digits, the point being behind the first `point` of them, into digits of base 10,000.
fn finite(
    decimals: impl Iterator<Item = u8>,
    point: i64,
    sign: u16,
    scale: u16,
) -> Result<Numeric, Error> {
    let mut numeric = Numeric {
        digits: Vec::new(),
        weight: 0,
        sign,
        scale,
    };
    // The power of 10,000 that the last of `digits` stands for.
    let mut last_power = 0_i64;
    for (index, decimal) in (0_i64..).zip(decimals) {
        if decimal == 0 {
            continue;
        }
        let power_of_ten = point.saturating_sub(index).saturating_sub(1);
        let power = power_of_ten.div_euclid(DIGIT_WIDTH);
        if numeric.digits.is_empty() {
            if power > WEIGHT_MAX {
                return Err(Kind::NumericRange.into());
            }
            // The scale was checked: powers below it hold zeros only.
            numeric.weight = i16::try_from(power).map_err(|_| Kind::NumericRange)?;
            numeric.digits.push(0);
            last_power = power;
        }
        while last_power > power {
            numeric.digits.push(0);
            last_power = last_power.saturating_sub(1);
        }
        let place = match power_of_ten.rem_euclid(DIGIT_WIDTH) {
            0 => 1,
            1 => 10,
            2 => 100,
            _ => 1000,
        };
        if let Some(last) = numeric.digits.last_mut() {
            *last = last.saturating_add(i16::from(decimal).saturating_mul(place));
        }
    }
    if numeric.digits.is_empty() {
        numeric.sign = POSITIVE;
    }
    Ok(numeric)
}

/// Divides at the first byte that is no digit.
fn digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    let count = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    bytes.split_at_checked(count).unwrap_or((bytes, &[]))
}

fn exponent(bytes: &[u8]) -> Result<i64, Error> {
    let (is_negative, bytes) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let (digits, rest) = digits(bytes);
    if digits.is_empty() || !rest.is_empty() {
        return Err(Kind::NumericSyntax.into());
    }
    let power = digits.iter().fold(0_i64, |power, digit| {
        let digit = i64::from(digit.wrapping_sub(b'0'));
        let power = power.saturating_mul(10).saturating_add(digit);
        power.min(EXPONENT_MAX)
    });
    Ok(if is_negative {
        power.saturating_neg()
    } else {
        power
    })
}

fn length(bytes: &[u8]) -> i64 {
    i64::try_from(bytes.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]

    use super::{INFINITY, MINUS_INFINITY, NAN, NEGATIVE, Numeric, POSITIVE};

    #[test]
    fn digits_are_of_base_ten_thousand() {
        for (text, digits, weight, sign, scale) in [
            ("0", &[][..], 0, POSITIVE, 0),
            ("-0.00", &[], 0, POSITIVE, 2),
            ("1", &[1], 0, POSITIVE, 0),
            ("-12345.678", &[1, 2345, 6780], 1, NEGATIVE, 3),
            ("10000", &[1], 1, POSITIVE, 0),
            ("0.0001", &[1], -1, POSITIVE, 4),
            ("0.00001", &[1000], -2, POSITIVE, 5),
            ("1.50", &[1, 5000], 0, POSITIVE, 2),
            ("100000000.00000001", &[1, 0, 0, 0, 1], 2, POSITIVE, 8),
            ("1e5", &[10], 1, POSITIVE, 0),
            ("1.23e-5", &[1230], -2, POSITIVE, 7),
            ("1.234e2", &[123, 4000], 0, POSITIVE, 1),
            (" .5 ", &[5000], -1, POSITIVE, 1),
            ("5.", &[5], 0, POSITIVE, 0),
            ("NaN", &[], 0, NAN, 0),
            ("inf", &[], 0, INFINITY, 0),
            ("-Infinity", &[], 0, MINUS_INFINITY, 0),
        ] {
            let expected = Numeric {
                digits: digits.to_vec(),
                weight,
                sign,
                scale,
            };
            assert_eq!(Numeric::parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_told_from_what_is_too_large() {
        for text in ["", ".", "e5", "1e", "1.2.3", "0x1", "1 2", "-nan", "one"] {
            let error = Numeric::parse(text).expect_err(text);
            assert!(!error.is_limit(), "{text}");
        }
        for text in [
            "1e131072",
            "1e-16384",
            "1e999999999999999999",
            "1e-99999999999999",
        ] {
            let error = Numeric::parse(text).expect_err(text);
            assert!(error.is_limit(), "{text}");
        }
        assert!(Numeric::parse("1e131071").is_ok());
        assert!(Numeric::parse("1e-16383").is_ok());
        assert!(Numeric::parse("0e999999").is_ok());
    }
}
