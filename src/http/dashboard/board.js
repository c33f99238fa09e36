// The lamp board of a domain: all keys, live, with a search and filters by group and state. Pinned keys come first.

import { BoardGrid } from "./board_grid.js";
import { tryIt } from "./board_try.js";
import { announce, debounced, el, fill, labelled, options, set, setText, throttled } from "./dom.js";
import { number, t, tn } from "./language.js";
import { KINDS, availabilityWord, kindOf, lamp, sentenceOf } from "./lamp.js";
import { matches } from "./live.js";
import * as pins from "./pins.js";

/**
 * The time between two looks at all keys. Under a filter by state, keys appear and disappear only then, so that the user
 * can click on one.
 */
const REVIEW_MS = 400;
/** The least time between two announcements of changes, so that a screen reader can keep up. */
const ANNOUNCE_MS = 1500;
/** The sections of keys without a group. */
const OTHERS = ["without-group", "orbits", "resources"];

/** @param {import("./app.js").Context} context */
export function board({ live, go }) {
  const filter = { text: "", group: "", kind: "" };
  const regroup = () => {
    const sections = sectionsOf(live, filter);
    grid.show(sections);
    const count = sections.reduce((sum, section) => sum + section.aors.length, 0);
    setText(found, live.isLoaded ? tn("board.keys", count) : t("loading"));
    set(nothing, "hidden", !live.isLoaded || count > 0);
  };
  const grid = new BoardGrid((aor) => live.states.get(aor), {
    open: (aor) => go("person", aor),
    pin: (aor) => {
      const isPinned = pins.toggle(aor);
      announce(t(isPinned ? "board.is-pinned" : "board.is-unpinned", { name: live.states.get(aor)?.name ?? aor }));
      regroup();
    },
    isPinned: pins.has,
  });
  const search = el("input", {
    type: "search",
    placeholder: t("board.search-hint"),
    oninput: debounced(() => {
      filter.text = search.value.trim().toLowerCase();
      regroup();
    }, 80),
  });
  const group = el("select", {
    onchange: () => {
      filter.group = group.value;
      regroup();
    },
  });
  const chips = chipsOf(filter, regroup);
  const found = el("p.muted", { role: "status" }, t("loading"));
  const nothing = el("p.empty", { hidden: true }, t("board.nothing"));
  const first = tryIt(live);
  const element = el(
    "div.board",
    {},
    el(
      "div.toolbar",
      {},
      labelled(t("search"), search),
      labelled(t("board.group"), group),
      el("div.chips", { role: "group", "aria-label": t("board.by-state") }, chips.element),
    ),
    first.element,
    nothing,
    grid.element,
  );

  const announceSoon = announcer(live, grid);
  const reviewSoon = throttled(() => {
    if (filter.kind !== "") regroup();
  }, REVIEW_MS);
  const showAll = () => {
    fill(group, options(groupsOf(live), filter.group));
    chips.count(live);
    first.show();
    regroup();
  };
  const showAllSoon = throttled(showAll, REVIEW_MS);
  const ended = live.listen((changed) => {
    // After the first time not at once: new addresses may arrive one after the other.
    if (changed === null) return grid.rows.length === 0 ? showAll() : showAllSoon();
    if (changed.size === 0) return;
    grid.update(changed);
    chips.recount(live, changed);
    announceSoon(changed);
    reviewSoon();
  });
  if (live.isLoaded) showAll();
  return {
    title: t("board.title"),
    head: [found, el("p.muted.hint", {}, t("board.keyboard"))],
    element,
    close: () => {
      ended();
      reviewSoon.cancel();
      showAllSoon.cancel();
      grid.close();
    },
  };
}

/** A button for each kind of state, with the current number of its keys. */
function chipsOf(filter, regroup) {
  const counts = new Map(KINDS.map((kind) => [kind, el("span.count", {}, "0")]));
  const buttons = KINDS.map((kind) =>
    el(
      "button.chip",
      {
        type: "button",
        "aria-pressed": "false",
        "data-kind": kind,
        onclick: () => {
          filter.kind = filter.kind === kind ? "" : kind;
          for (const button of buttons) set(button, "aria-pressed", String(button.dataset.kind === filter.kind));
          regroup();
        },
      },
      lamp(kind),
      el("span", {}, availabilityWord(kind)),
      counts.get(kind),
    ),
  );
  /** The kind of each key, and the number of keys of each kind. */
  const kinds = new Map();
  const now = new Map(KINDS.map((kind) => [kind, 0]));
  /** The numbers that the buttons show. */
  const drawn = new Map(now);
  const recount = (live, changed) => {
    for (const aor of changed) {
      const kind = kindOf(live.states.get(aor));
      const before = kinds.get(aor);
      if (before !== undefined) now.set(before, now.get(before) - 1);
      now.set(kind, now.get(kind) + 1);
      kinds.set(aor, kind);
    }
    for (const [kind, element] of counts) {
      // Formatting a number takes long.
      if (drawn.get(kind) !== now.get(kind)) setText(element, number(now.get(kind)));
      drawn.set(kind, now.get(kind));
    }
  };
  return {
    element: buttons,
    /** Counts all keys. */
    count: (live) => {
      kinds.clear();
      for (const kind of KINDS) now.set(kind, 0);
      recount(live, live.states.keys());
    },
    /** Follows the changes of some keys. */
    recount,
  };
}

/** The groups of the keys, as options. A group of the configuration has the value `=NAME`. */
function groupsOf(live) {
  const names = new Set();
  const others = new Set();
  for (const state of live.states.values()) {
    for (const name of state.groups) names.add(name);
    if (state.groups.length === 0) others.add(otherSection(state));
  }
  const sorted = [...names].sort((one, other) => one.localeCompare(other));
  const rest = OTHERS.filter((name) => others.has(name));
  return [["", t("board.all-groups")], ...sorted.map((name) => [`=${name}`, name]), ...rest.map((name) => [name, t(`board.${name}`)])];
}

const otherSection = (state) => ({ orbit: "orbits", resource: "resources" })[state.kind] ?? "without-group";

/**
 * The keys to show: pinned keys, then each group, then keys without a group. A key of several groups is in the first of
 * them only, unless the user chose one group.
 */
function sectionsOf(live, { text, group, kind }) {
  const pinned = [];
  const sections = new Map();
  const collator = new Intl.Collator(undefined, { numeric: true });
  for (const aor of live.aorsByName()) {
    const state = live.states.get(aor);
    if ((text !== "" && !matches(state, text)) || (kind !== "" && kindOf(state) !== kind)) continue;
    const own = state.groups.length > 0 ? state.groups.map((name) => `=${name}`).sort() : [otherSection(state)];
    if (group !== "" && !own.includes(group)) continue;
    if (pins.has(aor)) pinned.push(aor);
    else {
      const name = group || own[0];
      if (!sections.has(name)) sections.set(name, []);
      sections.get(name).push(aor);
    }
  }
  const title = (name) => (name.startsWith("=") ? name.slice(1) : t(`board.${name}`));
  const order = (name) => (name.startsWith("=") ? `0${name}` : `1${OTHERS.indexOf(name)}`);
  const names = [...sections.keys()].sort((one, other) => collator.compare(order(one), order(other)));
  const all = names.map((name) => ({ title: title(name), aors: sections.get(name) }));
  return pinned.length > 0 ? [{ title: t("board.pinned"), aors: pinned }, ...all] : all;
}

/** Announces changes of the key with the focus and of pinned keys only. */
function announcer(live, grid) {
  let last = 0;
  let timer = 0;
  const waiting = new Set();
  const tell = () => {
    timer = 0;
    last = performance.now();
    const sentences = [...waiting].slice(0, 3).map((aor) => live.states.get(aor)).filter(Boolean).map(sentenceOf);
    waiting.clear();
    announce(sentences.join(". "));
  };
  return (changed) => {
    const hasFocus = grid.grid.contains(document.activeElement);
    for (const aor of changed) {
      if (pins.has(aor) || (hasFocus && aor === grid.focused)) waiting.add(aor);
    }
    if (waiting.size > 0 && timer === 0) timer = setTimeout(tell, Math.max(0, last + ANNOUNCE_MS - performance.now()));
  };
}
