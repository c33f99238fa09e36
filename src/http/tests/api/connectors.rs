//! Connectors: listed, with their users by page, started and stopped.

use super::*;

#[test]
fn connectors_are_listed_with_what_all_shards_report() {
    let server = Server::start();
    let all = server.read("connectors");
    assert_eq!(all["silent_shards"], json!([]));
    let connector = &all["items"][0];
    assert_eq!(connector["status"], "ConnectionError");
    assert_eq!(connector["users_by_status"], json!({"Busy": 2, "Error": 1}));
    assert_eq!(server.read("connectors/pbx"), *connector);
    assert_eq!(
        server.read("connectors?domain=pbx.example")["items"],
        json!([])
    );
    let unknown = server.api("reader", "GET", "connectors/other", None);
    assert_eq!((unknown.status(), unknown.problem()), (404, "not-found"));
}

#[test]
fn users_of_a_connector_come_by_page() {
    let server = Server::start();
    let page = server.read("connectors/pbx/users?limit=1");
    assert_eq!(
        page["items"],
        json!([{
            "aor": "100@abc.com",
            "uri": "sip:100@pbx.example.com",
            "package": "dialog",
            "status": "Busy",
            "remaining_seconds": 90,
        }])
    );
    let next = page["next"].as_str().unwrap();
    let rest = server.read(&format!("connectors/pbx/users?cursor={next}"));
    assert_eq!(rest["items"].as_array().unwrap().len(), 2);
    assert!(rest["next"].is_null());
}

#[test]
fn a_connector_is_ordered_by_who_may_edit_its_domain() {
    let server = Server::start();
    let stopped = server.api("editor", "POST", "connectors/pbx/stop", None);
    assert_eq!(
        (stopped.status(), &stopped.json["name"]),
        (200, &json!("pbx"))
    );
    let orders = server.engine.connector_orders.lock().unwrap().len();
    assert_eq!(orders, 3, "on every shard");
    let refused = server.api("reader", "POST", "connectors/pbx/stop", None);
    assert_eq!(refused.status(), 403);
}
