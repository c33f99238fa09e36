// The current notes of a domain, which all users see and edit together. If another user changes a note that is being
// edited here, the row shows the other text, and the user decides which one to keep.

import { path, put, remove, wordsOf } from "./api.js";
import { announce, debounced, el, fill, labelled, set, setText, throttled } from "./dom.js";
import { userOf } from "./format.js";
import { t, tn } from "./language.js";
import { lampAndWord, updateLampAndWord } from "./lamp.js";
import { matches } from "./live.js";
import { may } from "./session.js";

/** Rows that are shown; a search finds the others. */
const ROWS_MAX = 200;
/** The time from a change to the next look at all notes. */
const REVIEW_MS = 100;

/** @param {import("./app.js").Context} context */
export function notes({ live, go }) {
  const rows = new Map();
  const list = el("ul.notes", { "aria-label": t("notes.title") });
  const status = el("p.muted", { role: "status" }, t("loading"));
  const nothing = el("p.empty", { hidden: true }, t("notes.none"));
  const search = el("input", { type: "search", placeholder: t("board.search-hint"), oninput: debounced(() => arrange(), 80) });

  const wanted = () => {
    const text = search.value.trim().toLowerCase();
    const states = live.aorsByName().map((aor) => live.states.get(aor));
    return states.filter((state) => rows.get(state.aor)?.isEdited() || (text === "" ? state.note : matches(state, text)));
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
  const arrangeSoon = throttled(arrange, REVIEW_MS);
  const ended = live.listen(arrangeSoon);
  arrange();
  return {
    title: t("notes.title"),
    element: el("section.card", {}, el("div.toolbar", {}, labelled(t("notes.find"), search), status), el("p.muted", {}, t(may("feeder") ? "notes.hint" : "notes.read-only")), nothing, list),
    close: () => {
      ended();
      arrangeSoon.cancel();
    },
  };
}

/** Saves a note; an empty text removes it. */
export function saveNote(aor, text) {
  const at = path`presence/${aor}/note`;
  return text === "" ? remove(at) : put(at, { text });
}

/** One note, which a feeder can edit. */
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
      await saveNote(aor, value);
      text.value = saved = value;
      announce(t("saved"));
      showButtons();
      arrange();
    } catch (error) {
      setText(message, wordsOf(error));
    }
  };
  const form = el("form.note-form", { onsubmit: (event) => (event.preventDefault(), write(text.value.trim())) }, text, save, clear, message);
  return {
    element: form,
    isEdited,
    /** Shows the current note of the server. */
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
