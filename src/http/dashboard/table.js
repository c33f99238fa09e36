// Tables, lists of facts, and cards. A long table shows its first rows, and more on demand. On a narrow window, each row of a wide table
// is a block of its cells, with their titles.

import { el, fill, set, setText } from "./dom.js";
import { number, t } from "./language.js";

/** Columns that fit beside each other on every window; more are wide. */
const COLUMNS_MAX = 6;
/** Rows that are added at once: a browser needs long to lay out thousands of cells. */
const ROWS_AT_ONCE = 200;

/**
 * @template Row
 * @param {{caption: string, columns: {title: string, cell: (row: Row) => any, kind?: string}[], empty: string}} plan
 *   `kind` is a class of the cells: `number`
 * @returns {{element: HTMLElement, show: (rows: Row[]) => void}}
 */
export function table({ caption, columns, empty }) {
  const body = el("tbody", { role: "rowgroup" });
  const nothing = el("p.empty", {}, empty);
  const scroller = el(
    "div.table-window",
    { role: "region", "aria-label": caption, tabindex: 0 },
    // The roles hold where the style lays the parts out as blocks.
    el(
      "table",
      { role: "table" },
      el("caption.unseen", {}, caption),
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, columns.map(({ title, kind }) => el("th", { scope: "col", role: "columnheader", class: kind }, title)))),
      body,
    ),
  );
  const more = el("button", { type: "button", onclick: () => grow() });
  const element = el(columns.length > COLUMNS_MAX ? "div.table.wide" : "div.table", {}, scroller, nothing, more);
  let rows = [];
  let shown = 0;
  const grow = () => {
    const next = rows.slice(shown, shown + ROWS_AT_ONCE);
    shown += next.length;
    body.append(...next.map((row) => el("tr", { role: "row" }, columns.map(({ title, cell, kind }) => el("td", { role: "cell", class: kind, "data-title": title }, cell(row))))));
    set(more, "hidden", shown >= rows.length);
    setText(more, t("table.more", { n: number(rows.length - shown) }));
  };
  const show = (all) => {
    rows = all;
    shown = 0;
    fill(body);
    set(scroller, "hidden", rows.length === 0);
    set(nothing, "hidden", rows.length > 0);
    grow();
  };
  show([]);
  set(nothing, "hidden", true);
  return { element, show };
}

/** A list of terms, each with its value. */
export const facts = (pairs) => el("dl.facts", {}, pairs.map(([term, value]) => el("div", {}, el("dt", {}, term), el("dd", {}, value))));

/** A section of a page. */
export const card = (title, ...children) => el("section.card", {}, el("h2", {}, title), children);
