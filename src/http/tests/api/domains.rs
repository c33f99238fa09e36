//! Domains, groups and policies from the outside: who may change them, what is asked of the engine, and how its
//! refusals are told.

use super::*;
use crate::directory::managed::{ChangeFault, FaultPlace, Managed, Setting};
use crate::presence::policy::{Handling, People, Policy, WatcherCondition};

const ROOMS: [&str; 3] = [
    "domains/abc.com/orbits",
    "domains/abc.com/groups/sales",
    "domains/abc.com/policies",
];

fn text(text: &str) -> Setting {
    Setting::Text(text.to_owned())
}

impl Server {
    fn put(&self, token: &str, path: &str, body: &Value) -> Answer {
        self.api(token, "PUT", path, Some(body))
    }

    /// With a condition.
    fn put_if(&self, condition: &str, path: &str, body: &Value) -> Answer {
        let headers = format!("Authorization: Bearer lamp_admin_secret\r\n{condition}\r\n");
        self.api_with(&headers, "PUT", path, Some(body))
    }

    fn changes(&self) -> Vec<ManagedChange> {
        self.engine.changes.lock().unwrap().drain(..).collect()
    }

    fn refuse(&self, refusal: ChangeRefusal) {
        *self.engine.change_refusal.lock().unwrap() = Some(refusal);
    }
}

#[test]
fn a_domain_administrator_changes_groups_policies_and_orbits_of_its_domains() {
    let server = Server::start();
    let bodies = [
        json!({"orbits": ["700-709"]}),
        json!({"members": ["123"]}),
        json!({"policies": [{}]}),
    ];
    for (path, body) in ROOMS.iter().zip(&bodies) {
        for token in ["reader", "feeder"] {
            assert_eq!(server.put(token, path, body).problem(), "forbidden");
        }
        let put = server.put("editor", path, body);
        assert!([200, 201].contains(&put.status()), "{put:?}");
        assert!(put.response.header("etag").is_some(), "{put:?}");
        let other = path.replace("abc.com", "open.example");
        assert_eq!(server.put("editor", &other, body).problem(), "forbidden");
        let unknown = path.replace("abc.com", "nowhere");
        assert_eq!(server.put("admin", &unknown, body).problem(), "not-found");
    }
    let changes = server.changes();
    let domain = || "abc.com".to_owned();
    let expected = [
        ManagedChange::PutOrbits {
            domain: domain(),
            orbits: vec![text("700-709")],
        },
        ManagedChange::PutGroup {
            domain: domain(),
            group: "sales".to_owned(),
            members: vec![text("123")],
        },
        ManagedChange::PutPolicies {
            domain: domain(),
            policies: vec![Vec::new()],
        },
    ];
    assert!(changes == expected);
    for (method, path) in [
        ("PUT", "domains/abc.com"),
        ("PUT", "domains/new.example"),
        ("DELETE", "domains/abc.com"),
    ] {
        let body = (method == "PUT").then(|| json!({}));
        let answer = server.api("editor", method, path, body.as_ref());
        assert_eq!(answer.problem(), "forbidden", "{path}");
    }
    assert!(server.changes().is_empty());
}

#[test]
fn a_domain_is_created_replaced_and_removed() {
    let server = Server::start();
    let body = json!({
        "orbits": ["700-709"], "open": true, "privacy": 2, "min_expires": "2m", "max_expires": 1.5
    });
    let created = server.put("admin", "domains/new.example", &body);
    assert_eq!(created.status(), 201, "{created:?}");
    assert_eq!(created.json["name"], "new.example");
    let changes = server.changes();
    let settings = [
        ("max_expires", Setting::Number("1.5".to_owned())),
        ("min_expires", text("2m")),
        ("open", Setting::Boolean(true)),
        ("orbits", Setting::List(vec![text("700-709")])),
        ("privacy", Setting::Number("2".to_owned())),
    ];
    let settings = settings.map(|(key, value)| (key.to_owned(), value));
    let expected = ManagedChange::PutDomain {
        domain: "new.example".to_owned(),
        settings: settings.to_vec(),
    };
    assert!(changes == [expected]);
    let replaced = server.put("admin", "domains/abc.com", &json!({}));
    assert_eq!(replaced.status(), 200, "{replaced:?}");
    assert_eq!(server.changes()[0].domain(), "abc.com");
    let shown = server.api("reader", "GET", "domains/abc.com", None);
    let settings = &shown.json["settings"];
    assert_eq!(settings["aliases"], json!(["pbx.abc.com"]));
    assert_eq!(settings["min_expires"], 60);
    assert!(settings.get("name").is_none() && settings.get("parks_token").is_none());
    assert_eq!(
        server
            .api("admin", "DELETE", "domains/abc.com", None)
            .status(),
        204
    );
    let gone = server.api("admin", "DELETE", "domains/nowhere", None);
    assert_eq!(gone.problem(), "not-found");
}

#[test]
fn a_change_has_conditions() {
    let server = Server::start();
    let paths = [
        ("domains/abc.com", json!({})),
        ("domains/abc.com/orbits", json!({"orbits": []})),
        ("domains/abc.com/policies", json!({"policies": []})),
    ];
    for (path, body) in &paths {
        let shown = server.api("reader", "GET", path, None);
        let tag = shown.response.header("etag").unwrap().to_owned();
        let matching = server.put_if(&format!("If-Match: {tag}"), path, body);
        assert_eq!(matching.status(), 200, "{matching:?}");
        for condition in ["If-Match: \"other\"", "If-None-Match: *"] {
            let refused = server.put_if(condition, path, body);
            assert_eq!(refused.problem(), "precondition-failed", "{refused:?}");
        }
        let again = format!("Authorization: Bearer lamp_reader_secret\r\nIf-None-Match: {tag}\r\n");
        assert_eq!(server.api_with(&again, "GET", path, None).status(), 304);
    }
    let new = server.put_if("If-None-Match: *", "domains/new.example", &json!({}));
    assert_eq!(new.status(), 201);
    let absent = server.put_if("If-Match: *", "domains/new.example", &json!({}));
    assert_eq!(absent.problem(), "precondition-failed");
}

#[test]
fn a_body_is_read_before_anything_is_changed() {
    let server = Server::start();
    let faults = |path: &str, body: &Value| {
        let answer = server.put("admin", path, body);
        assert_eq!(answer.problem(), "invalid-body", "{answer:?}");
        let errors = answer.json["errors"].as_array().unwrap().clone();
        let pointers = errors.iter().map(|error| error["pointer"].clone());
        pointers.collect::<Vec<_>>()
    };
    let domain = json!({"a": null, "b": {"c": 1}, "d": ["x", ["y"], null]});
    assert_eq!(
        faults("domains/new.example", &domain),
        ["#/a", "#/b", "#/d/1", "#/d/2"]
    );
    assert_eq!(faults("domains/new.example", &json!([])), ["#"]);
    assert_eq!(faults(ROOMS[0], &json!({})), ["#/orbits"]);
    assert_eq!(
        faults(ROOMS[1], &json!({"members": [{}], "x": 1})),
        ["#/members/0", "#/x"]
    );
    assert_eq!(
        faults(ROOMS[2], &json!({"policies": [{}, 7]})),
        ["#/policies/1"]
    );
    assert!(server.changes().is_empty());
}

#[test]
fn a_refusal_is_told() {
    let server = Server::start();
    let put = |token| server.put(token, ROOMS[0], &json!({"orbits": []}));
    let pointer = |pointer: &str| FaultPlace::Pointer(pointer.to_owned());
    let fault = |place| ChangeFault {
        place,
        detail: "no".to_owned(),
    };
    server.refuse(ChangeRefusal::Faults(vec![
        fault(FaultPlace::Name),
        fault(pointer("#/orbits/1")),
    ]));
    let answer = put("admin");
    assert_eq!(answer.problem(), "invalid-body");
    assert_eq!(
        answer.json["errors"],
        json!([{"parameter": "domain", "detail": "no"}, {"pointer": "#/orbits/1", "detail": "no"}])
    );
    server.refuse(ChangeRefusal::Faults(vec![fault(FaultPlace::Name)]));
    assert_eq!(put("admin").problem(), "invalid-request");
    server.refuse(ChangeRefusal::Configuration(
        "x.toml:3: other.example".into(),
    ));
    let (to_admin, to_editor) = (put("admin"), put("editor"));
    assert_eq!(to_admin.problem(), "conflict");
    assert_eq!(to_admin.json["detail"], "x.toml:3: other.example");
    assert_eq!(to_editor.problem(), "conflict");
    assert!(!to_editor.response.body.contains("other.example"));
    server.refuse(ChangeRefusal::NotWritten("no space".to_owned()));
    assert_eq!(put("editor").problem(), "unavailable");
    server.refuse(ChangeRefusal::HalfDone);
    assert_eq!(put("editor").problem(), "unavailable");
    server.engine.is_full.store(true, Ordering::SeqCst);
    let full = put("editor");
    assert_eq!(full.problem(), "unavailable");
    assert_eq!(full.response.header("retry-after"), Some("1"));
    let counters = server.api("admin", "GET", "counters", None).json;
    let count = |name: &str| counters["counters"][name].as_u64();
    assert_eq!(count("domain_changes"), Some(0));
    assert_eq!(count("domain_changes_refused"), Some(4));
    assert_eq!(count("domain_changes_failed"), Some(3));
}

#[test]
fn what_the_api_keeps_is_told_apart() {
    let server = Server::start();
    let edit = |current: &Directory| {
        let mut edited = current.clone();
        for group in ["staff", "desk"] {
            let member = edited.member("123", "abc.com").unwrap();
            edited.add_group(group, "abc.com", vec![member]);
        }
        for (number, watcher) in [(1, "staff"), (2, "desk")] {
            let policy = Policy {
                number,
                watcher: WatcherCondition::People(People::Group(watcher.into())),
                presentity: People::Everyone,
                package: None,
                handling: Handling::Allow,
                privacy: Some(Privacy::Party),
                text: "".into(),
            };
            edited.add_policy("abc.com", policy);
        }
        edited.set_managed(Managed {
            domains: ["abc.com".into()].into(),
            groups: [("abc.com".into(), "desk".into())].into(),
            first_policy: Some(2),
            file: None,
        });
        Ok::<_, ()>(edited)
    };
    server.directory.edit(edit, |_| ()).unwrap();
    let shown = server.read("domains/abc.com");
    assert_eq!(shown["managed"], true);
    assert_eq!(shown["groups"][0]["managed"], true, "desk");
    assert_eq!(shown["groups"][1]["managed"], false, "staff");
    assert_eq!(shown["policies"][0]["managed"], false);
    assert_eq!(
        server.read("domains/abc.com/policies"),
        json!({"policies": [{"watcher": "desk", "presentity": "*", "handling": "allow", "privacy": 2}]})
    );
    assert_eq!(
        server.read("domains/abc.com/groups/desk"),
        json!({"domain": "abc.com", "name": "desk", "members": ["sip:123@abc.com"], "managed": true})
    );
    let none = server.api("reader", "GET", "domains/abc.com/groups/none", None);
    assert_eq!(none.problem(), "not-found");
}

#[test]
fn domains_come_in_pages() {
    let server = Server::start();
    let first = server.read("domains?limit=2");
    let names = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap().iter();
        let names = items.map(|item| item["name"].as_str().unwrap().to_owned());
        names.collect()
    };
    assert_eq!(names(&first), ["abc.com", "open.example"]);
    assert_eq!(first["next"], "open.example");
    let second = server.read("domains?limit=2&cursor=open.example");
    assert_eq!(names(&second), ["pbx.example"]);
    assert_eq!(second["next"], Value::Null);
}
