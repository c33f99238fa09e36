// The entry of the dashboard: the session, the frame around the pages, and which page is shown.
//
// A page is a function of a context that returns its title, its element and what ends it. The address
// behind `#` names page, domain and subject: `#/person/abc.com/123@abc.com`.

import { hooks } from "./api.js";
import { board } from "./board.js";
import { diagnostics } from "./diagnostics.js";
import { announce, el, fill, labelled, options, set, setText } from "./dom.js";
import { domainOf } from "./format.js";
import * as lang from "./language.js";
import { t } from "./language.js";
import { Live } from "./live.js";
import { login } from "./login.js";
import { node } from "./node.js";
import { notes } from "./notes.js";
import { person } from "./person.js";
import { phones } from "./phones.js";
import * as session from "./session.js";
import { settings } from "./settings.js";
import * as theme from "./theme.js";

/**
 * What a page gets.
 * @typedef {{domain: string, subject: string, live: Live, go: (page: string, subject?: string) => void,
 *   retitle: (title: string) => void}} Context
 */

/** The pages, in the order of the menu; `person` is reached through the others. */
const PAGES = { board, diagnostics, phones, notes, node, settings, person };
/** Pages about the whole server need the role of an administrator. */
const ROLE_OF_PAGE = { node: "admin" };

const app = document.getElementById("app");
/** @type {{title: string, element: HTMLElement, close: () => void} | null} */
let page = null;
/** @type {Live | null} */
let live = null;
let frame = null;

function start() {
  lang.choose(lang.language());
  theme.apply();
  hooks.onUnauthenticated = showLogin;
  window.addEventListener("hashchange", () => show());
  enter().then(showFrame, showLogin);
}

/**
 * Takes up the session of the cookie, or else the token of an address like `#/login/TOKEN`, which the demonstration
 * prints. An address that somebody sends replaces no session.
 */
function enter() {
  const [name, token] = location.hash.replace(/^#\/?/, "").split("/").map(decoded);
  if (name !== "login" || !token) return session.resume();
  // The token must not stay in the address.
  history.replaceState(null, "", "#/board");
  return session.resume().catch(() => session.begin(token));
}

/** The page, domain and subject of the address. */
function place() {
  const [name, domain, subject] = location.hash.replace(/^#\/?/, "").split("/").map(decoded);
  const domains = session.session().domains;
  return {
    name: isVisible(name) ? name : "board",
    domain: domains.includes(domain) ? domain : (domains[0] ?? ""),
    subject: subject ?? "",
  };
}

/** A part of an address; what somebody mistyped is taken as it is. */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const isVisible = (name) => name in PAGES && (!(name in ROLE_OF_PAGE) || session.may(ROLE_OF_PAGE[name]));
const address = (name, domain, subject) => `#/${[name, domain, subject].filter(Boolean).map(encodeURIComponent).join("/")}`;

function endPage() {
  page?.close();
  page = null;
}

function showLogin() {
  endPage();
  live?.close();
  live = null;
  frame = null;
  document.title = `${t("login.title")} – Lamplighter`;
  const form = login(showFrame);
  fill(app, el("header.bar", {}, brand(), el("div.bar-end", {}, choices(showLogin))), el("main.narrow", {}, form));
  form.querySelector("input").focus();
}

function showFrame() {
  const menu = Object.keys(PAGES).filter((name) => name !== "person" && isVisible(name));
  const { name, role, domains } = session.session();
  const links = menu.map((entry) => [entry, el("a", {}, t(`${entry}.title`))]);
  const state = el("span.live", { role: "status" });
  const domain = el("select", { "aria-label": t("domain"), onchange: () => go(place().name === "person" ? "board" : place().name, "", domain.value) }, options(domains.map((one) => [one, one])));
  const logout = el("button", { type: "button", onclick: () => session.end().then(showLogin, showLogin) }, t("logout"));
  const main = el("main", { id: "main" }, domains.length === 0 ? el("p.empty", {}, t("no-domain")) : null);
  frame = { links, state, domain, main };
  fill(
    app,
    el("a.skip", { href: "#main", onclick: skip }, t("skip")),
    el(
      "header.bar",
      {},
      brand(),
      el("nav", { "aria-label": t("menu") }, links.map(([, link]) => link)),
      el("div.bar-end", {}, state, domain, choices(showFrame), el("span.who", {}, el("strong", {}, name), el("span", {}, t(`role.${role}`))), logout),
    ),
    main,
  );
  if (domains.length > 0) show(false);
}

function skip(event) {
  event.preventDefault();
  const heading = document.querySelector("main h1");
  heading?.focus();
}

const brand = () => el("a.brand", { href: "#/board" }, el("img", { src: "/dashboard/icon.svg", alt: "", width: 26, height: 26 }), "Lamplighter");

/** Language and theme. `again` draws what is shown in the new language. */
function choices(again) {
  const language = el("select", {
    "aria-label": t("language"),
    onchange: () => {
      lang.choose(language.value);
      endPage();
      again();
      document.querySelector(`select[aria-label="${t("language")}"]`)?.focus();
    },
  }, options(Object.entries(lang.NAMES), lang.language()));
  const colours = el("select", { "aria-label": t("theme"), onchange: () => theme.chooseTheme(colours.value) }, options(["system", "light", "dark"].map((name) => [name, t(`theme.${name}`)]), theme.theme()));
  return [language, colours];
}

function go(name, subject = "", domain = subject ? domainOf(subject) : place().domain) {
  location.hash = address(name, domain, subject);
}

/** Shows the page of the address. */
function show(isMove = true) {
  if (!frame) return;
  const { name, domain, subject } = place();
  endPage();
  if (live?.domain !== domain) {
    live?.close();
    live = new Live(domain);
  } else {
    // Those that listened for the frame of the language before.
    live.listeners.clear();
  }
  live.listen(() => showState());
  showState();
  frame.domain.value = domain;
  for (const [entry, link] of frame.links) {
    set(link, "href", address(entry, domain));
    set(link, "aria-current", entry === name ? "page" : false);
  }
  const heading = el("h1", { tabindex: -1 });
  const retitle = (title) => {
    setText(heading, title);
    document.title = `${title} – Lamplighter`;
  };
  page = PAGES[name]({ domain, subject, live, go, retitle });
  retitle(page.title);
  fill(frame.main, el("div.page-head", {}, heading, page.head), page.element);
  frame.main.className = `page-${name}`;
  if (isMove) heading.focus();
}

function showState() {
  if (!frame || !live) return;
  frame.state.dataset.status = live.status;
  setText(frame.state, live.problem ? live.problem.words() : t(`live.${live.status}`));
}

// A fault of the page itself must not pass unseen.
window.addEventListener("unhandledrejection", (event) => announce(event.reason?.words?.() ?? String(event.reason)));

start();
