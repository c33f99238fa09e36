// The server as a whole: its state and rates, the duration of turns, the load of each shard, lockouts and refused requests.
// A rate is the difference between two readings of a counter.

import { get, metrics, path, remove, wordsOf } from "./api.js";
import { lines } from "./chart.js";
import { el, fill, setText } from "./dom.js";
import { bytes, span } from "./format.js";
import { number, t, tn } from "./language.js";
import { card, table } from "./table.js";

const READ_MS = 2000;
/** Refusals and lockouts are read with every fifth reading only, as they change slowly. */
const SLOW = 5;

/** The counters whose rates are shown. */
const RATES = [
  { counter: "notifies_sent", colour: "chart-1" },
  { counter: "messages_received", colour: "chart-2" },
  { counter: "state_changes", colour: "chart-3" },
];
/** The percentiles of the duration of a turn. */
const TURNS = [
  { counter: "turn_nanoseconds_p50", label: "p50", colour: "chart-1" },
  { counter: "turn_nanoseconds_p99", label: "p99", colour: "chart-2" },
  { counter: "turn_nanoseconds_p999", label: "p99.9", colour: "chart-3" },
];
const milliseconds = (nanoseconds) => nanoseconds / 1e6;

export function node() {
  const problem = el("p.problem", { role: "alert" });
  const head = el("div");
  const shards = el("div");
  const rates = lines({ title: t("node.rates"), series: RATES.map(({ counter, colour }) => ({ label: t(`counter.${counter}`), colour })), format: (value) => number(value, value < 10 ? 1 : 0), least: 1 });
  const turns = lines({ title: t("node.turns"), hint: t("node.turns-hint"), series: TURNS, format: (value) => `${number(value, 2)} ms`, least: 0.1 });
  const refused = refusals();
  const locked = lockouts();
  let before = null;
  let readings = 0;
  let isClosed = false;
  let timer = 0;
  const read = async () => {
    try {
      const [status, counted, samples] = await Promise.all([get("node"), get("counters"), metrics()]);
      const now = { at: performance.now(), counters: counted.counters, busy: busyTimes(samples) };
      if (isClosed) return;
      setText(problem, status.silent_shards.length > 0 ? t("silent", { shards: status.silent_shards.join(", ") }) : "");
      fill(head, tiles(status, now.counters, samples));
      turns.push(Date.now() / 1000, TURNS.map(({ counter }) => milliseconds(now.counters[counter])));
      if (before) {
        const seconds = (now.at - before.at) / 1000;
        rates.push(Date.now() / 1000, RATES.map(({ counter }) => rate(now.counters[counter] - before.counters[counter], seconds)));
        showShards(shards, now.busy, before.busy, seconds);
      }
      before = now;
      if (readings % SLOW === 0) await Promise.all([refused.load(), locked.load()]);
      readings += 1;
    } catch (error) {
      setText(problem, wordsOf(error));
    }
    if (!isClosed) timer = setTimeout(read, READ_MS);
  };
  read();
  return {
    title: t("node.title"),
    element: el("div", {}, problem, head, el("div.charts", {}, el("section.card", {}, rates.element), el("section.card", {}, turns.element)), card(t("node.shards"), shards), locked.element, refused.elements),
    close: () => {
      isClosed = true;
      clearTimeout(timer);
      rates.close();
      turns.close();
    },
  };
}

/** Null if the server restarted meanwhile: then its counters start from zero. */
const rate = (difference, seconds) => (difference < 0 ? null : difference / seconds);

/** The seconds that each shard worked, by the number of its core. */
const busyTimes = (samples) => new Map(samples.filter(({ name }) => name === "lamplighter_turn_duration_seconds_sum").map(({ labels, value }) => [labels.core, value]));

function tiles(status, counters, samples) {
  const memory = samples.find(({ name }) => name === "process_resident_memory_bytes");
  const tile = (key, value, detail = "") => el("div.tile", {}, el("dt", {}, t(`node.${key}`)), el("dd", {}, el("strong", {}, value), detail && el("span.muted", {}, detail)));
  // A server without a store has no counters of the store.
  const isStored = "store_commits" in counters;
  const store = status.store_failure ? t("node.store-fails") : t(isStored ? "node.store-well" : "node.store-none");
  const stored = isStored ? t("node.records", { n: number(counters.store_rows), waiting: number(counters.records_waiting) }) : t("node.store-none-hint");
  return [
    el(
      "dl.tiles",
      {},
      tile("state", t(status.ready ? "node.ready" : "node.not-ready"), t("node.since", { span: span(status.uptime_seconds) })),
      tile("subscriptions", number(status.subscriptions)),
      tile("presentities", number(counters.presentities), tn("node.users", status.accounts)),
      tile("memory", memory ? bytes(memory.value) : "–"),
      tile("store", store, status.store_failure ?? stored),
      tile("unanswered", number(counters.notifies_unanswered), t("node.outstanding", { n: number(counters.notifies_outstanding) })),
      tile("refused", number(counters.requests_refused), tn("node.looping", counters.phones_looping)),
      tile("version", status.version, [...status.sip.map(({ transport, address }) => `${transport} ${address}`), ...status.http.map((one) => `http ${one}`), ...status.https.map((one) => `https ${one}`)].join(", ")),
    ),
  ];
}

/** The share of the time that each shard worked. */
function showShards(element, now, before, seconds) {
  const rows = [...now].map(([core, busy]) => {
    const share = Math.min(1, Math.max(0, (busy - (before.get(core) ?? busy)) / seconds));
    const label = t("node.shard", { n: core });
    return el("div.shard", {}, el("span", {}, label), el("meter", { min: 0, max: 1, high: 0.8, value: share, "aria-label": label }), el("span.number", {}, `${number(share * 100, 1)} %`));
  });
  fill(element, rows.length > 0 ? rows : el("p.empty", {}, t("node.no-shards")));
}

function refusals() {
  const requests = table({
    caption: t("refusals.title"),
    empty: t("refusals.none"),
    columns: [
      { title: t("refusals.ago"), cell: (row) => span(row.age_seconds), kind: "number" },
      { title: t("watchers.peer"), cell: (row) => `${row.transport} ${row.peer}` },
      { title: t("loops.method"), cell: (row) => row.method },
      { title: t("loops.status"), cell: (row) => `${row.status} ${row.reason}` },
      { title: t("refusals.from"), cell: (row) => row.from },
      { title: t("loops.to"), cell: (row) => row.to },
      { title: t("refusals.count"), cell: (row) => number(row.count), kind: "number" },
    ],
  });
  const attempts = table({
    caption: t("attempts.title"),
    empty: t("attempts.none"),
    columns: [
      { title: t("refusals.ago"), cell: (row) => span(row.age_seconds), kind: "number" },
      { title: t("attempts.page"), cell: (row) => row.page },
      { title: t("watchers.peer"), cell: (row) => row.peer },
      { title: t("loops.status"), cell: (row) => String(row.status) },
      { title: t("attempts.user"), cell: (row) => `${row.user}@${row.domain}` },
      { title: t("refusals.count"), cell: (row) => number(row.count), kind: "number" },
    ],
  });
  return {
    elements: [card(t("refusals.title"), requests.element), card(t("attempts.title"), attempts.element)],
    load: async () => {
      const answer = await get("refusals");
      requests.show(answer.refusals);
      attempts.show(answer.failed_call_state);
    },
  };
}

function lockouts() {
  const status = el("p.muted", { role: "status" });
  const lift = async (who) => {
    try {
      const { lifted } = await remove(path`lockouts/${who}`);
      setText(status, tn("lockouts.lifted", lifted));
      await load();
    } catch (error) {
      setText(status, wordsOf(error));
    }
  };
  const found = table({
    caption: t("lockouts.title"),
    empty: t("lockouts.none"),
    columns: [
      { title: t("lockouts.address"), cell: (row) => row.address ?? t("lockouts.any") },
      { title: t("lockouts.account"), cell: (row) => row.account ?? t("lockouts.any") },
      { title: t("lockouts.by"), cell: (row) => (row.shard === null ? "HTTP" : t("node.shard", { n: row.shard })) },
      { title: t("why.remaining"), cell: (row) => span(row.remaining_seconds), kind: "number" },
      { title: t("lockouts.action"), cell: (row) => el("button", { type: "button", onclick: () => lift(row.address ?? row.account) }, t("lockouts.lift")) },
    ],
  });
  const load = async () => found.show((await get("lockouts")).lockouts);
  return { element: card(t("lockouts.title"), status, found.element), load };
}
