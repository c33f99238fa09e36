// A first try of a small board: choose a person, and turn the person's lamp red and off again. A large board has no
// such bar, because the page of a person does this.

import { path, put, remove, wordsOf } from "./api.js";
import { el, fill, labelled, options, set, setText } from "./dom.js";
import { t } from "./language.js";
import { may } from "./session.js";

/** Keys of the largest board that has this bar. */
const KEYS_MAX = 12;

/** @param {import("./live.js").Live} live */
export function tryIt(live) {
  const person = el("select", {});
  const problem = el("p.problem", { role: "alert" });
  const report = (change) => async () => {
    setText(problem, "");
    try {
      await change(path`presence/${person.value}/call`);
    } catch (error) {
      setText(problem, wordsOf(error));
    }
  };
  const element = el(
    "div.toolbar",
    { hidden: true, role: "group", "aria-label": t("try.title") },
    labelled(t("try.title"), person),
    el("button.primary", { type: "button", onclick: report((at) => put(at, { state: "confirmed" })) }, t("try.on")),
    el("button", { type: "button", onclick: report((at) => remove(at)) }, t("try.off")),
    problem,
  );
  return {
    element,
    /** Fills the choice of people, when the addresses of the board are read. */
    show: () => {
      const people = [...live.states.values()].filter((state) => state.kind === "account");
      set(element, "hidden", !may("feeder") || people.length === 0 || live.states.size > KEYS_MAX);
      // In the demonstration, the last person is the one that the visitor may change.
      fill(person, options(people.map((state) => [state.aor, state.name]), person.value || people.at(-1)?.aor));
    },
  };
}
