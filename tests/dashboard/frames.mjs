// The time of frames while 200 keys a second change, most of them visible, and while the board scrolls.

import { api, ensure } from "./browser.mjs";

const SECONDS = 6;
const CHANGES_A_SECOND = 200;
/** Time between two frames, for 95 % of them. Generous, because a busy machine draws in software. */
const FRAME_MS_MAX = 50;
/** Work of a typical frame: 60 frames a second leave 16 ms. */
const WORK_MS_MAX = 16;

/** Measures frames, and returns the figures in words. */
export async function drawing(page, token, domain) {
  const aors = await page.locator(".key").evaluateAll((keys) => keys.map((key) => key.dataset.aor).filter((aor) => /^\d{4}@/.test(aor)));
  const measured = page.evaluate(measure, SECONDS * 1000);
  const count = await change(token, aors, domain);
  const { frames, work, changed } = await measured;
  const [typicalWork, lateWork] = [0.5, 0.95].map((part) => quantile(work, part));
  const [typical, late, worst] = [0.5, 0.95, 1].map((part) => quantile(frames, part));
  const figures = `${count} changes, ${frames.length} frames; between frames ${typical} ms, 95 %: ${late} ms, at most ${worst} ms; work of a frame ${typicalWork} ms, 95 %: ${lateWork} ms`;
  ensure(count >= SECONDS * CHANGES_A_SECOND * 0.7, `only ${count} changes`);
  ensure(changed > count / 4, `${figures}; only ${changed} were drawn`);
  ensure(late <= FRAME_MS_MAX && typicalWork <= WORK_MS_MAX, figures);
  return figures;
}

/** Has calls begin and end at visible keys. Returns the number of changes. */
async function change(token, aors, domain) {
  const batch = CHANGES_A_SECOND / 20;
  const begin = performance.now();
  let count = 0;
  for (let round = 0; performance.now() - begin < SECONDS * 1000; round += 1) {
    const updates = Array.from({ length: batch }, (_, index) => {
      const number = round * batch + index;
      const state = Math.floor(number / aors.length) % 2 === 0 ? "confirmed" : "terminated";
      return { aor: aors[number % aors.length], state, ...(state === "confirmed" ? { party: `sip:${1000 + (number % 900)}@${domain}` } : {}) };
    });
    const { accepted } = await api(token, "POST", "updates", { updates });
    count += accepted;
    const next = begin + (round + 1) * 50;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, next - performance.now())));
  }
  await api(token, "POST", "updates", { updates: aors.map((aor) => ({ aor, state: "terminated" })) });
  return count;
}

/** Runs in the page. Returns the times between frames, the work of each until it is drawn, and how many keys changed. */
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
      // The browser delivers a message after it has drawn the frame.
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
