// How the board is drawn while 200 keys a second change, most of them visible, and while it is scrolled.

import { api, ensure } from "./browser.mjs";

const SECONDS = 6;
const CHANGES_A_SECOND = 200;
/** What a frame may take for all but one in twenty: generous, as a busy machine draws in software. */
const FRAME_MS_MAX = 50;

/** Measures, and returns the figures in words. */
export async function drawing(page, token, domain) {
  const aors = await page.locator(".key").evaluateAll((keys) => keys.map((key) => key.dataset.aor).filter((aor) => /^\d{4}@/.test(aor)));
  const measured = page.evaluate(measure, SECONDS * 1000);
  const told = await change(token, aors, domain);
  const { frames, work, changed } = await measured;
  const [typical, late, worst] = [0.5, 0.95, 1].map((part) => quantile(frames, part));
  const figures = `${told} changes, ${frames.length} frames; between frames ${typical} ms, 95 %: ${late} ms, at most ${worst} ms; work of a frame ${quantile(work, 0.5)} ms, 95 %: ${quantile(work, 0.95)} ms`;
  ensure(told >= SECONDS * CHANGES_A_SECOND * 0.7, `only ${told} changes`);
  ensure(changed > told / 4, `${figures}; only ${changed} were drawn`);
  ensure(late <= FRAME_MS_MAX, figures);
  return figures;
}

/** Calls begin and end at keys that are shown. */
async function change(token, aors, domain) {
  const batch = CHANGES_A_SECOND / 20;
  const begin = performance.now();
  let told = 0;
  for (let round = 0; performance.now() - begin < SECONDS * 1000; round += 1) {
    const updates = Array.from({ length: batch }, (_, index) => {
      const number = round * batch + index;
      const state = Math.floor(number / aors.length) % 2 === 0 ? "confirmed" : "terminated";
      return { aor: aors[number % aors.length], state, ...(state === "confirmed" ? { party: `sip:${1000 + (number % 900)}@${domain}` } : {}) };
    });
    const { accepted } = await api(token, "POST", "updates", { updates });
    told += accepted;
    const next = begin + (round + 1) * 50;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, next - performance.now())));
  }
  await api(token, "POST", "updates", { updates: aors.map((aor) => ({ aor, state: "terminated" })) });
  return told;
}

/** In the page: the times between frames, the work of each until it is drawn, and how many keys changed. */
function measure(milliseconds) {
  return new Promise((resolve) => {
    const frames = [];
    const work = [];
    let changed = 0;
    const observer = new MutationObserver((records) => {
      changed += records.filter((record) => record.attributeName === "data-lamp" && record.target.classList.contains("key")).length;
    });
    const grid = document.querySelector(".grid-window");
    observer.observe(grid, { subtree: true, attributes: true, attributeFilter: ["data-lamp"] });
    const begin = performance.now();
    let last = begin;
    const frame = () => {
      const now = performance.now();
      frames.push(now - last);
      last = now;
      // A message is delivered after the frame is drawn.
      const channel = new MessageChannel();
      channel.port1.onmessage = () => work.push(performance.now() - now);
      channel.port2.postMessage(0);
      // The last third scrolls.
      if (now - begin > milliseconds * 0.67) grid.scrollTop += 12;
      if (now - begin < milliseconds) requestAnimationFrame(frame);
      else {
        observer.disconnect();
        grid.scrollTop = 0;
        resolve({ frames: frames.slice(1), work, changed });
      }
    };
    requestAnimationFrame(frame);
  });
}

function quantile(values, part) {
  const sorted = [...values].sort((one, other) => one - other);
  return Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN) * 10) / 10;
}
