//! Looks up the names that the engine wants, and finds the servers of connectors. A turn waits for none of
//! them.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use futures_util::StreamExt;
use futures_util::stream;

use crate::dns::LookupError;
use crate::net::source_address;
use crate::runtime::core::Core;
use crate::shard::{Flow, Input, Lookup, Route};
use crate::sip::Transport;
use crate::sip::location::{Location, Question};

/// Serves the orders of the engine. Never returns.
pub(crate) async fn serve(core: Rc<Core>) {
    let orders = stream::poll_fn(|context| core.lookup_orders.poll(context).map(Some));
    orders
        .for_each_concurrent(None, |lookup| look_up(&core, lookup))
        .await;
}

/// Finds the servers that the engine wants found. Never returns.
pub(crate) async fn find_servers(core: Rc<Core>) {
    let orders = stream::poll_fn(|context| core.route_orders.poll(context).map(Some));
    orders
        .for_each_concurrent(None, |route| find_server(&core, route))
        .await;
}

async fn look_up(core: &Core, lookup: Lookup) {
    let located = locate(core, lookup.question).await.into_iter();
    let addresses: Vec<SocketAddr> = located.map(|location| location.address).collect();
    core.turn(|turn| turn.handle(Input::Located(lookup.id, &addresses)));
}

async fn find_server(core: &Core, route: Route) {
    let transport = route.question.transport.unwrap_or(Transport::Udp);
    let located = match route.question.host.parse::<IpAddr>() {
        Ok(ip) => {
            let port = route.question.port;
            let port = port.unwrap_or_else(|| transport.default_port());
            let address = SocketAddr::new(ip, port);
            vec![Location { transport, address }]
        }
        Err(_) => locate(core, route.question).await,
    };
    let flow = |location: Location| {
        source_address::flow_to(
            &core.outward.listeners,
            location.transport,
            location.address,
        )
    };
    let flows: Vec<Flow> = located.into_iter().filter_map(flow).collect();
    core.turn(|turn| turn.handle(Input::Routed(route.id, &flows)));
}

async fn locate(core: &Core, question: Question) -> Vec<Location> {
    let located = core.outward.resolver.locate(question).await;
    if located == Err(LookupError::TooMany) {
        core.counters.lookups_refused.add(1);
    }
    located.unwrap_or_default().into_iter().collect()
}
