// Sources, rules and reports of the server in the user's language.

import { span } from "./format.js";
import { has, t } from "./language.js";
import { availabilityWord } from "./lamp.js";

/** A word of the server in the user's language, or as the server has it. */
const word = (group, text) => (has(`${group}.${text}`) ? t(`${group}.${text}`) : text);

export const ruleWords = (rule) => word("rule", rule);

/** The source of a report. Some sources end with an entity tag or a Contact. */
export function sourceWords(source) {
  if (has(`source.${source}`)) return t(`source.${source}`);
  for (const begin of ["operator:registered:", "publish:", "client:", "register:"]) {
    if (source.startsWith(begin)) return `${t(`source.${begin}`)} ${source.slice(begin.length)}`.trim();
  }
  return source;
}

/** The content of a report. */
export function reportWords(asserts) {
  const [[kind, value]] = Object.entries(asserts);
  const words = {
    calls: () => (value.length === 0 ? t("report.no-call") : value.map(callWords).join("; ")),
    do_not_disturb: () => availabilityWord("do-not-disturb"),
    forward: () => forwardWords(value),
    note: () => `${t("note")}: ${value}`,
    presence: () => presenceWords(value),
    messages: () => messageWords(value),
    registered: () => t("report.registered"),
    contacts: () => (value.length === 0 ? t("report.no-contact") : `${t("report.registered")}: ${value.join(", ")}`),
    appearance: () => t("report.appearance", { index: value.index, state: value.state }),
    alternative: () => t("report.alternative", { number: value }),
  };
  return words[kind]?.() ?? JSON.stringify(asserts);
}

function callWords({ state, direction, party, party_is_private: isPrivate, on_hold: isOnHold }) {
  const other = isPrivate ? t("report.private") : (party ?? "");
  const parts = [t(`call.${state}`), direction && t(`direction.${direction}`), other && t("report.with", { party: other }), isOnHold && t("report.on-hold")];
  return parts.filter(Boolean).join(", ");
}

function forwardWords({ kind, active, target, rings }) {
  const to = t("report.forward", { kind: t(`forward.${kind}`), target, rings: rings ?? "" });
  return active ? to : `${to} (${t("off")})`;
}

function presenceWords(presence) {
  const parts = [
    presence.basic && t(`basic.${presence.basic}`),
    presence.do_not_disturb && availabilityWord("do-not-disturb"),
    ...presence.activities,
    presence.alternative && t("report.alternative", { number: presence.alternative }),
    presence.note && `${t("note")}: ${presence.note}`,
  ];
  return parts.filter(Boolean).join(", ") || "–";
}

function messageWords({ waiting, counts }) {
  const details = counts.map((count) => t("report.messages", { class: count.class, fresh: count.new, old: count.old }));
  return [t(waiting ? "report.waiting" : "report.not-waiting"), ...details].join(", ");
}

/** The state of a subscription. */
export const subscriptionWords = (state) => word("subscription", state);
/** The response to the last NOTIFY of a subscription. */
export const answerWords = (answer) => word("answer", answer);

/** `4 s ago` */
export const ago = (seconds) => t("ago", { span: span(seconds) });
