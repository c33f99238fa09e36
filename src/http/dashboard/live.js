// The states of a domain as they are now: a list of its addresses, then every change by server-sent events.
//
// `reset` says that what is known may be outdated: the list is read again, and changes that come meanwhile
// are applied after it. Listeners hear of changes once for each frame that the browser draws, not for each
// change; in a hidden tab they hear of nothing until it is seen again.

import { all, get, hooks } from "./api.js";

/** Time before the events are asked for again, when the browser has given up. */
const RETRY_MS = 3000;

/**
 * @typedef {{aor: string, name: string, availability: string, basic: string, lamp: string, status: ?string,
 *   telephony: ?string, rich: ?string, party: ?string, note: ?string, kind: string, groups: string[],
 *   began: ?number}} State  `began` is when the call was first seen, in milliseconds since 1970
 */

export class Live {
  /** @param {string} domain */
  constructor(domain) {
    this.domain = domain;
    /** @type {Map<string, State>} */
    this.states = new Map();
    /** `loading`, `live`, `lost` */
    this.status = "loading";
    this.problem = null;
    this.listeners = new Set();
    this.changed = new Set();
    /** Whether the list was read; and whether listeners must look at all of it. */
    this.isLoaded = false;
    this.isWhole = false;
    this.frame = 0;
    this.retry = 0;
    this.waiting = null;
    this.connect();
  }

  /**
   * Calls `listener` with the set of addresses that changed, or with null when any may have.
   * @returns {() => void} what ends it
   */
  listen(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  close() {
    this.source?.close();
    clearTimeout(this.retry);
    cancelAnimationFrame(this.frame);
    this.listeners.clear();
  }

  connect() {
    const source = new EventSource(`/api/v1/events?domain=${encodeURIComponent(this.domain)}`);
    this.source = source;
    source.addEventListener("reset", () => this.reload());
    source.addEventListener("ready", () => this.become("live"));
    source.addEventListener("open", () => this.isLoaded && this.become("live"));
    source.addEventListener("state", (event) => this.take(JSON.parse(event.data)));
    source.addEventListener("note", (event) => this.take(JSON.parse(event.data)));
    source.addEventListener("error", () => {
      this.become("lost");
      // Otherwise the browser connects again by itself.
      if (source.readyState === EventSource.CLOSED) this.retryLater();
    });
  }

  retryLater() {
    clearTimeout(this.retry);
    this.retry = setTimeout(async () => {
      try {
        await get("session");
        this.connect();
      } catch (error) {
        if (error.status === 401) hooks.onUnauthenticated();
        else this.retryLater();
      }
    }, RETRY_MS);
  }

  /** Reads the list again. */
  async reload() {
    const waiting = [];
    this.waiting = waiting;
    try {
      const { items } = await all("presence", { domain: this.domain });
      // Another reset came meanwhile: its list is newer.
      if (this.waiting !== waiting) return;
      const before = this.states;
      this.states = new Map(items.map((item) => [item.aor, withBegin(item, before.get(item.aor))]));
      this.waiting = null;
      this.isLoaded = true;
      this.problem = null;
      for (const change of waiting) this.take(change);
      this.isWhole = true;
      this.become("live");
    } catch (error) {
      this.problem = error;
      this.become("lost");
      this.source.close();
      this.retryLater();
    }
  }

  take(change) {
    if (this.waiting) {
      this.waiting.push(change);
      return;
    }
    const before = this.states.get(change.aor);
    const { kind, groups } = before ?? { kind: "other", groups: [] };
    this.states.set(change.aor, withBegin({ ...change, kind, groups }, before));
    if (before) this.changed.add(change.aor);
    else this.isWhole = true;
    this.tellSoon();
  }

  become(status) {
    this.status = this.isLoaded || status !== "live" ? status : "loading";
    this.tellSoon();
  }

  tellSoon() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      const changed = this.isWhole ? null : this.changed;
      this.changed = new Set();
      this.isWhole = false;
      for (const listener of this.listeners) listener(changed);
    });
  }
}

/** A state with the time at which its call was first seen. */
function withBegin(state, before) {
  let began = null;
  if (state.lamp !== "terminated") {
    if (state.call_seconds != null) began = Date.now() - state.call_seconds * 1000;
    else began = before?.began ?? Date.now();
  }
  return { ...state, began };
}
