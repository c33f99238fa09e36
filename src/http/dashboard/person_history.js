// The history of a person's state: a plot with a lane for each kind of state, and a table of the changes.

import uPlot from "./vendor/uplot/uPlot.esm.js";
import { get, wordsOf } from "./api.js";
import { axis, keep, timeAxis } from "./chart.js";
import { el, fill, labelled, options, set, setText } from "./dom.js";
import { moment, party, privateHint } from "./format.js";
import { t, tn } from "./language.js";
import { KINDS, availabilityWord, kindOfAvailability, lamp } from "./lamp.js";
import { card, table } from "./table.js";
import { sourceWords, ruleWords } from "./words.js";
import { colour } from "./theme.js";

const HEIGHT = 210;
/** Changes that are read at once; the page says if there are more. */
const CHANGES_MAX = 1000;
/** The periods to choose from, in seconds. */
const SPANS = [
  ["600", "history.minutes"],
  ["3600", "history.hour"],
  ["86400", "history.day"],
  ["604800", "history.week"],
];
/** The lanes, from the bottom of the plot to its top. */
const LANES = [...KINDS].reverse();

export function historyOf(aor, domain) {
  let seconds = 3600;
  let plot = null;
  let isClosed = false;
  const period = el("select", {}, options(SPANS.map(([value, key]) => [value, t(key)]), String(seconds)));
  const summary = el("p.muted", { role: "status" });
  const canvas = el("div.chart-canvas.timeline", { role: "img", "aria-label": t("history.plot") });
  const changes = table({
    caption: t("history.title"),
    empty: t("history.none"),
    columns: [
      { title: t("history.time"), cell: (change) => moment(change.time), kind: "number" },
      { title: t("history.state"), cell: (change) => el("span.lamp-word", {}, lamp(kindOfAvailability(change.availability)), availabilityWord(change.availability)) },
      { title: t("party"), cell: (change) => el("span", { title: privateHint(change.party) }, party(change.party, domain)) },
      { title: t("note"), cell: (change) => change.note ?? "" },
      { title: t("why.source"), cell: (change) => sourceWords(change.source) },
      { title: t("why.rule"), cell: (change) => ruleWords(change.rule) },
    ],
  });
  const load = async () => {
    try {
      const since = new Date(Date.now() - seconds * 1000).toISOString();
      const answer = await get("history", { aor, since, limit: CHANGES_MAX });
      if (isClosed) return;
      set(canvas, "hidden", answer.changes.length === 0);
      setText(summary, answer.next == null ? tn("history.count", answer.changes.length) : t("history.more", { n: answer.changes.length }));
      changes.show(answer.changes);
      set(canvas, "aria-label", `${t("history.plot")}: ${summary.textContent}`);
      draw(answer.changes);
    } catch (error) {
      set(canvas, "hidden", true);
      changes.show([]);
      setText(summary, wordsOf(error));
    }
  };
  const draw = (newestFirst) => {
    plot?.();
    plot = newestFirst.length > 0 ? timeline(canvas, [...newestFirst].reverse(), seconds) : null;
  };
  period.addEventListener("change", () => {
    seconds = Number(period.value);
    load();
  });
  load();
  return {
    element: card(t("history.title"), el("div.toolbar", {}, labelled(t("history.span"), period), summary), canvas, changes.element),
    load,
    close: () => {
      isClosed = true;
      plot?.();
    },
  };
}

/** Draws a bar in the lane of each state, from the change to it to the next one. */
function timeline(canvas, changes, seconds) {
  fill(canvas);
  const now = Date.now() / 1000;
  const times = changes.map((change) => Date.parse(change.time) / 1000);
  const kinds = changes.map((change) => kindOfAvailability(change.availability));
  const paint = (chart) => {
    const { ctx } = chart;
    const lane = Math.abs(chart.valToPos(1, "y", true) - chart.valToPos(0, "y", true));
    kinds.forEach((kind, index) => {
      const from = chart.valToPos(times[index], "x", true);
      const to = chart.valToPos(times[index + 1] ?? now, "x", true);
      const middle = chart.valToPos(LANES.indexOf(kind), "y", true);
      ctx.fillStyle = colour(`lamp-${kind}`);
      // At least two pixels, so that a short state is visible.
      ctx.fillRect(from, middle - lane * 0.32, Math.max(to - from, 2), lane * 0.64);
    });
  };
  const chart = new uPlot(
    {
      width: Math.max(300, canvas.clientWidth),
      height: HEIGHT,
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { range: [now - seconds, now] }, y: { range: [-0.6, LANES.length - 0.4] } },
      axes: [
        timeAxis(seconds > 86400),
        axis({ size: 118, splits: () => LANES.map((_, index) => index), values: () => LANES.map(availabilityWord) }),
      ],
      series: [{}, { paths: () => null, points: { show: false } }],
      hooks: { draw: [paint] },
    },
    [times, kinds.map((kind) => LANES.indexOf(kind))],
    canvas,
  );
  return keep(chart, canvas, HEIGHT);
}
