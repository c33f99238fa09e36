// The columns of a table of subscriptions, as the pages of a person and of the phones show them.

import { el } from "./dom.js";
import { span } from "./format.js";
import { number, t } from "./language.js";
import { answerWords, subscriptionWords } from "./words.js";

/** All columns; `second`, which differs by page, follows the watcher. */
export const subscriptionColumns = (second) => [
  { title: t("watchers.who"), cell: (row) => row.watcher.replace(/^sip:/, "") },
  second,
  { title: t("watchers.package"), cell: (row) => row.package },
  { title: t("watchers.state"), cell: (row) => subscriptionWords(row.state) },
  { title: t("watchers.profile"), cell: (row) => row.profile },
  { title: t("watchers.answer"), cell: (row) => el("span.answer", { "data-answer": row.last_answer }, answerWords(row.last_answer), failures(row)) },
  { title: t("watchers.notifies"), cell: (row) => number(row.notifies), kind: "number" },
  { title: t("watchers.age"), cell: (row) => (row.age_seconds === null ? "–" : span(row.age_seconds)), kind: "number" },
  { title: t("why.remaining"), cell: (row) => span(row.remaining_seconds), kind: "number" },
  { title: t("watchers.peer"), cell: (row) => `${row.transport} ${row.peer}` },
];

/** How many NOTIFYs failed one after the other, if several did. */
function failures({ unanswered, refused }) {
  return unanswered + refused > 1 ? ` ×${unanswered + refused}` : "";
}
