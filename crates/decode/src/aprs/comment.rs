//! What follows the symbol: course, speed and altitude as APRS has them, then OGN's words, separated by spaces. Each field is
//! taken once; what is not understood is kept for the column `unparsed`.
//!
//! ```text
//!   255/045/A=003399 !W03! id06DDFAA3 -613fpm -3.9rot FL021.72 22.5dB 7e -7.0kHz gps3x7 s7.07 h41 rD002F8 +15.8dBm
//!   course / knots   |     |          climb   turn    level    signal    |  offset  |     |     |   |       power
//!         altitude --+     |                         bit errors corrected+    GNSS -+     |     |   +- address before it was changed
//!         third decimals of minutes                               versions of software and hardware
//!   and of ADS-B: A3:AXY547M Sq2244      of FANET: FNT11 sF1 cr4
//! ```

use super::device::Device;
use super::number::{Number, digits, hex};

/// Characters of a flight number at most: what the column takes.
const FLIGHT_NUMBER_BYTES_MAX: usize = 20;

/// What a packet says about an aircraft, apart from when and where.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Comment<'a> {
    /// Degrees, 1 to 360; what APRS writes as 0 is not known.
    pub(super) course: Option<u16>,
    pub(super) speed_knots: Option<u16>,
    pub(super) altitude_feet: Option<i32>,
    /// Third decimals of the minutes of latitude and longitude.
    pub(super) precision: Option<(u8, u8)>,
    pub(super) device: Option<Device>,
    pub(super) climb_fpm: Option<i32>,
    /// Half turns a minute, positive to the right.
    pub(super) turn: Option<Number>,
    /// Hundreds of feet.
    pub(super) flight_level: Option<Number>,
    pub(super) signal_db: Option<Number>,
    pub(super) bit_errors: Option<u16>,
    pub(super) frequency_offset_khz: Option<Number>,
    /// Horizontally and vertically, in metres.
    pub(super) gnss_resolution: Option<(u16, u16)>,
    pub(super) power_dbm: Option<Number>,
    pub(super) software_version: Option<Number>,
    pub(super) hardware_version: Option<u8>,
    pub(super) original_address: Option<u32>,
    pub(super) emitter_category: Option<&'a str>,
    pub(super) flight_number: Option<&'a str>,
    /// Four octal digits.
    pub(super) squawk: Option<&'a str>,
    pub(super) fanet: Fanet,
    /// What was not understood, in order.
    pub(super) unread: Vec<&'a [u8]>,
}

/// How a FANET packet was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fanet {
    /// Two hexadecimal digits: header and type.
    pub(super) kind: Option<u8>,
    pub(super) spreading_factor: Option<u16>,
    pub(super) coding_rate: Option<u16>,
}

impl<'a> Comment<'a> {
    /// Reads a comment, whatever it is.
    pub(super) fn read(text: &'a [u8]) -> Self {
        let mut comment = Self::default();
        let rest = comment.course_and_speed(text);
        for word in rest.split(|byte| *byte == b' ') {
            if !word.is_empty() && !comment.word(word) {
                comment.unread.push(word);
            }
        }
        comment
    }

    /// Reads `ccc/sss` if it stands in front, and returns the rest.
    fn course_and_speed(&mut self, text: &'a [u8]) -> &'a [u8] {
        let Some((head, rest)) = text.split_at_checked(7) else {
            return text;
        };
        let [c1, c2, c3, b'/', s1, s2, s3] = *head else {
            return text;
        };
        match (digits(&[c1, c2, c3]), digits(&[s1, s2, s3])) {
            (Some(course @ 0..=360), Some(speed)) => {
                self.course = (course > 0).then_some(course as u16);
                self.speed_knots = Some(speed as u16);
            }
            _ if is_blank([c1, c2, c3]) && is_blank([s1, s2, s3]) => {}
            _ => self.unread.push(head),
        }
        rest
    }

    /// Takes a word; false if it is not understood.
    fn word(&mut self, word: &'a [u8]) -> bool {
        match word {
            [b'i', b'd', id @ ..] => once(&mut self.device, Device::from_id(id)),
            [b'/', b'A', b'=', feet @ ..] => once(&mut self.altitude_feet, altitude(feet)),
            [b'!', b'W', a @ b'0'..=b'9', b @ b'0'..=b'9', b'!'] => {
                once(&mut self.precision, Some((a - b'0', b - b'0')))
            }
            [b'g', b'p', b's', size @ ..] => once(&mut self.gnss_resolution, resolution(size)),
            [b'F', b'L', level @ ..] => once(&mut self.flight_level, Number::whole(level)),
            [b'F', b'N', b'T', kind @ ..] => once(&mut self.fanet.kind, byte(kind)),
            [b's', b'F', factor @ ..] => once(&mut self.fanet.spreading_factor, small(factor)),
            [b'c', b'r', rate @ ..] => once(&mut self.fanet.coding_rate, small(rate)),
            [b'S', b'q', code @ ..] => once(&mut self.squawk, squawk(code)),
            [b'A'..=b'D', b'0'..=b'7', b':', ..] => self.flight(word),
            [b's', version @ ..] => once(&mut self.software_version, Number::whole(version)),
            [b'h', version @ ..] => once(&mut self.hardware_version, byte(version)),
            [b'r', address @ ..] => once(&mut self.original_address, address_of(address)),
            _ => self.measure(word),
        }
    }

    /// Takes a number with its unit.
    fn measure(&mut self, word: &[u8]) -> bool {
        let Some((number, unit)) = Number::leading(word) else {
            return false;
        };
        match unit {
            b"fpm" => once(&mut self.climb_fpm, number.integer()),
            b"rot" => once(&mut self.turn, Some(number)),
            b"dB" => once(&mut self.signal_db, Some(number)),
            b"e" => once(
                &mut self.bit_errors,
                number.integer().and_then(|count| u16::try_from(count).ok()),
            ),
            b"kHz" => once(&mut self.frequency_offset_khz, Some(number)),
            b"dBm" => once(&mut self.power_dbm, Some(number)),
            _ => false,
        }
    }

    /// Takes `A3:AXY547M`: the category of the emitter and the flight's call sign.
    fn flight(&mut self, word: &'a [u8]) -> bool {
        let text = str::from_utf8(word)
            .ok()
            .and_then(|word| word.split_once(':'));
        let Some((category, number)) = text else {
            return false;
        };
        let is_plausible = (1..=FLIGHT_NUMBER_BYTES_MAX).contains(&number.len())
            && number.bytes().all(|byte| byte.is_ascii_graphic());
        is_plausible
            && once(&mut self.emitter_category, Some(category))
            && once(&mut self.flight_number, Some(number))
    }
}

/// Fills `slot` if there is a value and none was there; false otherwise.
fn once<T>(slot: &mut Option<T>, value: Option<T>) -> bool {
    if slot.is_some() || value.is_none() {
        return false;
    }
    *slot = value;
    true
}

/// APRS writes a number that is not known as dots or spaces.
fn is_blank(number: [u8; 3]) -> bool {
    number == *b"..." || number == *b"   "
}

/// Six characters of feet above sea level, of which the first may be a minus sign.
fn altitude(feet: &[u8]) -> Option<i32> {
    match feet {
        [b'-', rest @ ..] if rest.len() == 5 => digits(rest)
            .and_then(|feet| i32::try_from(feet).ok())
            .map(|feet| -feet),
        _ if feet.len() == 6 => digits(feet).and_then(|feet| i32::try_from(feet).ok()),
        _ => None,
    }
}

fn resolution(size: &[u8]) -> Option<(u16, u16)> {
    let at = size.iter().position(|byte| *byte == b'x')?;
    let (horizontal, vertical) = size.split_at_checked(at)?;
    Some((small(horizontal)?, small(vertical.get(1..)?)?))
}

fn small(number: &[u8]) -> Option<u16> {
    digits(number).and_then(|value| u16::try_from(value).ok())
}

fn byte(number: &[u8]) -> Option<u8> {
    if number.len() != 2 {
        return None;
    }
    hex(number).and_then(|value| u8::try_from(value).ok())
}

fn address_of(number: &[u8]) -> Option<u32> {
    (number.len() == 6).then(|| hex(number)).flatten()
}

fn squawk(code: &[u8]) -> Option<&str> {
    let is_code = code.len() == 4 && code.iter().all(|digit| (b'0'..=b'7').contains(digit));
    is_code.then(|| str::from_utf8(code).ok()).flatten()
}
