//! pres-rules: a presentity's own rules (RFC 4745, RFC 5025).

use super::*;

fn parsed(rules: &str) -> Result<Vec<ImportedRule>, DocumentFault> {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<cr:ruleset xmlns=\"urn:ietf:params:xml:ns:pres-rules\" \
        xmlns:pr=\"urn:ietf:params:xml:ns:pres-rules\" xmlns:cr=\"urn:ietf:params:xml:ns:common-policy\">{rules}</cr:ruleset>"
    );
    parse(body.as_bytes())
}

fn rule(conditions: &str, handling: &str) -> String {
    format!(
        "<cr:rule id=\"a\"><cr:conditions>{conditions}</cr:conditions><cr:actions>\
        <pr:sub-handling>{handling}</pr:sub-handling></cr:actions><cr:transformations/></cr:rule>"
    )
}

fn identities(identity: &str) -> Result<Vec<IdentityCondition>, DocumentFault> {
    let conditions = format!("<cr:identity>{identity}</cr:identity>");
    parsed(&rule(&conditions, "allow")).map(|mut rules| rules.remove(0).identities)
}

fn aor(key: &str) -> Aor {
    Aor::from_key(key).unwrap()
}

/// The example of RFC 5025 §6, unchanged.
#[test]
fn b8_1_the_example_of_the_rfc() {
    let example = "<cr:rule id=\"a\">\n<cr:conditions>\n<cr:identity>\n<cr:one id=\"sip:user@example.com\"/>\n\
        </cr:identity>\n</cr:conditions>\n<cr:actions>\n<pr:sub-handling>allow</pr:sub-handling>\n</cr:actions>\n\
        <cr:transformations>\n<pr:provide-services>\n<pr:service-uri-scheme>sip</pr:service-uri-scheme>\n\
        <pr:service-uri-scheme>mailto</pr:service-uri-scheme>\n</pr:provide-services>\n<pr:provide-persons>\n\
        <pr:all-persons/>\n</pr:provide-persons>\n<pr:provide-activities>true</pr:provide-activities>\n\
        <pr:provide-user-input>bare</pr:provide-user-input>\n</cr:transformations>\n</cr:rule>";
    let expected = ImportedRule {
        identities: vec![IdentityCondition::One(aor("user@example.com"))],
        handling: Handling::Allow,
        privacy: None,
        valid_from: None,
        valid_until: None,
    };
    assert_eq!(parsed(example), Ok(vec![expected]));
}

#[test]
fn b8_1_identities() {
    let many = |domain: Option<&str>, except: Vec<Exception>| IdentityCondition::Many {
        domain: domain.map(Box::from),
        except,
    };
    assert_eq!(
        identities("<cr:one id=' SIPS:b%6Fb@ABC.com:5061;user=phone '/><cr:one id='pres:a;b@c'/>"),
        Ok(vec![
            IdentityCondition::One(aor("bob@abc.com")),
            IdentityCondition::One(aor("a;b@c")),
        ])
    );
    assert_eq!(
        identities(
            "<cr:many/><cr:many domain='Example.COM'><cr:except id='sip:x@example.com'/><cr:except domain='B.c'/></cr:many>"
        ),
        Ok(vec![
            many(None, Vec::new()),
            many(
                Some("example.com"),
                vec![
                    Exception::One(aor("x@example.com")),
                    Exception::Domain("b.c".into())
                ]
            ),
        ])
    );
    assert_eq!(identities(""), Ok(Vec::new()), "nobody");
    let anybody = parsed(&rule("", "block")).unwrap().remove(0);
    assert_eq!(anybody.identities, [IdentityCondition::Anybody]);
    for bad in [
        "<cr:one/>",
        "<cr:one id='tel:+49'/>",
        "<cr:one id='sip:host'/>",
        "<cr:one id='sip:@host'/>",
        "<cr:one id='sip:%f@h'/>",
        "<cr:one id='sip:%ff@h'/>",
        "<cr:one id='sip:%+f@h'/>",
        "<cr:many><cr:except/></cr:many>",
    ] {
        assert_eq!(identities(bad), Err(DocumentFault::Malformed), "{bad}");
    }
}

#[test]
fn b8_1_handling_validity_and_what_is_shown() {
    let handling = |word: &str| parsed(&rule("", word)).map(|rules| rules[0].handling);
    assert_eq!(handling("block"), Ok(Handling::Block));
    assert_eq!(handling(" confirm "), Ok(Handling::Confirm));
    assert_eq!(handling("polite-block"), Ok(Handling::PoliteBlock));
    assert_eq!(handling("allow"), Ok(Handling::Allow));
    assert_eq!(handling("ALLOW"), Err(DocumentFault::Malformed));
    let silent = parsed("<cr:rule id='a'/>").unwrap();
    assert_eq!(silent[0].handling, Handling::Block);

    let intervals = |validity: &str| {
        let conditions = format!("<cr:validity>{validity}</cr:validity>");
        parsed(&rule(&conditions, "allow")).map(|rules| {
            let interval = |rule: ImportedRule| (rule.valid_from, rule.valid_until);
            rules.into_iter().map(interval).collect::<Vec<_>>()
        })
    };
    let second = |at: &str, name: &str| format!("<cr:{name}>1970-01-01T00:00:{at}Z</cr:{name}>");
    let (from, until) = (second("10", "from"), second("20", "until"));
    assert_eq!(
        intervals(&format!("{from}{until}")),
        Ok(vec![(Some(10), Some(20))])
    );
    assert_eq!(
        intervals(&format!(
            "{from}{until}{}{}",
            second("30", "from"),
            second("40", "until")
        )),
        Ok(vec![(Some(10), Some(20)), (Some(30), Some(40))])
    );
    assert_eq!(intervals(&from), Ok(vec![(Some(10), None)]));
    assert_eq!(intervals(""), Ok(Vec::new()), "never");
    assert_eq!(
        intervals("<cr:from>tomorrow</cr:from>"),
        Err(DocumentFault::Malformed)
    );

    let all = "<cr:rule id='a'><cr:transformations><pr:provide-all-attributes/></cr:transformations></cr:rule>";
    assert_eq!(parsed(all).unwrap()[0].privacy, Some(Privacy::Pickup));
}

/// Parts of a rule that are not understood never make it more permissive.
#[test]
fn an_unknown_condition_matches_no_watcher() {
    for condition in [
        "<cr:sphere value='work'/>",
        "<ocp:other-identity xmlns:ocp='urn:oma:xml:xdm:common-policy'/>",
        "<cr:identity><cr:one id='sip:a@b'><x:verified xmlns:x='u'/></cr:one></cr:identity>",
        "<cr:identity><x:group xmlns:x='u'/></cr:identity>",
    ] {
        assert_eq!(
            parsed(&rule(condition, "allow")),
            Ok(Vec::new()),
            "{condition}"
        );
    }
    let foreign = "<rule xmlns='u'/><cr:rule id='a'><cr:actions><sub-handling xmlns='u'>allow</sub-handling></cr:actions></cr:rule>";
    assert_eq!(parsed(foreign).unwrap()[0].handling, Handling::Block);
}

#[test]
fn limits() {
    let rules = |count| rule("", "allow").repeat(count);
    assert_eq!(parsed(&rules(RULES_MAX)).unwrap().len(), RULES_MAX);
    assert_eq!(parsed(&rules(RULES_MAX + 1)), Err(DocumentFault::TooLarge));
    let ones = |count| "<cr:one id='sip:a@b'/>".repeat(count);
    assert_eq!(
        identities(&ones(IDENTITIES_MAX)).unwrap().len(),
        IDENTITIES_MAX
    );
    assert_eq!(
        identities(&ones(IDENTITIES_MAX + 1)),
        Err(DocumentFault::TooLarge)
    );
    for root in [
        "<ruleset/>",
        "<cr:rule xmlns:cr='urn:ietf:params:xml:ns:common-policy'/>",
    ] {
        assert_eq!(
            parse(root.as_bytes()),
            Err(DocumentFault::Malformed),
            "{root}"
        );
    }
}
