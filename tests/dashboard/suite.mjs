// The steps that users take in the dashboard, and checks of each. `tests/dashboard/run` starts the daemon and this script.

import { execFileSync, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { SITE, api, check, complaints, ensure, failed, findings, forgiveRefusals, launch, logIn, open, picture, until, visitor } from "./browser.mjs";
import { drawing } from "./frames.mjs";
import { judgeFiles, judgeMessages } from "./files.mjs";
import { Phone } from "./phone.mjs";

const { ADMIN, READER, FEEDER, CONFIG, LAMPLIGHTER, SIP_PORT, SCREENSHOTS } = process.env;
const DOMAIN = "example.com";
const call = (user, body) => api(FEEDER, "PUT", `presence/${user}@${DOMAIN}/call`, body);
const noCall = (user) => api(FEEDER, "DELETE", `presence/${user}@${DOMAIN}/call`);

const browser = await launch();
await check("the daemon is ready", async () => {
  await until(() => fetch(`${SITE}/readyz`).then((response) => response.ok, () => false), "ready", 30000);
});

// ---- files

await check("the files have their types, tags and policies, and no others are served", judgeFiles);
await check("English and German have the same messages, and the pages use each of them", judgeMessages);

// ---- login

const page = await visitor(browser);
const search = page.getByLabel("Search", { exact: true });
const key = (text) => page.getByRole("gridcell").filter({ hasText: text });
await check("a wrong token is refused with an explanation", async () => {
  await page.goto(`${SITE}/`);
  await page.getByLabel("Token").fill("lamp_nobody_0000");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("alert").filter({ hasText: "This token is not valid." }).waitFor();
  await picture(page, "login");
});
await check("the right token opens the board", async () => {
  await page.getByLabel("Token").fill(ADMIN);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { level: 1, name: "Lamp board" }).waitFor();
  await page.getByText("5,007 keys").waitFor();
});
await check("no script can read the token", async () => {
  ensure((await page.evaluate(() => document.cookie)) === "", "document.cookie shows it");
  const stored = await page.evaluate(() => JSON.stringify(localStorage) + JSON.stringify(sessionStorage));
  ensure(!stored.includes("lamp_"), "it is in the storage of the browser");
  const [cookie] = await page.context().cookies(`${SITE}/api/v1/session`);
  ensure(cookie.httpOnly && cookie.sameSite === "Strict", JSON.stringify(cookie));
});
await check("a request with the cookie but without our header changes nothing", async () => {
  const status = await page.evaluate(async (path) => (await fetch(path, { method: "DELETE" })).status, `/api/v1/presence/1000@${DOMAIN}/note`);
  ensure(status === 403, `status ${status}`);
  forgiveRefusals();
});

// ---- the board

await check("a call lights a key, and the end of the call turns it off", async () => {
  await search.fill("1007");
  await key("1007").filter({ hasText: "Offline" }).waitFor();
  await call(1007, { state: "early", direction: "recipient", party: `sip:1042@${DOMAIN}` });
  await key("1007").filter({ hasText: "Ringing · 1042" }).waitFor();
  await call(1007, { state: "confirmed", party: `sip:1042@${DOMAIN}` });
  await key("1007").filter({ hasText: "Busy · 1042" }).waitFor();
  ensure((await key("1007").locator(".lamp").getAttribute("data-lamp")) === "busy", "its lamp is not the one of busy");
  await noCall(1007);
  await key("1007").filter({ hasText: "Available" }).waitFor();
  await search.fill("");
});
await check("a call of a person who is not to be disturbed rings before it is in progress", async () => {
  const at = `presence/1008@${DOMAIN}/do-not-disturb`;
  await search.fill("1008");
  await api(FEEDER, "PUT", at, { active: true });
  await key("1008").filter({ hasText: /Do not disturb$/ }).waitFor();
  await call(1008, { state: "early", direction: "recipient" });
  await key("1008").filter({ hasText: /Do not disturb, ringing$/ }).waitFor();
  await call(1008, { state: "confirmed" });
  await key("1008").filter({ hasText: /Do not disturb, in a call$/ }).waitFor();
  await noCall(1008);
  await api(FEEDER, "PUT", at, { active: false });
  await key("1008").filter({ hasText: "Available" }).waitFor();
  await search.fill("");
});
await check("a key has room for a note", async () => {
  const at = (what) => `presence/1008@${DOMAIN}/${what}`;
  await search.fill("1008");
  await api(FEEDER, "PUT", at("do-not-disturb"), { active: true });
  await api(FEEDER, "PUT", at("note"), { text: "Conference room 2" });
  const word = key("1008").locator(".key-word").filter({ hasText: "Do not disturb · Conference room 2" });
  await word.waitFor();
  const { height, whole } = await word.evaluate((element) => ({ height: element.clientHeight, whole: element.scrollHeight }));
  ensure(whole <= height, `${whole} pixels in ${height}`);
  await api(FEEDER, "DELETE", at("note"));
  await api(FEEDER, "PUT", at("do-not-disturb"), { active: false });
  await key("1008").filter({ hasText: /Available$/ }).waitFor();
  await search.fill("");
});
await check("names, groups and states narrow the board", async () => {
  await search.fill("yara n");
  await page.getByText(/^\d+ keys$/).waitFor();
  const names = await page.locator(".key-name").allTextContents();
  ensure(names.length > 0 && names.every((name) => name === "Yara Novak"), names.join(", "));
  await search.fill("");
  await page.getByLabel("Group").selectOption("Sales");
  await page.getByText("555 keys").waitFor();
  ensure((await page.locator(".heading").allTextContents()).join() === "Sales555", "other groups are shown");
  await page.getByLabel("Group").selectOption("orbits");
  await page.getByText("6 keys").waitFor();
  await page.getByLabel("Group").selectOption({ label: "All groups" });
  await call(1010, { state: "confirmed" });
  await page.getByRole("button", { name: /^Busy 1$/ }).click();
  await page.getByText(/^1 key$/).waitFor();
  await key("1010").waitFor();
  await noCall(1010);
  await page.getByText("No key matches the search.").waitFor();
  await page.getByRole("button", { name: /^Busy/ }).click();
  await page.getByText("5,007 keys").waitFor();
});
await check("only visible keys have elements", async () => {
  const count = await page.locator(".key").count();
  ensure(count > 20 && count < 250, `${count} keys`);
});
await check("200 changes a second are drawn without a stutter", () => drawing(page, FEEDER, DOMAIN));
await check("the keyboard alone finds, pins and opens a person", async () => {
  await search.focus();
  const focused = () => page.evaluate(() => document.activeElement.dataset.aor ?? document.activeElement.tagName);
  for (let steps = 0; !(await focused()).includes("@"); steps += 1) {
    ensure(steps < 15, "Tab does not reach the keys");
    await page.keyboard.press("Tab");
  }
  const first = await focused();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowDown");
  const other = await focused();
  ensure(other.includes("@") && other !== first, `${first} ${other}`);
  await page.keyboard.press("End");
  await page.keyboard.press("PageUp");
  const far = await focused();
  ensure(far.includes("@") && far !== other, far);
  await page.keyboard.press("p");
  await page.locator("#announcer").filter({ hasText: "is pinned" }).waitFor({ state: "attached" });
  await page.keyboard.press("Home");
  ensure((await focused()) === far, "the pinned key is not at the top");
  await page.locator(".heading", { hasText: "Pinned" }).waitFor();
  await call(far.split("@")[0], { state: "confirmed" });
  await page.locator("#announcer").filter({ hasText: "Busy" }).waitFor({ state: "attached" });
  await noCall(far.split("@")[0]);
  await page.keyboard.press("p");
  await page.locator("#announcer").filter({ hasText: "no longer pinned" }).waitFor({ state: "attached" });
  ensure((await focused()) === far, "the keyboard lost its place");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 2, name: "Why" }).waitFor();
  ensure(page.url().endsWith(encodeURIComponent(far)), page.url());
});

await check("the page says that the connection is lost, and connects again", async () => {
  await page.route("**/api/v1/events*", (route) => route.abort());
  await page.goto(`${SITE}/#/board/imagicle.test`);
  await page.reload();
  await page.getByRole("status").filter({ hasText: "Connection lost" }).waitFor();
  await page.unroute("**/api/v1/events*");
  await page.getByRole("status").filter({ hasText: /^Live$/ }).waitFor({ timeout: 15000 });
  await key("Marco Conti").waitFor();
  forgiveRefusals();
});

// ---- phones

const phones = await Promise.all(
  [["1001", "Yealink SIP-T46U 108.86.0.20"], ["1002", "PolycomVVX-VVX_450-UA/6.4.3"], ["1003", "snomD785/10.1.184.15"]].map(([user, agent]) => new Phone(user, DOMAIN, Number(SIP_PORT), agent).ready()),
);
for (const phone of phones) for (const target of ["1020", "1021", "1022"]) phone.subscribe(target);
const looper = await new Phone("1004", DOMAIN, Number(SIP_PORT), "Grandstream GXP2170 1.0.11.79").ready();

await check("the phones page shows subscriptions, and a phone in a loop", async () => {
  await until(() => phones.every((phone) => phone.notifies >= 3), "NOTIFYs");
  for (let round = 0; round < 60; round += 1) {
    looper.subscribe("1020", { event: "weather" });
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  ensure(looper.answers.length > 0 && looper.answers.every((status) => status === 489), looper.answers.join());
  await open(page, `phones/${DOMAIN}`, "Phones");
  const subscriptions = page.getByRole("region", { name: "Subscriptions" });
  await subscriptions.getByRole("row").filter({ hasText: "1001@" }).filter({ hasText: "1020@" }).filter({ hasText: "yealink" }).filter({ hasText: "accepted" }).waitFor();
  ensure((await subscriptions.getByRole("row").count()) === 10, "not nine subscriptions");
  await page.getByRole("region", { name: "Phones in a loop" }).getByRole("row").filter({ hasText: "Grandstream" }).filter({ hasText: "489" }).waitFor();
  await search.fill("poly");
  await page.getByText("3 subscriptions").waitFor();
  await picture(page, "phones");
  await page.setViewportSize({ width: 800, height: 900 });
  const hidden = await page.locator(".table-window").evaluateAll((windows) => windows.filter((it) => it.scrollWidth > it.clientWidth).length);
  ensure(hidden === 0, "at 800 pixels no column is out of sight");
  await picture(page, "phones-800");
  await page.setViewportSize({ width: 1440, height: 900 });
});

// ---- one person

await check("the board shows the note, do-not-disturb and forwarding of a person", async () => {
  await open(page, `board/${DOMAIN}`, "Lamp board");
  await search.fill("1020");
  await key("1020").click();
  await page.getByRole("heading", { level: 2, name: "Why" }).waitFor();
  await page.getByLabel("Note").fill("In the archive <b>until</b> noon");
  await page.getByRole("button", { name: "Save note" }).click();
  await page.getByRole("cell", { name: "Note: In the archive <b>until</b> noon" }).waitFor();
  await page.getByRole("switch", { name: "Do not disturb" }).click();
  await page.locator(".lamp-word.big", { hasText: "Do not disturb" }).waitFor();
  await page.getByRole("switch", { name: "Do not disturb", checked: true }).waitFor();
  await page.goBack();
  await search.fill("1020");
  await key("Do not disturb · In the archive <b>until</b> noon").waitFor();
  await key("1020").click();
  await page.getByRole("switch", { name: "Do not disturb", checked: true }).click();
  await page.getByRole("switch", { name: "Do not disturb", checked: false }).waitFor();
  await page.getByLabel("Forward always to").fill("sip:1055@example.com");
  await page.locator("form").filter({ has: page.getByLabel("Forward always to") }).getByRole("button", { name: "On" }).click();
  await page.locator(".lamp-word.big", { hasText: "Forwarded" }).waitFor();
  await page.locator("form").filter({ has: page.getByLabel("Forward always to") }).getByRole("button", { name: "Off" }).click();
  await page.locator(".lamp-word.big", { hasText: "Forwarded" }).waitFor({ state: "detached" });
});
await check("the page of a person shows the address", async () => {
  await page.locator(".page-head").getByText("1020@example.com", { exact: true }).waitFor();
});
await check("a call is reported and ended, and the history shows it", async () => {
  await page.getByLabel("Call", { exact: true }).selectOption("confirmed");
  await page.getByLabel("Other party").fill("sip:+441632960011@example.net");
  await page.getByRole("button", { name: "Report the call" }).click();
  await page.locator(".lamp-word.big", { hasText: "Busy" }).waitFor();
  await page.getByText("+441632960011@example.net").first().waitFor();
  await page.getByRole("region", { name: "Watchers" }).getByRole("row").filter({ hasText: "snom" }).waitFor();
  await page.getByRole("button", { name: "Notify again" }).click();
  await page.getByText("3 watchers are sent the full state.").waitFor();
  await page.getByRole("region", { name: "History" }).getByRole("row").filter({ hasText: "Busy" }).filter({ hasText: "a call is confirmed" }).first().waitFor();
  await page.getByRole("img", { name: /States over time: \d+ changes/ }).waitFor();
  await picture(page, "person", 1500);
  await page.getByRole("button", { name: "End the call" }).click();
  await page.locator(".lamp-word.big", { hasText: "Busy" }).waitFor({ state: "detached" });
});
await check("the page explains a refusal of the server", async () => {
  await page.getByLabel("Other party").fill("no uri");
  await page.getByRole("button", { name: "Report the call" }).click();
  await page.getByRole("alert").filter({ hasText: "The server cannot accept what was entered (party: is not a URI)" }).waitFor();
  forgiveRefusals();
});

await check("without reveal_number, the other party is private, and the page says why", async () => {
  const at = "presence/202@imagicle.test/call";
  await api(ADMIN, "PUT", at, { state: "confirmed", party: "sip:+441632960011@example.net" });
  await open(page, "board/imagicle.test", "Lamp board");
  const explained = (element) => element.and(page.getByTitle(/reveal_number/)).first().waitFor();
  await explained(key("Elena Greco").getByText("Busy · private"));
  await key("Elena Greco").click();
  await explained(page.locator(".page-head").getByText("private"));
  await explained(page.getByRole("region", { name: "History" }).getByText("private"));
  ensure(!(await page.locator("main").textContent()).includes("anonymous.invalid"), "the URI is shown");
  await api(ADMIN, "DELETE", at);
});

// ---- notes, with a second user

const other = await visitor(browser, { locale: "de-DE", colorScheme: "dark" });
await check("the page has the language and the colours of the browser", async () => {
  await other.goto(`${SITE}/`);
  await other.getByLabel("Token").fill(FEEDER);
  await other.getByRole("button", { name: "Anmelden" }).click();
  await other.getByRole("heading", { level: 1, name: "Lampenfeld" }).waitFor();
  await other.getByText("5.007 Tasten").waitFor();
  ensure((await other.evaluate(() => document.documentElement.dataset.theme)) === "dark", "it is light");
});
await check("a note of one user appears at once for another user", async () => {
  await open(page, `notes/${DOMAIN}`, "Notes");
  await open(other, `notes/${DOMAIN}`, "Notizen");
  await other.getByLabel("Person suchen").fill("1030");
  await other.locator(".notes li").filter({ hasText: "1030" }).getByRole("textbox").fill("Zahnarzt, ab 14 Uhr zurück");
  await other.keyboard.press("Enter");
  const mine = page.locator(".notes li").filter({ hasText: "1030" }).getByRole("textbox");
  await until(async () => (await mine.count()) === 1 && (await mine.inputValue()) === "Zahnarzt, ab 14 Uhr zurück", "the other user sees the note");
  await mine.fill("At the dentist");
  await other.locator(".notes li").filter({ hasText: "1030" }).getByRole("textbox").fill("Wieder da");
  await other.keyboard.press("Enter");
  await page.getByText("Changed in the meantime to: Wieder da").waitFor();
  ensure((await mine.inputValue()) === "At the dentist", "the text that the user edits was overwritten");
  await page.keyboard.press("Enter");
  await mine.press("Enter");
  await other.getByLabel("Person suchen").fill("");
  const theirs = other.locator(".notes li").filter({ hasText: "1030" }).getByRole("textbox");
  await until(async () => (await theirs.inputValue()) === "At the dentist", "the note that was saved last is shown");
});

// ---- diagnostics

await check("diagnostics shows both tracks in the words of the connector", async () => {
  await api(ADMIN, "PUT", "presence/200@imagicle.test/do-not-disturb", { active: true });
  await api(ADMIN, "PUT", "presence/201@imagicle.test/call", { state: "confirmed" });
  await api(ADMIN, "PUT", "presence/201@imagicle.test/note", { text: "Back at three" });
  await open(page, "diagnostics/imagicle.test", "Diagnostics");
  await page.getByText("There is no connector").waitFor();
  const row = (name) => page.getByRole("region", { name: "Users" }).getByRole("row").filter({ hasText: name });
  await row("Lucia Bianchi").filter({ hasText: "Do not disturb" }).waitFor();
  await row("Marco Conti").filter({ hasText: "Busy" }).filter({ hasText: "Back at three" }).waitFor();
  const words = await page.getByLabel("Telephony presence").locator("option").allTextContents();
  const expected = ["Available", "Busy", "Do not disturb", "Offline", "Forwarded to voice mail", "Forwarded to phone number", "Access denied", "Error", "Not Found", "Not requested by anyone", "Requesting", "Server not configured"];
  ensure(words.slice(1).join() === expected.join(), words.join());
  await page.getByLabel("Telephony presence").selectOption("Busy");
  ensure((await row("").count()) === 2, "the filter shows other users");
  await page.getByLabel("Telephony presence").selectOption("");
  await page.getByLabel("Rich presence").selectOption("Not requested by anyone");
  await page.getByLabel("User", { exact: true }).fill("elena");
  await until(async () => (await row("").count()) === 2 && (await row("Elena Greco").count()) === 1, "the filters together");
  await api(ADMIN, "DELETE", "presence/201@imagicle.test/call");
  await page.getByLabel("User", { exact: true }).fill("marco");
  await page.getByLabel("Rich presence").selectOption("");
  await row("Marco Conti").filter({ hasText: "Busy" }).waitFor();
  await page.getByRole("button", { name: "Reload" }).click();
  await row("Marco Conti").filter({ hasText: "Available" }).waitFor();
  await page.getByLabel("User", { exact: true }).fill("");
  await page.getByText("What the states of a connector mean").click();
  await picture(page, "diagnostics", 1000);
});

await check("diagnostics shows the state of each connector", async () => {
  await open(page, `diagnostics/${DOMAIN}`, "Diagnostics");
  const row = (name) => page.getByRole("region", { name: "Connectors" }).getByRole("row").filter({ has: page.getByRole("cell", { name, exact: true }) });
  await row("pbx").filter({ hasText: "Server Not configured" }).waitFor();
  await row("old-pbx").filter({ hasText: "Disabled" }).waitFor();
});

await check("a test subscription follows an unwatched user for a minute", async () => {
  const tester = await visitor(browser);
  await tester.clock.install();
  await logIn(tester, ADMIN);
  await open(tester, "diagnostics/imagicle.test", "Diagnostics");
  const row = tester.getByRole("region", { name: "Users" }).getByRole("row").filter({ hasText: "Marco Conti" });
  const action = row.getByRole("button", { name: "Subscribe to Marco Conti for a minute" });
  await row.filter({ hasText: "Not requested by anyone" }).filter({ hasText: "Available" }).waitFor();
  await action.click();
  await row.filter({ hasText: "subscribed until" }).filter({ hasText: "Server not configured" }).filter({ hasText: "Available" }).waitFor();
  await api(ADMIN, "PUT", "presence/201@imagicle.test/call", { state: "confirmed" });
  await row.filter({ hasText: "Busy" }).waitFor();
  await tester.clock.fastForward(59_000);
  await row.filter({ hasText: "subscribed until" }).waitFor();
  await tester.clock.fastForward(2_000);
  await row.filter({ hasText: "Not requested by anyone" }).waitFor();
  await action.waitFor();
  await api(ADMIN, "DELETE", "presence/201@imagicle.test/call");
  await tester.waitForTimeout(500);
  ensure(await row.filter({ hasText: "Busy" }).isVisible(), "without a subscription the page shows what it has read");
  await tester.context().close();
});

await check("a user with a watcher has no test subscription", async () => {
  await open(page, `diagnostics/${DOMAIN}`, "Diagnostics");
  await page.getByLabel("User", { exact: true }).fill("1020");
  const rows = page.getByRole("region", { name: "Users" }).getByRole("row");
  await until(async () => (await rows.count()) === 2, "the user is there");
  await rows.filter({ hasText: "1020" }).getByText("Server not configured").waitFor();
  ensure((await rows.getByRole("button", { name: /^Subscribe to/ }).count()) === 0, "the action is there");
});

// ---- the server

await check("the server page shows rates, shards and refusals, and lifts a lockout", async () => {
  await lockOut("1099");
  await open(page, "node", "Server");
  await page.getByRole("img", { name: /Per second: .*NOTIFYs sent [\d.]+/ }).waitFor();
  await page.getByRole("img", { name: /Duration of a turn: p50 [\d.]+ ms, p99 [\d.]+ ms, p99.9 [\d.]+ ms/ }).waitFor();
  await page.getByText("Shard 0").first().waitFor();
  await page.getByText(/^\d+ MiB$/).waitFor();
  await page.getByRole("region", { name: "Refused SIP requests" }).getByRole("row").filter({ hasText: "489" }).waitFor();
  const locked = page.getByRole("region", { name: "Lockouts" }).getByRole("row").filter({ hasText: "1099@" });
  await locked.waitFor();
  await locked.getByRole("button", { name: "Lift" }).click();
  await page.getByText(/lockouts? (is|are) lifted/).waitFor();
  await locked.waitFor({ state: "detached" });
  const flow = setInterval(() => call(1020, { state: "confirmed" }).then(() => noCall(1020)), 60);
  await page.waitForTimeout(SCREENSHOTS ? 40000 : 2500);
  clearInterval(flow);
  await picture(page, "node", 1300);
});

// ---- settings

await check("the settings show the domain, and a reload applies the file", async () => {
  await open(page, `settings/${DOMAIN}`, "Settings");
  await page.getByRole("region", { name: "Groups" }).getByRole("row").filter({ hasText: "Sales" }).filter({ hasText: "555" }).waitFor();
  await page.getByRole("region", { name: "Policies" }).getByRole("row").filter({ hasText: "polite-block" }).waitFor();
  await picture(page, "settings");
  const before = readFileSync(CONFIG, "utf8");
  writeFileSync(CONFIG, `${before}\n[[account]]\nuser = "9000"\ndomain = "${DOMAIN}"\npassword = "secret"\ndisplay = "Late Comer"\n`);
  await page.getByRole("button", { name: "Reload the configuration" }).click();
  await page.getByText("The configuration was read, and is in force.").waitFor();
  await page.locator("dd", { hasText: "5,001" }).waitFor();
  writeFileSync(CONFIG, "[[account]]\nuser = 5\n");
  await page.getByRole("button", { name: "Reload the configuration" }).click();
  await page.getByRole("status").filter({ hasText: "the key \"domain\" is missing" }).waitFor();
  writeFileSync(CONFIG, before);
  forgiveRefusals();
});

// ---- language and colours

await check("language and colours are switched, and remembered", async () => {
  await page.getByLabel("Language").selectOption("de");
  await page.getByRole("heading", { level: 1, name: "Einstellungen" }).waitFor();
  await page.getByLabel("Farben").selectOption("dark");
  await page.reload();
  await page.getByRole("heading", { level: 1, name: "Einstellungen" }).waitFor();
  const { lang, theme } = await page.evaluate(() => ({ lang: document.documentElement.lang, theme: document.documentElement.dataset.theme }));
  ensure(lang === "de" && theme === "dark", `${lang} ${theme}`);
});

// ---- accessibility, and small screens

await check("the board follows a change of most keys at once", async () => {
  await busyBoard();
  await open(page, `board/${DOMAIN}`, "Lampenfeld");
  await page.getByRole("button", { name: /^Nicht stören 25$/ }).waitFor();
  await page.getByRole("button", { name: /^Umgeleitet 12$/ }).waitFor();
});
for (const theme of ["light", "dark"]) {
  await check(`axe-core finds nothing serious in any page, ${theme}`, async () => {
    await page.getByLabel(/Farben|Colours/).selectOption(theme);
    await page.getByLabel(/Sprache|Language/).selectOption(theme === "light" ? "en" : "de");
    const places = [["board", /Lamp board|Lampenfeld/], ["person", /Rosa|Anna|\w+ \w+/], ["diagnostics", /Diagnos/], ["phones", /Phones|Telefone/], ["notes", /Not/], ["node", /Server/], ["settings", /Settings|Einst/]];
    const found = [];
    for (const [place, heading] of places) {
      await open(page, `${place}/${DOMAIN}${place === "person" ? "/1020@example.com" : ""}`, heading);
      await page.waitForTimeout(400);
      found.push(...(await findings(page)).map((finding) => `${place}: ${finding}`));
      await picture(page, `${place}-${theme}`);
    }
    ensure(found.length === 0, found.join("\n"));
    return `${places.length} pages`;
  });
}

await check("a small screen shows every page without scrolling sideways", async () => {
  await page.setViewportSize({ width: 390, height: 844 });
  const wide = [];
  for (const place of ["board", `person/${DOMAIN}/1020@${DOMAIN}`, "diagnostics", "phones", "notes", "node", "settings"]) {
    await page.evaluate((hash) => { location.hash = hash; }, `#/${place}`);
    await page.waitForTimeout(500);
    const over = await page.evaluate(() => Math.max(...["html", "main"].map((name) => document.querySelector(name)).map((part) => part.scrollWidth - part.clientWidth)));
    if (over > 1) wide.push(`${place}: ${over} pixels`);
  }
  await page.setViewportSize({ width: 1440, height: 900 });
  ensure(wide.length === 0, wide.join("\n"));
});

// ---- roles and logout

await check("a page leaves out buttons that the session may not use", async () => {
  const reader = await visitor(browser);
  await logIn(reader, READER);
  ensure((await reader.getByRole("link", { name: "Server" }).count()) === 0, "a reader is offered the server page");
  ensure((await reader.getByLabel("Domain").locator("option").count()) === 1, "a reader is shown another domain");
  await open(reader, `person/${DOMAIN}/1020@${DOMAIN}`, /\w+/);
  await reader.getByRole("heading", { level: 2, name: "Why" }).waitFor();
  ensure((await reader.getByRole("button", { name: /Save note|Notify again|Report/ }).count()) === 0, "a reader is offered a change");
  await open(reader, `notes/${DOMAIN}`, "Notes");
  await reader.getByText("This token may read notes").waitFor();
  ensure((await reader.locator(".notes input").count()) === 0, "a reader may edit a note");
  await open(reader, `settings/${DOMAIN}`, "Settings");
  ensure((await reader.getByRole("button", { name: /Reload the/ }).count()) === 0, "a reader may reload");
  const found = await findings(reader);
  ensure(found.length === 0, found.join("\n"));
  // The session ends when its token is removed.
  execFileSync(LAMPLIGHTER, ["token", "remove", "lobby", "--config", CONFIG], { stdio: "ignore" });
  await reader.getByLabel("Token").waitFor({ timeout: 20000 });
  forgiveRefusals();
  await reader.context().close();
});
await check("after the logout only the login is shown", async () => {
  await other.getByRole("button", { name: "Abmelden" }).click();
  await other.getByLabel("Token").waitFor();
  ensure((await other.context().cookies(`${SITE}/api/v1/session`)).length === 0, "the cookie is still there");
  const found = await findings(other);
  ensure(found.length === 0, found.join("\n"));
  await other.reload();
  await other.getByLabel("Token").waitFor();
});

await check("the address of the demonstration opens its board, and a button turns a lamp red", async () => {
  const demo = spawn(LAMPLIGHTER, ["demo", "--plain"], { stdio: ["ignore", "pipe", "ignore"] });
  try {
    let output = "";
    demo.stdout.on("data", (octets) => (output += octets));
    const address = /http:\/\/\S+#\/login\/\S+/;
    await until(() => address.test(output), "the address of its board");
    const guest = await visitor(browser);
    await guest.goto(address.exec(output)[0]);
    await guest.getByRole("heading", { level: 1, name: "Lamp board" }).waitFor();
    ensure(!guest.url().includes("lamp_"), `the token stays in the address: ${guest.url()}`);
    const carol = guest.getByRole("gridcell").filter({ hasText: "Carol" });
    // In its first round, the demonstration changes this lamp, too, so a click may need a second try.
    const shows = (button, word) => async () => {
      await guest.getByRole("button", { name: button }).click();
      return carol.filter({ hasText: word }).waitFor({ timeout: 1000 }).then(() => true, () => false);
    };
    await until(shows("Turn it red", "Busy"), "Carol's lamp is red", 20000);
    await picture(guest, "demo");
    await until(shows("Turn it off", "Available"), "Carol's lamp is off", 20000);
    const found = await findings(guest);
    ensure(found.length === 0, found.join("\n"));
    await guest.context().close();
  } finally {
    demo.kill();
  }
});

await check("the console has no error, and no policy was violated", () => {
  ensure(complaints.length === 0, complaints.join("\n"));
});
for (const phone of [...phones, looper]) phone.close();
await browser.close();
process.exit(failed() ? 1 : 0);

/** Sends wrong passwords until the account is locked out. */
async function lockOut(user) {
  for (let tries = 0; tries < 14; tries += 1) await fetch(`${SITE}/call_state.htm?domain=${DOMAIN}&user=${user}&password=wrong${tries}`);
}

/** Changes states until the board shows all kinds of them. */
async function busyBoard() {
  const at = (user) => `presence/${user}@${DOMAIN}`;
  const updates = [];
  for (let user = 1000; user < 6000; user += 1) {
    if ((user * 7919) % 1000 < 210) updates.push({ aor: `${user}@${DOMAIN}`, state: "confirmed", party: `sip:${1000 + ((user * 37) % 5000)}@${DOMAIN}` });
    else if ((user * 13) % 29 === 0) updates.push({ aor: `${user}@${DOMAIN}`, state: "early", direction: "recipient" });
    else if ((user * 31) % 100 < 85) updates.push({ aor: `${user}@${DOMAIN}`, state: "terminated" });
  }
  await api(FEEDER, "POST", "updates", { updates });
  for (let user = 1003; user < 1400; user += 16) await api(FEEDER, "PUT", `${at(user)}/do-not-disturb`, { active: true });
  for (let user = 1007; user < 1400; user += 31) await api(FEEDER, "PUT", `${at(user)}/forwarding/immediate`, { target: "sip:1055@example.com" });
  const texts = ["Back at 3 pm", "Working from home", "On holiday until Monday", "Lunch", "Conference room 2"];
  for (let user = 1001; user < 1400; user += 37) await api(FEEDER, "PUT", `${at(user)}/note`, { text: texts[user % texts.length] });
}
