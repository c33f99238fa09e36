// Test subscriptions of the diagnostics page (W:D3.12): follow the state of single users by server-sent events. Each
// ends by itself after a minute. All of a page share one connection.

import { get, path } from "./api.js";

/** How long a test subscription lasts. */
const DURATION_MS = 60_000;

export class TestSubscriptions {
  /**
   * @param {(aor: string, state: import("./live.js").State) => void} onState is told the state of a user, at the
   *   beginning and whenever it changes
   * @param {(aor: string) => void} onEnd
   */
  constructor(onState, onEnd) {
    this.onState = onState;
    this.onEnd = onEnd;
    /** When each ends, by address, and the timer for that. */
    this.running = new Map();
  }

  /** Begins one. Returns when it ends, in milliseconds since 1970. */
  begin(aor) {
    const timer = setTimeout(() => this.end(aor), DURATION_MS);
    const until = Date.now() + DURATION_MS;
    this.running.set(aor, { until, timer });
    this.connect();
    return until;
  }

  /** When the one of a user ends; undefined if there is none. */
  until(aor) {
    return this.running.get(aor)?.until;
  }

  end(aor) {
    clearTimeout(this.running.get(aor)?.timer);
    if (!this.running.delete(aor)) return;
    this.connect();
    this.onEnd(aor);
  }

  close() {
    this.source?.close();
    for (const { timer } of this.running.values()) clearTimeout(timer);
    this.running.clear();
  }

  connect() {
    this.source?.close();
    if (this.running.size === 0) return;
    const query = new URLSearchParams([...this.running.keys()].map((aor) => ["aor", aor]));
    const source = new EventSource(`/api/v1/events?${query}`);
    this.source = source;
    // A user without state has no event: the server is asked.
    source.addEventListener("reset", () => [...this.running.keys()].forEach((aor) => this.read(aor)));
    for (const kind of ["state", "note"]) {
      source.addEventListener(kind, (event) => this.take(JSON.parse(event.data)));
    }
  }

  async read(aor) {
    try {
      this.take(await get(path`presence/${aor}`));
    } catch {
      // The connection begins again by itself, and asks then.
    }
  }

  take(state) {
    if (this.running.has(state.aor)) this.onState(state.aor, state);
  }
}
