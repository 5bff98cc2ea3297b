//! The outside of a packet: `SENDER>DESTINATION,PATH:data`. The header is ASCII, the data is bytes.

use super::kind::Kind;

/// Characters of a call sign at most, its SSID included (APRS-IS, "Connecting to APRS-IS").
const CALL_SIGN_BYTES_MAX: usize = 9;

/// A packet, cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    pub(super) sender: &'a str,
    pub(super) destination: &'a str,
    /// What the packet passed, separated by commas; may be empty.
    path: &'a str,
    pub(super) data: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Cuts a packet.
    ///
    /// # Errors
    ///
    /// [`Kind::Header`] or [`Kind::CallSign`].
    pub(super) fn cut(packet: &'a [u8]) -> Result<Self, Kind> {
        let colon = packet
            .iter()
            .position(|byte| *byte == b':')
            .ok_or(Kind::Header)?;
        let (header, data) = packet.split_at_checked(colon).ok_or(Kind::Header)?;
        if !header.iter().all(u8::is_ascii_graphic) {
            return Err(Kind::Header);
        }
        let header = str::from_utf8(header).map_err(|_| Kind::Header)?;
        let (sender, rest) = header.split_once('>').ok_or(Kind::Header)?;
        let (destination, path) = rest.split_once(',').unwrap_or((rest, ""));
        if !is_call_sign(sender) || !is_call_sign(destination) {
            return Err(Kind::CallSign);
        }
        Ok(Self {
            sender,
            destination,
            path,
            data: data.get(1..).unwrap_or_default(),
        })
    }

    /// The stations that the packet passed, as they stand in its path.
    pub(super) fn via(&self) -> impl ExactSizeIterator<Item = &'a str> + use<'a> {
        let count = if self.path.is_empty() {
            0
        } else {
            1 + self.path.bytes().filter(|byte| *byte == b',').count()
        };
        Via {
            rest: self.path,
            count,
        }
    }

    /// Call sign of the station that heard the packet. The q construct says who that is (APRS-IS, "q construct"): the name after
    /// `qAS`, `qAR`, `qAO` and the like; the sender itself where a server took the packet from it (`qAC`, `qAX`, `qAU`). Without one it is
    /// the last name of the path.
    pub(super) fn receiver(&self) -> &'a str {
        let mut via = self.via();
        let mut last = "";
        while let Some(name) = via.next() {
            if let Some(kind) = name.strip_prefix("qA") {
                return match kind {
                    "C" | "X" | "U" => self.sender,
                    _ => usable(via.next().unwrap_or_default()).unwrap_or(self.sender),
                };
            }
            last = name;
        }
        usable(last).unwrap_or(self.sender)
    }

    /// Whether a server took the packet from its sender, and no station heard it.
    pub(super) fn is_direct(&self) -> bool {
        self.via().any(|name| matches!(name, "qAC" | "qAX" | "qAU"))
    }
}

/// A name of a path as a call sign: without the mark of a digipeater that has passed the packet on.
fn usable(name: &str) -> Option<&str> {
    let name = name.strip_suffix('*').unwrap_or(name);
    is_call_sign(name).then_some(name)
}

fn is_call_sign(name: &str) -> bool {
    (1..=CALL_SIGN_BYTES_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// The names of a path, counted.
struct Via<'a> {
    rest: &'a str,
    count: usize,
}

impl<'a> Iterator for Via<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.count = self.count.checked_sub(1)?;
        let (name, rest) = self.rest.split_once(',').unwrap_or((self.rest, ""));
        self.rest = rest;
        Some(name)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count, Some(self.count))
    }
}

impl ExactSizeIterator for Via<'_> {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn receiver(packet: &str) -> &str {
        Packet::cut(packet.as_bytes()).expect(packet).receiver()
    }

    #[test]
    fn the_q_construct_names_the_receiver() {
        let cases = [
            ("FLRDDE626>APRS,qAS,EGHL:/", "EGHL"),
            ("FLRDDE626>OGFLR,OGN1A2B3C*,qAS,LFLE:/", "LFLE"),
            ("LFNW>OGNSDR,TCPIP*,qAC,GLIDERN5:/", "LFNW"),
            ("FLRDDE626>APRS,RELAY*,EGHL*:/", "EGHL"),
            ("FLRDDE626>APRS:/", "FLRDDE626"),
            ("FLRDDE626>APRS,qAS:/", "FLRDDE626"),
            ("FLRDDE626>APRS,qAS,no_good:/", "FLRDDE626"),
            ("FLRDDE626>APRS,qAR,DL1ABC-10,X:/", "DL1ABC-10"),
        ];
        for (packet, expected) in cases {
            assert_eq!(receiver(packet), expected, "{packet}");
        }
    }

    #[test]
    fn paths_are_counted() {
        for (packet, expected) in [
            ("A>B:", vec![]),
            ("A>B,:", vec![]),
            ("A>B,qAS,C:", vec!["qAS", "C"]),
            ("A>B,X,,Y:", vec!["X", "", "Y"]),
        ] {
            let via = Packet::cut(packet.as_bytes()).expect(packet).via();
            assert_eq!(via.len(), expected.len(), "{packet}");
            assert_eq!(via.collect::<Vec<_>>(), expected, "{packet}");
        }
    }

    #[test]
    fn headers_that_are_none_are_refused() {
        let cases: [(&[u8], Kind); 9] = [
            (b"", Kind::Header),
            (b"no colon at all", Kind::Header),
            (b"NOBODY:data", Kind::Header),
            (b"A>B,qAS,no good:/", Kind::Header),
            (b"A>B,qAS,H\xF6he:/", Kind::Header),
            (b">APRS:/", Kind::CallSign),
            (b"FLRDDE626>:/", Kind::CallSign),
            (b"FLRDDE6267>APRS:/", Kind::CallSign),
            (b"FLR_DE626>APRS:/", Kind::CallSign),
        ];
        for (packet, expected) in cases {
            assert_eq!(Packet::cut(packet).unwrap_err(), expected, "{packet:?}");
        }
    }
}
