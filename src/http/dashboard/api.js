// Requests to the API below /api/v1. A refused request throws an `ApiError`, which says in words what is wrong.
// The token is in a cookie that no script can read.

import { t, has } from "./language.js";

const PREFIX = "/api/v1/";
/** Pages, of 10,000 items each, that `all` reads of one list. */
const PAGES_MAX = 20;

/** A failed request: the server responded with a problem (RFC 9457), or did not respond. */
class ApiError extends Error {
  /** @param {number} status 0 if the server did not respond */
  constructor(status, problem) {
    super(problem?.detail ?? "");
    this.status = status;
    /** The last part of the problem's type, which stays the same across releases. */
    this.kind = String(problem?.type ?? "").split(/[/:#]/).pop() || (status === 0 ? "unreachable" : "unknown");
    this.errors = problem?.errors ?? [];
  }

  /** The problem in the user's language, with the details in the server's words. */
  words() {
    const title = has(`problem.${this.kind}`) ? t(`problem.${this.kind}`) : t("problem.unknown", { status: this.status });
    const details = this.errors.map(({ pointer, parameter, detail }) => [pointer?.replace(/^#\/?/, "") || parameter, detail].filter(Boolean).join(": "));
    const detail = details.join("; ") || this.message;
    return detail ? `${title} (${detail})` : title;
  }
}

/** What an error says to the user; an error that is not of the API is a fault of the page. */
export const wordsOf = (error) => (error instanceof ApiError ? error.words() : String(error));

/** What happens when the session has ended; app.js sets it. */
export const hooks = { onUnauthenticated: () => {} };

async function send(url, options) {
  try {
    return await fetch(url, options);
  } catch {
    throw new ApiError(0, null);
  }
}

async function request(method, path, { query = {}, body } = {}) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value != null && value !== "") parameters.append(name, String(value));
  }
  const text = parameters.size > 0 ? `?${parameters}` : "";
  const headers = { accept: "application/json" };
  // A page of another site cannot set this header, so it cannot change anything with our cookie.
  if (method !== "GET") headers["lamplighter-dashboard"] = "1";
  if (body !== undefined) headers["content-type"] = "application/json";
  const response = await send(PREFIX + path + text, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const isJson = (response.headers.get("content-type") ?? "").includes("json");
  const json = isJson ? await response.json() : null;
  if (response.ok) return json;
  const error = new ApiError(response.status, json);
  if (error.status === 401 && path !== "session") hooks.onUnauthenticated();
  throw error;
}

export const get = (path, query) => request("GET", path, { query });
export const post = (path, body, query) => request("POST", path, { body, query });
export const put = (path, body) => request("PUT", path, { body });
export const remove = (path) => request("DELETE", path);

/** Tag of a template for a path: encodes each value, which may contain any character. */
export const path = (parts, ...values) => parts.reduce((text, part, index) => text + encodeURIComponent(values[index - 1]) + part);

/** The items of a list that comes in pages, of the first `PAGES_MAX` pages. */
export async function all(name, query) {
  const items = [];
  let cursor;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const answer = await get(name, { ...query, limit: 10000, cursor });
    items.push(...answer.items);
    cursor = answer.next;
    if (cursor == null) break;
  }
  return items;
}

/** The server's metrics as a list of name, labels and value. Reading them needs no token. */
export async function metrics() {
  const response = await send("/metrics", { headers: { accept: "text/plain" } });
  if (!response.ok) throw new ApiError(response.status, null);
  const rows = [];
  for (const line of (await response.text()).split("\n")) {
    const match = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!match) continue;
    const labels = Object.fromEntries([...(match[2] ?? "").matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]));
    rows.push({ name: match[1], labels, value: Number(match[3]) });
  }
  return rows;
}
