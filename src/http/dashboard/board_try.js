// A first try of a small board: one person, and buttons that turn its lamp red and off again. Large boards
// have no such bar: there the page of a person does it.

import { ApiError, path, put, remove } from "./api.js";
import { announce, el, fill, labelled, options, set } from "./dom.js";
import { t } from "./language.js";
import { may } from "./session.js";

/** Keys of the largest board that has it. */
const KEYS_MAX = 12;

/** @param {import("./live.js").Live} live */
export function tryIt(live) {
  const person = el("select", {});
  const report = (change) => async () => {
    try {
      await change(path`presence/${person.value}/call`);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      announce(error.words());
    }
  };
  const element = el(
    "div.toolbar.try",
    { hidden: true, role: "group", "aria-label": t("try.title") },
    labelled(t("try.title"), person),
    el("button.primary", { type: "button", onclick: report((at) => put(at, { state: "confirmed" })) }, t("try.on")),
    el("button", { type: "button", onclick: report((at) => remove(at)) }, t("try.off")),
  );
  return {
    element,
    /** The addresses of the board are known, or others. */
    show: () => {
      const people = [...live.states.values()].filter((state) => state.kind === "account");
      set(element, "hidden", !may("feeder") || people.length === 0 || live.states.size > KEYS_MAX);
      // The last is the one that plays in no scene of the demonstration.
      fill(person, options(people.map((state) => [state.aor, state.name]), person.value || people.at(-1)?.aor));
    },
  };
}
