//! In which order the servers of a name are tried (RFC 2782).

/// A server of a name: an SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The lower, the earlier.
    pub priority: u16,
    /// Its share among those of its priority.
    pub weight: u16,
    /// 0 if there is no such service.
    pub port: u16,
    /// Empty for the root: there is no such service.
    pub host: String,
}

/// Orders servers by priority, and within one at random by weight. `draw(n)`: a random number from 0 to
/// n.
pub(super) fn ordered(mut servers: Vec<Server>, draw: impl Fn(u32) -> u32) -> Vec<Server> {
    // Those of weight 0 first, so that they may be drawn at all.
    servers.sort_by_key(|server| (server.priority, server.weight));
    let mut ordered = Vec::with_capacity(servers.len());
    while let Some(first) = servers.first() {
        let priority = first.priority;
        let equals = servers.iter().take_while(|one| one.priority == priority);
        let weights: Vec<u32> = equals.map(|one| u32::from(one.weight)).collect();
        let drawn = draw(weights.iter().sum());
        let sums = weights.iter().scan(0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        let chosen = sums.take_while(|sum| *sum < drawn).count();
        ordered.push(servers.remove(chosen.min(weights.len() - 1)));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn server(priority: u16, weight: u16) -> Server {
        Server {
            priority,
            weight,
            port: 5060,
            host: format!("{priority}-{weight}"),
        }
    }

    fn order(servers: &[(u16, u16)], draw: impl Fn(u32) -> u32) -> Vec<String> {
        let servers = servers
            .iter()
            .map(|(priority, weight)| server(*priority, *weight));
        let ordered = ordered(servers.collect(), draw).into_iter();
        ordered.map(|server| server.host).collect()
    }

    #[test]
    fn lower_priorities_come_first() {
        let servers = [(20, 0), (10, 5), (30, 0), (10, 0)];
        let first = order(&servers, |_| 0);
        assert_eq!(first, ["10-0", "10-5", "20-0", "30-0"]);
        let last = order(&servers, |sum| sum);
        assert_eq!(last, ["10-5", "10-0", "20-0", "30-0"]);
    }

    #[test]
    fn a_server_is_first_as_often_as_its_weight_says() {
        let servers = [(1, 1), (1, 2), (1, 5)];
        let count = |host: &str| {
            let drawn = |number: u32| {
                // The first draw decides who is first; the others do not matter.
                let is_first = Cell::new(true);
                order(
                    &servers,
                    |_| if is_first.replace(false) { number } else { 0 },
                )
            };
            (1..=8).filter(|number| drawn(*number)[0] == host).count()
        };
        assert_eq!([count("1-1"), count("1-2"), count("1-5")], [1, 2, 5]);
    }
}
