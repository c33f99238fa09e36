//! Slack, by a server that plays its Web API as it is documented: a call shows as a status, and clears.

use std::fs;
use std::thread;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::daemon::Daemon;
use crate::site::Site;
use crate::web::Web;

const TOKEN: &str = "xoxp-1";
const SET: &str = "/api/users.profile.set";
const IDS: &str = "100,U100AAAA\n101,U101AAAA\n102,W102AAAA\n";

/// A site with the relay of the guide, to that server.
fn site(name: &str, web: &Web, ids: &str) -> Site {
    let guide = include_str!("../../systemd/README.md");
    let mut blocks = guide.split("```text\n").skip(1);
    let table = blocks.find_map(|block| {
        let (table, _) = block.split_once("```")?;
        table.contains("kind = \"slack\"").then_some(table)
    });
    let url = format!("url = \"{}\"\nrate = 20\n", web.url());
    let site = Site::new(name, &(table.unwrap().to_owned() + &url));
    let write = |name: &str, text: &str| fs::write(site.folder.0.join(name), text).unwrap();
    write("slack.token", &format!("{TOKEN}\n"));
    write("slack.csv", &format!("user,id\n{ids}"));
    site
}

/// Whether a request sets that status of a user, and was taken.
fn sets(user: &str, text: &str) -> impl Fn(&Value) -> bool {
    let (user, text) = (json!(user), json!(text));
    move |request| {
        let (body, answer) = (&request["body"], &request["answer"]);
        let is_it = body["user"] == user && body["profile"]["status_text"] == text;
        request["path"] == SET && is_it && *answer == json!({})
    }
}

fn counter(site: &Site, name: &str) -> u64 {
    let relays: Value = serde_json::from_str(&site.lamplighter("relays --json")).unwrap();
    relays["relays"][0][name].as_u64().unwrap()
}

#[test]
fn a_call_is_a_status_and_clears_also_after_a_crash() {
    let web = Web::start(&["slack", TOKEN]);
    let site = site("slack", &web, IDS);
    let daemon = Daemon::start(&site.folder);
    site.call_state("100", "&state=ringing&number=5551");
    thread::sleep(Duration::from_millis(300));
    assert_eq!(web.waiting(), 0, "a call that rings is not told");
    site.call_state("100", "&number=5551");
    let call = web.wait_for("call", sets("U100AAAA", "On a call"));
    let profile = &call["body"]["profile"];
    assert_eq!(profile["status_emoji"], ":telephone_receiver:");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let lasts = profile["status_expiration"].as_u64().unwrap() - now.unwrap().as_secs();
    assert!((3_500..=3_600).contains(&lasts), "{lasts}");
    site.call_state("100", "");
    let end = web.wait_for("end", sets("U100AAAA", ""));
    assert_eq!(end["body"]["profile"]["status_expiration"], 0);
    site.call_state("101", "&number=5551");
    web.wait_for("call", sets("U101AAAA", "On a call"));
    web.script(&json!([{"path": SET, "hang": 60}]));
    site.call_state("101", "");
    web.wait_for("end", |request| request["answer"]["hang"] == 60);
    daemon.kill();
    let daemon = Daemon::start(&site.folder);
    let end = web.wait_for("end", sets("U101AAAA", ""));
    assert_eq!(end["shows"]["U101AAAA"], "");
    daemon.stop();
}

#[test]
fn a_status_that_a_user_has_chosen_stays() {
    let web = Web::start(&["slack", TOKEN]);
    let site = site("slack-chosen", &web, IDS);
    web.play(&json!({"U100AAAA": "On holiday"}));
    let daemon = Daemon::start(&site.folder);
    site.call_state("100", "&number=5551");
    let is_read = |request: &Value| request["path"] == "/api/users.profile.get?user=U100AAAA";
    web.wait_for("look", is_read);
    site.call_state("100", "");
    web.wait_for("look", is_read);
    // One that is chosen during the call, too.
    site.call_state("101", "&number=5551");
    web.wait_for("call", sets("U101AAAA", "On a call"));
    web.play(&json!({"U101AAAA": "Out for lunch"}));
    site.call_state("101", "");
    let look = web.next();
    assert_eq!(look["shows"]["U101AAAA"], "Out for lunch");
    thread::sleep(Duration::from_millis(300));
    assert_eq!(web.waiting(), 0, "nothing is set");
    daemon.stop();
}

#[test]
fn slack_is_told_the_final_state_whatever_it_responds() {
    let web = Web::start(&["slack", TOKEN]);
    let site = site("slack-failing", &web, IDS);
    let daemon = Daemon::start(&site.folder);
    let refusal = |error: &str| json!({"ok": false, "error": error});
    let limited = refusal("ratelimited");
    web.script(&json!([
        {"path": SET, "status": 429, "headers": {"Retry-After": "1"}, "body": limited},
        {"path": SET, "status": 200, "headers": {"Retry-After": "1"}, "body": limited},
        {"path": SET, "status": 200, "body": refusal("internal_error")},
        {"path": SET, "close": true},
    ]));
    site.call_state("100", "&number=5551");
    web.wait_for("call", sets("U100AAAA", "On a call"));
    daemon.first_line("the relay works");
    let counts = (counter(&site, "failed"), counter(&site, "dead_letters"));
    assert_eq!(counts, (4, 0));
    site.call_state("100", "");
    web.wait_for("end", sets("U100AAAA", ""));
    daemon.stop();
}

#[test]
fn a_user_that_slack_does_not_know_or_that_may_not_be_changed_is_reported_once() {
    let web = Web::start(&["slack", TOKEN]);
    let site = site("slack-unknown", &web, "101,U999AAAA\n102,W102AAAA\n");
    let daemon = Daemon::start(&site.folder);
    let letters = site.folder.0.join("data/relays/slack.dead.jsonl");
    for (user, error, count) in [
        ("101", "user_not_found", 1),
        ("102", "cannot_update_admin_user", 2),
    ] {
        site.call_state(user, "&number=5551");
        let has = format!("\"unknown\":{count}");
        site.wait_until("relays --json", |text| text.replace(' ', "").contains(&has));
        let text = fs::read_to_string(&letters).unwrap();
        let letter: Value = serde_json::from_str(text.lines().next_back().unwrap()).unwrap();
        let reported = (&letter["why"], &letter["event"]["data"]["user"]);
        assert_eq!(reported, (&json!(error), &json!(user)));
        site.call_state(user, "");
        site.call_state(user, "&number=5551");
    }
    thread::sleep(Duration::from_millis(500));
    let counts = (counter(&site, "unknown"), counter(&site, "failed"));
    assert_eq!(counts, (2, 0));
    daemon.stop();
}

#[test]
fn a_wrong_token_is_shown() {
    let web = Web::start(&["slack", "xoxp-another"]);
    let site = site("slack-refused", &web, IDS);
    let daemon = Daemon::start(&site.folder);
    site.call_state("100", "&number=5551");
    let shown = site.wait_until("relays", |text| text.contains("invalid_auth"));
    assert!(shown.contains("failing"), "{shown}");
    daemon.stop();
}

#[test]
fn a_relay_that_is_removed_empties_the_status() {
    let web = Web::start(&["slack", TOKEN]);
    let site = site("slack-removed", &web, IDS);
    let daemon = Daemon::start(&site.folder);
    site.call_state("100", "&number=5551");
    web.wait_for("call", sets("U100AAAA", "On a call"));
    site.configure("");
    site.lamplighter("reload");
    web.wait_for("end", sets("U100AAAA", ""));
    daemon.stop();
}
