//! The fixed bytes at both ends of a stream, and the reading of a header in pieces. Not the tuples
//! between.
//!
//! ```text
//! offset  bytes
//!      0     11  "PGCOPY\n\xff\r\n\0"   the odd bytes reveal transfers that changed newlines or bit 8
//!     11      4  flags: bit 16 set means OIDs are included, which no version since 12 writes or reads
//!     15      4  length of the extension after offset 19
//! ```

use crate::error::{Error, Kind};

/// The first 11 bytes of every stream.
const SIGNATURE: [u8; 11] = *b"PGCOPY\n\xff\r\n\0";

/// Bits that a reader must know, or refuse the stream; the other 16 it may ignore.
const CRITICAL_FLAGS: u32 = 0xffff_0000;

/// What [`Encoder::header`](crate::Encoder::header) writes, and PostgreSQL too: the signature, no
/// flags, no extension.
pub const HEADER: [u8; 19] = *b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// Stands where the next tuple's field count would: -1.
pub const TRAILER: [u8; 2] = [0xff, 0xff];

/// Reads a whole fixed header and returns the length in bytes of the extension after it.
pub(crate) fn extension_bytes(header: &[u8; 19]) -> Result<u32, Error> {
    let [signature @ .., f0, f1, f2, f3, e0, e1, e2, e3] = header;
    if *signature != SIGNATURE {
        return Err(Kind::Signature.into());
    }
    let flags = u32::from_be_bytes([*f0, *f1, *f2, *f3]);
    if flags & CRITICAL_FLAGS != 0 {
        return Err(Kind::CriticalFlags(flags).into());
    }
    let extension = i32::from_be_bytes([*e0, *e1, *e2, *e3]);
    u32::try_from(extension).map_err(|_| Kind::ExtensionLength(extension).into())
}
