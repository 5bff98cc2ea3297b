//! Cuts a stream into lines, with bounded memory whatever is sent.

/// Bytes of a line at most, its end not counted.
pub const LINE_BYTES_MAX: usize = 512;

/// Bytes that are kept of a longer line: one more than allowed, so that its length alone tells that it was longer.
const CUT_BYTES: usize = LINE_BYTES_MAX + 1;

/// Bytes that are gathered of a line: with the CR of its end it may be one longer.
const GATHERED_BYTES_MAX: usize = CUT_BYTES + 1;

/// Cuts lines; they end with LF, or CR and LF. Empty ones are left out.
#[derive(Debug, Default)]
pub(super) struct LineCutter {
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
    /// The line was handed over without its rest, which is skipped.
    is_skipping: bool,
}

impl LineCutter {
    /// Takes what came and calls `each` with every line that is now whole or too long: at most [`LINE_BYTES_MAX`] bytes, or one
    /// more where the rest is cut off.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8])) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            bytes = rest.get(1..).unwrap_or_default();
            if std::mem::take(&mut self.is_skipping) {
                continue;
            }
            if self.begun.is_empty() {
                hand_over(line, &mut each);
            } else {
                self.gather(line);
                hand_over(&self.begun, &mut each);
                self.begun.clear();
            }
        }
        if self.is_skipping {
            return;
        }
        self.gather(bytes);
        let is_long = match self.begun.as_slice() {
            [line @ .., b'\r'] => line.len() > LINE_BYTES_MAX,
            line => line.len() > LINE_BYTES_MAX,
        };
        if is_long {
            hand_over(&self.begun, &mut each);
            self.begun.clear();
            self.is_skipping = true;
        }
    }

    /// Ends the stream. A line that is too long as it is goes to `each`; one that ends before its end is no line, and false says that
    /// there was one.
    pub(super) fn finish(&mut self, mut each: impl FnMut(&[u8])) -> bool {
        let begun = std::mem::take(&mut self.begun);
        let is_long = begun.len() > LINE_BYTES_MAX;
        if is_long {
            hand_over(&begun, &mut each);
        }
        self.is_skipping = false;
        is_long || begun.is_empty()
    }

    /// Adds to the begun line as much as is looked at.
    fn gather(&mut self, bytes: &[u8]) {
        let room = GATHERED_BYTES_MAX.saturating_sub(self.begun.len());
        self.begun
            .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }
}

fn hand_over(line: &[u8], each: &mut impl FnMut(&[u8])) {
    let mut line = line;
    while let [rest @ .., b'\r'] = line {
        line = rest;
    }
    if !line.is_empty() {
        each(line.get(..CUT_BYTES).unwrap_or(line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of `stream`, pushed in pieces of `piece` bytes.
    fn lines(stream: &[u8], piece: usize) -> (Vec<Vec<u8>>, bool) {
        let mut cutter = LineCutter::default();
        let mut lines = Vec::new();
        for bytes in stream.chunks(piece) {
            cutter.push(bytes, |line| lines.push(line.to_vec()));
            assert!(cutter.begun.capacity() <= 4 * GATHERED_BYTES_MAX);
        }
        let is_whole = cutter.finish(|line| lines.push(line.to_vec()));
        (lines, is_whole)
    }

    #[test]
    fn lines_are_the_same_however_the_stream_is_split() {
        let long = [b'x'; 2_000];
        let stream = [
            b"# aprsc\r\n\r\n\nA>B:one\nA>B:t\xF6wo\r\r\n".as_slice(),
            &long[..512],
            b"\r\n",
            &long[..513],
            b"\r\n",
            &long,
            b"\nA>B:three\r\nA>B:unfin",
        ]
        .concat();
        let expected: Vec<&[u8]> = vec![
            b"# aprsc",
            b"A>B:one",
            b"A>B:t\xF6wo",
            &long[..512],
            &long[..513],
            &long[..513],
            b"A>B:three",
        ];
        for piece in [1, 2, 3, 7, 511, 512, 513, 514, 515, 1_024, stream.len()] {
            let (lines, is_whole) = lines(&stream, piece);
            assert_eq!(lines, expected, "in pieces of {piece}");
            assert!(!is_whole, "the last line has no end");
        }
    }

    #[test]
    fn a_line_without_end_is_handed_over_once() {
        for length in [513, 514, 515, 100_000] {
            for piece in [1, 513, 514, 4_096] {
                let (lines, is_whole) = lines(&vec![b'x'; length], piece);
                assert_eq!(
                    lines,
                    [vec![b'x'; 513]],
                    "{length} bytes in pieces of {piece}"
                );
                assert!(is_whole);
            }
        }
        assert_eq!(lines(&[b'x'; 512], 64), (Vec::new(), false));
    }
}
