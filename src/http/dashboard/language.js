// The languages of the dashboard. The language of the browser applies until the user chooses another, which the browser
// stores.

import { messages as de } from "./messages_de.js";
import { messages as en } from "./messages_en.js";

const LANGUAGES = { en, de };
const KEY = "lamplighter.language";

/** The name of each language in that language, by its code. */
export const NAMES = { en: "English", de: "Deutsch" };

let chosen = initial();

function initial() {
  const remembered = localStorage.getItem(KEY);
  if (remembered && remembered in LANGUAGES) return remembered;
  const wanted = (navigator.languages ?? [navigator.language]).map((name) => name.slice(0, 2).toLowerCase());
  return wanted.find((name) => name in LANGUAGES) ?? "en";
}

export const language = () => chosen;

/** The chosen language with the region of the browser, for the format of times and numbers. */
export const locale = () => (navigator.languages ?? []).find((name) => name.startsWith(chosen)) ?? chosen;

export function choose(name) {
  chosen = name in LANGUAGES ? name : "en";
  localStorage.setItem(KEY, chosen);
  document.documentElement.lang = chosen;
}

export const has = (key) => key in LANGUAGES[chosen];

/**
 * A message in the chosen language, with `{name}` replaced.
 * @param {string} key
 * @param {Record<string, any>} [values]
 */
export function t(key, values = {}) {
  const text = LANGUAGES[chosen][key] ?? LANGUAGES.en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

/** A message with a singular and a plural: `key.one` and `key.many`. */
export function tn(key, count, values = {}) {
  return t(`${key}.${count === 1 ? "one" : "many"}`, { ...values, n: number(count) });
}

/** A number with the separators of the language. */
export const number = (value, digits = 0) =>
  new Intl.NumberFormat(locale(), { maximumFractionDigits: digits }).format(value);
