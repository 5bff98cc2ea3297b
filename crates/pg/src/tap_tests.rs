//! The tap alone: messages cut at every place, batches that nobody takes, copies that are given up.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::task::Waker;

use super::*;
use crate::diversion::COPY_BATCH_BYTES;

/// A stream that gives out a few bytes at a time.
struct Cut {
    bytes: Vec<u8>,
    at: usize,
    step: usize,
}

impl AsyncRead for Cut {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let end = self
            .bytes
            .len()
            .min(self.at + self.step.min(out.remaining()));
        out.put_slice(&self.bytes[self.at..end]);
        self.at = end;
        Poll::Ready(Ok(()))
    }
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[tag], &length.to_be_bytes()[..], body].concat()
}

/// Everything that can be read now, in pieces of `piece_bytes`; whether the end was reached.
fn read(tapped: &mut Tapped<Cut>, piece_bytes: usize, passed: &mut Vec<u8>) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    loop {
        let mut piece = vec![0; piece_bytes];
        let mut out = ReadBuf::new(&mut piece);
        match Pin::new(&mut *tapped).poll_read(&mut context, &mut out) {
            Poll::Ready(Ok(())) if out.filled().is_empty() => return true,
            Poll::Ready(result) => result.unwrap(),
            Poll::Pending => return false,
        }
        passed.extend_from_slice(out.filled());
    }
}

fn tapped(bytes: Vec<u8>, step: usize) -> (Tap, Tapped<Cut>) {
    let tap = Tap::new();
    (tap.clone(), Tapped::new(Cut { bytes, at: 0, step }, tap))
}

#[test]
fn data_is_diverted_and_the_rest_passes_however_it_is_cut() {
    let before = [
        message(b'Z', b"I"),
        message(b'd', b"of an earlier COPY"),
        message(b'2', b""),
    ];
    let copy = [
        message(b'H', b"\x01\x00\x00"),
        message(b'd', b"first"),
        message(b'd', b""),
    ];
    let notice = [message(b'N', b"said in between"), message(b'd', b" second")];
    let after = [
        message(b'c', b""),
        message(b'C', b"COPY 2\0"),
        message(b'Z', b"I"),
    ];
    let all = [
        before.concat(),
        copy.concat(),
        notice.concat(),
        after.concat(),
    ]
    .concat();
    let passing = [
        before.concat(),
        message(b'H', b"\x01\x00\x00"),
        message(b'N', b"said in between"),
        after.concat(),
    ]
    .concat();
    for step in 1..=all.len() {
        for piece_bytes in [1, 3, 8192] {
            let (tap, mut tapped) = tapped(all.clone(), step);
            let diversion = tap.arm().unwrap();
            let (mut passed, mut data) = (Vec::new(), Vec::new());
            let mut context = Context::from_waker(Waker::noop());
            while !read(&mut tapped, piece_bytes, &mut passed) {
                // Waits for the batch to be taken.
                let Poll::Ready(batch) = diversion.poll_batch(&mut context) else {
                    panic!("neither side can go on");
                };
                data.extend_from_slice(&batch);
            }
            data.extend_from_slice(&diversion.end().unwrap_or_default());
            assert_eq!(data, b"first second", "{step} {piece_bytes}");
            assert_eq!(passed, passing, "{step} {piece_bytes}");
        }
    }
}

#[test]
fn no_more_is_read_than_two_batches_until_one_is_taken() {
    let data: Vec<u8> = (0..5 * COPY_BATCH_BYTES)
        .map(|at| (at % 251) as u8)
        .collect();
    let start = [message(b'H', b""), message(b'd', &data), message(b'c', b"")].concat();
    let (tap, mut tapped) = tapped(start, READ_BYTES);
    let diversion = tap.arm().unwrap();
    let (mut passed, mut got) = (Vec::new(), Vec::new());
    let mut context = Context::from_waker(Waker::noop());
    let mut largest = 0;
    while !read(&mut tapped, 8192, &mut passed) {
        assert!(tapped.stream.at <= got.len() + 2 * COPY_BATCH_BYTES + READ_BYTES + 10);
        let Poll::Ready(batch) = diversion.poll_batch(&mut context) else {
            panic!("neither side can go on");
        };
        largest = largest.max(batch.len());
        got.extend_from_slice(&batch);
    }
    got.extend_from_slice(&diversion.end().unwrap_or_default());
    assert!(got == data);
    assert_eq!(largest, COPY_BATCH_BYTES);
    assert_eq!(passed, [message(b'H', b""), message(b'c', b"")].concat());
}

#[test]
fn memory_that_nobody_uses_any_more_is_used_again() {
    let data = vec![7; 20 * COPY_BATCH_BYTES];
    let (tap, mut tapped) = tapped(
        [message(b'H', b""), message(b'd', &data)].concat(),
        READ_BYTES,
    );
    let diversion = tap.arm().unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let mut places = std::collections::HashSet::new();
    let mut passed = Vec::new();
    while !read(&mut tapped, 8192, &mut passed) {
        if let Poll::Ready(batch) = diversion.poll_batch(&mut context) {
            places.insert(batch.as_ptr());
        }
    }
    assert!(places.len() <= 3, "{}", places.len());
}

#[test]
fn a_copy_that_is_given_up_passes_from_its_next_message_on_and_no_other_is_diverted() {
    let bytes = [
        message(b'H', b""),
        message(b'd', &[1; 1000]),
        message(b'd', b"late"),
    ]
    .concat();
    let (tap, mut tapped) = tapped(bytes, 100);
    let diversion = tap.arm().unwrap();
    let mut passed = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    let mut piece = [0; 5];
    let mut out = ReadBuf::new(&mut piece);
    assert!(
        Pin::new(&mut tapped)
            .poll_read(&mut context, &mut out)
            .is_ready()
    );
    drop(diversion);
    assert!(tap.arm().is_none());
    assert!(read(&mut tapped, 8192, &mut passed));
    assert_eq!(passed, message(b'd', b"late"));
}
