//! The order in which a turn's datagrams leave: those to one host together.
//!
//! Guarantees: datagrams to one host keep their order, whatever their ports. Ordering costs a few
//! nanoseconds a datagram and allocates nothing once the largest turn was seen. Datagrams to two
//! hosts may be mixed when both hosts fall into one bucket; then their GSO batches are only shorter.
//! No order is kept between different hosts.

use std::net::IpAddr;

/// Buckets that hosts are dealt into.
const BUCKETS: usize = 64;
/// The end of a chain.
const NONE: u32 = u32::MAX;

/// Orders datagrams; keeps its buffers from turn to turn.
#[derive(Debug, Default)]
pub(crate) struct SendOrder {
    /// For each datagram the next one in its bucket.
    next: Vec<u32>,
    order: Vec<u32>,
}

impl SendOrder {
    /// The indexes of datagrams to these hosts, in the order in which they should leave.
    pub(crate) fn by_host(&mut self, hosts: impl Iterator<Item = IpAddr>) -> &[u32] {
        let Self { next, order } = self;
        next.clear();
        order.clear();
        let (mut first, mut last) = ([NONE; BUCKETS], [NONE; BUCKETS]);
        for (place, host) in (0u32..).zip(hosts) {
            let bucket = bucket_of(host);
            next.push(NONE);
            match next.get_mut(last[bucket] as usize) {
                Some(link) => *link = place,
                None => first[bucket] = place,
            }
            last[bucket] = place;
        }
        for mut place in first {
            while let Some(following) = next.get(place as usize) {
                order.push(place);
                place = *following;
            }
        }
        order
    }
}

fn bucket_of(host: IpAddr) -> usize {
    let low = match host {
        IpAddr::V4(ip) => u32::from(ip),
        IpAddr::V6(ip) => (u128::from(ip) ^ (u128::from(ip) >> 64)) as u32,
    };
    (low.wrapping_mul(0x9e37_79b9) >> 26) as usize % BUCKETS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_are_grouped_by_host_in_their_order() {
        let host = |place: u32| IpAddr::from([10, 0, 0, (place % 3) as u8]);
        let mut send_order = SendOrder::default();
        for count in [0u32, 1, 2, 300] {
            let order = send_order.by_host((0..count).map(host)).to_vec();
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(
                sorted,
                (0..count).collect::<Vec<_>>(),
                "each leaves exactly once"
            );
            let changes = order
                .windows(2)
                .filter(|pair| host(pair[0]) != host(pair[1]))
                .count();
            assert_eq!(changes, count.clamp(1, 3) as usize - 1);
            assert!(
                order
                    .windows(2)
                    .all(|pair| host(pair[0]) != host(pair[1]) || pair[0] < pair[1])
            );
        }
    }
}
