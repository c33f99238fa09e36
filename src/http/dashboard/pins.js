// The people who are pinned to the top of the board, remembered in this browser.

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

/** Pins or unpins; true if pinned now. */
export function toggle(aor) {
  if (!pinned.delete(aor)) pinned.add(aor);
  localStorage.setItem(KEY, JSON.stringify([...pinned]));
  return pinned.has(aor);
}
