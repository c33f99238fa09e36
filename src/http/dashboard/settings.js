// The configuration of the domain, and the reload. The page does not edit the files, which hold passwords.

import { get, path, post, wordsOf } from "./api.js";
import { el, fill, set, setText } from "./dom.js";
import { party, span } from "./format.js";
import { number, t } from "./language.js";
import { may } from "./session.js";
import { card, facts, table } from "./table.js";

/** Members of a group that are shown by name. */
const MEMBERS_SHOWN = 12;

/** @param {import("./app.js").Context} context */
export function settings({ domain }) {
  const problem = el("p.problem", { role: "alert" });
  const shown = el("div");
  const load = async () => {
    setText(problem, "");
    try {
      fill(shown, domainParts(await get(path`domains/${domain}`)));
    } catch (error) {
      setText(problem, wordsOf(error));
    }
  };
  load();
  return {
    title: t("settings.title"),
    element: el("div", {}, problem, may("admin") ? reload(load) : null, shown),
  };
}

function domainParts(domain) {
  const yes = (value) => t(value ? "yes" : "no");
  const groups = table({
    caption: t("settings.groups"),
    empty: t("settings.no-groups"),
    columns: [
      { title: t("board.group"), cell: (group) => group.name },
      { title: t("settings.members"), cell: (group) => number(group.members.length), kind: "number" },
      { title: t("settings.who"), cell: (group) => el("span.members", {}, membersOf(group, domain.name)) },
    ],
  });
  groups.show(domain.groups);
  const policies = table({
    caption: t("settings.policies"),
    empty: t("settings.no-policies"),
    columns: [
      { title: t("settings.number"), cell: (policy) => String(policy.number), kind: "number" },
      { title: t("watchers.who"), cell: (policy) => policy.watcher },
      { title: t("settings.presentity"), cell: (policy) => policy.presentity },
      { title: t("watchers.package"), cell: (policy) => policy.package ?? t("all") },
      { title: t("settings.handling"), cell: (policy) => policy.handling },
      { title: t("settings.privacy"), cell: (policy) => String(policy.privacy ?? "–"), kind: "number" },
    ],
  });
  policies.show(domain.policies);
  return [
    card(
      domain.name,
      facts([
        [t("settings.kept"), t(domain.managed ? "settings.kept-by-api" : "settings.kept-in-file")],
        [t("settings.auth"), t(`auth.${domain.auth}`)],
        [t("settings.open"), yes(domain.open)],
        [t("settings.registrar"), yes(domain.registrar)],
        [t("settings.reveal"), yes(domain.reveal_number)],
        [t("settings.accounts"), number(domain.accounts)],
        [t("board.orbits"), number(domain.orbits)],
        [t("board.resources"), number(domain.resources)],
        [t("settings.privacy"), t(`privacy.${domain.privacy}`)],
        [t("settings.call"), span(domain.max_call_seconds)],
        [t("settings.expires"), `${span(domain.min_expires_seconds)} – ${span(domain.max_expires_seconds)}`],
      ]),
    ),
    card(t("settings.groups"), groups.element),
    card(t("settings.policies"), el("p.muted", {}, t("settings.policies-hint")), policies.element),
  ];
}

/** The first members of a group. */
function membersOf({ members }, domain) {
  const first = members.slice(0, MEMBERS_SHOWN).map((member) => party(member, domain));
  const more = members.length - first.length;
  return first.join(", ") + (more > 0 ? ` ${t("settings.and-more", { n: number(more) })}` : "");
}

/** The button that reloads the configuration. */
function reload(done) {
  const result = el("div", { role: "status" });
  const confirm = el("input", { type: "checkbox", id: "accept-removal" });
  const button = el("button.primary", { type: "button" }, t("settings.reload"));
  button.addEventListener("click", async () => {
    set(button, "disabled", true);
    try {
      const { notes } = await post("reload", undefined, { accept_removal: confirm.checked || null });
      confirm.checked = false;
      fill(result, el("p.good", {}, t("settings.reloaded")), notes.length > 0 && el("ul", {}, notes.map((note) => el("li", { lang: "en" }, note))));
      await done();
    } catch (error) {
      fill(result, el("p.problem", {}, wordsOf(error)));
    } finally {
      set(button, "disabled", false);
    }
  });
  return card(
    t("settings.configuration"),
    el("p", {}, t("settings.applies")),
    el("p", {}, t("settings.restart")),
    el("p.muted", {}, t("settings.fault")),
    el("div.toolbar", {}, button, el("label.check", {}, confirm, t("settings.accept-removal"))),
    result,
  );
}
