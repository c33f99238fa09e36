//! Faults of single keys and values: all faults of a file are reported at once, each with its line,
//! the value found and the values allowed, in the words of the file.

use super::*;

/// The complaint about one line of a table, without file and line.
fn fault(table: &str, line: &str) -> String {
    let text = format!("[{table}]\n{line}\n");
    let found = complaints(&text);
    let place = "lamplighter.toml:2: ";
    let mut here = found.iter().filter_map(|text| text.strip_prefix(place));
    let fault = here.next().unwrap_or_else(|| panic!("{line}: {found:#?}"));
    assert_eq!(here.next(), None, "{line}: {found:#?}");
    fault.to_owned()
}

#[test]
fn a_value_of_the_wrong_type_is_reported_with_the_expected_type() {
    let table = [
        (
            "node",
            "name = 7",
            "name is the number 7; expected a quoted string: \"7\"",
        ),
        (
            "node",
            "name = true",
            "name is true; expected a quoted string: \"true\"",
        ),
        (
            "node",
            "name = []",
            "name is a list; expected a quoted string",
        ),
        (
            "node",
            "data_dir = 1.5",
            "data_dir is the number 1.5; expected a quoted string: \"1.5\"",
        ),
        (
            "http",
            "listen = \"0.0.0.0:8080\"",
            "listen is the string \"0.0.0.0:8080\"; expected a list: [\"0.0.0.0:8080\"]",
        ),
        (
            "http",
            "listen = 8080",
            "listen is the number 8080; expected a list: [\"8080\"]",
        ),
        (
            "http",
            "listen = [8080]",
            "listen contains the number 8080; expected a quoted string: \"8080\"",
        ),
        (
            "http",
            "listen = { port = 1 }",
            "listen is a table; expected a list",
        ),
        (
            "cores",
            "shards = 1",
            "shards is the number 1; expected a list: [1]",
        ),
        (
            "cores",
            "shards = [-1]",
            "shards contains the number -1; expected a whole number from 0 to 18446744073709551615",
        ),
        (
            "cores",
            "http = \"1\"",
            "http is the string \"1\"; expected a whole number from 0 to",
        ),
        (
            "notify",
            "rate = \"10\"",
            "rate is the string \"10\"; expected a whole number from 0 to 4294967295",
        ),
        (
            "notify",
            "rate = 99999999999",
            "rate is the number 99999999999; expected a whole number from 0 to 4294967295",
        ),
        (
            "notify",
            "burst = -5",
            "burst is the number -5; expected a whole number from 1 to 1000000",
        ),
        (
            "notify",
            "burst = 0",
            "burst is 0; choose a value from 1 to 1000000",
        ),
        (
            "notify",
            "burst = 2000-01-01",
            "burst is the date 2000-01-01; expected a whole number",
        ),
        (
            "auth",
            "nonce_life = \"soon\"",
            "nonce_life is the string \"soon\"; expected a time span: a number of seconds, or a string like \"500ms\", \"30 s\", \"2h\"",
        ),
        (
            "auth",
            "nonce_life = 1.5",
            "nonce_life is the number 1.5; expected a time span",
        ),
        (
            "auth",
            "nonce_life = \"1s\"",
            "nonce_life is 1s; choose a value from \"30s\" to \"7days\"",
        ),
        (
            "limits",
            "body = \"64 potatoes\"",
            "body is the string \"64 potatoes\"; expected a size: a number of octets, or a string like \"64 KiB\", \"4 MiB\"",
        ),
        (
            "limits",
            "body = \"1 GiB\"",
            "body is 1 GiB; choose a value from \"1 KiB\" to \"16 MiB\"",
        ),
        (
            "limits",
            "body = 100",
            "body is 100 B; choose a value from \"1 KiB\" to \"16 MiB\"",
        ),
        (
            "[domain]",
            "open = \"yes\"",
            "open is the string \"yes\"; expected true or false, without quotes",
        ),
        (
            "[domain]",
            "open = 1",
            "open is the number 1; expected true or false, without quotes",
        ),
        (
            "[domain]",
            "auth = 1",
            "auth is the number 1; expected one of these quoted strings: digest, trusted, none",
        ),
        (
            "[domain]",
            "auth = \"digset\"",
            "unknown value \"digset\"; did you mean \"digest\"?",
        ),
        (
            "[domain]",
            "auth = \"ldap\"",
            "unknown value \"ldap\"; valid values: digest, trusted, none",
        ),
        (
            "[domain]",
            "aliases = \"pbx\"",
            "aliases is the string \"pbx\"; expected a list: [\"pbx\"]",
        ),
        (
            "[domain]",
            "privacy = \"2\"",
            "privacy is the string \"2\"; expected a whole number from 0 to",
        ),
        (
            "[account]",
            "feeder = \"true\"",
            "feeder is the string \"true\"; expected true or false",
        ),
        (
            "[account]",
            "voicemail = 8123",
            "voicemail is the number 8123; expected a quoted string: \"8123\"",
        ),
        (
            "[account]",
            "voicemail = [8123]",
            "voicemail contains the number 8123; expected a quoted string: \"8123\"",
        ),
        (
            "[profile]",
            "strikes = 500",
            "strikes is the number 500; expected a whole number from 1 to 100",
        ),
        (
            "[profile]",
            "idle = false",
            "idle is false; expected one of these quoted strings: terminated, empty",
        ),
    ];
    for (table, line, expected) in table {
        let found = fault(table, line);
        assert!(found.starts_with(expected), "{line}\n{found}\n{expected}");
    }
}

#[test]
fn a_value_in_place_of_a_table_is_reported_with_its_syntax() {
    let one = |text: &str| {
        let found = complaints(text);
        assert_eq!(found.len(), 1, "{found:#?}");
        found[0].clone()
    };
    assert_eq!(
        one("node = 7\n"),
        "lamplighter.toml:1: node is the number 7; expected a table: [node] with name, data_dir"
    );
    assert_eq!(
        one("[[node]]\nname = \"a\"\n"),
        "lamplighter.toml:1: node is a list; expected a table: [node] with name, data_dir"
    );
    assert_eq!(
        one("[domain]\nname = \"abc.com\"\n"),
        "lamplighter.toml:1: domain is in single brackets, but it is a table that may be repeated; write [[domain]]"
    );
    assert_eq!(
        one("domain = \"abc.com\"\n"),
        "lamplighter.toml:1: domain is the string \"abc.com\"; expected tables with the header [[domain]]"
    );
    assert!(
        complaints("[sip]\nlisten = [\"0.0.0.0:5060\"]\n")[0]
            .ends_with("expected a table: [[sip.listen]] with transport, address, advertise, certificate, key, client_ca, proxy_protocol, proxies, origins")
    );
}

#[test]
fn the_proxy_protocol_needs_a_stream_and_proxies() {
    let listen = |transport: &str, keys: &str| {
        format!("[[sip.listen]]\ntransport = \"{transport}\"\naddress = \"127.0.0.1:5060\"\n{keys}")
    };
    complains(
        &listen("tcp", "proxy_protocol = true\n"),
        &[(
            4,
            "proxy_protocol = true without proxies: no connection would be served",
        )],
    );
    complains(
        &listen("udp", "proxy_protocol = true\nproxies = [\"10.0.0.7\"]\n"),
        &[(4, "the PROXY protocol is for connections, not for UDP")],
    );
    complains(
        &listen("tcp", "proxies = [\"10.0.0.7\"]\n"),
        &[(4, "proxies mean nothing without the PROXY protocol")],
    );
    complains(
        &listen("tcp", "proxy_protocol = true\nproxies = [\"balancer\"]\n"),
        &[(5, "\"balancer\" is neither an IP network nor an IP address")],
    );
}

/// What follows from a fault is no further fault: a key that is misspelt is not missing as well, a
/// domain whose name cannot be read does not cause an error for each of its accounts.
#[test]
fn one_fault_causes_one_complaint() {
    let domain = "[[domain]]\nname = \"abc.com\"\n";
    let account = |keys: &str| format!("{domain}[[account]]\n{keys}");
    complains(
        &account("usr = \"1\"\ndomain = \"abc.com\"\npassword = \"x\"\n"),
        &[(4, "unknown key \"usr\"; did you mean \"user\"?")],
    );
    complains(
        &account("user = 1\ndomain = \"abc.com\"\npassword = \"x\"\n"),
        &[(4, "user is the number 1; expected a quoted string: \"1\"")],
    );
    complains(
        &account("user = \"1\"\ndomain = 5\n"),
        &[
            (
                4,
                "the account \"1\" has no password; add password, password_file, ha1 or password_hash",
            ),
            (5, "domain is the number 5"),
        ],
    );
    complains(
        "[[domain]]\nnmae = \"abc.com\"\n[[account]]\nuser = \"1\"\ndomain = \"abc.com\"\npassword = \"x\"\n",
        &[(2, "unknown key \"nmae\"; did you mean \"name\"?")],
    );
    complains(
        "[[domain]]\nname = 5\n[[account]]\nuser = \"1\"\ndomain = \"abc.com\"\npassword = \"x\"\n",
        &[(2, "name is the number 5")],
    );
    complains(
        "[[sip.listen]]\ntransport = \"tpc\"\naddress = \"127.0.0.1:5060\"\n\
         [[sip.listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:5060\"\n",
        &[(2, "unknown value \"tpc\"; did you mean \"tcp\"?")],
    );
}

/// Keys under the wrong header, as when lines are put at the end of a file.
#[test]
fn a_key_in_the_wrong_table_is_reported_with_the_right_one() {
    complains(
        "[[domain]]\nname = \"abc.com\"\n[[account]]\nuser = \"1\"\ndomain = \"abc.com\"\n\
         password = \"x\"\norbits = [\"700-709\"]\nburst = 5\nqqqq = 5\n",
        &[
            (
                7,
                "unknown key \"orbits\"; it belongs in [[domain]]; valid keys: user, domain, password",
            ),
            (
                8,
                "unknown key \"burst\"; it belongs in [notify]; valid keys: user, domain, password",
            ),
            (
                9,
                "unknown key \"qqqq\"; valid keys: user, domain, password",
            ),
        ],
    );
}

/// Every kind of fault in one file, syntax included, and none hides another.
#[test]
fn a_file_with_many_faults_reports_them_all() {
    let text = r#"nod = 1
[node]
name = 7
dta_dir = "x"
[cores]
shards = "0"
[sip]
product = false
[[sip.listen]]
transport = "udo"
address = 5060
[[sip.listen]]
transport = "tcp"
adress = "everywhere"
[http]
listen = "127.0.0.1:80"
[notify]
rate = fast
burst = 0
rte = 5
[auth]
nonce_life = "soon"
[limits]
body = "many"
probation = "3 s"
probation = "4 s"
[shield]
exempt = ["10.0.0.0/99", 7]
[[domain]]
name = "abc.com"
auth = "digset"
opn = true
min_expires = "2h"
trusted = "10.0.0.0/8"
[[account]]
user = "1"
domain = "abc.con"
password = 3
fedder = true
[[account]]
domain = "abc.com"
[[group]]
name = "g"
domain = "abc.com"
[[list]]
user = "l"
domain = "abc.com"
members = ["x", 3]
style = 4
[[policy]]
watcher = "sefl"
domain = "abc.com"
handling = "alow"
[[profile]]
strikes = 0
idle = "off"
"#;
    complains(
        text,
        &[
            (1, "unknown key \"nod\"; did you mean \"node\"?"),
            (3, "name is the number 7"),
            (4, "unknown key \"dta_dir\"; did you mean \"data_dir\"?"),
            (6, "shards is the string \"0\"; expected a list: [0]"),
            (8, "product is false"),
            (10, "unknown value \"udo\"; did you mean \"udp\"?"),
            (11, "address is the number 5060"),
            (14, "unknown key \"adress\"; did you mean \"address\"?"),
            (14, "\"everywhere\" is not a listen address"),
            (
                16,
                "listen is the string \"127.0.0.1:80\"; expected a list: [\"127.0.0.1:80\"]",
            ),
            (18, "invalid TOML: a string needs quotes"),
            (19, "burst is 0; choose a value from 1 to"),
            (20, "unknown key \"rte\"; did you mean \"rate\"?"),
            (22, "nonce_life is the string \"soon\""),
            (24, "body is the string \"many\""),
            (
                26,
                "the key \"probation\" is given twice; keep one of the two",
            ),
            (
                28,
                "\"10.0.0.0/99\" is neither an IP network nor an IP address",
            ),
            (
                28,
                "exempt contains the number 7; expected a quoted string: \"7\"",
            ),
            (31, "unknown value \"digset\"; did you mean \"digest\"?"),
            (32, "unknown key \"opn\"; did you mean \"open\"?"),
            (
                33,
                "min_expires is 2h; choose a value from \"1s\" to \"1h\"",
            ),
            (
                34,
                "trusted is the string \"10.0.0.0/8\"; expected a list: [\"10.0.0.0/8\"]",
            ),
            (
                37,
                "\"1\" is in the domain \"abc.con\", which does not exist; did you mean \"abc.com\"?",
            ),
            (
                38,
                "password is of the wrong type; expected a quoted string: \"change me\"",
            ),
            (39, "unknown key \"fedder\"; did you mean \"feeder\"?"),
            (40, "the key \"user\" is missing; add it"),
            (42, "the key \"members\" is missing; add it"),
            (48, "members contains the number 3"),
            (
                49,
                "style is the number 4; expected one of these quoted strings: rfc, broadworks",
            ),
            (51, "\"sefl\" is not a watcher; did you mean \"self\"?"),
            (53, "unknown value \"alow\"; did you mean \"allow\"?"),
            (54, "the key \"name\" is missing; add it"),
            (55, "strikes is 0; choose a value from 1 to 100"),
            (56, "unknown value \"off\"; valid values: terminated, empty"),
        ],
    );
}

/// Each of these was once accepted, and never did anything.
#[test]
fn settings_that_could_never_work_are_faults() {
    let accounts: String = ["123@abc.com", "12 3", "sip:5", "709", "800", "801"]
        .iter()
        .map(|user| {
            format!("[[account]]\nuser = \"{user}\"\ndomain = \"abc.com\"\npassword = \"x\"\n")
        })
        .collect();
    let long = "x".repeat(100);
    let text = format!(
        "[[domain]]\nname = \"abc.com\"\norbits = [\"700-709\"]\nresources = [\"800-801\"]\n{accounts}\
         [[list]]\nuser = \"my team\"\ndomain = \"abc.com\"\nmembers = []\n\
         [[policy]]\ndomain = \"abc.com\"\nwatcher = \"same-dom\"\n\
         [[policy]]\ndomain = \"abc.com\"\nwatcher = \"trust\"\n\
         [node]\ndata_dir = \"/{long}\"\n"
    );
    complains(
        &text,
        &[
            (
                3,
                "orbits \"700-709\" includes the account 709@abc.com; an orbit or resource cannot be an account: choose",
            ),
            (
                4,
                "resources \"800-801\" includes 2 accounts, the first is 800@abc.com; an orbit or resource",
            ),
            (
                6,
                "\"123@abc.com\" is not a valid user; write the part before the @, without spaces: \"123\"",
            ),
            (
                10,
                "\"12 3\" is not a valid user; write the part before the @, without spaces: \"123\"",
            ),
            (
                14,
                "\"sip:5\" is not a valid user; write the part before the @, without spaces: \"5\"",
            ),
            (
                30,
                "\"my team\" is not a valid user; write the part before the @, without spaces: \"myteam\"",
            ),
            (
                35,
                "\"same-dom\" is not a watcher; did you mean \"same-domain\"?",
            ),
            (38, "\"trust\" is not a watcher; did you mean \"trusted\"?"),
            (
                40,
                "the path of the control socket has 114 octets, but the system allows 107: /xxx",
            ),
        ],
    );
}

/// The token itself is not repeated.
#[test]
fn a_token_that_is_short_or_needs_escapes_in_a_path_is_a_fault() {
    for token in [
        "",
        "0123456789abcde",
        "0123456789abcdef/",
        "0123456789 abcdef",
    ] {
        let text = format!("[[domain]]\nname = \"abc.com\"\nparks_token = \"{token}\"\n");
        let what = "a parks_token of \"abc.com\" is not 16 to 128 letters, digits, '-', '.', '_' and '~'; write";
        complains(&text, &[(3, what)]);
        let found = complaints(&text).concat();
        assert!(token.is_empty() || !found.contains(token), "{found}");
    }
    let text = "[[domain]]\nname = \"abc.com\"\nparks_token = [5]\n";
    let found = complaints(text);
    assert!(found[0].contains("expected a quoted string"), "{found:#?}");
}

/// A user is a user, even if the name resembles a keyword; an unknown watcher is probably a typo.
#[test]
fn an_account_may_have_the_prefix_of_a_keyword_as_its_name() {
    let text = "[[domain]]\nname = \"abc.com\"\n\
         [[account]]\nuser = \"trust\"\ndomain = \"abc.com\"\npassword = \"x\"\n\
         [[policy]]\ndomain = \"abc.com\"\nwatcher = \"trust\"\n\
         [[policy]]\ndomain = \"abc.com\"\nwatcher = \"105\"\n";
    assert_eq!(
        plan(text).notes,
        ["lamplighter.toml:12: the watcher 105@abc.com of policy 2 does not exist"]
    );
}

#[test]
fn invalid_toml_is_reported_with_its_line() {
    complains("[node\nname = 7\n", &[(1, "invalid TOML: unclosed table")]);
    complains(
        "[node]\nname = \"a\"\nname = \"b\"\n[nodes]\n",
        &[
            (3, "the key \"name\" is given twice"),
            (4, "unknown key \"nodes\""),
        ],
    );
    complains(
        "[node]\nname = \"a\nname = lamp\n[notify]\nrte = 1\n",
        &[
            (2, "invalid TOML: "),
            (3, "invalid TOML: a string needs quotes"),
            (5, "unknown key \"rte\""),
        ],
    );
}
