// Checks of the files as the server sends them, and of the messages in them.

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { SITE, ensure } from "./browser.mjs";

const { SOURCES } = process.env;
/** The sources of the server, whose words have messages, too. */
const SERVER = join(SOURCES, "../..");

export async function judgeFiles() {
  const types = { "/": "text/html", "/dashboard/app.js": "text/javascript", "/dashboard/style.css": "text/css", "/dashboard/icon.svg": "image/svg+xml", "/dashboard/vendor/uplot/LICENSE": "text/plain" };
  for (const [path, type] of Object.entries(types)) {
    const response = await fetch(SITE + path);
    const header = (name) => response.headers.get(name) ?? "";
    ensure(response.status === 200 && header("content-type").startsWith(type), `${path}: ${response.status} ${header("content-type")}`);
    const policy = header("content-security-policy");
    ensure(policy.includes("default-src 'self'") && !policy.includes("unsafe"), `${path}: ${policy}`);
    ensure(header("x-content-type-options") === "nosniff" && header("referrer-policy") === "no-referrer" && header("x-frame-options") === "DENY", path);
    const again = await fetch(SITE + path, { headers: { "if-none-match": header("etag") } });
    ensure(again.status === 304, `${path} again: ${again.status}`);
    const head = await fetch(SITE + path, { method: "HEAD" });
    ensure(head.headers.get("etag") === header("etag"), `HEAD ${path}`);
  }
  for (const path of ["/dashboard/", "/dashboard/mod.rs", "/dashboard/index.html", "/dashboard/../lamplighter.toml", "/dashboard/%2e%2e/x", "/index.html"]) {
    const { status } = await fetch(SITE + path);
    ensure(status === 404, `${path}: ${status}`);
  }
  const posted = await fetch(`${SITE}/`, { method: "POST" });
  ensure(posted.status === 405, `POST /: ${posted.status}`);
}

/**
 * Both languages have the same messages with the same values. A script asks for no message that is missing, and each
 * message is used: a script names it in full, or asks for its family (`t(`role.${name}`)`), and the rest of its name is a
 * word of a script or of the server.
 */
export async function judgeMessages() {
  const load = async (code) => (await import(pathToFileURL(join(SOURCES, `messages_${code}.js`)))).messages;
  const [en, de] = [await load("en"), await load("de")];
  const missing = [...Object.keys(en).filter((key) => !(key in de)), ...Object.keys(de).filter((key) => !(key in en))];
  ensure(missing.length === 0, `in one language only: ${missing}`);
  const places = (text) => [...text.matchAll(/\{\w+\}/g)].map(([place]) => place).sort().join();
  const other = Object.keys(en).filter((key) => places(en[key]) !== places(de[key]) && !key.endsWith(".one"));
  ensure(other.length === 0, `not the same values: ${other}`);
  const scripts = readdirSync(SOURCES).filter((name) => name.endsWith(".js") && !name.startsWith("messages_")).map((name) => ({ file: name, source: readFileSync(join(SOURCES, name), "utf8") }));
  let asked = 0;
  for (const { file, source } of scripts) {
    for (const [, many, key] of source.matchAll(/\bt(n?)\("([^"]+)"/g)) {
      asked += 1;
      for (const whole of many ? [`${key}.one`, `${key}.many`] : [key]) ensure(whole in en, `${file} asks for ${whole}`);
    }
  }
  ensure(asked > 150, `only ${asked} were found`);
  const text = scripts.map(({ source }) => source).join("\n");
  const families = new Set([...text.matchAll(/(?:`|word\(")([a-z-]+)(?:\.\$\{|",)/g)].map(([, family]) => family));
  const server = readdirSync(SERVER, { recursive: true }).filter((name) => name.endsWith(".rs")).map((name) => readFileSync(join(SERVER, name), "utf8")).join("\n");
  const isWord = (word) => [`"${word}"`, `"${word}{`].some((quoted) => text.includes(quoted) || server.includes(quoted));
  const isUsed = (key) => [key, key.replace(/\.(one|many)$/, "")].some((name) => text.includes(`"${name}"`)) || (families.has(key.split(".")[0]) && isWord(key.slice(key.indexOf(".") + 1)));
  const unused = Object.keys(en).filter((key) => !isUsed(key));
  ensure(unused.length === 0, `no page uses ${unused}`);
  return `${Object.keys(en).length} messages`;
}
