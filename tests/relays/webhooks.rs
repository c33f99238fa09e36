//! Webhooks: every receiver is told the final state, whatever it does meanwhile.

use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::daemon::{Daemon, free_address};
use crate::site::Site;
use crate::web::Web;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The table of a relay to a port of this machine.
fn table(name: &str, port: u16, more: &str) -> String {
    format!(
        "[[relay]]\nname = \"{name}\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{port}/hook\"\n\
         secret = \"{SECRET}\"\ntimeout = \"1s\"\n{more}\n"
    )
}

/// Whether a request is about a user who is so.
fn is(user: &str, lamp: &str) -> impl Fn(&Value) -> bool {
    let (user, lamp) = (json!(user), json!(lamp));
    move |request| {
        let data = &request["body"]["data"];
        data["user"] == user && data["lamp"] == lamp
    }
}

#[test]
fn a_receiver_is_told_a_call_and_its_end() {
    let web = Web::start(&["webhook", SECRET]);
    let site = Site::new("hook", &table("crm", web.port, ""));
    let daemon = Daemon::start(&site.folder);
    site.call_state("100", "&number=5551");
    let request = web.wait_for("call", is("100", "confirmed"));
    let (path, event) = (&request["path"], &request["body"]);
    assert_eq!(
        (path, &event["type"]),
        (&json!("/hook"), &json!("state.changed"))
    );
    let data = &event["data"];
    assert_eq!(data["aor"], "100@abc.com");
    assert_eq!(data["availability"], "busy");
    assert!(data["party"].as_str().unwrap().contains("5551"), "{data}");
    site.call_state("100", "");
    web.wait_for("end", is("100", "terminated"));
    let shown = site.wait_until("relays", |text| text.contains("working"));
    assert!(shown.starts_with("1 relay\n"), "{shown}");
    daemon.stop();
}

/// Verified by an authority of one's own.
#[test]
fn a_receiver_is_told_by_https() {
    let site = Site::new("https-hook", "");
    let certificate = site.certify();
    let web = Web::start(&["webhook", SECRET, "0", &certificate]);
    let table = format!(
        "[[relay]]\nname = \"crm\"\nkind = \"webhook\"\nurl = \"{}/hook\"\nsecret = \"{SECRET}\"\n\
         [dial]\nca = \"ca.pem\"\n",
        web.url()
    );
    site.configure(&table);
    let daemon = Daemon::start(&site.folder);
    site.call_state("100", "&number=5551");
    web.wait_for("call", is("100", "confirmed"));
    site.call_state("100", "");
    web.wait_for("end", is("100", "terminated"));
    daemon.stop();
}

#[test]
fn a_receiver_that_fails_in_any_way_is_told_the_final_state() {
    let web = Web::start(&["webhook", SECRET]);
    let site = Site::new("failing-hook", &table("crm", web.port, ""));
    let daemon = Daemon::start(&site.folder);
    web.script(&json!([
        {"status": 500},
        {"close": true},
        {"hang": 3},
        {"status": 429, "headers": {"Retry-After": "1"}},
        {"status": 404},
    ]));
    site.call_state("100", "&number=5551");
    daemon.first_line("the relay fails");
    let attempts: Vec<Value> = (0..6).map(|_| web.next()).collect();
    for attempt in &attempts {
        assert!(is("100", "confirmed")(attempt), "{attempt:#}");
        assert_eq!(attempt["id"], attempts[0]["id"], "one id for all attempts");
    }
    daemon.first_line("the relay works");
    // The newest state replaces one that could not be told.
    web.script(&json!([{"status": 500}]));
    site.call_state("101", "&number=1");
    web.wait_for("call", is("101", "confirmed"));
    site.call_state("101", "");
    web.wait_for("end", is("101", "terminated"));
    thread::sleep(Duration::from_millis(1_500));
    assert_eq!(web.waiting(), 0, "the call is not told again");
    daemon.stop();
}

#[test]
fn a_state_that_is_given_up_is_a_dead_letter() {
    let web = Web::start(&["webhook", SECRET]);
    let more = "give_up = \"1s\"";
    let site = Site::new("dead-hook", &table("crm", web.port, more));
    let daemon = Daemon::start(&site.folder);
    web.script(&json!([{"status": 410}]));
    site.call_state("100", "&number=5551");
    let letters = site.folder.0.join("data/relays/crm.dead.jsonl");
    let last = || -> Value {
        let text = fs::read_to_string(&letters).unwrap();
        serde_json::from_str(text.lines().next_back().unwrap()).unwrap()
    };
    let count = |count: u32| {
        let has = format!("\"dead_letters\":{count}");
        move |text: &str| text.replace(' ', "").contains(&has)
    };
    site.wait_until("relays --json", count(1));
    assert_eq!(last()["why"], "HTTP 410");
    assert_eq!(last()["event"]["data"]["user"], "100");
    web.script(&json!(vec![json!({"status": 500}); 4]));
    site.call_state("101", "&number=5551");
    site.wait_until("relays --json", count(2));
    assert_eq!(last()["why"], "HTTP 500");
    daemon.stop();
}

#[test]
fn after_a_crash_the_receiver_is_told_what_stands() {
    let port = free_address().port();
    let start = || Web::start(&["webhook", SECRET, &port.to_string()]);
    let site = Site::new("crashed-hook", &table("crm", port, ""));
    let (daemon, web) = (Daemon::start(&site.folder), start());
    site.call_state("101", "&number=5552");
    web.wait_for("call", is("101", "confirmed"));
    drop(web);
    site.call_state("101", "");
    site.call_state("100", "&number=5551");
    daemon.first_line("the relay fails");
    daemon.kill();
    let web = start();
    let daemon = Daemon::start(&site.folder);
    let requests = [web.next(), web.next()];
    for (user, lamp) in [("100", "confirmed"), ("101", "terminated")] {
        let mut requests = requests.iter();
        let request = requests.find(|request| is(user, lamp)(request));
        assert_eq!(request.unwrap()["body"]["type"], "state.current");
    }
    daemon.stop();
}

#[test]
fn a_reload_changes_one_relay_and_leaves_the_others() {
    let (one, two) = (
        Web::start(&["webhook", SECRET]),
        Web::start(&["webhook", SECRET]),
    );
    let (first, second) = (table("one", one.port, ""), table("two", two.port, ""));
    let site = Site::new("two-hooks", &first);
    let daemon = Daemon::start(&site.folder);
    site.call_state("100", "&number=5551");
    one.wait_for("call", is("100", "confirmed"));
    site.configure(&format!("{first}{second}"));
    site.lamplighter("reload");
    let request = two.wait_for("call", is("100", "confirmed"));
    assert_eq!(request["body"]["type"], "state.current");
    assert_eq!(one.waiting(), 0, "the first relay went on");
    let without_party =
        format!("{second}parties = false\nusers = [\"10*\"]\ndomains = [\"abc.com\"]\n");
    site.configure(&format!("{first}{without_party}"));
    site.lamplighter("reload");
    let request = two.wait_for("call", is("100", "confirmed"));
    assert_eq!(request["body"]["data"]["party"], json!(null));
    site.configure("");
    site.lamplighter("reload");
    site.call_state("100", "");
    assert_eq!(site.lamplighter("relays"), "No relays.\n");
    thread::sleep(Duration::from_millis(300));
    assert_eq!((one.waiting(), two.waiting()), (0, 0));
    daemon.stop();
}

/// One receiver hangs; the other is told every state, and the lamps go on.
#[test]
fn a_receiver_that_hangs_holds_up_nothing_else() {
    let (good, bad) = (
        Web::start(&["webhook", SECRET]),
        Web::start(&["webhook", SECRET]),
    );
    bad.script(&json!(vec![json!({"hang": 60}); 1000]));
    let relays = format!(
        "{}{}",
        table("good", good.port, ""),
        table("bad", bad.port, "queue = 2")
    );
    let site = Site::new("hanging-hook", &relays);
    let daemon = Daemon::start(&site.folder);
    bad_is_stuck(&site);
    for round in 0..20 {
        for user in ["100", "101", "102"] {
            site.call_state(user, &format!("&number={round}"));
            good.wait_for("call", is(user, "confirmed"));
            site.call_state(user, "");
            good.wait_for("end", is(user, "terminated"));
        }
    }
    let relays: Value = serde_json::from_str(&site.lamplighter("relays --json")).unwrap();
    let [good, bad] = &relays["relays"].as_array().unwrap()[..] else {
        panic!("{relays:#}")
    };
    assert_eq!((&good["sent"], &good["failed"]), (&json!(122), &json!(0)));
    assert_eq!(
        (&bad["sent"], &bad["status"]),
        (&json!(0), &json!("failing"))
    );
    assert!(bad["queued"].as_u64().unwrap() <= 3, "{bad}");
    daemon.stop();
}

fn bad_is_stuck(site: &Site) {
    site.call_state("100", "&number=1");
    site.call_state("100", "");
    site.wait_until("relays", |text| text.contains("failing"));
}

/// The reporter of `call_state.htm` is known by its address.
#[test]
fn a_receiver_is_not_told_what_it_reported_itself() {
    let own = Web::start(&["webhook", SECRET]);
    let other = Web::start(&["webhook", SECRET]);
    let tables = [
        table("own", own.port, "same_as = [\"127.0.0.1\"]"),
        table("other", other.port, ""),
    ];
    let site = Site::new("own-hook", &tables.concat());
    let daemon = Daemon::start(&site.folder);
    site.call_state("100", "&number=5551");
    other.wait_for("call", is("100", "confirmed"));
    site.lamplighter("set 100@abc.com note lunch");
    let told = own.wait_for("note", |request| request["body"]["data"]["note"] == "lunch");
    assert!(is("100", "terminated")(&told), "{told:#}");
    other.wait_for("note and call", is("100", "confirmed"));
    daemon.stop();
}
