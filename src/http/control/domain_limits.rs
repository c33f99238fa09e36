//! How much edits may add to one domain, so that the administrator of one leaves the others room.
//!
//! Not here: groups and policies, which the configuration limits (`config::managed`).

use crate::directory::Directory;
use crate::directory::edits::EditCounts;
use crate::http::control::ControlRefusal;
use crate::presence::Aor;

/// What edits may leave in one domain. One more is refused with 409 and counted (`edits_over_limit`).
pub(super) const DOMAIN_MAX: EditCounts = EditCounts {
    accounts: 100_000,
    lists: 10_000,
    rules: 10_000,
};

/// Refuses an edit of these addresses that adds to what is more than `max` in a domain.
pub(super) fn check(
    before: &Directory,
    edited: &Directory,
    aors: &[Aor],
    max: EditCounts,
) -> Result<(), ControlRefusal> {
    // Most edits add nothing.
    if over(edited.edit_counts(), before.edit_counts()).is_none() {
        return Ok(());
    }
    let mut domains: Vec<&str> = aors.iter().map(Aor::domain).collect();
    domains.sort_unstable();
    domains.dedup();
    for domain in domains {
        let before = before.edit_counts_of(domain);
        let bound = EditCounts {
            accounts: max.accounts.max(before.accounts),
            lists: max.lists.max(before.lists),
            rules: max.rules.max(before.rules),
        };
        if let Some((what, max)) = over(edited.edit_counts_of(domain), bound) {
            let domain = domain.to_owned();
            return Err(ControlRefusal::DomainFull { domain, max, what });
        }
    }
    Ok(())
}

/// The first count that is larger than its bound, and the bound.
fn over(counts: EditCounts, bound: EditCounts) -> Option<(&'static str, usize)> {
    let kinds = [
        ("edited accounts", counts.accounts, bound.accounts),
        ("edited lists", counts.lists, bound.lists),
        ("addresses with rules", counts.rules, bound.rules),
    ];
    let over = kinds.into_iter().find(|(_, count, bound)| count > bound);
    over.map(|(what, _, bound)| (what, bound))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::directory::Domain;
    use crate::directory::lists::StoredList;

    #[test]
    fn a_domain_that_is_full_leaves_the_others_room() {
        let max = EditCounts {
            accounts: 1,
            lists: 1,
            rules: 0,
        };
        let mut directory = Directory::default();
        for name in ["a.example", "b.example"] {
            directory.add_domain(Domain::new(name), &[]).unwrap();
        }
        let add = |directory: &Directory, user: &str, domain: &str| {
            let aor = Aor::new(user, domain);
            let edited = directory.with_list(&aor, StoredList::default()).unwrap();
            check(directory, &edited, std::slice::from_ref(&aor), max).map(|()| edited)
        };
        let one = add(&directory, "one", "a.example").unwrap();
        let refusal = add(&one, "two", "a.example").unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "the domain a.example has 1 edited lists, and may have no more"
        );
        assert!(add(&one, "one", "a.example").is_ok(), "replaced");
        assert!(add(&one, "one", "b.example").is_ok());
        // One that has more from before may keep, change and remove them.
        let two = one.with_list(&Aor::new("two", "a.example"), StoredList::default());
        let two = two.unwrap();
        assert!(add(&two, "two", "a.example").is_ok());
        assert!(add(&two, "three", "a.example").is_err());
    }
}
