//! Who transmits: address, kind of address and kind of aircraft, from the `id` field or the sender's call sign.

use std::borrow::Cow;

use super::number::hex;

/// Kinds of addresses by their number.
const ADDRESS_TYPES: [&str; 6] = ["random", "icao", "flarm", "ogn", "p3i", "fanet"];

/// Kinds of aircraft by their number in FLARM's data port specification.
const AIRCRAFT_TYPES: [&str; 16] = [
    "unknown",
    "glider",
    "tow_plane",
    "helicopter",
    "skydiver",
    "drop_plane",
    "hang_glider",
    "paraglider",
    "powered",
    "jet",
    "unknown",
    "balloon",
    "airship",
    "uav",
    "ground_support",
    "static_object",
];

/// Prefixes of call signs that are followed by an address, and its kind.
const PREFIXES: [(&str, u8); 5] = [("RND", 0), ("ICA", 1), ("FLR", 2), ("OGN", 3), ("FNT", 5)];

/// A transmitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Device {
    /// 24 bits.
    pub(super) address: u32,
    address_type: u8,
    aircraft_type: u8,
    /// The pilot does not want the aircraft to be recognised.
    pub(super) stealth: bool,
    /// The pilot does not want to be tracked.
    pub(super) no_tracking: bool,
}

impl Device {
    /// Reads the hexadecimal digits of an `id` field: flags and kinds, then the address. `STttttaa` and six digits; Naviter's have
    /// more bits for the kind of address: `STttttaa aaaarrrr` and six digits.
    pub(super) fn from_id(digits: &[u8]) -> Option<Self> {
        let (flags, address) = digits.split_at_checked(digits.len().checked_sub(6)?)?;
        let (details, address_type) = match flags.len() {
            2 => {
                let details = hex(flags)?;
                (details, details & 0x03)
            }
            4 => {
                let details = hex(flags)?;
                (details >> 8, details >> 4 & 0x3F)
            }
            _ => return None,
        };
        Some(Self {
            address: hex(address)?,
            address_type: address_type as u8,
            aircraft_type: (details >> 2 & 0x0F) as u8,
            stealth: details & 0x80 != 0,
            no_tracking: details & 0x40 != 0,
        })
    }

    /// What the call sign of a sender without an `id` field says, if it holds an address.
    pub(super) fn from_call_sign(call_sign: &str) -> Option<Self> {
        let (prefix, address) = call_sign.split_at_checked(3)?;
        let (_, address_type) = PREFIXES.iter().find(|(known, _)| *known == prefix)?;
        let address = Some(address).filter(|digits| digits.len() == 6)?;
        Some(Self {
            address: hex(address.as_bytes())?,
            address_type: *address_type,
            aircraft_type: 0,
            stealth: false,
            no_tracking: false,
        })
    }

    /// The kind of address as the table of aircraft has it; `other-N` for a number without a name.
    pub(super) fn address_type(&self) -> Cow<'static, str> {
        match ADDRESS_TYPES.get(usize::from(self.address_type)) {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(format!("other-{}", self.address_type)),
        }
    }

    /// The kind of aircraft as the table of aircraft has it.
    pub(super) fn aircraft_type(&self) -> &'static str {
        AIRCRAFT_TYPES
            .get(usize::from(self.aircraft_type))
            .copied()
            .unwrap_or("unknown")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn said(device: &Device) -> (u32, String, &'static str, bool, bool) {
        (
            device.address,
            device.address_type().into_owned(),
            device.aircraft_type(),
            device.stealth,
            device.no_tracking,
        )
    }

    #[test]
    fn id_fields_are_read_bit_by_bit() {
        let cases = [
            ("06DDFAA3", (0xDD_FAA3, "flarm", "glider", false, false)),
            ("0ADDE626", (0xDD_E626, "flarm", "tow_plane", false, false)),
            ("254D21C2", (0x4D_21C2, "icao", "jet", false, false)),
            ("213D17F2", (0x3D_17F2, "icao", "powered", false, false)),
            ("87000001", (1, "ogn", "glider", true, false)),
            ("47000001", (1, "ogn", "glider", false, true)),
            ("00FFFFFF", (0xFF_FFFF, "random", "unknown", false, false)),
            // Naviter: two bytes of flags.
            (
                "985F579BDF",
                (0x57_9BDF, "fanet", "hang_glider", true, false),
            ),
            (
                "0510579BDF",
                (0x57_9BDF, "other-17", "glider", false, false),
            ),
        ];
        for (digits, (address, address_type, aircraft_type, stealth, no_tracking)) in cases {
            let device = Device::from_id(digits.as_bytes()).expect(digits);
            assert_eq!(
                said(&device),
                (
                    address,
                    address_type.to_owned(),
                    aircraft_type,
                    stealth,
                    no_tracking
                ),
                "{digits}"
            );
        }
        for digits in [
            "",
            "06DDFA",
            "06DDFAA",
            "06DDFAA30",
            "06DDFAAG",
            "300434060496190",
        ] {
            assert_eq!(Device::from_id(digits.as_bytes()), None, "{digits}");
        }
    }

    #[test]
    fn call_signs_hold_addresses_behind_known_prefixes() {
        let device = Device::from_call_sign("ICA4D21C2").unwrap();
        assert_eq!(
            said(&device),
            (0x4D_21C2, "icao".to_owned(), "unknown", false, false)
        );
        for call_sign in ["LFNW", "SPO3836BC", "FLRDDE62", "FLRDDE6-1", "", "FL", "éé"] {
            assert_eq!(Device::from_call_sign(call_sign), None, "{call_sign}");
        }
    }
}
