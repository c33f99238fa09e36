// The keys of a board as a grid. Only the visible rows have elements, so 5,000 keys cost as much as a screenful. A change
// of a key changes the texts of its cell; the browser lays out and draws nothing else.
//
// Keyboard: arrows, Home, End, Page Up and Page Down move, Enter opens a key, P pins it.

import { el, set, setText } from "./dom.js";
import { clock, domainOf, party, privateHint, userOf } from "./format.js";
import { t } from "./language.js";
import { kindOf, lamp, wordOf } from "./lamp.js";

/** The least width of a key, and the heights of a row of keys and of a heading, with gaps, in pixels: as in style.css. */
const KEY_WIDTH = 212;
const KEY_ROW = 72;
const HEADING_ROW = 44;
/** Rows this far above and below the visible part exist, too, so that a short scroll shows no gap. In pixels. */
const MARGIN = 3 * KEY_ROW;

/** @typedef {{title: string, aors: string[]}} Section an address is in one section only */

export class BoardGrid {
  /**
   * @param {(aor: string) => import("./live.js").State | undefined} stateOf
   * @param {{open: (aor: string) => void, pin: (aor: string) => void, isPinned: (aor: string) => boolean}} actions
   */
  constructor(stateOf, actions) {
    this.stateOf = stateOf;
    this.actions = actions;
    /** @type {Section[]} */
    this.sections = [];
    /** From top to bottom: a heading has a title, and a row of keys has their addresses. */
    this.rows = [];
    this.columns = 1;
    this.focused = null;
    /** The elements of the rows that exist, by the number of the row; and of the keys in them, by address. */
    this.shown = new Map();
    this.cells = new Map();
    this.grid = el("div.grid", { role: "grid", "aria-label": t("board.grid"), onkeydown: (event) => this.key(event) });
    this.element = el("div.grid-window", { onscroll: () => this.drawSoon() }, this.grid);
    this.grid.addEventListener("click", (event) => this.click(event));
    this.grid.addEventListener("focusin", (event) => this.focusIn(event));
    this.observer = new ResizeObserver(() => this.arrange());
    this.observer.observe(this.element);
    this.ticker = setInterval(() => this.tick(), 1000);
    this.frame = 0;
  }

  close() {
    this.observer.disconnect();
    clearInterval(this.ticker);
    cancelAnimationFrame(this.frame);
  }

  /** Shows other sections. */
  show(sections) {
    this.sections = sections;
    this.arrange();
  }

  /** Shows the new states of some keys. */
  update(aors) {
    for (const aor of aors) {
      const cell = this.cells.get(aor);
      if (cell) this.paint(cell, aor);
    }
  }

  /** Divides the keys into rows. */
  arrange() {
    const width = this.element.clientWidth;
    if (width === 0) return;
    this.columns = Math.max(1, Math.floor(width / KEY_WIDTH));
    this.rows = [];
    let top = 0;
    for (const { title, aors } of this.sections) {
      this.rows.push({ title, count: aors.length, aors: [], top, height: HEADING_ROW });
      top += HEADING_ROW;
      for (let index = 0; index < aors.length; index += this.columns) {
        this.rows.push({ title: null, aors: aors.slice(index, index + this.columns), top, height: KEY_ROW });
        top += KEY_ROW;
      }
    }
    this.grid.style.height = `${top}px`;
    this.grid.style.setProperty("--columns", String(this.columns));
    set(this.grid, "aria-rowcount", this.rows.length);
    set(this.grid, "aria-colcount", this.columns);
    const hasFocus = this.grid.contains(document.activeElement);
    for (const row of this.shown.values()) row.remove();
    this.shown.clear();
    this.cells.clear();
    if (!this.rows.some((row) => row.aors.includes(this.focused))) this.focused = this.rows.find((row) => row.aors.length > 0)?.aors[0] ?? null;
    this.draw();
    if (hasFocus) this.cells.get(this.focused)?.focus({ preventScroll: true });
  }

  drawSoon() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  /** Makes the rows that became visible, and removes those that are no longer visible. */
  draw() {
    const from = this.element.scrollTop - MARGIN;
    const to = this.element.scrollTop + this.element.clientHeight + MARGIN;
    // Keep the row with the focus: without it, the keyboard would lose its place when the user scrolls.
    const isNeeded = (row) => (row.top + row.height > from && row.top < to) || row.aors.includes(this.focused);
    for (const [index, element] of this.shown) {
      if (!isNeeded(this.rows[index])) this.drop(index, element);
    }
    this.rows.forEach((row, index) => {
      if (!this.shown.has(index) && isNeeded(row)) this.make(index, row);
    });
  }

  make(index, row) {
    const attributes = { role: "row", "aria-rowindex": index + 1 };
    const element =
      row.title === null
        ? el("div.keys", attributes, row.aors.map((aor, column) => this.cell(aor, column)))
        : el("div.heading", attributes, el("div", { role: "rowheader" }, el("span", {}, row.title), el("span.count", {}, String(row.count))));
    element.style.transform = `translateY(${row.top}px)`;
    this.shown.set(index, element);
    this.grid.append(element);
  }

  drop(index, element) {
    element.remove();
    this.shown.delete(index);
    for (const aor of this.rows[index].aors) this.cells.delete(aor);
  }

  cell(aor, column) {
    const parts = [
      lamp("offline"),
      el("span.key-name"),
      el("span.key-user"),
      // Before the word, which takes its place while it is empty.
      el("span.key-time", { "aria-hidden": "true" }),
      el("span.key-word"),
    ];
    const cell = el("div.key", { role: "gridcell", "aria-colindex": column + 1, "data-aor": aor, tabindex: aor === this.focused ? 0 : -1 }, parts);
    this.cells.set(aor, cell);
    this.paint(cell, aor);
    return cell;
  }

  paint(cell, aor) {
    const state = this.stateOf(aor);
    if (!state) return;
    const kind = kindOf(state);
    const [shape, name, user, time, word] = cell.children;
    if (cell.dataset.lamp !== kind) {
      cell.dataset.lamp = kind;
      shape.dataset.lamp = kind;
    }
    setText(name, state.name);
    setText(user, state.name === userOf(aor) ? "" : userOf(aor));
    const other = party(state.party, domainOf(aor));
    setText(word, [wordOf(state), other, state.note].filter(Boolean).join(" · "));
    set(word, "title", privateHint(state.party));
    cell.classList.toggle("pinned", this.actions.isPinned(aor));
    this.paintTime(time, state);
  }

  paintTime(time, state) {
    setText(time, state.began === null ? "" : clock((Date.now() - state.began) / 1000));
  }

  /** Shows how long the visible calls last. */
  tick() {
    for (const [aor, cell] of this.cells) {
      const state = this.stateOf(aor);
      if (state?.began != null) this.paintTime(cell.querySelector(".key-time"), state);
    }
  }

  // ---- keyboard and mouse

  click(event) {
    const cell = event.target.closest(".key");
    if (cell) this.actions.open(cell.dataset.aor);
  }

  focusIn(event) {
    const cell = event.target.closest(".key");
    if (!cell) return;
    this.blur();
    this.focused = cell.dataset.aor;
    cell.tabIndex = 0;
  }

  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || this.focused === null) return;
    const keyRows = this.rows.filter((row) => row.aors.length > 0);
    const at = keyRows.findIndex((row) => row.aors.includes(this.focused));
    const column = keyRows[at]?.aors.indexOf(this.focused) ?? 0;
    const page = Math.max(1, Math.floor(this.element.clientHeight / KEY_ROW) - 1);
    const moves = {
      ArrowDown: () => [at + 1, column],
      ArrowUp: () => [at - 1, column],
      PageDown: () => [at + page, column],
      PageUp: () => [at - page, column],
      ArrowRight: () => (column + 1 < keyRows[at].aors.length ? [at, column + 1] : [at + 1, at + 1 < keyRows.length ? 0 : column]),
      ArrowLeft: () => (column > 0 ? [at, column - 1] : [at - 1, at > 0 ? this.columns : 0]),
      Home: () => [0, 0],
      End: () => [keyRows.length - 1, this.columns],
    };
    if (event.key in moves) {
      const [row, wanted] = moves[event.key]();
      const target = keyRows[Math.min(Math.max(row, 0), keyRows.length - 1)];
      this.focus(target, target.aors[Math.min(wanted, target.aors.length - 1)]);
    } else if (event.key === "Enter") {
      this.actions.open(this.focused);
    } else if (event.key === "p" || event.key === "P") {
      this.actions.pin(this.focused);
    } else {
      return;
    }
    event.preventDefault();
  }

  focus(row, aor) {
    const window = this.element;
    const over = row.top + row.height - (window.scrollTop + window.clientHeight);
    if (row.top < window.scrollTop) window.scrollTop = row.top - HEADING_ROW;
    else if (over > 0) window.scrollTop += over;
    this.blur();
    this.focused = aor;
    this.draw();
    this.cells.get(aor)?.focus({ preventScroll: true });
  }

  /** Tab no longer stops at the key that had the focus. */
  blur() {
    const cell = this.cells.get(this.focused);
    if (cell) cell.tabIndex = -1;
  }
}
