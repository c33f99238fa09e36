//! Microsoft Teams as a source: what users do there is shown, and what we have told Teams does not come back.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::daemon::Daemon;
use crate::site::Site;
use crate::teams::{BY_FILE, SECRET, is, rest, site};
use crate::web::Web;

/// A connector that reads what the relay tells.
const CONNECTOR: &str = "[[connector]]\nname = \"from-teams\"\nkind = \"teams\"\ndomain = \"abc.com\"\n\
                         relay = \"teams\"\npoll = \"1s\"\n";

/// A poll of Teams.
fn is_poll(request: &Value) -> bool {
    request["path"] == "/v1.0/communications/getPresencesByUserId"
}

/// Waits for so many further polls.
fn wait_for_polls(web: &Web, count: usize) {
    while web.waiting() > 0 {
        web.next();
    }
    for _ in 0..count {
        web.wait_for("poll", is_poll);
    }
}

/// Waits until the state of a user is explained so.
fn wait_until(site: &Site, user: &str, words: &[&str]) -> String {
    let line = format!("why {user}@abc.com");
    site.wait_until(&line, |text| words.iter().all(|word| text.contains(word)))
}

#[test]
fn what_users_do_in_teams_is_shown_and_not_told_back() {
    let web = Web::start(&["teams", SECRET]);
    let site = site("teams-in", &web.url(), &format!("{BY_FILE}\n{CONNECTOR}"));
    web.play(&json!({"100": ["Busy", "InACall"], "101": ["DoNotDisturb", "Presenting"]}));
    let daemon = Daemon::start(&site.folder);
    wait_until(
        &site,
        "100",
        &[
            "100@abc.com is busy",
            "lamp confirmed",
            "upstream:from-teams",
        ],
    );
    wait_until(
        &site,
        "101",
        &["101@abc.com is do-not-disturb", "upstream:from-teams"],
    );
    wait_for_polls(&web, 2);
    // A call of ours is told; the one of Teams goes on beside it, and after it.
    site.call_state("100", "&number=5551");
    web.wait_for("call", is("100", "setPresence"));
    site.call_state("100", "");
    web.wait_for("end", is("100", "clearPresence"));
    wait_for_polls(&web, 4);
    wait_until(&site, "100", &["lamp confirmed"]);
    web.play(&json!({"100": ["Away", "Away"], "101": ["Available", "Available"]}));
    wait_until(&site, "100", &["100@abc.com is away", "lamp terminated"]);
    wait_until(&site, "101", &["101@abc.com is available"]);
    web.play(&json!({"100": ["Offline", "OffWork"]}));
    site.wait_until("why 100@abc.com", |text| {
        !text.contains("upstream:from-teams")
    });
    assert!(
        rest(&web)
            .iter()
            .all(|path| path.ends_with("getPresencesByUserId"))
    );
    daemon.stop();
}

/// Teams shows the call for two polls after it was cleared.
#[test]
fn a_call_of_ours_does_not_come_back_from_teams() {
    let web = Web::start(&["teams", SECRET]);
    let site = site("teams-loop", &web.url(), &format!("{BY_FILE}\n{CONNECTOR}"));
    let daemon = Daemon::start(&site.folder);
    site.wait_until("connectors", |text| text.contains("UpAndRunning"));
    site.call_state("100", "&number=5551");
    web.wait_for("call", is("100", "setPresence"));
    wait_for_polls(&web, 2);
    let why = wait_until(&site, "100", &["lamp confirmed"]);
    assert!(!why.contains("upstream"), "{why}");
    site.call_state("100", "");
    web.wait_for("end", is("100", "clearPresence"));
    for _ in 0..4 {
        wait_for_polls(&web, 1);
        thread::sleep(Duration::from_millis(200));
        let why = wait_until(&site, "100", &["lamp terminated"]);
        assert!(!why.contains("upstream"), "{why}");
    }
    // A call that begins there now is one of Teams.
    web.play(&json!({"100": ["Busy", "InACall"]}));
    wait_until(&site, "100", &["lamp confirmed", "upstream:from-teams"]);
    wait_for_polls(&web, 2);
    assert!(
        rest(&web)
            .iter()
            .all(|path| path.ends_with("getPresencesByUserId"))
    );
    daemon.stop();
}

/// The relay is told nothing, and its tenant is read.
#[test]
fn the_connector_has_the_statuses_of_all_connectors() {
    let web = Web::start(&["teams", SECRET]);
    let more = format!("enabled = false\n{BY_FILE}\n{CONNECTOR}");
    let site = site("teams-status", &web.url(), &more);
    web.play(&json!({"100": ["Busy", "InAMeeting"]}));
    let daemon = Daemon::start(&site.folder);
    site.wait_until("connectors", |text| text.contains("UpAndRunning"));
    wait_until(&site, "100", &["100@abc.com is busy", "lamp terminated"]);
    site.call_state("101", "&number=5551");
    let refusal = json!({"error": {"code": "Forbidden", "message": "for people"}});
    let refusals = vec![json!({"path": "getPresences", "status": 403, "body": refusal}); 2];
    web.script(&json!(refusals));
    site.wait_until("connectors", |text| text.contains("Forbidden"));
    // What it told is stale, and comes back.
    wait_until(&site, "100", &["not heard for"]);
    web.script(&json!([{"path": "getPresences", "hang": 60}]));
    site.lamplighter("connectors restart from-teams");
    site.wait_until("connectors", |text| text.contains("ConnectionError"));
    site.wait_until("why 100@abc.com", |text| !text.contains("not heard for"));
    site.lamplighter("connectors stop from-teams");
    site.wait_until("connectors", |text| text.contains("Disabled"));
    web.script(&json!([]));
    site.lamplighter("connectors start from-teams");
    site.wait_until("connectors", |text| text.contains("UpAndRunning"));
    assert_eq!(site.lamplighter("relays"), "No relays.\n");
    assert!(rest(&web).iter().all(|path| !path.contains("/presence/")));
    daemon.stop();
}

/// Two servers that tell and read one tenant: a call at one shows at the other, which tells Teams nothing of it.
#[test]
fn what_one_server_tells_teams_the_other_reads_and_does_not_tell() {
    let web = Web::start(&["teams", SECRET]);
    let tables = format!("{BY_FILE}\n{CONNECTOR}");
    let sites = ["left", "right"].map(|name| site(&format!("teams-{name}"), &web.url(), &tables));
    let daemons = [0, 1].map(|at| Daemon::start(&sites[at].folder));
    for site in &sites {
        site.wait_until("connectors", |text| text.contains("UpAndRunning"));
    }
    for (user, [here, there]) in [("100", [0, 1]), ("101", [1, 0])] {
        let (here, there): (&Site, &Site) = (&sites[here], &sites[there]);
        here.call_state(user, "&number=5551");
        web.wait_for("call", is(user, "setPresence"));
        wait_until(there, user, &["lamp confirmed", "upstream:from-teams"]);
        tells_nothing_more(&web);
        let why = wait_until(here, user, &["lamp confirmed"]);
        assert!(!why.contains("upstream"), "{why}");
        here.call_state(user, "");
        web.wait_for("end", is(user, "clearPresence"));
        for site in [here, there] {
            wait_until(site, user, &["lamp terminated"]);
        }
        tells_nothing_more(&web);
        for site in [here, there] {
            wait_until(site, user, &["lamp terminated"]);
        }
    }
    daemons.into_iter().for_each(Daemon::stop);
}

/// Of some polls of both servers, none is followed by anything else.
fn tells_nothing_more(web: &Web) {
    thread::sleep(Duration::from_secs(4));
    let told: Vec<String> = rest(web);
    let polls = told
        .iter()
        .filter(|path| path.ends_with("getPresencesByUserId"));
    assert!(polls.count() >= 4, "{told:?}");
    let tokens =
        |path: &&String| path.ends_with("getPresencesByUserId") || path.ends_with("/token");
    assert!(told.iter().all(|path| tokens(&path)), "{told:?}");
}
