//! Opens the streams that the engine wants, several at once. A turn waits for none of them.

use std::rc::Rc;

use futures_util::StreamExt;
use futures_util::stream;

use crate::net::listener;
use crate::runtime::core::Core;
use crate::runtime::streams;
use crate::shard::{Dial, Input};

/// Serves the orders of the engine. Never returns; if it is cancelled, streams that are not open yet
/// are given up.
pub(crate) async fn serve(core: Rc<Core>) {
    let orders = stream::poll_fn(|context| core.dial_orders.poll(context).map(Some));
    orders
        .for_each_concurrent(None, |dial| open(&core, dial))
        .await;
}

/// Opens one stream, which is then read like one that was accepted.
async fn open(core: &Rc<Core>, dial: Dial) {
    let patience = core.limits.connect_timeout;
    let client = core.outward.tls_client.current();
    match listener::connect(&dial, patience, &client).await {
        Ok(stream) => match core.turn(|turn| turn.take_dialed(stream, &dial)) {
            Some(connection) => {
                let serving = streams::serve_dialed(Rc::clone(core), connection, dial);
                glommio::spawn_local(serving).detach();
            }
            None => core.turn(|turn| turn.handle(Input::DialFailed(dial.id))),
        },
        Err(error) => {
            let (peer, via) = (dial.peer, dial.transport.via_token());
            tracing::debug!(%peer, via, %error, "cannot connect to a phone");
            core.turn(|turn| turn.handle(Input::DialFailed(dial.id)));
        }
    }
}
