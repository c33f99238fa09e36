//! The shipped profiles, and what an operator makes of them.

use super::*;
use crate::presence::profile::{
    DoNotDisturbLamp, Idle, ParameterValue, Profile, Rendering, Unregistered,
};

fn generic(name: &str) -> Profile {
    Profile {
        name: name.into(),
        ..Profile::default()
    }
}

/// W:C: real User-Agents and the family each is of.
#[test]
fn every_family_is_recognised() {
    let directory = plan("").directory;
    let table = [
        ("Yealink SIP-T46U 108.86.0.20", "yealink"),
        ("Yealink VP59 91.87.0.25", "yealink"),
        ("Grandstream GXP2170 1.0.11.57", "grandstream"),
        ("Fanvil X4U 2.12.7.6", "fanvil"),
        ("Cisco/SPA504G-7.6.2c", "cisco-spa"),
        ("Linksys/SPA962-6.1.5(a)", "cisco-spa"),
        ("snomD785-SIP 10.1.169.16", "snom-d"),
        ("snom360/7.3.30", "snom"),
        ("PolycomVVX-VVX_450-UA/6.4.5.1000", "poly"),
        ("PolycomSoundPointIP-SPIP_450-UA/4.0.15.1047", "poly"),
        ("PolyEdge-Edge_E350-UA/8.0.1", "poly"),
        ("Htek UC924E V3.0.4.5", "htek"),
        ("Z 5.3.8 rv2.9.30-mod", "zoiper"),
        ("MicroSIP/3.21.3", "microsip"),
        ("PJSUA/v2.17-dev Linux-6.18.44 x86_64 glibc-2.36", "pjsip"),
        ("PJSUA v2.14 win32-6.2/i386/msvc-14.2", "pjsip"),
        ("Acme/1.0 (pjsip 2.15)", "pjsip"),
        ("Linphone Desktop/4.2.5 (Debian)", "linphone"),
        ("Linphonec/5.1.65", "linphone"),
        (
            "Acme/2.0 (Pixel 7) LinphoneSDK/5.3.47 (tags/5.3.47^0)",
            "linphone",
        ),
        ("Acme/1.0 (belle-sip/1.6.3)", "linphone"),
        ("Cisco-CP-8851-3PCC/11.3.1", "cisco-mpp"),
        ("Cisco-CP7960G/8.0", "cisco-enterprise"),
        ("Gigaset N510 IP PRO/42.250", "gigaset"),
        ("Panasonic-KX-HDV230/06.101", "panasonic"),
        ("Mitel 6869i/5.1.0", "mitel"),
        ("Aastra 6731i/3.3.1.4365", "mitel"),
        ("Avaya J179 IP Phone 4.0.8", "avaya"),
        ("Auerswald COMfortel 3600 IP", "auerswald"),
        ("Bria 6 release 6.5.1", "bria"),
        ("X-Lite release 5.8.3", "bria"),
        ("eyeBeam release 1011s", "eyebeam"),
        ("Jitsi2.10.5550Linux", "jitsi"),
        ("baresip v3.1.0 (x86_64/linux)", "baresip"),
        ("DLINK DPH-150S", "generic"),
        ("", "generic"),
    ];
    for (agent, name) in table {
        assert_eq!(&*directory.profile(agent.as_bytes()).name, name, "{agent}");
    }
}

/// What differs from generic, in full: an entry that is not here says nothing but its name.
#[test]
fn the_shipped_profiles_have_the_documented_values() {
    let directory = plan("").directory;
    let phone = |name: &str| Profile {
        empty_accept_is_absent: true,
        ..generic(name)
    };
    let rendering = Rendering::GENERIC;
    let bria = Profile {
        list_is_broadworks: Some(true),
        ..generic("bria")
    };
    let table = [
        generic("generic"),
        Profile {
            rendering: Rendering {
                unregistered: Unregistered::Empty,
                ..rendering
            },
            ..phone("yealink")
        },
        Profile {
            prefers_xpidf: true,
            ..phone("poly")
        },
        Profile {
            rendering: Rendering {
                caller_early_is_confirmed: false,
                ..rendering
            },
            ..phone("snom-d")
        },
        phone("snom"),
        Profile {
            list_resources: Some(3),
            ..phone("grandstream")
        },
        Profile {
            strikes: Some(5),
            ..phone("cisco-spa")
        },
        phone("cisco-mpp"),
        Profile {
            rendering: Rendering {
                omits_zero_urgent: true,
                ..rendering
            },
            ..phone("cisco-enterprise")
        },
        phone("fanvil"),
        phone("gigaset"),
        phone("panasonic"),
        phone("mitel"),
        phone("avaya"),
        phone("htek"),
        Profile {
            notify_rate: Some(10),
            notify_burst: Some(100),
            ..phone("auerswald")
        },
        Profile {
            min_expires: Some(Duration::from_secs(60)),
            ..generic("zoiper")
        },
        Profile {
            linphone_lists: true,
            ..generic("linphone")
        },
        Profile {
            name: "eyebeam".into(),
            rendering: Rendering {
                legacy_namespaces: true,
                ..rendering
            },
            ..bria.clone()
        },
        bria,
        Profile {
            rendering: Rendering {
                idle: Idle::Empty,
                ..rendering
            },
            ..generic("pjsip")
        },
        Profile {
            rendering: Rendering {
                idle: Idle::Empty,
                ..rendering
            },
            ..generic("microsip")
        },
        Profile {
            rendering: Rendering {
                all_dialogs: true,
                ..rendering
            },
            ..generic("tsip")
        },
        generic("jitsi"),
        generic("baresip"),
    ];
    let count = SHIPPED_FILE.matches("[[profile]]\n").count();
    assert_eq!(count, table.len());
    for expected in table {
        let shipped = directory.profile_named(&expected.name);
        assert_eq!(shipped.map(|profile| &**profile), Some(&expected));
    }
}

/// A reason for each, that names its source.
#[test]
fn every_shipped_profile_has_its_reason() {
    for entry in SHIPPED_FILE.split("[[profile]]\n").skip(1) {
        let (reason, _) = entry.split_once("name = ").unwrap();
        assert!(reason.contains("W:"), "{entry}");
    }
}

#[test]
fn every_key_of_a_profile_is_converted() {
    let text = r#"
        [[profile]]
        name = "all"
        user_agents = ["Acme"]
        idle = "empty"
        all_dialogs = true
        caller_early_is_confirmed = false
        ringing_over_in_use = false
        parameter_value = "both"
        parked_is_early = true
        unregistered = "empty"
        dnd_lamp = "early"
        omits_zero_urgent = true
        legacy_namespaces = true
        partial_dialog_info = true
        prefers_xpidf = true
        empty_accept_is_absent = true
        assumes_eventlist = true
        list_octets = "8 KiB"
        list_resources = 7
        list_style = "broadworks"
        linphone_lists = true
        notify_rate = 3
        notify_burst = 4
        strikes = 9
        min_expires = "2min"
        replaces_same_contact = true
        entity_tags = false
    "#;
    let expected = Profile {
        name: "all".into(),
        rendering: Rendering {
            idle: Idle::Empty,
            all_dialogs: true,
            caller_early_is_confirmed: false,
            ringing_over_in_use: false,
            parameter_value: ParameterValue::Both,
            parked_is_early: true,
            unregistered: Unregistered::Empty,
            do_not_disturb: Some(DoNotDisturbLamp::Early),
            omits_zero_urgent: true,
            legacy_namespaces: true,
        },
        partial_dialog_info: true,
        prefers_xpidf: true,
        empty_accept_is_absent: true,
        assumes_eventlist: true,
        list_octets: Some(8 << 10),
        list_resources: Some(7),
        list_is_broadworks: Some(true),
        linphone_lists: true,
        notify_rate: Some(3),
        notify_burst: Some(4),
        strikes: Some(9),
        min_expires: Some(Duration::from_secs(120)),
        replaces_same_contact: true,
        entity_tags: false,
    };
    assert_eq!(**plan(text).directory.profile(b"acme/1"), expected);
}

#[test]
fn an_operators_profile_overrides_and_precedes_the_shipped_ones() {
    let directory = plan(
        r#"
        [[profile]]
        name = "generic"
        entity_tags = false
        [[profile]]
        name = "snom"
        strikes = 7
        [[profile]]
        name = "grandstream"
        user_agents = ["GS Clone"]
        list_resources = 50
        [[profile]]
        name = "lobby"
        extends = "yealink"
        user_agents = ["Yealink SIP-T19"]
        strikes = 1
        "#,
    )
    .directory;
    let profile = |agent: &str| &**directory.profile(agent.as_bytes());
    // The D series comes before snom, and inherits from it.
    assert_eq!(&*profile("snomD785-SIP 10").name, "snom-d");
    assert_eq!(profile("snomD785-SIP 10").strikes, Some(7));
    assert_eq!(profile("snom360/7").strikes, Some(7));
    for agent in ["GS Clone 1", "Grandstream GXP2170"] {
        assert_eq!(
            (&*profile(agent).name, profile(agent).list_resources),
            ("grandstream", Some(50))
        );
    }
    let lobby = profile("Yealink SIP-T19 53");
    assert_eq!((&*lobby.name, lobby.strikes), ("lobby", Some(1)));
    assert_eq!(lobby.rendering.unregistered, Unregistered::Empty);
    assert_eq!(&*profile("Yealink SIP-T46U").name, "yealink");
    assert!(!profile("Unheard of").entity_tags && !lobby.entity_tags);
}

#[test]
fn every_fault_of_a_profile_is_reported() {
    let text = r#"[[profile]]
name = "Acme Phones"
user_agents = ["*", "Acme"]
list_octets = "1 MiB"
[[profile]]
name = "yaelink"
[[profile]]
name = "snom"
strikes = 0
[[profile]]
name = "snom"
list_resources = 2000
[[profile]]
name = "lobby"
user_agents = ["Lobby"]
extends = "yealnik"
min_expires = "2h"
[[profile]]
name = "a"
user_agents = ["A"]
extends = "b"
[[profile]]
name = "b"
user_agents = ["B"]
extends = "a"
notify_burst = 0
"#;
    let expected = [
        (
            2,
            "\"Acme Phones\" is not a valid profile name; use 1 to 64 letters",
        ),
        (
            3,
            "\"*\" is not a User-Agent pattern; write how the User-Agent begins",
        ),
        (
            4,
            "list_octets is 1 MiB; choose a value from \"1 KiB\" to \"60 KiB\"",
        ),
        (
            6,
            "the profile \"yaelink\" matches no phone; did you mean \"yealink\"?",
        ),
        (9, "strikes is 0; choose a value from 1 to 100"),
        (11, "the profile \"snom\" is defined twice; merge the two"),
        (12, "list_resources is 2000"),
        (
            16,
            "there is no profile \"yealnik\"; did you mean \"yealink\"?",
        ),
        (17, "min_expires is 2h"),
        (
            21,
            "the profile \"a\" extends itself, or extends through too many others; let one of them extend \"generic\"",
        ),
        (25, "the profile \"b\" extends itself"),
        (26, "notify_burst is 0"),
    ];
    complains(text, &expected);
    let complaint = complaints("[[profile]]\nname = \"poly\"\nidel = \"empty\"\n").remove(0);
    assert!(complaint.ends_with("did you mean \"idle\"?"), "{complaint}");
}
