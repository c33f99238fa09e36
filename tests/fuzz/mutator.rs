//! Damage to octets, in the ways of networks, bugs and attackers, from a small generator of random
//! numbers: runs repeat exactly.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "not every suite needs all, nor as a public item"
)]

/// A damaged copy of one of the seeds.
pub fn damaged(seeds: &[Vec<u8>], random: &mut XorShift) -> Vec<u8> {
    let mut octets = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(4) {
        damage(&mut octets, seeds, random);
    }
    octets
}

/// Damages a message in one of the ways of networks, bugs and attackers.
pub fn damage(octets: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut XorShift) {
    const TOKENS: &[&[u8]] = &[
        b"\r\n",
        b"\r\n ",
        b"\n",
        b"\r",
        b"\0",
        b"\"",
        b"\\",
        b"<",
        b">",
        b",",
        b";",
        b"=",
        b":",
        b"@",
        b"[",
        b"]",
        b"%",
        b"%00",
        b"?",
        b"*",
        b"\r\n\r\n",
        b";tag=",
        b";tag",
        b"Via: ",
        b"v:SIP/2.0/UDP a;;b\r\n",
        b"l: 5\r\n",
        b"CSeq: 1 X\r\n",
        b"4294967296",
        b"-1",
        b"\xff\xfe",
        b"SIP/2.0",
        b"\r\nContent-Length: 0\r\n\r\n",
        b";branch=",
        b";rport",
        b" ",
        b"\t",
    ];
    let at = random.below(octets.len() + 1);
    let end = at + random.below(octets.len() - at + 1).min(40);
    match random.below(7) {
        0 if at < octets.len() => octets[at] = random.below(256) as u8,
        1 if at < octets.len() => octets[at] ^= 1 << random.below(8),
        2 => drop(octets.drain(at..end)),
        3 => octets.truncate(at),
        4 => {
            let copy = octets[at..end].to_vec();
            octets.splice(at..at, copy);
        }
        5 => {
            let other = &seeds[random.below(seeds.len())];
            let from = random.below(other.len());
            let to = from + random.below(other.len() - from).min(200);
            octets.splice(at..end, other[from..to].iter().copied());
        }
        _ => drop(octets.splice(at..at, TOKENS[random.below(TOKENS.len())].iter().copied())),
    }
}

/// A small generator of random numbers: runs repeat exactly.
pub struct XorShift(pub u64);

impl XorShift {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}
