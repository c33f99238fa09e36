// The changes of a person's state: the note, do-not-disturb, forwarding, the call. The page shows them to a feeder or a
// higher role only.

import { path, put, remove, wordsOf } from "./api.js";
import { announce, el, labelled, options, set, setText } from "./dom.js";
import { t } from "./language.js";
import { saveNote } from "./notes.js";
import { card } from "./table.js";

const FORWARDS = ["immediate", "busy", "no-answer"];
const CALLS = ["early", "confirmed", "trying"];

/**
 * @param {string} aor
 * @param {() => void} changed runs after a change
 * @returns {{element: HTMLElement, show: (explanation: any) => void}}
 */
export function actions(aor, changed) {
  const problem = el("p.problem", { role: "alert" });
  const run = async (task) => {
    setText(problem, "");
    try {
      await task();
      announce(t("saved"));
      changed();
    } catch (error) {
      setText(problem, wordsOf(error));
    }
  };
  const parts = [noteForm(aor, run), doNotDisturb(aor, run), ...FORWARDS.map((kind) => forwardForm(aor, kind, run)), callForm(aor, run)];
  return {
    element: card(t("person.change"), problem, el("div.actions", {}, parts.map((part) => part.element))),
    show: (explanation) => parts.forEach((part) => part.show(explanation)),
  };
}

/** All reports of one kind. */
const reported = (explanation, kind) => explanation.contributions.map((contribution) => contribution.asserts[kind]).filter((value) => value !== undefined);

/** Shows a value in a control that the user is not editing. */
function showIn(control, value) {
  if (document.activeElement !== control && control.dataset.shown !== value) {
    control.value = value;
    control.dataset.shown = value;
  }
}

function noteForm(aor, run) {
  const at = path`presence/${aor}/note`;
  const text = el("input", { maxlength: 500, autocomplete: "off" });
  const clear = el("button", { type: "button", onclick: () => run(() => remove(at)) }, t("remove"));
  const save = (event) => {
    event.preventDefault();
    const value = text.value.trim();
    run(() => saveNote(aor, value));
  };
  return {
    element: el("form.action.two", { onsubmit: save }, labelled(t("note"), text), el("div.buttons", {}, el("button.primary", { type: "submit" }, t("person.save-note")), clear)),
    show: ({ state }) => {
      showIn(text, state.note ?? "");
      set(clear, "hidden", !state.note);
    },
  };
}

function doNotDisturb(aor, run) {
  const at = path`presence/${aor}/do-not-disturb`;
  const button = el("button.switch", { type: "button", role: "switch", "aria-checked": "false", onclick: () => run(() => put(at, { active: button.getAttribute("aria-checked") !== "true" })) }, t("availability.do-not-disturb"));
  return {
    element: el("div.action", {}, button),
    show: (explanation) => set(button, "aria-checked", String(reported(explanation, "do_not_disturb").length > 0)),
  };
}

function callForm(aor, run) {
  const at = path`presence/${aor}/call`;
  const state = el("select", {}, options(CALLS.map((name) => [name, t(`call.${name}`)]), "confirmed"));
  const party = el("input", { placeholder: "sip:200@example.com", autocomplete: "off" });
  const end = el("button", { type: "button", onclick: () => run(() => remove(at)) }, t("person.end-call"));
  const save = (event) => {
    event.preventDefault();
    const body = { state: state.value, direction: "recipient" };
    const other = party.value.trim();
    run(() => put(at, other === "" ? body : { ...body, party: other }));
  };
  return {
    element: el(
      "form.action.three",
      { onsubmit: save },
      labelled(t("person.call"), state),
      labelled(t("party"), party),
      el("div.buttons", {}, el("button", { type: "submit" }, t("person.report-call")), end),
    ),
    // Only a call that was reported by HTTP can be ended here, not one that a PBX publishes.
    show: ({ contributions }) => set(end, "hidden", !contributions.some(({ source, asserts }) => source === "http:call_state" && asserts.calls?.length > 0)),
  };
}

function forwardForm(aor, kind, run) {
  const at = path`presence/${aor}/forwarding/${kind}`;
  const target = el("input", { autocomplete: "off", required: true });
  const rings = kind === "no-answer" ? el("input", { type: "number", min: 1, max: 99 }) : null;
  const end = el("button", { type: "button", onclick: () => run(() => remove(at)) }, t("off"));
  const save = (event) => {
    event.preventDefault();
    const body = { target: target.value.trim() };
    run(() => put(at, rings?.value ? { ...body, rings: Number(rings.value) } : body));
  };
  return {
    element: el(
      "form.action",
      { onsubmit: save },
      labelled(t("person.forward", { kind: t(`forward.${kind}`) }), target),
      rings && labelled(t("person.rings"), rings),
      el("div.buttons", {}, el("button", { type: "submit" }, t("on")), end),
    ),
    show: (explanation) => {
      const own = reported(explanation, "forward").find((forward) => forward.kind === kind && forward.active);
      showIn(target, own?.target ?? "");
      if (rings) showIn(rings, own?.rings == null ? "" : String(own.rings));
      set(end, "hidden", !own);
    },
  };
}
