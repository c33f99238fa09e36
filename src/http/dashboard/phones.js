// The phones: every subscription, with its profile and the response to its last NOTIFY; and the phones in a loop.

import { get, wordsOf } from "./api.js";
import { debounced, el, labelled, options, set, setText } from "./dom.js";
import { span } from "./format.js";
import { number, t, tn } from "./language.js";
import { may } from "./session.js";
import { subscriptionColumns } from "./subscriptions.js";
import { card, table } from "./table.js";
import { subscriptionWords } from "./words.js";

/** Subscriptions that are read at once. */
const LIMIT = 500;
const STATES = ["active", "waiting", "probation", "pending", "polite-block", "no flow"];

/** @param {import("./app.js").Context} context */
export function phones({ domain, go }) {
  let cursor = null;
  let items = [];
  const status = el("p.muted", { role: "status" }, t("loading"));
  const subscriptions = table({
    caption: t("phones.subscriptions"),
    empty: t("phones.none"),
    columns: subscriptionColumns({
      title: t("phones.watches"),
      cell: (row) => (row.list ? row.presentity : el("button.link", { type: "button", onclick: () => go("person", row.presentity) }, row.presentity)),
    }),
  });
  const search = el("input", { type: "search", placeholder: t("phones.search-hint"), oninput: debounced(() => load(), 250) });
  const state = el("select", { onchange: () => load() }, options([["", t("all")], ...STATES.map((name) => [name, subscriptionWords(name)])], ""));
  const more = el("button", { type: "button", hidden: true, onclick: () => load(true) }, t("phones.more"));
  const load = async (isNext = false) => {
    if (!isNext) [items, cursor] = [[], null];
    try {
      // With a search, a page may have few items or none, and still a next page.
      const wanted = items.length + LIMIT;
      do {
        const page = await get("subscriptions", { domain, search: search.value.trim(), state: state.value, limit: LIMIT, cursor });
        items.push(...page.items);
        cursor = page.next;
      } while (cursor !== null && items.length < wanted);
      subscriptions.show(items);
      set(more, "hidden", cursor === null);
      setText(status, cursor === null ? tn("phones.count", items.length) : t("phones.first", { n: number(items.length) }));
    } catch (error) {
      setText(status, wordsOf(error));
    }
  };
  const looping = may("admin") ? loops() : null;
  load();
  looping?.load();
  const reload = () => {
    load();
    looping?.load();
  };
  return {
    title: t("phones.title"),
    element: el(
      "div",
      {},
      looping?.element,
      card(
        t("phones.subscriptions"),
        el("div.toolbar", {}, labelled(t("search"), search), labelled(t("watchers.state"), state), el("button", { type: "button", onclick: reload }, t("reload")), status),
        subscriptions.element,
        more,
      ),
    ),
  };
}

/** The phones that keep repeating a request that fails. */
function loops() {
  const problem = el("p.problem", { role: "alert" });
  const hint = el("p.muted", { hidden: true }, t("loops.hint"));
  const found = table({
    caption: t("loops.title"),
    empty: t("loops.none"),
    columns: [
      { title: t("loops.phone"), cell: (row) => row.phone },
      { title: t("watchers.peer"), cell: (row) => `${row.transport} ${row.peer}` },
      { title: t("loops.method"), cell: (row) => row.method },
      { title: t("loops.to"), cell: (row) => row.to },
      { title: t("loops.status"), cell: (row) => String(row.status), kind: "number" },
      { title: t("loops.rate"), cell: (row) => number(row.per_minute), kind: "number" },
      { title: t("loops.for"), cell: (row) => span(row.age_seconds), kind: "number" },
      { title: "User-Agent", cell: (row) => row.user_agent ?? "" },
    ],
  });
  const load = async () => {
    setText(problem, "");
    try {
      const { phones: looping } = await get("loops");
      set(hint, "hidden", looping.length === 0);
      found.show(looping);
    } catch (error) {
      setText(problem, wordsOf(error));
    }
  };
  return { element: card(t("loops.title"), hint, problem, found.element), load };
}
