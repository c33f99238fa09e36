// The current states of a domain: the list of its addresses, then every change by server-sent events.
//
// The event `reset` says that known states may be outdated. Then the list is read again, and changes that arrive
// meanwhile are applied after it. Listeners are called once for each frame that the browser draws, not for each
// change; in a hidden tab they are called when the tab is shown again.

import { all, get, hooks } from "./api.js";
import { userOf } from "./format.js";

/** Time until a new connection, when the browser does not connect again by itself. */
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
    /** Whether the list was read. */
    this.isLoaded = false;
    /** What the listeners are told next: the addresses that changed, or that any may have. */
    this.changed = new Set();
    this.isWhole = false;
    this.frame = 0;
    this.retry = 0;
    /** The changes since the list was asked for, until it is read; else null. */
    this.waiting = null;
    /** The states by name, until an address or a name is added. */
    this.sorted = null;
    this.isClosed = false;
    this.connect();
  }

  /**
   * Calls `listener` with the set of addresses that changed, or with null if any may have changed.
   * @returns {() => void} what ends it
   */
  listen(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** The addresses in the order of their names. */
  aorsByName() {
    this.sorted ??= [...this.states.values()].sort((one, other) => collator.compare(one.name, other.name)).map((state) => state.aor);
    return this.sorted;
  }

  close() {
    this.isClosed = true;
    this.source?.close();
    clearTimeout(this.retry);
    cancelAnimationFrame(this.frame);
    this.listeners.clear();
  }

  connect() {
    const source = new EventSource(`/api/v1/events?domain=${encodeURIComponent(this.domain)}`);
    this.source = source;
    source.addEventListener("reset", () => this.reload());
    source.addEventListener("open", () => this.isLoaded && this.become("live"));
    source.addEventListener("state", (event) => this.take(JSON.parse(event.data)));
    source.addEventListener("note", (event) => this.take(JSON.parse(event.data)));
    source.addEventListener("error", () => {
      this.become("lost");
      // In any other state the browser connects again by itself.
      if (source.readyState === EventSource.CLOSED) this.retryLater();
    });
  }

  retryLater() {
    clearTimeout(this.retry);
    if (this.isClosed) return;
    this.retry = setTimeout(async () => {
      try {
        await get("session");
        if (!this.isClosed) this.connect();
      } catch (error) {
        if (this.isClosed) return;
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
      const items = await all("presence", { domain: this.domain });
      // After another reset, the list of that one is newer.
      if (this.waiting !== waiting) return;
      const before = this.states;
      this.states = new Map(items.map((item) => [item.aor, withBegin(item, before.get(item.aor))]));
      this.sorted = null;
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
    if (before?.name !== change.name) this.sorted = null;
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

const collator = new Intl.Collator(undefined, { numeric: true });

/** Whether the name, the user part or the note of a state contains a text in lower case. */
export const matches = ({ name, aor, note }, text) => [name, userOf(aor), note ?? ""].some((part) => part.toLowerCase().includes(text));

/** A state with the time at which its call was first seen. */
function withBegin(state, before) {
  let began = null;
  if (state.lamp !== "terminated") {
    if (state.call_seconds != null) began = Date.now() - state.call_seconds * 1000;
    else began = before?.began ?? Date.now();
  }
  return { ...state, began };
}
