//! The bytes are what the crate's documentation says: other versions of the program read them.

use crc32c::{crc32c, crc32c_append};

use super::simulated_disk::SimulatedDisk;
use super::{fresh, store};
use crate::POSITION_MAX;
use crate::format::{
    Seal, SegmentHeader, position_in_name, read_segment_header, segment_header, segment_name,
};

/// Bytes and the integers that they are.
fn integer<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    bytes[offset..offset + N].try_into().unwrap()
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(integer(bytes, offset))
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(integer(bytes, offset))
}

fn segment(disk: &SimulatedDisk) -> Vec<u8> {
    disk.content("00000000000000000001.segment")
}

#[test]
fn a_segment_has_every_part_at_its_offset() {
    let (disk, mut spool) = fresh();
    store(&mut spool, "123456789");
    store(&mut spool, "");
    let bytes = segment(&disk);
    assert_eq!(bytes.len(), 64 + 16 + 9 + 16);
    assert_eq!(&bytes[..8], b"HHSPOOL\n");
    assert_eq!((u32_at(&bytes, 8), u64_at(&bytes, 12)), (1, 1));
    assert_eq!(u32_at(&bytes, 28), crc32c(&bytes[..28]));
    assert_eq!(bytes[..32], bytes[32..64]);
    let seal = crc32c(&bytes[12..28]);
    for (record, length, index) in [(64, 9, 0), (89, 0, 1)] {
        assert_eq!(
            (u32_at(&bytes, record), u32_at(&bytes, record + 4)),
            (length, index)
        );
        let checksum = crc32c_append(seal, &bytes[record..record + 12]);
        assert_eq!(u32_at(&bytes, record + 12), checksum);
    }
    // The check value of CRC32C, from RFC 3720's polynomial.
    assert_eq!(u32_at(&bytes, 72), 0xE306_9283);
    assert_eq!(&bytes[80..89], b"123456789");
}

#[test]
fn every_segment_has_a_salt_of_its_own() {
    let salt = || u64_at(&segment(&fresh().0), 20);
    assert_ne!(salt(), salt());
}

#[test]
fn headers_are_read_back_from_either_copy_and_from_nothing_else() {
    let header = segment_header(77, 5);
    let valid = SegmentHeader::Valid { first: 77, salt: 5 };
    let damaged = |at: &[usize]| {
        let mut header = header.clone();
        at.iter().for_each(|at| header[*at] ^= 1);
        header
    };
    let cases = [
        (header.clone(), valid),
        (header[..32].to_vec(), valid),
        (header[..31].to_vec(), SegmentHeader::Damaged),
        (Vec::new(), SegmentHeader::Damaged),
        (vec![0; 64], SegmentHeader::Damaged),
        (damaged(&[0]), valid),
        (damaged(&[31]), valid),
        (damaged(&[40]), valid),
        (damaged(&[3, 60]), SegmentHeader::Damaged),
    ];
    for (bytes, expected) in cases {
        assert_eq!(read_segment_header(&bytes), expected, "{bytes:?}");
    }
}

#[test]
fn a_seal_vouches_for_its_own_segment_alone() {
    let mut record = Vec::new();
    crate::format::write_record(&mut record, b"payload");
    Seal::new(1, 5).number(&mut record, 3);
    let header: [u8; 16] = integer(&record, 0);
    assert_eq!(Seal::new(1, 5).read(&header).unwrap().index, 3);
    for (first, salt) in [(2, 5), (1, 6)] {
        assert!(Seal::new(first, salt).read(&header).is_none());
    }
    assert!(Seal::new(1, 5).read(&[0; 16]).is_none());
}

#[test]
fn names_tell_positions_and_others_are_none() {
    for first in [1, 42, POSITION_MAX] {
        assert_eq!(position_in_name(&segment_name(first)), Some(first));
    }
    for name in [
        "00000000000000000000.segment",
        "18446744073709551615.segment",
        "1.segment",
        "+0000000000000000001.segment",
        "00000000000000000001.segment~",
        "00000000000000000001",
        "new",
        "reserve",
        "lock",
        "",
    ] {
        assert_eq!(position_in_name(name), None, "{name}");
    }
}
