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
    match listener::connect(dial.transport, dial.peer, patience).await {
        Ok(stream) => {
            if let Some(connection) = core.turn(|turn| turn.take_dialed(stream, &dial)) {
                glommio::spawn_local(streams::read(Rc::clone(core), connection)).detach();
            }
        }
        Err(error) => {
            let (peer, via) = (dial.peer, dial.transport.via_token());
            tracing::debug!(%peer, via, %error, "cannot connect to a phone");
            core.turn(|turn| turn.handle(Input::DialFailed(dial)));
        }
    }
}
