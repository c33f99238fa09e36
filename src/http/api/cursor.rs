//! Pages of a long list: as many items as asked for, and a cursor from which the next page goes on.
//!
//! A cursor is the key of the last item. If the list changes between two pages, items that stay in it are
//! neither repeated nor left out.

use serde_json::{Value, json};

use crate::http::api::problem::Problem;
use crate::http::api::request::ApiRequest;

/// Items of a page unless the caller says otherwise.
const ITEMS: usize = 100;
/// The most items of a page.
pub(super) const ITEMS_MAX: usize = 10_000;

/// The page that a caller asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// The key of the last item of the page before.
    after: Option<String>,
    limit: usize,
}

impl Page {
    /// By the parameters `cursor` and `limit`.
    pub(super) fn of(request: &ApiRequest) -> Result<Self, Problem> {
        let limit = request.number("limit", 1, ITEMS_MAX as u64)?;
        Ok(Self {
            after: request.query("cursor").map(str::to_owned),
            limit: limit.map_or(ITEMS, |limit| limit as usize),
        })
    }

    /// The items of the page, of a list in the order of its keys.
    pub(super) fn cut<'i, T>(
        &self,
        items: &'i [T],
        key: impl Fn(&T) -> &str,
    ) -> (&'i [T], Option<String>) {
        let begin = match &self.after {
            Some(after) => items.partition_point(|item| key(item) <= after.as_str()),
            None => 0,
        };
        let rest = items.get(begin..).unwrap_or_default();
        let page = &rest[..rest.len().min(self.limit)];
        let next = page.last().filter(|_| rest.len() > page.len());
        (page, next.map(|item| key(item).to_owned()))
    }
}

/// A page as JSON.
pub(super) fn json(items: Vec<Value>, next: Option<String>) -> Value {
    json!({"items": items, "next": next})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_go_on_where_the_last_ended() {
        let items = ["a", "c", "e", "g", "i"];
        let page = |after: Option<&str>, limit| Page {
            after: after.map(str::to_owned),
            limit,
        };
        let cut = |page: Page| {
            let (items, next) = page.cut(&items, |item| item);
            (items.to_vec(), next)
        };
        let next = |text: &str| Some(text.to_owned());
        assert_eq!(cut(page(None, 2)), (vec!["a", "c"], next("c")));
        assert_eq!(cut(page(Some("c"), 2)), (vec!["e", "g"], next("g")));
        assert_eq!(cut(page(Some("g"), 2)), (vec!["i"], None));
        assert_eq!(
            cut(page(Some("d"), 9)),
            (vec!["e", "g", "i"], None),
            "it is gone"
        );
        assert_eq!(cut(page(Some("z"), 9)), (vec![], None));
    }
}
