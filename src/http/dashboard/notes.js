// The notes of a domain, as they are now: what one user writes, all others see at once. A note that another
// changes while it is edited here is not overwritten unseen: it is said, and the user decides.

import { path, put, remove } from "./api.js";
import { announce, debounced, el, fill, labelled, set, setText } from "./dom.js";
import { userOf } from "./format.js";
import { t, tn } from "./language.js";
import { lampAndWord, updateLampAndWord } from "./lamp.js";
import { may } from "./session.js";

/** Rows that are shown: a search finds the others. */
const ROWS_MAX = 200;

/** @param {import("./app.js").Context} context */
export function notes({ live, go }) {
  const rows = new Map();
  const list = el("ul.notes", { "aria-label": t("notes.title") });
  const status = el("p.muted", { role: "status" }, t("loading"));
  const nothing = el("p.empty", { hidden: true }, t("notes.none"));
  const search = el("input", { type: "search", placeholder: t("board.search-hint"), oninput: debounced(() => arrange(), 80) });

  const wanted = () => {
    const text = search.value.trim().toLowerCase();
    const states = [...live.states.values()].filter((state) => {
      if (rows.get(state.aor)?.isEdited()) return true;
      if (text === "") return Boolean(state.note);
      return state.name.toLowerCase().includes(text) || userOf(state.aor).toLowerCase().includes(text) || (state.note ?? "").toLowerCase().includes(text);
    });
    states.sort((one, other) => one.name.localeCompare(other.name, undefined, { numeric: true }));
    return states;
  };
  const arrange = () => {
    const states = wanted();
    const shown = states.slice(0, ROWS_MAX);
    const aors = new Set(shown.map((state) => state.aor));
    for (const [aor, row] of rows) {
      if (aors.has(aor)) continue;
      row.element.remove();
      rows.delete(aor);
    }
    shown.forEach((state, index) => {
      if (!rows.has(state.aor)) rows.set(state.aor, noteRow(state, go, arrange));
      const row = rows.get(state.aor);
      row.show(state);
      if (list.children[index] !== row.element) list.insertBefore(row.element, list.children[index] ?? null);
    });
    set(nothing, "hidden", shown.length > 0 || !live.isLoaded);
    const count = states.filter((state) => state.note).length;
    setText(status, live.isLoaded ? tn("notes.count", count) + (states.length > ROWS_MAX ? ` · ${t("notes.more", { n: ROWS_MAX })}` : "") : t("loading"));
  };
  const ended = live.listen((changed) => {
    if (changed === null) return arrange();
    const isOfRow = [...changed].some((aor) => rows.has(aor) || live.states.get(aor)?.note);
    if (isOfRow) arrange();
  });
  arrange();
  return {
    title: t("notes.title"),
    element: el("section.card", {}, el("div.toolbar", {}, labelled(t("notes.find"), search), status), el("p.muted", {}, t(may("feeder") ? "notes.hint" : "notes.read-only")), nothing, list),
    close: ended,
  };
}

/** One note, to be read or edited. */
function noteRow(state, go, arrange) {
  const { aor } = state;
  const badge = lampAndWord(state);
  const name = el("button.link", { type: "button", onclick: () => go("person", aor) }, state.name);
  const who = el("div.note-who", {}, name, el("span.muted", {}, ` ${userOf(aor)} `), badge);
  if (!may("feeder")) {
    const text = el("p.note-text");
    return {
      element: el("li", {}, who, text),
      isEdited: () => false,
      show: (now) => {
        updateLampAndWord(badge, now);
        setText(text, now.note ?? "");
      },
    };
  }
  const editor = noteEditor(state, arrange);
  return {
    element: el("li", {}, who, editor.element),
    isEdited: editor.isEdited,
    show: (now) => {
      updateLampAndWord(badge, now);
      editor.show(now.note ?? "");
    },
  };
}

function noteEditor({ aor, name }, arrange) {
  const at = path`presence/${aor}/note`;
  let saved = "";
  const text = el("input", { maxlength: 500, autocomplete: "off", "aria-label": t("notes.of", { name }), oninput: () => showButtons() });
  const save = el("button.primary", { type: "submit" }, t("save"));
  const clear = el("button", { type: "button", onclick: () => write("") }, t("remove"));
  const message = el("p.problem", { role: "alert" });
  const isEdited = () => text.value.trim() !== saved;
  const showButtons = () => {
    set(save, "hidden", !isEdited());
    set(clear, "hidden", saved === "");
  };
  const write = async (value) => {
    setText(message, "");
    try {
      await (value === "" ? remove(at) : put(at, { text: value }));
      text.value = saved = value;
      announce(t("saved"));
      showButtons();
      arrange();
    } catch (error) {
      setText(message, error.words?.() ?? String(error));
    }
  };
  const form = el("form.note-form", { onsubmit: (event) => (event.preventDefault(), write(text.value.trim())) }, text, save, clear, message);
  return {
    element: form,
    isEdited,
    /** The note as it is now at the server. */
    show: (note) => {
      if (note === saved) return showButtons();
      const wasEdited = isEdited();
      saved = note;
      if (!wasEdited) text.value = note;
      fill(message, wasEdited && text.value.trim() !== note ? t("notes.changed-meanwhile", { note: note || "–" }) : null);
      showButtons();
    },
  };
}
