//! Faults of single keys and values: all of a file are told at once, with line, what was found and
//! what is allowed, in the words of the file.

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
fn a_value_of_another_kind_says_what_it_is_and_what_it_should_be() {
    let table = [
        (
            "node",
            "name = 7",
            "name is the number 7; name wants a text in quotes: \"7\"",
        ),
        (
            "node",
            "name = true",
            "name is true; name wants a text in quotes: \"true\"",
        ),
        (
            "node",
            "name = []",
            "name is a list; name wants a text in quotes",
        ),
        (
            "node",
            "data_dir = 1.5",
            "data_dir is the number 1.5; data_dir wants a text in quotes: \"1.5\"",
        ),
        (
            "http",
            "listen = \"0.0.0.0:8080\"",
            "listen is the text \"0.0.0.0:8080\"; listen wants a list: [\"0.0.0.0:8080\"]",
        ),
        (
            "http",
            "listen = 8080",
            "listen is the number 8080; listen wants a list: [\"8080\"]",
        ),
        (
            "http",
            "listen = [8080]",
            "listen has in it the number 8080; listen wants a text in quotes: \"8080\"",
        ),
        (
            "http",
            "listen = { port = 1 }",
            "listen is a table; listen wants a list",
        ),
        (
            "cores",
            "shards = 1",
            "shards is the number 1; shards wants a list: [1]",
        ),
        (
            "cores",
            "shards = [-1]",
            "shards has in it the number -1; shards wants a whole number from 0 to 18446744073709551615",
        ),
        (
            "cores",
            "http = \"1\"",
            "http is the text \"1\"; http wants a whole number from 0 to",
        ),
        (
            "notify",
            "rate = \"10\"",
            "rate is the text \"10\"; rate wants a whole number from 0 to 4294967295",
        ),
        (
            "notify",
            "rate = 99999999999",
            "rate is the number 99999999999; rate wants a whole number from 0 to 4294967295",
        ),
        (
            "notify",
            "burst = -5",
            "burst is the number -5; burst wants a whole number from 1 to 1000000",
        ),
        (
            "notify",
            "burst = 0",
            "burst is 0; choose from 1 to 1000000",
        ),
        (
            "notify",
            "burst = 2000-01-01",
            "burst is the date 2000-01-01; burst wants a whole number",
        ),
        (
            "auth",
            "nonce_life = \"soon\"",
            "nonce_life is the text \"soon\"; nonce_life wants a time span: a number of seconds, or a text like \"500ms\", \"30 s\", \"2h\"",
        ),
        (
            "auth",
            "nonce_life = 1.5",
            "nonce_life is the number 1.5; nonce_life wants a time span",
        ),
        (
            "auth",
            "nonce_life = \"1s\"",
            "nonce_life is 1s; choose from \"30s\" to \"7days\"",
        ),
        (
            "limits",
            "body = \"64 potatoes\"",
            "body is the text \"64 potatoes\"; body wants a size: a number of octets, or a text like \"64 KiB\", \"4 MiB\"",
        ),
        (
            "limits",
            "body = \"1 GiB\"",
            "body is 1 GiB; choose from \"1 KiB\" to \"16 MiB\"",
        ),
        (
            "limits",
            "body = 100",
            "body is 100 B; choose from \"1 KiB\" to \"16 MiB\"",
        ),
        (
            "[domain]",
            "open = \"yes\"",
            "open is the text \"yes\"; open wants true or false, without quotes",
        ),
        (
            "[domain]",
            "open = 1",
            "open is the number 1; open wants true or false, without quotes",
        ),
        (
            "[domain]",
            "auth = 1",
            "auth is the number 1; auth wants one of these words, in quotes: digest, trusted, none",
        ),
        (
            "[domain]",
            "auth = \"digset\"",
            "unknown value \"digset\"; did you mean \"digest\"?",
        ),
        (
            "[domain]",
            "auth = \"ldap\"",
            "unknown value \"ldap\"; known here: digest, trusted, none",
        ),
        (
            "[domain]",
            "aliases = \"pbx\"",
            "aliases is the text \"pbx\"; aliases wants a list: [\"pbx\"]",
        ),
        (
            "[domain]",
            "privacy = \"2\"",
            "privacy is the text \"2\"; privacy wants a whole number from 0 to",
        ),
        (
            "[account]",
            "feeder = \"true\"",
            "feeder is the text \"true\"; feeder wants true or false",
        ),
        (
            "[account]",
            "voicemail = 8123",
            "voicemail is the number 8123; voicemail wants a text in quotes: \"8123\"",
        ),
        (
            "[account]",
            "voicemail = [8123]",
            "voicemail has in it the number 8123; voicemail wants a text in quotes: \"8123\"",
        ),
        (
            "[profile]",
            "strikes = 500",
            "strikes is the number 500; strikes wants a whole number from 1 to 100",
        ),
        (
            "[profile]",
            "idle = false",
            "idle is false; idle wants one of these words, in quotes: terminated, empty",
        ),
    ];
    for (table, line, expected) in table {
        let found = fault(table, line);
        assert!(found.starts_with(expected), "{line}\n{found}\n{expected}");
    }
}

#[test]
fn a_table_that_is_none_says_how_it_is_written() {
    let one = |text: &str| {
        let found = complaints(text);
        assert_eq!(found.len(), 1, "{found:#?}");
        found[0].clone()
    };
    assert_eq!(
        one("node = 7\n"),
        "lamplighter.toml:1: node is the number 7; node wants a table: [node] with name, data_dir"
    );
    assert_eq!(
        one("[[node]]\nname = \"a\"\n"),
        "lamplighter.toml:1: node is a list; node wants a table: [node] with name, data_dir"
    );
    assert_eq!(
        one("[domain]\nname = \"abc.com\"\n"),
        "lamplighter.toml:1: domain is in single brackets, and there may be several; write [[domain]]"
    );
    assert_eq!(
        one("domain = \"abc.com\"\n"),
        "lamplighter.toml:1: domain is the text \"abc.com\"; domain wants tables, each with its header: [[domain]]"
    );
    assert!(
        complaints("[sip]\nlisten = [\"0.0.0.0:5060\"]\n")[0]
            .ends_with("listen wants a table: [[sip.listen]] with transport, address, advertise")
    );
}

/// What follows from a fault is no further fault: a key that is misspelt is not missing as well, a
/// domain whose name cannot be read does not cause an error for each of its accounts.
#[test]
fn one_fault_is_told_once() {
    let domain = "[[domain]]\nname = \"abc.com\"\n";
    let account = |keys: &str| format!("{domain}[[account]]\n{keys}");
    complains(
        &account("usr = \"1\"\ndomain = \"abc.com\"\npassword = \"x\"\n"),
        &[(4, "unknown key \"usr\"; did you mean \"user\"?")],
    );
    complains(
        &account("user = 1\ndomain = \"abc.com\"\npassword = \"x\"\n"),
        &[(
            4,
            "user is the number 1; user wants a text in quotes: \"1\"",
        )],
    );
    complains(
        &account("user = \"1\"\ndomain = 5\n"),
        &[
            (3, "the key \"password\" is missing here; add it"),
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
fn a_key_of_another_table_is_sent_home() {
    complains(
        "[[domain]]\nname = \"abc.com\"\n[[account]]\nuser = \"1\"\ndomain = \"abc.com\"\n\
         password = \"x\"\norbits = [\"700-709\"]\nburst = 5\nqqqq = 5\n",
        &[
            (
                7,
                "unknown key \"orbits\"; it is a key of [[domain]]: put it there",
            ),
            (
                8,
                "unknown key \"burst\"; it is a key of [notify]: put it there",
            ),
            (
                9,
                "unknown key \"qqqq\"; known here: user, domain, password",
            ),
        ],
    );
}

/// Every kind of fault in one file, syntax included, and none hides another.
#[test]
fn a_file_of_many_faults_tells_them_all() {
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
            (6, "shards is the text \"0\"; shards wants a list: [0]"),
            (8, "product is false"),
            (10, "unknown value \"udo\"; did you mean \"udp\"?"),
            (11, "address is the number 5060"),
            (14, "unknown key \"adress\"; did you mean \"address\"?"),
            (14, "\"everywhere\" is not an address to listen on"),
            (
                16,
                "listen is the text \"127.0.0.1:80\"; listen wants a list: [\"127.0.0.1:80\"]",
            ),
            (
                18,
                "this is not TOML: a value that is neither a number nor true or false needs quotes",
            ),
            (19, "burst is 0; choose from 1 to"),
            (20, "unknown key \"rte\"; did you mean \"rate\"?"),
            (22, "nonce_life is the text \"soon\""),
            (24, "body is the text \"many\""),
            (
                26,
                "the key \"probation\" is given twice; keep one of the two",
            ),
            (28, "\"10.0.0.0/99\" is neither a network nor an address"),
            (
                28,
                "exempt has in it the number 7; exempt wants a text in quotes: \"7\"",
            ),
            (31, "unknown value \"digset\"; did you mean \"digest\"?"),
            (32, "unknown key \"opn\"; did you mean \"open\"?"),
            (33, "min_expires is 2h; choose from \"1s\" to \"1h\""),
            (
                34,
                "trusted is the text \"10.0.0.0/8\"; trusted wants a list: [\"10.0.0.0/8\"]",
            ),
            (
                37,
                "\"1\" is of the domain \"abc.con\", which does not exist; did you mean \"abc.com\"?",
            ),
            (
                38,
                "password is of another kind; password wants a text in quotes: \"change me\"",
            ),
            (39, "unknown key \"fedder\"; did you mean \"feeder\"?"),
            (40, "the key \"user\" is missing here; add it"),
            (40, "the key \"password\" is missing here; add it"),
            (42, "the key \"members\" is missing here; add it"),
            (48, "members has in it the number 3"),
            (
                49,
                "style is the number 4; style wants one of these words, in quotes: rfc, broadworks",
            ),
            (51, "\"sefl\" is not a watcher; did you mean \"self\"?"),
            (53, "unknown value \"alow\"; did you mean \"allow\"?"),
            (54, "the key \"name\" is missing here; add it"),
            (55, "strikes is 0; choose from 1 to 100"),
            (56, "unknown value \"off\"; known here: terminated, empty"),
        ],
    );
}

/// Each of these was once accepted, and never did anything.
#[test]
fn what_could_never_work_is_a_fault() {
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
                "orbits \"700-709\" has the account 709@abc.com in it; these names have no account: choose others",
            ),
            (
                4,
                "resources \"800-801\" has 2 accounts in it, 800@abc.com is the first; these names",
            ),
            (
                6,
                "\"123@abc.com\" is not a user; give the part before the @, without spaces: \"123\"",
            ),
            (
                10,
                "\"12 3\" is not a user; give the part before the @, without spaces: \"123\"",
            ),
            (
                14,
                "\"sip:5\" is not a user; give the part before the @, without spaces: \"5\"",
            ),
            (
                30,
                "\"my team\" is not a user; give the part before the @, without spaces: \"myteam\"",
            ),
            (
                35,
                "\"same-dom\" is not a watcher; did you mean \"same-domain\"?",
            ),
            (38, "\"trust\" is not a watcher; did you mean \"trusted\"?"),
            (
                40,
                "the path of the control socket has 114 octets, and the system takes 107: /xxx",
            ),
        ],
    );
}

/// A user is a user, even if the name resembles a keyword; an unknown watcher is probably a typo.
#[test]
fn an_account_may_be_called_like_the_beginning_of_a_word() {
    let text = "[[domain]]\nname = \"abc.com\"\n\
         [[account]]\nuser = \"trust\"\ndomain = \"abc.com\"\npassword = \"x\"\n\
         [[policy]]\ndomain = \"abc.com\"\nwatcher = \"trust\"\n\
         [[policy]]\ndomain = \"abc.com\"\nwatcher = \"105\"\n";
    assert_eq!(
        plan(text).notes,
        ["lamplighter.toml:12: policy 2 is about the watcher 105@abc.com, who does not exist"]
    );
}

#[test]
fn what_is_not_toml_has_a_line() {
    complains(
        "[node\nname = 7\n",
        &[(1, "this is not TOML: unclosed table")],
    );
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
            (2, "this is not TOML: "),
            (
                3,
                "this is not TOML: a value that is neither a number nor true or false needs quotes",
            ),
            (5, "unknown key \"rte\""),
        ],
    );
}
