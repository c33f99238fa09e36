//! Slack as the target of a relay.

use toml::Spanned;

use crate::config::schema::Relay;
use crate::config::tenants::relays::RelayReader;
use crate::config::tenants::relays::remote_ids;
use crate::config::tenants::relays::remote_ids::IdKind;
use crate::relay::{SecretOctets, SlackPlan};

/// Requests in a second, where Slack allows some 50 changes a minute, each of which takes two.
const RATE_MAX: u32 = 1;
/// The service.
const URL: &str = "https://slack.com";
/// Characters of a status in Slack.
const TEXT_CHARACTERS_MAX: usize = 100;
/// What stands for a user.
const IDS: IdKind = IdKind {
    what: "the member id of a user of Slack",
    is_it: is_member_id,
};

impl RelayReader<'_, '_> {
    pub(super) fn slack(&mut self, relay: &Relay) -> Option<SlackPlan> {
        let token = self.secret(relay);
        let url = self.base(relay, relay.url.as_ref(), URL);
        let file = relay.ids_file.as_ref();
        let file = self.required(relay, file, "ids_file", "slack.csv");
        let ids =
            file.and_then(|file| remote_ids::read(relay, file, &IDS, self.names, self.complainer));
        let text = self.status_text(&relay.status_text);
        let emoji = self.status_emoji(&relay.status_emoji);
        Some(SlackPlan {
            url: url?,
            token: SecretOctets(token?.into_bytes().into()),
            ids: ids?,
            text: text?,
            emoji: emoji?,
            rate_max: relay.rate.unwrap_or(RATE_MAX),
        })
    }

    /// A text that Slack gives back as it is.
    fn status_text(&mut self, text: &Spanned<String>) -> Option<Box<str>> {
        let given = text.get_ref();
        let is_strange = |letter: char| "&<>".contains(letter) || letter.is_control();
        let is_text = (1..=TEXT_CHARACTERS_MAX).contains(&given.chars().count())
            && given.trim() == given
            && !given.contains(is_strange);
        if !is_text {
            let what = format!("{given:?} is not a status that can be told from others");
            let remedy =
                "write up to 100 characters without &, < and >: status_text = \"On a call\"";
            self.complainer.add(text.span(), what, remedy);
        }
        is_text.then(|| given.as_str().into())
    }

    fn status_emoji(&mut self, text: &Spanned<String>) -> Option<Box<str>> {
        let given = text.get_ref();
        let name = given
            .strip_prefix(':')
            .and_then(|name| name.strip_suffix(':'));
        let is_letter = |octet: u8| {
            octet.is_ascii_lowercase() || octet.is_ascii_digit() || b"_-+'".contains(&octet)
        };
        let is_emoji = name.is_some_and(|name| !name.is_empty() && name.bytes().all(is_letter));
        if !is_emoji {
            let what = format!("{given:?} is not an emoji of Slack");
            let remedy = "write its name between colons: status_emoji = \":telephone_receiver:\"";
            self.complainer.add(text.span(), what, remedy);
        }
        is_emoji.then(|| given.as_str().into())
    }
}

/// `U012AB3CD`
fn is_member_id(text: &str) -> bool {
    let is_letter = |octet: u8| octet.is_ascii_uppercase() || octet.is_ascii_digit();
    text.starts_with(['U', 'W']) && (6..=32).contains(&text.len()) && text.bytes().all(is_letter)
}
