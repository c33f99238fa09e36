// The display of a state: a lamp with a colour and a shape, and a word. Each of the three tells the states apart by
// itself.

import { el, setText } from "./dom.js";
import { domainOf, party } from "./format.js";
import { has, t } from "./language.js";

/** The kinds of lamps. style.css has the shape and the colour of each. */
export const KINDS = ["available", "ringing", "busy", "do-not-disturb", "forwarded", "away", "offline"];

/** The kind of lamp for a state. An orbit has no availability: its lamp shows whether a call is parked. */
export function kindOf(state) {
  if (state.kind === "orbit") {
    return { terminated: "available", confirmed: "busy" }[state.lamp] ?? "ringing";
  }
  return kindOfAvailability(state.availability);
}

export function kindOfAvailability(availability) {
  if (availability.startsWith("forwarded")) return "forwarded";
  if (availability === "unreachable") return "offline";
  return KINDS.includes(availability) ? availability : "offline";
}

/** The state in a word or two. */
export function wordOf(state) {
  if (state.kind === "orbit") {
    return t(state.lamp === "terminated" ? "orbit.free" : "orbit.parked");
  }
  const word = availabilityWord(state.availability);
  const isElsewhere = state.lamp !== "terminated" && !["busy", "ringing"].includes(kindOf(state));
  return isElsewhere ? `${word}, ${t(`call.${state.lamp}`)}` : word;
}

/** An availability of the server, or a kind of lamp, in words. */
export const availabilityWord = (availability) =>
  has(`availability.${availability}`) ? t(`availability.${availability}`) : availability;

/** The state in a sentence, for a screen reader. */
export function sentenceOf(state) {
  const other = party(state.party, domainOf(state.aor));
  const note = state.note ? `, ${t("note")}: ${state.note}` : "";
  return `${state.name}: ${wordOf(state)}${other ? ` (${other})` : ""}${note}`;
}

/** A lamp without its word, which must be beside it. */
export const lamp = (kind) => el("span.lamp", { "data-lamp": kind, "aria-hidden": "true" });

/** A lamp with its word. */
export function lampAndWord(state) {
  return el("span.lamp-word", {}, lamp(kindOf(state)), el("span", {}, wordOf(state)));
}

/** Shows a state in a lamp with its word. */
export function updateLampAndWord(element, state) {
  element.firstChild.dataset.lamp = kindOf(state);
  setText(element.lastChild, wordOf(state));
}
