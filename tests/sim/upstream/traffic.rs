//! How many SUBSCRIBEs a PBX may be sent, however it behaves. Retransmissions do not count. CSeq goes up
//! within a Call-ID.
//!
//! - To all users together: the pace of the connector, twice over for challenges and other answers that
//!   are followed at once.
//! - To one user: one subscription after the other, none more often than once a second on average, and the
//!   answers to its challenges.
//! - To a PBX that refuses everything, or is not heard: the attempts of each shard, whose pauses double.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::network::{Micros, SECOND};
use crate::sip_text::Text;

/// The span of time over which requests are counted.
const WINDOW: Micros = 10 * SECOND;
/// Requests to one user within that time.
const USER_MAX: usize = 30;
/// Requests to all users beyond the pace within that time.
const BEYOND_PACE: usize = 30;

/// The SUBSCRIBEs that a PBX was sent.
#[derive(Debug)]
pub(crate) struct Traffic {
    pace: u32,
    branches: HashSet<String>,
    /// The last CSeq of each Call-ID.
    sequences: HashMap<String, u32>,
    recent: VecDeque<(Micros, String)>,
    /// Those since the PBX serves nothing any more.
    pub(crate) in_vain: u64,
    pub(crate) total: u64,
}

impl Traffic {
    pub(crate) fn new(pace: u32) -> Self {
        Self {
            pace,
            branches: HashSet::new(),
            sequences: HashMap::new(),
            recent: VecDeque::new(),
            in_vain: 0,
            total: 0,
        }
    }

    /// A SUBSCRIBE leaves. `is_in_vain`: the PBX serves nothing. The error says which bound it breaks.
    pub(crate) fn note(
        &mut self,
        now: Micros,
        text: &Text<'_>,
        is_in_vain: bool,
    ) -> Result<(), String> {
        if !self
            .branches
            .insert(text.branch().unwrap_or_default().to_owned())
        {
            return Ok(());
        }
        let cseq = text.cseq().map_or(0, |(cseq, _)| cseq);
        let before = self.sequences.insert(text.call_id().to_owned(), cseq);
        if before.is_some_and(|before| before >= cseq) {
            return Err(format!(
                "CSeq {cseq} after {before:?} in {}",
                text.call_id()
            ));
        }
        self.total += 1;
        self.in_vain += u64::from(is_in_vain);
        let user = text.uri("To").unwrap_or_default();
        self.recent.push_back((now, user.to_owned()));
        self.recent.retain(|(at, _)| *at + WINDOW > now);
        let of_user = self.recent.iter().filter(|(_, known)| known == user);
        let of_user = of_user.count();
        if of_user > USER_MAX {
            return Err(format!("{of_user} requests to {user} in 10 s"));
        }
        let most = 2 * (WINDOW / SECOND) as usize * self.pace as usize + BEYOND_PACE;
        match self.recent.len() > most {
            true => Err(format!("{} requests in 10 s", self.recent.len())),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscribe(user: u64, cseq: u64, branch: u64) -> Vec<u8> {
        format!(
            "SUBSCRIBE sip:{user}@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=b{branch}\r\nFrom: <sip:1@h>;tag=f\r\n\
             To: <sip:{user}@h>\r\nCall-ID: {user}\r\nCSeq: {cseq} SUBSCRIBE\r\nContent-Length: 0\r\n\r\n"
        )
        .into()
    }

    fn note(traffic: &mut Traffic, at: Micros, octets: &[u8]) -> Result<(), String> {
        traffic.note(at, &Text::parse(octets).unwrap(), true)
    }

    #[test]
    fn a_storm_to_one_user_is_detected() {
        let mut traffic = Traffic::new(200);
        let mut sent = (0..100).map(|number| {
            let octets = subscribe(1, number, number);
            note(&mut traffic, number * SECOND / 4, &octets)
        });
        assert_eq!(sent.position(|it| it.is_err()), Some(USER_MAX));
    }

    #[test]
    fn more_than_the_pace_is_detected() {
        let mut traffic = Traffic::new(2);
        let mut sent = (0..200).map(|number| {
            let octets = subscribe(number, 1, number);
            note(&mut traffic, number * SECOND / 20, &octets)
        });
        assert_eq!(sent.position(|it| it.is_err()), Some(70));
    }

    #[test]
    fn a_retransmission_does_not_count_and_a_cseq_goes_up() {
        let mut traffic = Traffic::new(2);
        let first = subscribe(1, 5, 1);
        for _ in 0..100 {
            assert_eq!(note(&mut traffic, 0, &first), Ok(()));
        }
        assert_eq!((traffic.total, traffic.in_vain), (1, 1));
        assert!(note(&mut traffic, 0, &subscribe(1, 5, 2)).is_err());
    }
}
