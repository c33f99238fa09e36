// The page of a person: the state with its explanation, changes, watchers and history.

import { get, path, post, wordsOf } from "./api.js";
import { announce, el, fill, set, setText, throttled } from "./dom.js";
import { clock, party, privateHint, span, userOf } from "./format.js";
import { t, tn } from "./language.js";
import { lampAndWord, sentenceOf, updateLampAndWord, availabilityWord } from "./lamp.js";
import { actions } from "./person_actions.js";
import { historyOf } from "./person_history.js";
import * as pins from "./pins.js";
import { may } from "./session.js";
import { subscriptionColumns } from "./subscriptions.js";
import { card, facts, table } from "./table.js";
import { ago, reportWords, ruleWords, sourceWords } from "./words.js";

/** The time between a change and the next reading of the explanation or the history: changes often come in a row. */
const EXPLAIN_MS = 300;
const HISTORY_MS = 1500;

/** @param {import("./app.js").Context} context */
export function person({ live, subject: aor, domain, retitle }) {
  const known = live.states.get(aor);
  const badge = lampAndWord(known ?? { aor, availability: "offline", lamp: "terminated" });
  badge.classList.add("big");
  const details = el("p.muted.now", {});
  const problem = el("p.problem", { role: "alert" });
  const why = whyOf();
  const watching = watchersOf(aor);
  const past = historyOf(aor, domain);
  const change = may("feeder") ? actions(aor, () => explain()) : null;
  let announced = known ? sentenceOf(known) : "";

  const showState = () => {
    const state = live.states.get(aor);
    if (!state) return;
    retitle(state.name);
    updateLampAndWord(badge, state);
    const call = state.began === null ? "" : clock((Date.now() - state.began) / 1000);
    setText(details, [party(state.party, domain), call, state.note].filter(Boolean).join(" · "));
    set(details, "title", privateHint(state.party));
  };
  const explain = async () => {
    try {
      const explanation = await get(path`presence/${aor}`);
      setText(problem, "");
      why.show(explanation);
      change?.show(explanation);
    } catch (error) {
      setText(problem, wordsOf(error));
    }
  };
  const explainSoon = throttled(explain, EXPLAIN_MS);
  const recallSoon = throttled(past.load, HISTORY_MS);
  const ended = live.listen((changed) => {
    if (changed !== null && !changed.has(aor)) return;
    showState();
    explainSoon();
    recallSoon();
    const state = live.states.get(aor);
    const sentence = state ? sentenceOf(state) : "";
    if (sentence && sentence !== announced) announce((announced = sentence));
  });
  const ticker = setInterval(showState, 1000);
  showState();
  explain();
  watching.load();
  return {
    title: known?.name ?? userOf(aor),
    head: el("div.person-head", {}, el("span.muted", {}, aor), badge, details, pinButton(aor)),
    element: el("div.columns", {}, problem, change?.element, why.element, past.element, watching.element),
    close: () => {
      ended();
      explainSoon.cancel();
      recallSoon.cancel();
      clearInterval(ticker);
      past.close();
    },
  };
}

function pinButton(aor) {
  const button = el("button", { type: "button", onclick: () => show(pins.toggle(aor)) }, t("person.pin"));
  const show = (isPinned) => set(button, "aria-pressed", String(isPinned));
  show(pins.has(aor));
  return button;
}

/** The explanation: every contribution, and the rule that composed the state. */
function whyOf() {
  const sentence = el("p.why", {});
  const summary = el("div");
  const contributions = table({
    caption: t("why.contributions"),
    empty: t("why.nothing"),
    columns: [
      { title: t("why.decides"), cell: ({ decides }) => (decides ? el("span", {}, "★ ", el("span.unseen", {}, t("why.decides"))) : "") },
      { title: t("why.source"), cell: ({ source }) => sourceWords(source) },
      { title: t("why.reports"), cell: (row) => [reportWords(row.asserts), row.stale_seconds === null ? null : el("div.muted.note", {}, t("why.stale", { time: span(row.stale_seconds) }))] },
      { title: t("why.age"), cell: (row) => ago(row.age_seconds), kind: "number" },
      { title: t("why.remaining"), cell: (row) => span(row.remaining_seconds), kind: "number" },
    ],
  });
  return {
    element: card(t("why.title"), sentence, summary, contributions.element),
    show: (explanation) => {
      setText(sentence, t("why.sentence", { state: availabilityWord(explanation.availability), rule: ruleWords(explanation.rule) }));
      const { state, style } = explanation;
      const words = [
        [t("why.lamp"), t(`lamp.${explanation.lamp}`)],
        [t("why.basic"), t(`basic.${explanation.basic}`)],
        style && [t("why.style", { name: style.name }), style.status],
        style?.telephony && [t("diagnostics.telephony"), style.telephony],
        style?.rich && [t("diagnostics.rich"), style.rich],
        state.groups.length > 0 && [t("board.group"), state.groups.join(", ")],
      ];
      fill(summary, facts(words.filter(Boolean)));
      contributions.show(explanation.contributions);
    },
  };
}

/** The watchers. They change with each phone that subscribes or ends, so they are read again on demand only. */
function watchersOf(aor) {
  const status = el("p.muted", { role: "status" });
  const watchers = table({
    caption: t("watchers.title"),
    empty: t("watchers.none"),
    columns: subscriptionColumns({ title: t("watchers.list"), cell: (row) => row.list ?? "" }),
  });
  const load = async () => {
    try {
      const { subscriptions, silent_shards: silent } = await get(path`presence/${aor}/subscriptions`);
      watchers.show(subscriptions);
      setText(status, silent.length > 0 ? t("silent", { shards: silent.join(", ") }) : tn("phones.count", subscriptions.length));
    } catch (error) {
      setText(status, wordsOf(error));
    }
  };
  const reset = async () => {
    try {
      const { watchers: count } = await post(path`presence/${aor}/reset`);
      setText(status, tn("watchers.reset-done", count));
    } catch (error) {
      setText(status, wordsOf(error));
    }
  };
  const buttons = el(
    "div.toolbar",
    {},
    el("button", { type: "button", onclick: load }, t("reload")),
    may("domain-admin") && el("button", { type: "button", onclick: reset, title: t("watchers.reset-hint") }, t("watchers.reset")),
    status,
  );
  return { element: card(t("watchers.title"), buttons, watchers.element), load };
}
