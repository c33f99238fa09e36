// Light or dark: the system's choice, unless the user chooses. The browser stores the user's choice.

const KEY = "lamplighter.theme";
const THEMES = ["system", "light", "dark"];

export const theme = () => {
  const remembered = localStorage.getItem(KEY);
  return THEMES.includes(remembered) ? remembered : "system";
};

/** Whether the page is dark now. */
const isDark = () =>
  theme() === "dark" || (theme() === "system" && matchMedia("(prefers-color-scheme: dark)").matches);

const listeners = new Set();
/** Charts draw with the colours of the theme, so they listen for its changes. Returns what ends it. */
export function onTheme(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function chooseTheme(name) {
  localStorage.setItem(KEY, name);
  apply();
}

export function apply() {
  document.documentElement.dataset.theme = isDark() ? "dark" : "light";
  for (const listener of listeners) listener();
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);

/** A colour of the theme, by the name of its variable in style.css. */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
