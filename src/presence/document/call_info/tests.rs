//! call-info: the header of a shared line and the body of a parked call (W:C10).

use std::sync::Arc;

use super::*;
use crate::presence::call::{AppearanceState, CallParts, CallState, Party};
use crate::presence::composition::Extras;
use crate::presence::document::outline;

fn aor() -> Aor {
    Aor::new("line", "abc.com")
}

fn appearance(index: u8, state: AppearanceState, party: Option<&str>) -> Appearance {
    Appearance {
        index,
        state,
        party: party.map(Box::from),
    }
}

/// W:C10.1
#[test]
fn c10_1_the_header() {
    let value = |appearances: Vec<Appearance>, privacy| {
        let composed = Composed {
            extras: Arc::new(Extras {
                appearances,
                ..Extras::default()
            }),
            ..Composed::default()
        };
        let mut out = Vec::new();
        write_appearances(&mut out, &aor(), &composed, privacy);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(
        value(Vec::new(), Privacy::Party),
        "<sip:abc.com>;appearance-index=*;appearance-state=idle"
    );
    let busy = vec![
        appearance(
            1,
            AppearanceState::Active,
            Some("\"Bob \\\"B\\\"\" <sip:bob@abc.com>\r\nX: y"),
        ),
        appearance(3, AppearanceState::HeldPrivate, None),
    ];
    assert_eq!(
        value(busy.clone(), Privacy::Party),
        "<sip:abc.com>;appearance-index=1;appearance-state=active;\
        appearance-uri=\"\\\"Bob \\\\\\\"B\\\\\\\"\\\" <sip:bob@abc.com>X: y\",\
        <sip:abc.com>;appearance-index=3;appearance-state=held-private,\
        <sip:abc.com>;appearance-index=*;appearance-state=idle"
    );
    assert!(!value(busy, Privacy::AnonymousParty).contains("bob"));
}

fn parked(target: &str, is_private: bool, privacy: Privacy) -> String {
    let call = CallParts {
        local: Party {
            rendering: Some(false),
            ..Party::default()
        },
        remote: Party {
            identity: "sip:bob@b.com",
            display: "B & B",
            target,
            rendering: None,
        },
        remote_is_private: is_private,
        ..CallParts::new("1", CallState::Confirmed)
    };
    let composed = Composed {
        calls: [Arc::new(call.into())].into_iter().collect(),
        ..Composed::default()
    };
    let mut out = Vec::new();
    write_call_park(&mut out, &aor(), &composed, privacy);
    outline::elements(&out);
    String::from_utf8(out).unwrap()
}

/// W:C10.4
#[test]
fn c10_4_the_parked_call() {
    let document = |content: &str| {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
            <x-broadworks-callpark-info xmlns=\"http://schema.broadsoft.com/callpark\">\n\
            {content}</x-broadworks-callpark-info>\n"
        )
    };
    let of = |identity: &str| {
        document(&format!(
            "<callpark>\n<parked>\n<identity {identity}</identity>\n</parked>\n</callpark>\n"
        ))
    };
    let bob = of("display=\"B &amp; B\">sip:bob@b.com;user=phone");
    let anonymous = of("display=\"Anonymous\">sip:anonymous@anonymous.invalid;user=phone");
    let here = "sip:line@abc.com";
    assert_eq!(parked(here, false, Privacy::Party), bob);
    assert_eq!(parked(here, true, Privacy::Pickup), anonymous);
    assert_eq!(parked(here, false, Privacy::StateOnly), anonymous);
    // On private hold: only its own phone may retrieve it.
    let none = document("<callpark/>\n");
    assert_eq!(parked("sip:bob@10.0.0.9", false, Privacy::Pickup), none);
}
