//! The frames of HTTP/2 in octets as they come (RFC 9113 §4.1): only their heads.

/// Octets of the head of a frame.
const HEAD_OCTETS: usize = 9;
/// Octets that a client sends before its first frame (RFC 9113 §3.4).
const PREFACE_OCTETS: usize = 24;

/// DATA
pub(super) const DATA: u8 = 0;
/// HEADERS
pub(super) const HEADERS: u8 = 1;
/// RST_STREAM
pub(super) const RST_STREAM: u8 = 3;
/// GOAWAY
pub(super) const GOAWAY: u8 = 7;

/// What is read of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Its type.
    pub(super) kind: u8,
    /// Octets behind the head.
    pub(super) length: u32,
    /// Its stream.
    pub(super) stream: u32,
}

/// Finds the heads of frames.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// The head of the next frame, as far as it has come.
    head: Vec<u8>,
    /// Octets before it.
    skipped: usize,
}

impl Frames {
    /// Of a client.
    pub(super) fn of_client() -> Self {
        Self {
            skipped: PREFACE_OCTETS,
            ..Self::default()
        }
    }

    /// Goes on with the octets that come next, and calls `each` with the head of each frame that begins
    /// in them.
    pub(super) fn take(&mut self, mut octets: &[u8], mut each: impl FnMut(Head)) {
        loop {
            let skipped = self.skipped.min(octets.len());
            self.skipped -= skipped;
            octets = octets.get(skipped..).unwrap_or_default();
            let missing = (HEAD_OCTETS - self.head.len()).min(octets.len());
            let (head, rest) = octets.split_at(missing);
            self.head.extend_from_slice(head);
            octets = rest;
            let [high, middle, low, kind, _, a, b, c, d] = self.head[..] else {
                return;
            };
            let length = u32::from_be_bytes([0, high, middle, low]);
            // The first bit is reserved.
            let stream = u32::from_be_bytes([a & 0x7f, b, c, d]);
            self.skipped = length as usize;
            self.head.clear();
            each(Head {
                kind,
                length,
                stream,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, 0, 0, 0, 0, 1];
        frame.resize(HEAD_OCTETS + usize::from(length), 0xff);
        frame
    }

    #[test]
    fn frames_are_found_however_the_octets_are_cut() {
        let mut octets = vec![b'P'; PREFACE_OCTETS];
        octets.extend(
            [
                frame(4, 0),
                frame(HEADERS, 200),
                frame(0, 1),
                frame(GOAWAY, 8),
            ]
            .concat(),
        );
        for piece in 1..octets.len() {
            let (mut frames, mut found) = (Frames::of_client(), Vec::new());
            for octets in octets.chunks(piece) {
                frames.take(octets, |head| found.push(head.kind));
            }
            assert_eq!(found, [4, HEADERS, 0, GOAWAY], "in pieces of {piece}");
        }
    }
}
