//! Where: latitude and longitude in degrees and minutes, as APRS writes them uncompressed (APRS protocol reference 1.0.1, chapter 6).
//!
//! Places are whole thousandths of a minute, the finest that OGN sends: two receptions of one position are equal, and the degrees are
//! what the division gives, always the same.

use super::kind::Kind;
use super::number::digits;

/// Bytes of a place with its symbol.
const PLACE_BYTES: usize = 19;

/// Thousandths of a minute in a degree.
const UNITS_PER_DEGREE: u32 = 60_000;

/// A place with the symbol that is drawn there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Thousandths of a minute, north positive.
    pub(super) north: i32,
    /// Thousandths of a minute, east positive.
    pub(super) east: i32,
    /// The symbol's code, which tells weather stations apart.
    pub(super) symbol: u8,
}

/// Why there is no fix, and the bytes that say so.
pub(super) type NoFix<'a> = (Kind, &'a [u8]);

impl Place {
    /// Cuts the bytes of a place off the data that begins with it.
    ///
    /// # Errors
    ///
    /// [`Kind::Compressed`] or [`Kind::Truncated`].
    pub(super) fn cut(data: &[u8]) -> Result<(&[u8], &[u8]), NoFix<'_>> {
        // A compressed place begins with its symbol's table, which is no digit (chapter 9); a blurred one may begin with spaces.
        if data
            .first()
            .is_some_and(|byte| !byte.is_ascii_digit() && *byte != b' ')
        {
            return Err((Kind::Compressed, data));
        }
        data.split_at_checked(PLACE_BYTES)
            .ok_or((Kind::Truncated, data))
    }

    /// Reads the bytes that [`Place::cut`] has cut off. `precision` has the third decimals of both minutes, or zeros.
    ///
    /// # Errors
    ///
    /// [`Kind::Latitude`] or [`Kind::Longitude`].
    pub(super) fn read(place: &[u8], precision: (u8, u8)) -> Result<Self, NoFix<'_>> {
        let (latitude, rest) = place.split_at_checked(8).unwrap_or_default();
        let (longitude, symbol) = rest
            .get(1..)
            .and_then(|rest| rest.split_at_checked(9))
            .unwrap_or_default();
        let north = angle(latitude, 2, precision.0, (b'N', b'S'), 90);
        let east = angle(longitude, 3, precision.1, (b'E', b'W'), 180);
        Ok(Self {
            north: north.ok_or((Kind::Latitude, latitude))?,
            east: east.ok_or((Kind::Longitude, longitude))?,
            symbol: symbol.first().copied().unwrap_or_default(),
        })
    }

    /// Degrees north and east.
    pub(super) fn degrees(self) -> (f64, f64) {
        let degrees = |units: i32| f64::from(units) / f64::from(UNITS_PER_DEGREE);
        (degrees(self.north), degrees(self.east))
    }
}

/// Reads `DDMM.hhN` or `DDDMM.hhE` and its third decimal as thousandths of a minute. Digits that are blurred (spaces) are no
/// position of an aircraft.
fn angle(
    text: &[u8],
    degree_digits: usize,
    third_decimal: u8,
    (positive, negative): (u8, u8),
    degrees_max: u32,
) -> Option<i32> {
    let (degrees, minutes) = text.split_at_checked(degree_digits)?;
    let [m1, m2, b'.', h1, h2, letter] = *minutes else {
        return None;
    };
    let (degrees, minutes) = (digits(degrees)?, digits(&[m1, m2, h1, h2])?);
    let units = degrees * UNITS_PER_DEGREE + minutes * 10 + u32::from(third_decimal);
    // 60 minutes and more would be another degree, written by a sender that can't count.
    if minutes >= 6_000 || units > degrees_max * UNITS_PER_DEGREE {
        return None;
    }
    let units = i32::try_from(units).ok()?;
    if letter == positive {
        Some(units)
    } else {
        (letter == negative).then_some(-units)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &str, precision: (u8, u8)) -> Result<(i32, i32), Kind> {
        let (place, _) = Place::cut(data.as_bytes()).map_err(|(kind, _)| kind)?;
        let place = Place::read(place, precision).map_err(|(kind, _)| kind)?;
        Ok((place.north, place.east))
    }

    #[test]
    fn places_are_thousandths_of_minutes() {
        let cases = [
            ("4821.61N\\01224.49E^", (0, 0), (2_901_610, 744_490)),
            ("4821.61N\\01224.49E^", (4, 6), (2_901_614, 744_496)),
            ("0000.00S/00032.65W'", (5, 2), (-5, -32_652)),
            ("9000.00N/18000.00W'", (0, 0), (5_400_000, -10_800_000)),
        ];
        for (data, precision, expected) in cases {
            assert_eq!(read(data, precision), Ok(expected), "{data}");
        }
    }

    #[test]
    fn places_that_are_none_are_refused() {
        let cases = [
            ("4899.99N/01224.49E^", Kind::Latitude),
            ("4860.00N/01224.49E^", Kind::Latitude),
            ("9000.01N/01224.49E^", Kind::Latitude),
            ("9959.99S/01224.49E^", Kind::Latitude),
            ("4821.61X/01224.49E^", Kind::Latitude),
            ("48 1.61N/01224.49E^", Kind::Latitude),
            ("482 .  N/01224.49E^", Kind::Latitude),
            ("4+21.61N/01224.49E^", Kind::Latitude),
            ("4821.61N/01299.49E^", Kind::Longitude),
            ("4821.61N/18000.01E^", Kind::Longitude),
            ("4821.61N/01224,49E^", Kind::Longitude),
            ("4821.61N/01224.49N^", Kind::Longitude),
            ("4821.61N/01224.49E", Kind::Truncated),
            ("", Kind::Truncated),
            ("/5L!!<*e7>7P[yyyyyyy", Kind::Compressed),
        ];
        for (data, kind) in cases {
            assert_eq!(read(data, (0, 0)), Err(kind), "{data}");
        }
        assert_eq!(read("9000.00N/01224.49E^", (1, 0)), Err(Kind::Latitude));
    }

    #[test]
    fn degrees_are_the_quotient() {
        let place = Place {
            north: 2_901_614,
            east: -5,
            symbol: b'^',
        };
        assert_eq!(place.degrees(), (2_901_614.0 / 60_000.0, -5.0 / 60_000.0));
    }
}
