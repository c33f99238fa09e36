//! `lamplighter connectors` and the API's connectors: what the shards report, merged, and what they are
//! ordered to do.

use super::*;

#[test]
fn connectors_are_listed_with_the_worst_status_of_the_shards() {
    let server = Server::start();
    assert_eq!(
        server.operator("/connectors").body,
        "CONNECTOR  DOMAIN   STATUS           SINCE   SERVER          USERS  SUBSCRIBED  FAILED  NEXT\n\
         pbx        abc.com  ConnectionError  1m 41s  192.0.2.7:5060  3      3           1       9s\n"
    );
}

#[test]
fn a_connector_is_shown_with_its_users_failures_first() {
    let server = Server::start();
    let shown = server.operator("/connectors?name=pbx").body;
    let (_, users) = shown.split_once("\n\n").unwrap();
    assert_eq!(
        users,
        "USER         THERE                    PACKAGE  STATUS  REMAINING\n\
         101@abc.com  sip:101@pbx.example.com  dialog   Error   -\n\
         100@abc.com  sip:100@pbx.example.com  dialog   Busy    1m 30s\n\
         102@abc.com  sip:102@pbx.example.com  dialog   Busy    1m 30s\n"
    );
    let unknown = server.operator("/connectors?name=other");
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.body, "there is no connector \"other\"\n");
}

#[test]
fn an_order_goes_to_every_shard() {
    let server = Server::start();
    for (order, word) in [("start", "Start"), ("stop", "Stop"), ("restart", "Restart")] {
        let done = server.command(&format!("/connectors/{order}"), "name=pbx");
        assert_eq!(
            (done.status, &*done.body),
            (200, "pbx is ConnectionError\n")
        );
        let orders = std::mem::take(&mut *server.engine.connector_orders.lock().unwrap());
        assert_eq!(
            orders,
            [0, 1, 2].map(|shard| format!("{word} pbx on {shard}"))
        );
    }
    let unknown = server.command("/connectors/stop", "name=other");
    assert_eq!(unknown.status, 404);
    assert!(server.engine.connector_orders.lock().unwrap().is_empty());
}
