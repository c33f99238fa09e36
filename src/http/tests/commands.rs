//! The operator's commands: what each does, and what each refuses.

use super::*;
use crate::presence::call::{AppearanceState, CallState, Direction};
use crate::presence::policy::Handling;
use crate::presence::source::ForwardKind;

impl Server {
    /// The last state update, and the address it is about.
    fn last_update(&self) -> (String, StateUpdate) {
        self.engine.updates.lock().unwrap().pop().unwrap()
    }

    /// Sets a state of 123@abc.com. Returns the update that the engine received.
    fn set(&self, page: &str, fields: &str) -> StateUpdate {
        let response = self.command(&format!("/set/{page}"), &format!("aor=123@abc.com{fields}"));
        assert_eq!(response.status, 200, "{page}{fields}: {}", response.body);
        assert_eq!(
            response.body,
            "123@abc.com is ringing (basic open, lamp early)\n"
        );
        let (aor, update) = self.last_update();
        assert_eq!(aor, "123@abc.com");
        update
    }

    /// Whether it is refused so, and nothing was done.
    fn refuses(&self, page: &str, fields: &str, status: u16, words: &str) {
        let before = self.directory.current();
        let response = self.command(page, fields);
        assert_eq!(
            response.status, status,
            "{page} {fields}: {}",
            response.body
        );
        assert!(
            response.body.contains(words),
            "{page} {fields}: {}",
            response.body
        );
        assert!(response.body.ends_with('\n'));
        assert!(self.engine.updates.lock().unwrap().is_empty());
        assert!(Arc::ptr_eq(&before, &self.directory.current()));
    }

    fn members(&self, list: &str) -> Vec<String> {
        let list = self.directory.current().list(&Aor::from_key(list).unwrap());
        let members = list.unwrap().members.clone();
        members
            .iter()
            .map(|member| member.uri.to_string())
            .collect()
    }
}

#[test]
fn a_list_is_created_edited_and_deleted() {
    let server = Server::start();
    assert_eq!(server.operator("/list").body, "There are no lists.\n");
    let made = server.command(
        "/list/create",
        "list=team@PBX.abc.com&name=The+team&style=broadworks&members=123+sip:7@open.example",
    );
    assert_eq!(
        (made.status, made.body.as_str()),
        (200, "team@abc.com \"The team\", broadworks, 2 members\n")
    );
    let shards = std::mem::take(&mut *server.engine.reloads.lock().unwrap());
    assert_eq!(shards, [0, 1, 2].map(ShardId), "each shard follows");
    let added = server.command("/list/add", "list=team@abc.com&member=sip:9@abc.com&at=1");
    assert_eq!(added.status, 200, "{}", added.body);
    let all = ["sip:9@abc.com", "sip:123@abc.com", "sip:7@open.example"];
    assert_eq!(server.members("team@abc.com"), all);
    assert_eq!(
        server.operator("/list?list=team@abc.com").body,
        "team@abc.com \"The team\", broadworks, 3 members\n\n\
         AT  MEMBER              NAME\n\
         1   sip:9@abc.com       9\n\
         2   sip:123@abc.com     123\n\
         3   sip:7@open.example  Otto\n"
    );
    assert_eq!(
        server.operator("/list").body,
        "LIST          NAME      STYLE       MEMBERS  OWNER\n\
         team@abc.com  The team  broadworks  3        -\n"
    );
    let why = server.operator("/why?aor=team@abc.com").body;
    assert!(
        why.contains("sip:7@open.example  Otto  ringing  early  ringing: a call is early\n"),
        "{why}"
    );
    let removed = server.command("/list/remove", "list=team@abc.com&member=123");
    assert_eq!(removed.status, 200, "{}", removed.body);
    assert_eq!(server.members("team@abc.com"), [all[0], all[2]]);
    let gone = server.command("/list/delete", "list=team@abc.com");
    assert_eq!(
        (gone.status, gone.body.as_str()),
        (200, "team@abc.com was deleted\n")
    );
    assert_eq!(server.operator("/list?list=team@abc.com").status, 404);
}

#[test]
fn built_in_lists_are_shown_and_cannot_be_edited() {
    let server = Server::start();
    let orbits = server.operator("/list?list=orbits@pbx.example").body;
    assert!(orbits.contains("2   sip:701@pbx.example"), "{orbits}");
    let parked = server.operator("/list?list=parked@pbx.example").body;
    assert_eq!(
        parked,
        "parked@pbx.example \"parked\", rfc, 0 members, and every orbit while a call is parked in it\n"
    );
    let page = "list=orbits@pbx.example";
    server.refuses("/list/delete", page, 404, "there is no list");
    server.refuses("/list/create", page, 409, "a built-in list");
}

#[test]
fn invalid_list_edits_are_refused() {
    let server = Server::start();
    let make = server.command("/list/create", "list=team@abc.com&members=123");
    assert_eq!(make.status, 200, "{}", make.body);
    let make = server.command("/list/create", "list=outer@abc.com&members=team");
    assert_eq!(make.status, 200, "{}", make.body);
    for (page, fields, status, words) in [
        ("create", "list=team@abc.com", 409, "already exists"),
        ("create", "list=123@abc.com", 409, "belongs to an account"),
        (
            "create",
            "list=x@nowhere",
            404,
            "unknown domain; configured domains: abc.com",
        ),
        ("create", "list=x", 400, "the address is invalid"),
        ("create", "name=x", 400, "list is missing"),
        (
            "create",
            "list=x@abc.com&style=new",
            400,
            "style must be one of: rfc",
        ),
        (
            "create",
            "list=x@abc.com&members=tel:1",
            400,
            "is not the SIP URI",
        ),
        (
            "create",
            "list=x@abc.com&owner=1",
            400,
            "unknown field \"owner\"",
        ),
        ("create", "list=x@abc.com&members=any-dn", 409, "any-dn"),
        ("add", "list=team@abc.com", 400, "member is missing"),
        ("add", "list=none@abc.com&member=1", 404, "there is no list"),
        ("add", "list=team@abc.com&member=123", 409, "already"),
        (
            "add",
            "list=team@abc.com&member=outer",
            409,
            "contain each other",
        ),
        (
            "add",
            "list=team@abc.com&member=1&at=0",
            400,
            "at must be 1 or more",
        ),
        (
            "add",
            "list=team@abc.com&member=1&at=x",
            400,
            "at is not a number",
        ),
        ("add", "list=team@abc.com&member=1&member=2", 400, "twice"),
        (
            "remove",
            "list=team@abc.com&member=9",
            404,
            "is not a member",
        ),
        (
            "remove",
            "list=none@abc.com&member=9",
            404,
            "there is no list",
        ),
        ("delete", "list=none@abc.com", 404, "there is no list"),
    ] {
        server.refuses(&format!("/list/{page}"), fields, status, words);
    }
    let name = format!("list=x@abc.com&name={}", "x".repeat(1025));
    server.refuses("/list/create", &name, 400, "longer than 1024");
    let many: Vec<String> = (0..10_001).map(|user| user.to_string()).collect();
    let many = format!("list=x@abc.com&members={}", many.join("+"));
    server.refuses("/list/create", &many, 409, "more than 10000 members");
    let body = "x".repeat(300 << 10);
    server.refuses("/list/create", &body, 413, "longer than");
}

#[test]
fn a_busy_shard_gets_the_directory_later() {
    let server = Server::start();
    server.engine.refusals.store(2, Ordering::SeqCst);
    let made = server.command("/list/create", "list=team@abc.com&members=123");
    assert_eq!(made.status, 200, "{}", made.body);
    let mut shards = server.engine.reloads.lock().unwrap().clone();
    shards.sort_by_key(|shard| shard.0);
    assert_eq!(shards, [0, 1, 2].map(ShardId));
    server.engine.is_silent.store(true, Ordering::SeqCst);
    let why = server.operator("/why?aor=team@abc.com").body;
    assert!(why.contains("its shard does not respond"), "{why}");
    let half = server.command("/list/delete", "list=team@abc.com");
    assert_eq!(half.status, 503);
    assert!(
        half.body.starts_with("the change is in force, but a shard"),
        "{}",
        half.body
    );
}

#[test]
fn say_sets_features_notes_and_presence() {
    let server = Server::start();
    assert!(matches!(
        server.set("dnd", "&state=on"),
        StateUpdate::DoNotDisturb(true)
    ));
    assert!(matches!(
        server.set("dnd", "&state=off"),
        StateUpdate::DoNotDisturb(false)
    ));
    let StateUpdate::Forward(forward) = server.set("forward", "&kind=no-answer&target=*97&rings=4")
    else {
        unreachable!()
    };
    assert_eq!(
        (
            forward.kind,
            forward.is_active,
            &*forward.target,
            forward.ring_count
        ),
        (ForwardKind::NoAnswer, true, "*97", Some(4))
    );
    let StateUpdate::Forward(forward) = server.set("forward", "&kind=immediate&target=off") else {
        unreachable!()
    };
    assert!(!forward.is_active && forward.target.is_empty(), "forgotten");
    let StateUpdate::Note(note) = server.set("note", "&text=out+to+lunch") else {
        unreachable!()
    };
    assert_eq!(note.as_deref(), Some("out to lunch"));
    assert!(matches!(
        server.set("note", "&text=off"),
        StateUpdate::Note(None)
    ));
    let presence = "&basic=closed&activities=away+dnd+away";
    let StateUpdate::Presence(Some(statement)) = server.set("presence", presence) else {
        unreachable!()
    };
    assert_eq!(statement.open, Some(false));
    assert_eq!(statement.activities, ["away", "dnd"].map(Box::from));
    assert!(matches!(
        server.set("presence", "&basic=off"),
        StateUpdate::Presence(None)
    ));
    let StateUpdate::Messages(Some(messages)) = server.set("messages", "&counts=3/1&urgent=1/0")
    else {
        unreachable!()
    };
    let counts = messages.counts[0].1;
    assert!(messages.are_waiting);
    assert_eq!(
        (counts.new, counts.old, counts.urgent_new, counts.urgent_old),
        (3, 1, 1, 0)
    );
    let StateUpdate::Messages(Some(messages)) = server.set("messages", "&counts=0/4") else {
        unreachable!()
    };
    assert!(!messages.are_waiting);
    assert!(matches!(
        server.set("messages", "&counts=off"),
        StateUpdate::Messages(None)
    ));
    let contact = "&contact=sip:123@10.0.0.9:5060&expires=3600";
    let StateUpdate::Registered(contacts) = server.set("registered", contact) else {
        unreachable!()
    };
    let contact = ("sip:123@10.0.0.9:5060".into(), Duration::from_secs(3600));
    assert_eq!(contacts, [contact]);
    assert!(matches!(
        server.set("unregistered", ""),
        StateUpdate::Unregistered
    ));
}

#[test]
fn say_sets_lamps_and_appearances() {
    let server = Server::start();
    let lamp = "&state=early&from=sip:5@x.example&display=Five&expires=10m";
    let StateUpdate::Call {
        source,
        call,
        expires,
    } = server.set("lamp", lamp)
    else {
        unreachable!()
    };
    let call = call.unwrap();
    assert_eq!(source, CallSource::Operator);
    assert_eq!(expires, Some(Duration::from_secs(600)));
    assert_eq!(
        (call.state, call.remote().identity, call.remote().display),
        (CallState::Early, "sip:5@x.example", "Five")
    );
    let StateUpdate::Call { call: None, .. } = server.set("lamp", "&state=off") else {
        unreachable!()
    };
    let StateUpdate::Appearance(appearance) = server.set(
        "appearance",
        "&index=2&state=held-private&party=Bob+<sip:bob@abc.com>",
    ) else {
        unreachable!()
    };
    assert_eq!(
        (appearance.index, appearance.state),
        (2, AppearanceState::HeldPrivate)
    );
    assert_eq!(appearance.party.as_deref(), Some("Bob <sip:bob@abc.com>"));
}

/// W:C8.1
#[test]
fn a_parked_call_waits_in_its_orbit() {
    let server = Server::start();
    let parked = server.command(
        "/set/park",
        "aor=700@pbx.example&from=sip:5@x.example&display=Five",
    );
    assert_eq!(parked.status, 200, "{}", parked.body);
    let (orbit, update) = server.last_update();
    let StateUpdate::Call {
        call: Some(call),
        expires: None,
        ..
    } = update
    else {
        unreachable!()
    };
    assert_eq!(orbit, "700@pbx.example");
    assert_eq!(
        (call.state, call.direction, call.local().rendering),
        (
            CallState::Confirmed,
            Some(Direction::Recipient),
            Some(false)
        )
    );
    assert_eq!(call.remote().identity, "sip:5@x.example");
    assert!(call.is_parked_at(&Aor::new("700", "pbx.example")));
    let taken = server.command("/set/unpark", "aor=700@pbx.example");
    assert_eq!(taken.status, 200, "{}", taken.body);
    assert!(matches!(
        server.last_update().1,
        StateUpdate::Call { call: None, .. }
    ));
}

#[test]
fn invalid_says_are_refused() {
    let server = Server::start();
    for (page, fields, words) in [
        ("dnd", "", "state is missing"),
        ("dnd", "&state=maybe", "state must be one of: on, off"),
        ("dnd", "&state=on&state=off", "state is given twice"),
        ("dnd", "&on=1", "unknown field \"on\""),
        ("forward", "&kind=immediate", "target is missing"),
        ("forward", "&kind=never&target=1", "kind must be one of"),
        (
            "forward",
            "&kind=busy&target=1&rings=3",
            "only if kind is no-answer",
        ),
        (
            "forward",
            "&kind=no-answer&target=1&rings=0",
            "rings must be between 1 and 99",
        ),
        ("note", "", "text is missing"),
        ("note", "&text=a%1b[2J", "control character"),
        ("presence", "&basic=away", "basic must be one of"),
        (
            "presence",
            "&basic=open&activities=juggling",
            "appointment, away",
        ),
        (
            "presence",
            "&basic=off&activities=away",
            "activities is not allowed",
        ),
        ("messages", "&counts=3", "counts must be written"),
        ("messages", "&counts=3/1&urgent=4/0", "more urgent"),
        (
            "messages",
            "&counts=off&urgent=1/0",
            "urgent is not allowed",
        ),
        ("lamp", "&state=on", "state must be one of"),
        ("lamp", "&state=early&from=5", "from is not a URI"),
        ("lamp", "&state=early&expires=soon", "expires is not a time"),
        ("park", "", "from is missing"),
        ("appearance", "&state=held", "index is missing"),
        (
            "appearance",
            "&index=33&state=held",
            "index must be between 1 and 32",
        ),
        (
            "appearance",
            "&index=300&state=held",
            "index must be between 1 and 32",
        ),
        (
            "appearance",
            "&index=1&state=lost",
            "state must be one of: idle",
        ),
        (
            "appearance",
            "&index=1&state=held&party=5",
            "party is not a URI",
        ),
        ("registered", "&expires=5", "contact is missing"),
        ("registered", "&contact=sip:1@h", "expires is missing"),
    ] {
        let fields = format!("aor=123@abc.com{fields}");
        server.refuses(&format!("/set/{page}"), &fields, 400, words);
    }
    let long = format!("aor=123@abc.com&text={}", "x".repeat(1025));
    server.refuses("/set/note", &long, 400, "longer than 1024");
    let on = |aor: &str| format!("aor={aor}&state=on");
    server.refuses(
        "/set/dnd",
        &on("124@abc.com"),
        404,
        "124@abc.com does not exist",
    );
    server.refuses("/set/dnd", &on("1@nowhere"), 404, "unknown domain");
    server.refuses("/set/dnd", &on("any-dn@abc.com"), 409, "is a list");
    server.refuses("/set/hello", "", 404, "Not Found");
    server.engine.is_full.store(true, Ordering::SeqCst);
    server.refuses("/set/dnd", &on("123@abc.com"), 503, "limit of presentities");
    server.engine.is_silent.store(true, Ordering::SeqCst);
    server.refuses("/set/dnd", &on("123@abc.com"), 503, "Unavailable");
}

const DOCUMENT: &str = r#"<ruleset xmlns="urn:ietf:params:xml:ns:common-policy" xmlns:pr="urn:ietf:params:xml:ns:pres-rules">
<rule id="a"><conditions><identity><one id="sip:bob@xyz.com"/></identity></conditions>
<actions><pr:sub-handling>confirm</pr:sub-handling></actions><transformations/></rule></ruleset>"#;

#[test]
fn rules_are_imported_shown_edited_and_removed() {
    let server = Server::start();
    let imported = server.command("/rules/import?aor=123@abc.com", DOCUMENT);
    assert_eq!(imported.status, 200, "{}", imported.body);
    assert_eq!(server.engine.reloads.lock().unwrap().len(), 3);
    let shown = server.operator("/rules?aor=123@abc.com").body;
    assert_eq!(
        shown,
        "123@abc.com has 1 rule of its own\n\n\
         WATCHERS     HANDLING  PRIVACY  FROM  UNTIL\n\
         bob@xyz.com  confirm   -        -     -\n"
    );
    assert_eq!(imported.body, shown);
    let handling = || {
        let aor = Aor::new("123", "abc.com");
        let directory = server.directory.current();
        let rules = directory.rules_document(&aor).to_vec();
        rules.iter().map(|rule| rule.handling).collect::<Vec<_>>()
    };
    let approve = server.command("/rules/approve", "watcher=sip:bob@xyz.com&aor=123@abc.com");
    assert_eq!(approve.status, 200, "{}", approve.body);
    assert_eq!(handling(), [Handling::Allow]);
    let deny = server.command("/rules/deny", "watcher=bob@xyz.com&aor=123@abc.com");
    assert_eq!(deny.status, 200, "{}", deny.body);
    assert_eq!(handling(), [Handling::Block]);
    let fields = "watcher=bob@xyz.com&aor=123@abc.com&politely=yes";
    assert_eq!(server.command("/rules/deny", fields).status, 200);
    assert_eq!(handling(), [Handling::PoliteBlock]);
    let bluntly = fields.replace("yes", "no");
    assert_eq!(server.command("/rules/deny", &bluntly).status, 200);
    assert_eq!(handling(), [Handling::Block]);
    let removed = server.command("/rules/remove", "aor=123@abc.com");
    assert_eq!(removed.body, "123@abc.com has no rules of its own\n");
    assert_eq!(handling(), []);
}

#[test]
fn invalid_rules_are_refused() {
    let server = Server::start();
    let import = "/rules/import?aor=123@abc.com";
    server.refuses(import, "", 400, "not a ruleset");
    server.refuses(import, "<ruleset/>", 400, "not a ruleset");
    server.refuses(
        "/rules/import?aor=124@abc.com",
        DOCUMENT,
        404,
        "124@abc.com does not exist",
    );
    server.refuses("/rules/import", DOCUMENT, 400, "aor is missing");
    server.refuses("/rules/remove", "aor=123@abc.com", 404, "no rules");
    server.refuses(
        "/rules/approve",
        "aor=123@abc.com",
        400,
        "watcher is missing",
    );
    let fields = "aor=123@abc.com&watcher=bob";
    server.refuses("/rules/deny", fields, 400, "the address is invalid");
    let fields = "aor=123@abc.com&watcher=bob@xyz.com&politely=perhaps";
    server.refuses(
        "/rules/deny",
        fields,
        400,
        "politely must be one of: yes, no",
    );
    assert_eq!(server.operator("/rules?aor=123@abc.com").status, 404);
    let anybody = DOCUMENT
        .replace(r#"<identity><one id="sip:bob@xyz.com"/></identity>"#, "")
        .replace("confirm", "allow");
    assert_eq!(server.command(import, &anybody).status, 200);
    let fields = "aor=123@abc.com&watcher=bob@xyz.com";
    server.refuses("/rules/deny", fields, 409, "allow every watcher");
}

#[test]
fn questions_need_get_and_commands_need_post() {
    let server = Server::start();
    let asked = server.operator("/list/create?list=x@abc.com");
    assert_eq!(
        (asked.status, asked.header("allow")),
        (405, Some("post, options"))
    );
    let response = server.command("/list", "");
    assert_eq!(
        (response.status, response.header("allow")),
        (405, Some("get, head, options"))
    );
    for page in ["/list/", "/list/rename", "/rules/import/x", "/set", "/"] {
        assert_eq!(server.command(page, "").status, 404, "{page}");
    }
    assert_eq!(server.get("/list").status, 404, "never at the public door");
}

#[test]
fn draining_ends_all_subscriptions() {
    let server = Server::start();
    server.engine.is_ready.store(true, Ordering::SeqCst);
    server.engine.subscriptions.store(100, Ordering::SeqCst);
    let done = server.command("/drain", "");
    assert_eq!(
        (done.status, done.body.as_str()),
        (200, "all subscriptions are ended: stop the server now\n")
    );
    assert_eq!(server.get("/readyz").status, 503);
    let status = server.operator("/status").body;
    assert!(status.contains(" is not ready: draining, up "), "{status}");
    server.engine.is_silent.store(true, Ordering::SeqCst);
    assert_eq!(server.command("/drain", "").status, 503);
}

#[test]
fn a_reload_reports_its_outcome() {
    let server = Server::start();
    let refused = server.command("/reload", "");
    assert_eq!(refused.status, 409);
    assert_eq!(refused.body, "it would remove everything\nand more\n");
    let done = server.command("/reload", "accept_removal=yes");
    assert_eq!((done.status, done.body.as_str()), (200, "reloaded\n"));
    server.refuses(
        "/reload",
        "accept_removal=perhaps",
        400,
        "must be one of: yes, no",
    );
    server.refuses("/reload", "accept-removal=yes", 400, "unknown field");
    assert_eq!(server.operator("/reload").status, 405);
    server.engine.is_silent.store(true, Ordering::SeqCst);
    assert_eq!(server.command("/reload", "").status, 503);
}

#[test]
fn another_process_is_told_to_the_main_thread() {
    let server = Server::start();
    let answered = server.command("/hand-over", "socket=%2Frun%2Fx.sock");
    assert_eq!(
        (answered.status, answered.body.as_str()),
        (200, "handing over\n")
    );
    assert_eq!(
        *server.engine.heirs.lock().unwrap(),
        [PathBuf::from("/run/x.sock")]
    );
    assert_eq!(server.command("/hand-over", "").status, 400);
}
