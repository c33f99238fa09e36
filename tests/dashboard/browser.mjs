// The browser, the checks, and requests to the API from outside the browser.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const { HTTP_PORT, FILES, SCREENSHOTS } = process.env;
export const SITE = `http://127.0.0.1:${HTTP_PORT}`;
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let failures = 0;
export const failed = () => failures > 0;

/** Runs a check, which passes if it does not throw. */
export async function check(name, task) {
  try {
    const detail = await task();
    console.log(`PASS ${name}${detail ? ` (${detail})` : ""}`);
  } catch (error) {
    failures += 1;
    console.log(`FAIL ${name}`);
    console.log(String(error?.message ?? error).replace(/\u001b\[[0-9;]*m/g, "").split("\n").slice(0, 25).map((line) => `    ${line}`).join("\n"));
  }
}

export function ensure(condition, message) {
  if (!condition) throw new Error(message);
}

/** Waits until `question` returns a true value. */
export async function until(question, what, milliseconds = 10000) {
  const end = Date.now() + milliseconds;
  for (;;) {
    const answer = await question();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`${what}: not within ${milliseconds} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Calls the API with a token, as a program does, not a browser. */
export async function api(token, method, path, body) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const response = await fetch(`${SITE}/api/v1/${path}`, { method, headers, body: body && JSON.stringify(body) });
  ensure(response.ok, `${method} ${path}: ${response.status} ${response.ok ? "" : await response.clone().text()}`);
  return response.status === 204 ? null : response.json();
}

export const launch = () =>
  chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });

/** Complaints of pages: errors and warnings in the console, violations of the Content-Security-Policy. */
export const complaints = [];

/** Drops complaints about requests that the test had refused or cut off: Chromium reports each in its console. */
export function forgiveRefusals() {
  const others = complaints.filter((complaint) => !complaint.startsWith("Failed to load resource:"));
  complaints.splice(0, complaints.length, ...others);
}

/** A window with cookies of its own. */
export async function visitor(browser, { locale = "en-GB", colorScheme = "light", size = { width: 1440, height: 900 } } = {}) {
  const context = await browser.newContext({ locale, colorScheme, viewport: size, reducedMotion: "no-preference" });
  context.setDefaultTimeout(8000);
  const page = await context.newPage();
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type()) && !isExpected(message)) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.stack ?? error.message));
  if (FILES) await serveFrom(FILES, context);
  return page;
}

/** Chromium reports each refused request in its console; a page without a session asks for it and is refused. */
const isExpected = (message) => /the server responded with a status of 401/.test(message.text()) && /\/api\/v1\/session$/.test(message.location().url);

async function serveFrom(folder, context) {
  await context.route(/\/$|\/dashboard\//, async (route) => {
    const path = new URL(route.request().url()).pathname;
    const response = await route.fetch();
    if (path !== "/" && !path.startsWith("/dashboard/")) return route.fulfill({ response });
    const name = path === "/" ? "index.html" : path.slice("/dashboard/".length);
    return route.fulfill({ response, status: 200, headers: { ...response.headers(), "content-type": typeOf(name) }, body: readFileSync(join(folder, name)) });
  });
}

const typeOf = (name) => ({ html: "text/html; charset=utf-8", css: "text/css", js: "text/javascript", svg: "image/svg+xml" })[name.split(".").pop()];

/** Opens the dashboard and logs in with a token. */
export async function logIn(page, token) {
  await page.goto(`${SITE}/`);
  await page.getByLabel("Token").fill(token);
  await page.keyboard.press("Enter");
  await page.locator("#main h1").waitFor();
}

/** Opens a page of the dashboard, and waits for its heading. */
export async function open(page, place, heading) {
  await page.evaluate((hash) => { location.hash = hash; }, `#/${place}`);
  await page.getByRole("heading", { level: 1, name: heading }).waitFor();
}

/** The serious and critical findings of axe-core on the current page. */
export async function findings(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.slice(0, 3).map((node) => `${node.target} ${node.any[0]?.message ?? ""}`).join(" | ")} (${nodes.length})`);
}

export async function picture(page, name, height = 900) {
  if (!SCREENSHOTS) return;
  const { width, height: before } = page.viewportSize();
  await page.setViewportSize({ width, height });
  await page.waitForTimeout(300);
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
  await page.setViewportSize({ width, height: before });
}
