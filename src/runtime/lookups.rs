//! Looks up the names that the engine wants. A turn waits for none of them.

use std::net::SocketAddr;
use std::rc::Rc;

use futures_util::StreamExt;
use futures_util::stream;

use crate::dns::LookupError;
use crate::runtime::core::Core;
use crate::shard::{Input, Lookup};

/// Serves the orders of the engine. Never returns.
pub(crate) async fn serve(core: Rc<Core>) {
    let orders = stream::poll_fn(|context| core.lookup_orders.poll(context).map(Some));
    orders
        .for_each_concurrent(None, |lookup| look_up(&core, lookup))
        .await;
}

async fn look_up(core: &Core, lookup: Lookup) {
    let located = core.outward.resolver.locate(lookup.question).await;
    if located == Err(LookupError::TooMany) {
        core.counters.lookups_refused.add(1);
    }
    let located = located.unwrap_or_default().into_iter();
    let addresses: Vec<SocketAddr> = located.map(|location| location.address).collect();
    core.turn(|turn| turn.handle(Input::Located(lookup.id, &addresses)));
}
