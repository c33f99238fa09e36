// The keys that the user pinned to the top of the board. The browser stores them.

const KEY = "lamplighter.pins";

const pinned = new Set(read());

function read() {
  try {
    const list = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(list) ? list.map(String) : [];
  } catch {
    return [];
  }
}

export const has = (aor) => pinned.has(aor);

/** Pins a key, or unpins it. Returns true if it is now pinned. */
export function toggle(aor) {
  if (!pinned.delete(aor)) pinned.add(aor);
  localStorage.setItem(KEY, JSON.stringify([...pinned]));
  return pinned.has(aor);
}
