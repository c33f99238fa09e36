// Diagnostics (W:D3.10 to D3.16): the connectors, and both tracks of each user's presence in the words of the connector.
// The page shows the states at the time of the last reading. "Reload" reads them again, and may find a state in transition.
// A test subscription follows the state of one user for a minute.

import { all, get, wordsOf } from "./api.js";
import { announce, debounced, el, fill, labelled, options, setText } from "./dom.js";
import { clockTime, moment, span, userOf } from "./format.js";
import { number, t, tn } from "./language.js";
import { card, table } from "./table.js";
import { TestSubscriptions } from "./test_subscriptions.js";

/** The states of a connector (W:D3.10), and those in which it works. */
const CONNECTOR_STATES = ["Server Not configured", "Disabled", "Forbidden", "ConnectionError", "Lists not supported", "UpAndRunning", "Credentials entered not found", "Requesting", "Not requested by anyone"];
const GOOD_STATES = ["UpAndRunning", "Credentials entered not found"];
/** The values of both tracks (W:D3.14, D3.15, D3.16). */
const VALUES = ["Available", "Busy", "Do not disturb", "Offline", "Forwarded to voice mail", "Forwarded to phone number"];
const ERRORS = ["Access denied", "Error", "Not Found"];
const SERVICE = ["Not requested by anyone", "Requesting", "Server not configured"];

/** Telephony presence in the words of the connector, if the style of the domain has no word of its own. */
const WORDS = {
  available: "Available",
  ringing: "Busy",
  busy: "Busy",
  away: "Available",
  "do-not-disturb": "Do not disturb",
  "forwarded to voice mail": "Forwarded to voice mail",
  "forwarded to a number": "Forwarded to phone number",
};

/** @param {import("./app.js").Context} context */
export function diagnostics({ domain, go }) {
  const filter = { user: "", rich: "", telephony: "" };
  let rows = [];
  let readAt = 0;
  const status = el("p.muted", { role: "status" }, t("loading"));
  const follow = (aor, change) => {
    const row = rows.find((other) => other.aor === aor);
    if (!row) return;
    Object.assign(row, change);
    if (row.cells) fillRow(row);
  };
  const tests = new TestSubscriptions(
    (aor, state) => follow(aor, tracks(state, true)),
    (aor) => {
      const row = rows.find((other) => other.aor === aor);
      follow(aor, row && row.rich === "Server not configured" ? { rich: "Not requested by anyone" } : {});
      announce(t("diagnostics.test-over", { name: row?.name ?? userOf(aor) }));
    },
  );
  const subscribe = (row) => {
    tests.begin(row.aor);
    follow(row.aor, { rich: "Requesting", telephony: "Requesting" });
  };
  const users = table({
    caption: t("diagnostics.users"),
    empty: t("diagnostics.none"),
    columns: [
      { title: t("diagnostics.user"), cell: (row) => [el("button.link", { type: "button", onclick: () => go("person", row.aor) }, row.name), row.user === row.name ? null : el("span.muted", {}, ` ${row.user}`), under(row.note)] },
      { title: t("diagnostics.rich"), cell: (row) => fillRow(row).rich },
      { title: t("diagnostics.telephony"), cell: (row) => row.cells.telephony },
      { title: t("diagnostics.action"), cell: (row) => row.cells.action },
    ],
  });
  /** Fills the cells that may change between two readings, and returns them. */
  const fillRow = (row) => {
    row.cells ??= { rich: el("div"), telephony: el("div"), action: el("div") };
    fill(row.cells.rich, value(row.rich), under(row.message));
    fill(row.cells.telephony, value(row.telephony));
    fill(row.cells.action, action(row));
    return row.cells;
  };
  const action = (row) => {
    const until = tests.until(row.aor);
    if (until !== undefined) return el("span.muted", {}, t("diagnostics.test-until", { time: clockTime(until) }));
    if (row.isRequested) return null;
    const label = t("diagnostics.subscribe-to", { name: row.name });
    return el("button", { type: "button", "aria-label": label, onclick: () => subscribe(row) }, t("diagnostics.subscribe"));
  };
  const show = () => {
    const text = filter.user.toLowerCase();
    const found = rows.filter(
      (row) =>
        (text === "" || row.name.toLowerCase().includes(text) || row.user.toLowerCase().includes(text)) &&
        (filter.rich === "" || row.rich === filter.rich) &&
        (filter.telephony === "" || row.telephony === filter.telephony),
    );
    users.show(found);
    setText(status, `${tn("diagnostics.count", found.length)} · ${t("diagnostics.read-at", { time: moment(readAt) })}`);
  };
  const upstream = connectors(domain);
  const load = async () => {
    setText(status, t("loading"));
    try {
      await upstream.load();
      rows = await read(domain, (aor) => tests.until(aor) !== undefined);
      readAt = Date.now();
      show();
    } catch (error) {
      setText(status, wordsOf(error));
    }
  };
  const user = el("input", { type: "search", oninput: debounced(() => ((filter.user = user.value.trim()), show()), 80) });
  const track = (name) => {
    const select = el("select", { onchange: () => ((filter[name] = select.value), show()) }, options([["", t("all")], ...[...VALUES, ...ERRORS, ...SERVICE].map((word) => [word, word])], ""));
    return select;
  };
  load();
  return {
    title: t("diagnostics.title"),
    element: el(
      "div",
      {},
      upstream.element,
      card(
        t("diagnostics.users"),
        el("p.muted", {}, t("diagnostics.service")),
        el(
          "div.toolbar",
          {},
          labelled(t("diagnostics.user"), user),
          labelled(t("diagnostics.rich"), track("rich")),
          labelled(t("diagnostics.telephony"), track("telephony")),
          el("button", { type: "button", onclick: load }, t("reload")),
          status,
        ),
        users.element,
      ),
    ),
    close: () => tests.close(),
  };
}

/** The connectors of a domain, each with its state, and what the states mean. */
function connectors(domain) {
  const state = (word) => el("span.badge", { lang: "en", "data-good": String(GOOD_STATES.includes(word)) }, word);
  const legend = CONNECTOR_STATES.map((word) => el("div", {}, el("dt", {}, state(word)), el("dd", {}, t(`connector.${word}`))));
  const failed = (row) => ERRORS.reduce((sum, word) => sum + (row.users_by_status[word] ?? 0), 0);
  const time = (seconds) => (seconds === null ? "" : span(seconds));
  const found = table({
    caption: t("diagnostics.connectors"),
    empty: t("diagnostics.no-connector"),
    columns: [
      { title: t("connectors.name"), cell: (row) => row.name },
      { title: t("connectors.state"), cell: (row) => [state(row.status), under(row.next_attempt_seconds === null ? null : t("connectors.next", { time: span(row.next_attempt_seconds) }))] },
      { title: t("connectors.since"), cell: (row) => time(row.status_seconds), kind: "number" },
      { title: t("connectors.server"), cell: (row) => row.server ?? "" },
      { title: t("connectors.subscribed"), cell: (row) => t("connectors.of", { n: number(row.subscriptions), all: number(row.users) }), kind: "number" },
      { title: t("connectors.failed"), cell: (row) => number(failed(row)), kind: "number" },
    ],
  });
  const load = async () => found.show((await get("connectors", { domain })).items);
  const element = card(
    t("diagnostics.connectors"),
    found.element,
    el("details", {}, el("summary", {}, t("diagnostics.legend")), el("dl.facts.wide", {}, legend)),
  );
  return { element, load };
}

/** The rows of all users of a domain. `isTested` says whether a test subscription of the page is running. */
async function read(domain, isTested) {
  const [states, subscriptions] = await Promise.all([all("presence", { domain }), all("subscriptions", { domain })]);
  const requested = new Set(subscriptions.map((subscription) => subscription.presentity));
  const users = states.filter((state) => state.kind === "account" || state.kind === "other");
  return users.map((state) => {
    const isRequested = requested.has(state.aor);
    return { aor: state.aor, user: userOf(state.aor), name: state.name, isRequested, ...tracks(state, isRequested || isTested(state.aor)) };
  });
}

/** Both tracks of a user. */
function tracks(state, isRequested) {
  return {
    note: state.note,
    // What clients published here, or a connector reported.
    rich: state.rich ?? (isRequested ? "Server not configured" : "Not requested by anyone"),
    message: state.rich === null ? null : state.note,
    telephony: state.telephony ?? WORDS[state.availability] ?? "Offline",
  };
}

/** A value. Errors and values of the service differ in weight and style, too, not in colour only. */
function value(word) {
  const kind = ERRORS.includes(word) ? "error" : SERVICE.includes(word) ? "service" : "standard";
  return el("span.value", { "data-kind": kind, lang: "en" }, word);
}

const under = (text) => (text ? el("div.muted.note", {}, text) : null);
