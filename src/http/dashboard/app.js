// The entry of the dashboard: the session, the frame around the pages, and which page is shown.
//
// A page is a function of a context. It returns its title and its element, and may return elements beside the title
// (`head`) and `close`, which ends it. The fragment of the address names the page, the domain and the subject:
// `#/person/abc.com/123@abc.com`.

import { hooks, wordsOf } from "./api.js";
import { board } from "./board.js";
import { diagnostics } from "./diagnostics.js";
import { el, fill, options, set, setText } from "./dom.js";
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

/** The pages, in the order of the menu. `person` is not in the menu: other pages lead to it. */
const PAGES = { board, diagnostics, phones, notes, node, settings, person };
/** The role that a page needs: a page about the whole server needs an administrator. */
const ROLE_OF_PAGE = { node: "admin" };

const app = document.getElementById("app");
/** @type {{title: string, element: HTMLElement, head?: any, close?: () => void} | null} */
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
 * Resumes the session of the cookie. Without one, logs in with the token of an address like `#/login/TOKEN`, which the
 * demonstration prints. A link with another token never replaces a running session.
 */
function enter() {
  const [name, token] = location.hash.replace(/^#\/?/, "").split("/").map(decoded);
  if (name !== "login" || !token) return session.resume();
  // Remove the token from the address, and so from the browser's history.
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

/** A decoded part of an address. A part with a wrong escape stays as it is. */
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
  page?.close?.();
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
  const fault = el("p.fault.problem", { role: "alert" });
  frame = { links, state, domain, main, fault };
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
    fault,
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

/** The controls of language and theme. `again` draws the page in the new language. */
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
    live.listen(showState);
  }
  showState();
  setText(frame.fault, "");
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

// Show the user a fault of the page itself, too.
window.addEventListener("unhandledrejection", (event) => frame && setText(frame.fault, wordsOf(event.reason)));

start();
