//! `same_as`: which tables are one peer system, and what is refused.

use super::*;
use crate::presence::origin::Origin;

const HEAD: &str = "[[domain]]\nname = \"abc.com\"\n[[account]]\nuser = \"pbx\"\ndomain = \"abc.com\"\npassword = \"x\"\n";

fn connector(name: &str, same_as: &str) -> String {
    format!(
        "[[connector]]\nname = \"{name}\"\ndomain = \"abc.com\"\naddress = \"192.0.2.7\"\nsame_as = [{same_as}]\n"
    )
}

#[test]
fn tables_with_a_name_in_common_are_one_system() {
    let tables = [
        connector("a", "\"PBX@abc.com\""),
        connector("b", "\"192.0.2.1\""),
        connector("c", "\"b\", \"::ffff:192.0.2.2\""),
        connector("d", ""),
    ];
    let directory = plan(&format!("{HEAD}{}", tables.concat())).directory;
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| directory.peer_system_of_connector(name));
    assert!(a.is_some() && a != b, "{a:?} {b:?}");
    assert_eq!(b, c);
    assert_eq!(d, None, "it is told of nothing");
    let mut origins = ["b", "c", "192.0.2.1", "192.0.2.2"].map(Origin::of);
    origins.sort_unstable();
    assert_eq!(directory.origins_of(b.unwrap()), origins);
    assert!(
        directory
            .origins_of(a.unwrap())
            .contains(&Origin::of("PBX@abc.com"))
    );
}

#[test]
fn a_name_that_nothing_has_is_refused() {
    let text = format!("{HEAD}{}", connector("a", "\"conector\", \"x@def.com\""));
    let faults = complaints(&text);
    assert!(
        faults[0].contains("\"conector\" is no connector, token or feed"),
        "{faults:?}"
    );
    assert!(faults[1].contains("def.com"), "{faults:?}");
    let near = format!(
        "{HEAD}{}{}",
        connector("upstream", ""),
        connector("a", "\"upstraem\"")
    );
    assert!(complaints(&near)[0].contains("did you mean \"upstream\"?"));
}

#[test]
fn there_are_not_too_many_systems() {
    let many = |count: usize| {
        let systems = (0..count).map(|n| connector(&format!("c{n}"), &format!("\"192.0.2.{n}\"")));
        format!("{HEAD}{}", systems.collect::<String>())
    };
    let most = plan(&many(31)).directory;
    assert!(most.peer_system_of_connector("c30").is_some());
    assert!(complaints(&many(32))[0].contains("more than 31 systems"));
}
