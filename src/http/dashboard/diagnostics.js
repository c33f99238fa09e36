// Diagnostics (W:D3.10 to D3.16): the connectors, and both tracks of each user's presence in the words of the connector.
// The page shows the states at the time of the last reading. "Reload" reads them again, and may find a state in transition.

import { all, wordsOf } from "./api.js";
import { debounced, el, labelled, options, setText } from "./dom.js";
import { moment, userOf } from "./format.js";
import { t, tn } from "./language.js";
import { card, table } from "./table.js";

/** The states of a connector (W:D3.10), and those in which it works. */
const CONNECTOR_STATES = ["Server Not configured", "Disabled", "Forbidden", "ConnectionError", "UpAndRunning", "Credentials entered not found"];
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
  const users = table({
    caption: t("diagnostics.users"),
    empty: t("diagnostics.none"),
    columns: [
      { title: t("diagnostics.user"), cell: (row) => [el("button.link", { type: "button", onclick: () => go("person", row.aor) }, row.name), row.user === row.name ? null : el("span.muted", {}, ` ${row.user}`), under(row.note)] },
      { title: t("diagnostics.rich"), cell: (row) => [value(row.rich), under(row.message)] },
      { title: t("diagnostics.telephony"), cell: (row) => value(row.telephony) },
    ],
  });
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
  const load = async () => {
    setText(status, t("loading"));
    try {
      rows = await read(domain);
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
      connectors(),
      card(
        t("diagnostics.users"),
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
  };
}

/** There is no connector yet. The page explains the words that a connector will use. */
function connectors() {
  const legend = CONNECTOR_STATES.map((word) =>
    el("div", {}, el("dt", {}, el("span.badge", { lang: "en", "data-good": String(GOOD_STATES.includes(word)) }, word)), el("dd", {}, t(`connector.${word}`))),
  );
  return card(
    t("diagnostics.connectors"),
    el("p", {}, t("diagnostics.no-connector")),
    el("details", {}, el("summary", {}, t("diagnostics.legend")), el("dl.facts.wide", {}, legend)),
  );
}

/** Both tracks of all users of a domain. */
async function read(domain) {
  const [states, subscriptions] = await Promise.all([all("presence", { domain }), all("subscriptions", { domain })]);
  const requested = new Set(subscriptions.map((subscription) => subscription.presentity));
  const users = states.filter((state) => state.kind === "account" || state.kind === "other");
  return users.map((state) => {
    // No connector asks for rich presence, so it is what clients published here.
    const unasked = requested.has(state.aor) ? "Server not configured" : "Not requested by anyone";
    const rich = state.rich ?? unasked;
    return {
      aor: state.aor,
      user: userOf(state.aor),
      name: state.name,
      note: state.note,
      rich,
      message: state.rich === null ? null : state.note,
      telephony: state.telephony ?? WORDS[state.availability] ?? "Offline",
    };
  });
}

/** A value. Errors and values of the service differ in weight and style, too, not in colour only. */
function value(word) {
  const kind = ERRORS.includes(word) ? "error" : SERVICE.includes(word) ? "service" : "standard";
  return el("span.value", { "data-kind": kind, lang: "en" }, word);
}

const under = (text) => (text ? el("div.muted.note", {}, text) : null);
