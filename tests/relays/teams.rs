//! Microsoft Teams, by a server that plays Graph as it is documented: calls, notes and do-not-disturb show there, and
//! what this server has set is cleared, whatever happens meanwhile.

use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::daemon::{Daemon, free_address};
use crate::site::Site;
use crate::web::Web;

pub(crate) const SECRET: &str = "client+secret/~";

/// The table of a relay to that server.
pub(crate) fn table(url: &str, more: &str) -> String {
    format!(
        "[[relay]]\nname = \"teams\"\nkind = \"teams\"\ndomains = [\"abc.com\"]\ntenant = \"contoso.onmicrosoft.com\"\n\
         auth_id = \"11111111-2222-3333-4444-555555555555\"\nsecret = \"{SECRET}\"\n\
         url = \"{url}\"\nlogin_url = \"{url}/\"\ntimeout = \"2s\"\n{more}\n"
    )
}

/// The rest of a table for users by their names.
const BY_NAME: &str = "upn = \"{user}@contoso.com\"";
/// The same by a file.
pub(crate) const BY_FILE: &str = "ids_file = \"teams.csv\"";

fn object_id(user: &str) -> String {
    format!("6d1d6e3c-0a3c-4d0a-8f8a-000000000{user}")
}

/// A site with a relay to that server, whose users 100 and 101 are in a file.
pub(crate) fn site(name: &str, url: &str, more: &str) -> Site {
    let site = Site::new(name, &table(url, more));
    let lines = ["100", "101"].map(|user| format!("{user},{}\n", object_id(user)));
    let text = format!("user,id\n{}", lines.concat());
    fs::write(site.folder.0.join("teams.csv"), text).unwrap();
    site
}

/// Whether a request is that one about a user, and was taken.
pub(crate) fn is(user: &str, action: &str) -> impl Fn(&Value) -> bool {
    let path = format!("/v1.0/users/{}/presence/{action}", object_id(user));
    move |request| request["path"] == path && request["status"] == 200
}

/// The number of a counter of the relay.
fn counter(site: &Site, name: &str) -> u64 {
    let relays: Value = serde_json::from_str(&site.lamplighter("relays --json")).unwrap();
    relays["relays"][0][name].as_u64().unwrap()
}

/// The paths of the requests that were not looked at yet.
pub(crate) fn rest(web: &Web) -> Vec<String> {
    let requests = (0..web.waiting()).map(|_| web.next());
    let paths = requests.map(|request| request["path"].as_str().unwrap().to_owned());
    paths.collect()
}

#[test]
fn a_mobile_call_shows_in_teams_and_clears() {
    let web = Web::start(&["teams", SECRET]);
    let site = site("teams", &web.url(), BY_FILE);
    let daemon = Daemon::start(&site.folder);
    site.call_state("100", "&state=ringing&number=5551");
    thread::sleep(Duration::from_millis(300));
    assert_eq!(rest(&web), [""; 0], "a call that rings is not told");
    site.call_state("100", "&number=5551");
    let call = web.wait_for("call", is("100", "setPresence"));
    assert_eq!(call["shows"]["session"], "InACall");
    assert_eq!(call["body"]["expirationDuration"], "PT10M");
    site.call_state("102", "&number=5551");
    site.call_state("100", "");
    let end = web.wait_for("end", is("100", "clearPresence"));
    assert_eq!(end["shows"]["session"], json!(null));
    thread::sleep(Duration::from_millis(300));
    assert_eq!(rest(&web), [""; 0], "102 is not in the file");
    let shown = site.wait_until("relays", |text| text.contains("working"));
    assert!(shown.contains("teams"), "{shown}");
    daemon.stop();
}

#[test]
fn a_note_and_do_not_disturb_show_in_teams_and_are_removed() {
    let web = Web::start(&["teams", SECRET]);
    let more = format!("{BY_NAME}\nrelay_dnd = true");
    let site = site("teams-note", &web.url(), &more);
    let daemon = Daemon::start(&site.folder);
    site.lamplighter("set 100@abc.com note lunch");
    let lookup = web.wait_for("look-up", |request| {
        request["path"] == "/v1.0/users/100@contoso.com?$select=id"
    });
    assert_eq!(lookup["method"], "GET");
    let note = web.wait_for("note", is("100", "setStatusMessage"));
    assert_eq!(note["shows"]["message"], "lunch");
    site.lamplighter("set 100@abc.com dnd on");
    let quiet = web.wait_for("dnd", is("100", "setUserPreferredPresence"));
    assert_eq!(quiet["shows"]["preferred"], "DoNotDisturb");
    site.call_state("100", "&number=5551");
    web.wait_for("call", is("100", "setPresence"));
    site.lamplighter("set 100@abc.com dnd off");
    let loud = web.wait_for("no dnd", is("100", "clearUserPreferredPresence"));
    assert_eq!(loud["shows"]["preferred"], json!(null));
    site.lamplighter("set 100@abc.com note off");
    let bare = web.wait_for("no note", is("100", "setStatusMessage"));
    assert_eq!(bare["shows"]["message"], "");
    site.call_state("100", "");
    web.wait_for("end", is("100", "clearPresence"));
    assert_eq!(
        rest(&web),
        [""; 0],
        "each is told once, and the name looked up once"
    );
    daemon.stop();
}

/// A policy that hides a user also hides the end of a call.
#[test]
fn a_user_that_is_hidden_during_a_call_is_cleared() {
    let web = Web::start(&["teams", SECRET]);
    let site = site("teams-hidden", &web.url(), BY_FILE);
    let daemon = Daemon::start(&site.folder);
    site.call_state("100", "&number=5551");
    web.wait_for("call", is("100", "setPresence"));
    let policy = "[[policy]]\ndomain = \"abc.com\"\nwatcher = \"relays\"\npresentity = \"100\"\nhandling = \"block\"\n";
    let more = format!("{BY_FILE}\n{policy}");
    site.configure(&table(&web.url(), &more));
    site.lamplighter("reload");
    site.lamplighter("set 100@abc.com note lunch");
    web.wait_for("end", is("100", "clearPresence"));
    site.call_state("100", "");
    site.call_state("100", "&number=5551");
    thread::sleep(Duration::from_millis(300));
    assert_eq!(rest(&web), [""; 0]);
    daemon.stop();
}

/// So does one that is disabled; one that is edited goes on.
#[test]
fn a_relay_that_is_removed_clears_what_it_has_set() {
    let web = Web::start(&["teams", SECRET]);
    let site = site("teams-removed", &web.url(), BY_FILE);
    let daemon = Daemon::start(&site.folder);
    site.call_state("100", "&number=5551");
    web.wait_for("call", is("100", "setPresence"));
    site.lamplighter("set 101@abc.com note lunch");
    web.wait_for("note", is("101", "setStatusMessage"));
    let edited = format!("{BY_FILE}\nqueue = 50");
    site.configure(&table(&web.url(), &edited));
    site.lamplighter("reload");
    web.wait_for("call once more", is("100", "setPresence"));
    thread::sleep(Duration::from_millis(300));
    let cleared = |path: &String| path.contains("clear");
    assert!(!rest(&web).iter().any(cleared));
    site.configure(&table(&web.url(), &format!("{edited}\nenabled = false")));
    site.lamplighter("reload");
    let cleared = [web.next(), web.next()];
    let has_cleared = |what: &dyn Fn(&Value) -> bool| cleared.iter().any(what);
    assert!(has_cleared(&is("100", "clearPresence")), "{cleared:#?}");
    let no_note = |request: &Value| request["shows"]["message"] == "";
    assert!(
        has_cleared(&|request| is("101", "setStatusMessage")(request) && no_note(request)),
        "{cleared:#?}"
    );
    site.call_state("101", "&number=5552");
    thread::sleep(Duration::from_millis(300));
    assert_eq!(rest(&web), [""; 0]);
    site.configure(&table(&web.url(), BY_FILE));
    site.lamplighter("reload");
    web.wait_for("call", is("100", "setPresence"));
    site.configure("");
    site.lamplighter("reload");
    web.wait_for("end", is("100", "clearPresence"));
    daemon.stop();
}

/// Without `relay_dnd` a choice of the user in Teams stays.
#[test]
fn do_not_disturb_is_told_only_if_that_is_configured() {
    let web = Web::start(&["teams", SECRET]);
    let site = site("teams-quiet", &web.url(), BY_FILE);
    let daemon = Daemon::start(&site.folder);
    site.lamplighter("set 100@abc.com dnd on");
    site.call_state("100", "&number=5551");
    web.wait_for("call", is("100", "setPresence"));
    site.call_state("100", "");
    web.wait_for("end", is("100", "clearPresence"));
    assert_eq!(rest(&web), [""; 0]);
    daemon.stop();
}

fn refusal(code: &str) -> Value {
    json!({"error": {"code": code, "message": "for people"}})
}

#[test]
fn a_token_that_is_not_taken_is_renewed() {
    let web = Web::start(&["teams", SECRET]);
    let site = site("teams-token", &web.url(), BY_FILE);
    let daemon = Daemon::start(&site.folder);
    site.call_state("100", "&number=5551");
    web.wait_for("call", is("100", "setPresence"));
    let body = refusal("InvalidAuthenticationToken");
    web.script(&json!([{"path": "/clearPresence", "status": 401, "body": body}]));
    site.call_state("100", "");
    web.wait_for("new token", |request| {
        request["path"] == "/contoso.onmicrosoft.com/oauth2/v2.0/token"
    });
    web.wait_for("end", is("100", "clearPresence"));
    assert_eq!(counter(&site, "failed"), 0, "nothing has failed");
    // The session has run out meanwhile: 404 is no fault.
    site.call_state("100", "&number=5551");
    web.wait_for("call", is("100", "setPresence"));
    web.script(&json!([{"path": "/clearPresence", "status": 404, "body": refusal("NotFound")}]));
    site.call_state("100", "");
    web.wait_for("end", |request| request["status"] == 404);
    thread::sleep(Duration::from_millis(300));
    assert_eq!(
        (counter(&site, "failed"), counter(&site, "unknown")),
        (0, 0)
    );
    assert_eq!(rest(&web), [""; 0]);
    daemon.stop();
}

/// Graph responds so to the first attempts of a call; the last fault is shown by then.
fn is_told_after(name: &str, answers: &Value, last: &str) {
    let web = Web::start(&["teams", SECRET]);
    let site = site(name, &web.url(), BY_FILE);
    let daemon = Daemon::start(&site.folder);
    web.script(answers);
    site.call_state("101", "&number=5551");
    web.wait_for("call", is("101", "setPresence"));
    daemon.first_line("the relay works");
    let shown = site.lamplighter("relays");
    assert!(shown.contains(last), "{shown}");
    let failures = answers.as_array().unwrap().len() as u64;
    assert_eq!(counter(&site, "failed"), failures);
    assert_eq!(counter(&site, "dead_letters"), 0);
    site.call_state("101", "");
    web.wait_for("end", is("101", "clearPresence"));
    assert_eq!(rest(&web), [""; 0]);
    daemon.stop();
}

#[test]
fn teams_is_told_the_final_state_when_graph_has_had_enough() {
    let path = "/setPresence";
    let body = refusal("TooManyRequests");
    let answers = json!([
        {"path": path, "status": 429, "headers": {"Retry-After": "1"}, "body": body},
        {"path": path, "status": 429, "body": body},
        {"path": path, "status": 500, "body": refusal("InternalServerError")},
    ]);
    is_told_after("teams-busy", &answers, "HTTP 500 InternalServerError");
}

#[test]
fn teams_is_told_the_final_state_when_graph_hangs_or_is_not_ready() {
    let path = "/setPresence";
    let answers = json!([
        {"path": path, "close": true},
        {"path": path, "hang": 4},
        {"path": path, "status": 403, "body": refusal("Forbidden")},
    ]);
    is_told_after("teams-hanging", &answers, "HTTP 403 Forbidden");
}

/// The tables in the guide, but for where Graph is.
#[test]
fn the_configuration_of_the_guide_works() {
    let guide = include_str!("../../systemd/README.md");
    let blocks = guide.split("```text\n").skip(1);
    let tables = blocks.filter_map(|block| Some(block.split_once("```")?.0));
    let tables = tables.filter(|table| table.contains("kind = \"teams\""));
    let [relay, connector] = tables.collect::<Vec<_>>().try_into().unwrap();
    let web = Web::start(&["teams", SECRET]);
    let urls = format!("url = \"{0}\"\nlogin_url = \"{0}\"\n", web.url());
    let site = Site::new("teams-guide", &format!("{relay}{urls}{connector}"));
    let write = |name: &str, text: &str| fs::write(site.folder.0.join(name), text).unwrap();
    write("teams.secret", &format!("{SECRET}\n"));
    write("teams.csv", "user,id\n102,ann@contoso.com\n");
    web.play(&json!({"103": ["Away", "Away"]}));
    let daemon = Daemon::start(&site.folder);
    site.wait_until("why 102@abc.com", |text| text.contains("is away"));
    for (user, there) in [("101", "101"), ("102", "103")] {
        site.call_state(user, "&number=5551");
        web.wait_for("call", is(there, "setPresence"));
    }
    daemon.stop();
}

#[test]
fn a_wrong_secret_is_shown() {
    let web = Web::start(&["teams", "another secret"]);
    let site = site("teams-refused", &web.url(), BY_FILE);
    let daemon = Daemon::start(&site.folder);
    site.call_state("100", "&number=5551");
    let shown = site.wait_until("relays", |text| text.contains("invalid_client"));
    assert!(shown.contains("failing"), "{shown}");
    daemon.stop();
}

#[test]
fn a_user_that_graph_does_not_know_is_reported_and_not_asked_for_again() {
    let web = Web::start(&["teams", SECRET]);
    let site = Site::new(
        "teams-unknown",
        &table(&web.url(), "upn = \"x{user}@contoso.com\""),
    );
    let daemon = Daemon::start(&site.folder);
    site.call_state("100", "&number=5551");
    site.wait_until("relays --json", |text| {
        text.replace(' ', "").contains("\"unknown\":1")
    });
    let letters = site.folder.0.join("data/relays/teams.dead.jsonl");
    let letter: Value = serde_json::from_str(&fs::read_to_string(letters).unwrap()).unwrap();
    assert_eq!(letter["why"], "HTTP 404 Request_ResourceNotFound");
    assert_eq!(letter["event"]["data"]["user"], "100");
    site.call_state("100", "");
    site.call_state("100", "&number=5551");
    thread::sleep(Duration::from_millis(300));
    assert_eq!(
        (counter(&site, "unknown"), counter(&site, "failed")),
        (1, 0)
    );
    let paths = [
        "/contoso.onmicrosoft.com/oauth2/v2.0/token",
        "/v1.0/users/x100@contoso.com?$select=id",
    ];
    assert_eq!(rest(&web), paths, "it is looked up once");
    daemon.stop();
}

/// By HTTPS, with an authority of one's own.
#[test]
fn after_a_crash_a_call_that_has_ended_meanwhile_is_cleared() {
    let site = Site::new("teams-crash", "");
    let certificate = site.certify();
    let port = free_address().port().to_string();
    let web = Web::start(&["teams", SECRET, &port, &certificate]);
    let more = format!("{BY_NAME}\n[dial]\nca = \"ca.pem\"");
    site.configure(&table(&web.url(), &more));
    let daemon = Daemon::start(&site.folder);
    site.lamplighter("set 102@abc.com note lunch");
    for user in ["100", "101"] {
        site.call_state(user, "&number=5551");
        web.wait_for("call", is(user, "setPresence"));
    }
    web.script(&json!([{"path": "/clearPresence", "hang": 60}]));
    site.call_state("100", "");
    web.wait_for("end", |request| request["answer"]["hang"] == 60);
    daemon.kill();
    let daemon = Daemon::start(&site.folder);
    let end = web.wait_for("end", is("100", "clearPresence"));
    assert_eq!(
        end["shows"],
        json!({"session": null, "message": "", "preferred": null})
    );
    site.call_state("101", "");
    web.wait_for("end", is("101", "clearPresence"));
    site.wait_until("relays", |text| text.contains("working"));
    daemon.stop();
}

/// Without [dial] ca only the authorities of the system count. A reload that adds one is in force at once, for a relay that
/// did not change, too.
#[test]
fn a_server_of_an_unknown_authority_is_told_nothing() {
    let site = Site::new("teams-stranger", "");
    let certificate = site.certify();
    let web = Web::start(&["teams", SECRET, "0", &certificate]);
    site.configure(&table(&web.url(), BY_NAME));
    let daemon = Daemon::start(&site.folder);
    site.call_state("100", "&number=5551");
    let shown = site.wait_until("relays", |text| text.contains("failing"));
    assert!(shown.contains("certificate"), "{shown}");
    assert_eq!(rest(&web), [""; 0]);
    let more = format!("{BY_NAME}\n[dial]\nca = \"ca.pem\"");
    site.configure(&table(&web.url(), &more));
    site.lamplighter("reload");
    web.wait_for("call", is("100", "setPresence"));
    site.wait_until("relays", |text| text.contains("working"));
    daemon.stop();
}
