//! Converts the `[[feed]]` tables of a file, and checks them.

use toml::Spanned;

use crate::config::complaint::Complainer;
use crate::config::schema;
use crate::config::tenants::names;
use crate::config::tenants::names::Names;
use crate::directory::feeds::{Feed, Meaning};

/// The feeds of a file.
pub(super) fn read(
    feeds: &[schema::Feed],
    names: &Names,
    complainer: &mut Complainer<'_>,
) -> Vec<Feed> {
    names::check_all("feed", feeds.iter().map(|feed| &feed.name), complainer);
    let mut read = Vec::with_capacity(feeds.len());
    for feed in feeds {
        let name = feed.name.get_ref().as_str();
        let what = format!("the feed \"{name}\"");
        let domain = names.domain(&feed.domain, &what, complainer);
        read.push(Feed {
            name: name.into(),
            domain: domain.unwrap_or_default().into(),
            events: pointer(&feed.events, complainer),
            user: pointer(&feed.user, complainer),
            state: pointer(&feed.state, complainer),
            party: feed.party.as_ref().map(|party| pointer(party, complainer)),
            meanings: meanings(feed, complainer),
        });
    }
    read
}

/// A JSON pointer (RFC 6901 §3).
fn pointer(text: &Spanned<String>, complainer: &mut Complainer<'_>) -> Box<str> {
    let pointer = text.get_ref();
    let is_escaped = |part: &str| part.starts_with(['0', '1']);
    let is_valid = pointer.is_empty()
        || pointer.starts_with('/') && pointer.split('~').skip(1).all(is_escaped);
    if !is_valid {
        let what = format!("\"{pointer}\" is not a JSON pointer");
        let remedy = "write the names on the path, each after a slash: \"/call/extension\"";
        complainer.add(text.span(), what, remedy);
    }
    pointer.as_str().into()
}

/// The states of a feed; each means one thing.
fn meanings(feed: &schema::Feed, complainer: &mut Complainer<'_>) -> Vec<(Box<str>, Meaning)> {
    let mut meanings: Vec<(Box<str>, Meaning)> = Vec::new();
    for (texts, meaning) in [
        (&feed.ringing, Meaning::Ringing),
        (&feed.busy, Meaning::Busy),
        (&feed.idle, Meaning::Idle),
        (&feed.do_not_disturb, Meaning::DoNotDisturb),
        (&feed.available, Meaning::Available),
        (&feed.away, Meaning::Away),
    ] {
        for text in texts {
            let state = text.get_ref().to_lowercase();
            if meanings.iter().any(|(known, _)| **known == *state) {
                let what = format!("the state \"{}\" has two meanings", text.get_ref());
                complainer.add(text.span(), what, "keep one of them");
            }
            meanings.push((state.into(), meaning));
        }
    }
    if meanings.is_empty() {
        let what = format!(
            "the feed \"{}\" gives no state a meaning",
            feed.name.get_ref()
        );
        let remedy = "list the states of the PBX: busy = [\"TALKING\"], idle = [\"HANGUP\"]";
        complainer.add(feed.name.span(), what, remedy);
    }
    meanings
}
