// Requests to the API below /api/v1. A refusal becomes an `ApiError`, which says in words what is wrong.
// The token is in a cookie that no script can read.

import { t, has } from "./language.js";

const PREFIX = "/api/v1/";

/** A request that did not succeed: a problem of RFC 9457, or no response. */
export class ApiError extends Error {
  /** @param {number} status 0 if there was no response */
  constructor(status, problem) {
    super(problem?.detail ?? "");
    this.status = status;
    /** The last word of the problem's type: it does not change. */
    this.kind = String(problem?.type ?? "").split(/[/:#]/).pop() || (status === 0 ? "unreachable" : "unknown");
    this.errors = problem?.errors ?? [];
  }

  /** What happened, in the user's language; details are in the server's words. */
  words() {
    const title = has(`problem.${this.kind}`) ? t(`problem.${this.kind}`) : t("problem.unknown", { status: this.status });
    const details = this.errors.map((error) => `${error.pointer ?? error.parameter ?? ""} ${error.detail}`.trim());
    const detail = details.join("; ") || this.message;
    return detail ? `${title} (${detail})` : title;
  }
}

/** What to do when the session is over; set by app.js. */
export const hooks = { onUnauthenticated: () => {} };

async function request(method, path, { query = {}, body } = {}) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value != null && value !== "") parameters.append(name, String(value));
  }
  const text = parameters.size > 0 ? `?${parameters}` : "";
  const headers = { accept: "application/json" };
  // Only our own page can set it: a page of another site cannot change anything with our cookie.
  if (method !== "GET") headers["lamplighter-dashboard"] = "1";
  if (body !== undefined) headers["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(PREFIX + path + text, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new ApiError(0, null);
  }
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

/** A path with parts that may hold any character. */
export const path = (parts, ...values) => parts.reduce((text, part, index) => text + encodeURIComponent(values[index - 1]) + part);

/** All items of a list that comes in pages; at most `pages` of them. `complete` tells whether that was all. */
export async function all(name, query, pages = 20) {
  const items = [];
  let cursor;
  for (let page = 0; page < pages; page += 1) {
    const answer = await get(name, { ...query, limit: 10000, cursor });
    items.push(...answer.items);
    cursor = answer.next;
    if (cursor == null) return { items, complete: true };
  }
  return { items, complete: false };
}

/** The server's metrics as a list of name, labels and value. They need no token. */
export async function metrics() {
  let response;
  try {
    response = await fetch("/metrics", { headers: { accept: "text/plain" } });
  } catch {
    throw new ApiError(0, null);
  }
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
