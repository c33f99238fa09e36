// Light or dark: as the system has it, unless the user chooses. The choice is remembered.

const KEY = "lamplighter.theme";
const THEMES = ["system", "light", "dark"];

export const theme = () => {
  const remembered = localStorage.getItem(KEY);
  return THEMES.includes(remembered) ? remembered : "system";
};

/** Whether the page is dark now. */
export const isDark = () =>
  theme() === "dark" || (theme() === "system" && matchMedia("(prefers-color-scheme: dark)").matches);

/** Charts draw with the colours of the theme; they ask to be told when it changes. */
const listeners = new Set();
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

/** A colour of the theme by its name in style.css. */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
