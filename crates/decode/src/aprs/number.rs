//! Numbers as they stand in a packet: decimal digits, exactly; hexadecimal ones. Nothing is rounded before it has to be.

use std::fmt::{Display, Formatter};

/// Digits of a number at most: what is longer is no measured value.
const DIGITS_MAX: u8 = 9;

/// A decimal number: `mantissa` divided by ten to the power of `decimals`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    mantissa: i32,
    decimals: u8,
}

impl Number {
    /// The number that `word` begins with, sign and fraction included, and what follows it.
    pub(super) fn leading(word: &[u8]) -> Option<(Self, &[u8])> {
        let (negative, mut rest) = match word {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, word),
        };
        let (mut mantissa, mut digits, mut decimals) = (0_i32, 0_u8, 0_u8);
        let mut in_fraction = false;
        loop {
            match rest {
                [digit @ b'0'..=b'9', after @ ..] if digits < DIGITS_MAX => {
                    mantissa = mantissa * 10 + i32::from(digit - b'0');
                    digits += 1;
                    decimals += u8::from(in_fraction);
                    rest = after;
                }
                [b'.', after @ ..]
                    if !in_fraction
                        && digits > 0
                        && after.first().is_some_and(u8::is_ascii_digit) =>
                {
                    in_fraction = true;
                    rest = after;
                }
                _ => break,
            }
        }
        let mantissa = if negative { -mantissa } else { mantissa };
        (digits > 0).then_some((Self { mantissa, decimals }, rest))
    }

    /// The number that is all of `word`.
    pub(super) fn whole(word: &[u8]) -> Option<Self> {
        match Self::leading(word) {
            Some((number, [])) => Some(number),
            _ => None,
        }
    }

    /// Its value, if it has no fraction.
    pub(super) fn integer(self) -> Option<i32> {
        (self.decimals == 0).then_some(self.mantissa)
    }

    /// The nearest single-precision value.
    pub(super) fn nearest_f32(self) -> f32 {
        // Rounded twice, which is the same as once: 53 bits are more than twice 24 and two.
        (f64::from(self.mantissa) / 10_f64.powi(i32::from(self.decimals))) as f32
    }
}

impl Display for Number {
    /// Writes it as JSON has it: no plus sign, no leading zeros.
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        let (sign, value) = (
            if self.mantissa < 0 { "-" } else { "" },
            self.mantissa.unsigned_abs(),
        );
        if self.decimals == 0 {
            return write!(formatter, "{sign}{value}");
        }
        let scale = 10_u32.pow(u32::from(self.decimals));
        let width = usize::from(self.decimals);
        write!(
            formatter,
            "{sign}{}.{:0width$}",
            value / scale,
            value % scale
        )
    }
}

/// The value of `digits` if all of them are decimal digits, at most nine.
pub(super) fn digits(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > usize::from(DIGITS_MAX) {
        return None;
    }
    digits.iter().try_fold(0_u32, |value, digit| {
        digit
            .is_ascii_digit()
            .then(|| value * 10 + u32::from(digit - b'0'))
    })
}

/// The value of `digits` if all of them are hexadecimal digits, at most eight.
pub(super) fn hex(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    digits.iter().try_fold(0_u32, |value, digit| {
        Some(value << 4 | char::from(*digit).to_digit(16)?)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn numbers_are_read_exactly_and_written_as_json() {
        let cases: [(&str, &str, &str); 9] = [
            ("+4237fpm", "4237", "fpm"),
            ("-0.7rot", "-0.7", "rot"),
            ("021.72", "21.72", ""),
            ("+000fpm", "0", "fpm"),
            ("-0.05dB", "-0.05", "dB"),
            ("7e", "7", "e"),
            ("1.2.3", "1.2", ".3"),
            ("5.dB", "5", ".dB"),
            ("1234567890", "123456789", "0"),
        ];
        for (word, json, rest) in cases {
            let (number, left) = Number::leading(word.as_bytes()).expect(word);
            assert_eq!(
                (number.to_string().as_str(), left),
                (json, rest.as_bytes()),
                "{word}"
            );
        }
        for word in ["", "+", "-.5", ".5", "dB", "--1"] {
            assert_eq!(Number::leading(word.as_bytes()), None, "{word}");
        }
    }

    #[test]
    fn single_precision_is_the_nearest() {
        for tenths in -4_000..4_000_i32 {
            let text = format!(
                "{}{}.{}",
                if tenths < 0 { "-" } else { "+" },
                tenths.abs() / 10,
                tenths.abs() % 10
            );
            let number = Number::whole(text.as_bytes()).expect(&text);
            assert_eq!(
                number.nearest_f32(),
                text.parse::<f32>().unwrap() + 0.0,
                "{text}"
            );
        }
    }

    #[test]
    fn digits_take_no_signs() {
        assert_eq!(digits(b"004026"), Some(4026));
        assert_eq!(digits(b"+12"), None);
        assert_eq!(digits(b""), None);
        assert_eq!(digits(b"1234567890"), None);
        assert_eq!(hex(b"DDE626"), Some(0xDD_E626));
        assert_eq!(hex(b"+DE626"), None);
        assert_eq!(hex(b"123456789"), None);
    }
}
