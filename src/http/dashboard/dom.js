// Elements of the page. All text goes through text nodes, so nothing that a peer wrote becomes markup.

/**
 * Makes an element: `el("button.primary", {type: "button", onclick: save}, "Save")`.
 * @param {string} kind its name, with classes behind dots
 * @param {Record<string, any>} [attributes] `on...` is a listener; false and null leave an attribute out
 * @param {...any} children nodes, texts, or lists of them; null is left out
 * @returns {any}
 */
export function el(kind, attributes = {}, ...children) {
  const [name, ...classes] = kind.split(".");
  const element = document.createElement(name);
  if (classes.length > 0) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "value") element.value = value;
    else set(element, key, value);
  }
  element.append(...nodes(children));
  return element;
}

/** Sets an attribute, or removes it: `true` is an empty one, false and null are none. */
export function set(element, name, value) {
  if (value === false || value == null) element.removeAttribute(name);
  else element.setAttribute(name, value === true ? "" : String(value));
}

/** Replaces what is inside an element. */
export function fill(element, ...children) {
  element.replaceChildren(...nodes(children));
  return element;
}

/** Sets the text of an element, if it is another one: an unchanged element is not drawn again. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function nodes(children) {
  return children.flat(Infinity).filter((child) => child != null && child !== false);
}

/** An `<option>` for each pair of value and text. */
export function options(pairs, chosen) {
  return pairs.map(([value, text]) => el("option", { value, selected: value === chosen }, text));
}

let numbers = 0;
/** A control with its visible label. */
export function labelled(text, control) {
  control.id ||= `control-${(numbers += 1)}`;
  return el("div.field", {}, el("label", { for: control.id }, text), control);
}

/** Tells a screen reader something when it has finished what it says. */
export function announce(text) {
  const announcer = document.getElementById("announcer");
  if (announcer) announcer.textContent = text;
}

/** Runs `task` at most once in `milliseconds`, and once more after the last call. `cancel` forgets a call. */
export function throttled(task, milliseconds) {
  let timer = 0;
  const run = () => {
    timer ||= setTimeout(() => {
      timer = 0;
      task();
    }, milliseconds);
  };
  run.cancel = () => clearTimeout(timer);
  return run;
}

/** Runs `task` once the calls have paused for `milliseconds`. */
export function debounced(task, milliseconds) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => task(...values), milliseconds);
  };
}
