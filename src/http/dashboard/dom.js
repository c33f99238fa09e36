// Elements of the page. All text goes into text nodes, so text from a SIP peer never becomes markup.

/**
 * Makes an element: `el("button.primary", {type: "button", onclick: save}, "Save")`.
 * @param {string} kind its name, then its classes, separated by dots
 * @param {Record<string, any>} [attributes] `on...` is a listener; false and null omit an attribute
 * @param {...any} children nodes, texts, or lists of them; null and false are omitted
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

/** Sets an attribute. `true` sets it without a value; false and null remove it. */
export function set(element, name, value) {
  if (value === false || value == null) element.removeAttribute(name);
  else element.setAttribute(name, value === true ? "" : String(value));
}

/** Replaces the content of an element. */
export function fill(element, ...children) {
  element.replaceChildren(...nodes(children));
  return element;
}

/** Sets the text of an element if it differs, so the browser does not draw an unchanged element again. */
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

/** Has a screen reader speak a text, after what it is speaking. */
export function announce(text) {
  const announcer = document.getElementById("announcer");
  if (announcer) announcer.textContent = text;
}

/** Runs `task` `milliseconds` after the first call, once for all calls until then. `cancel` drops a pending run. */
export function throttled(task, milliseconds) {
  let timer = 0;
  const run = () => {
    timer ||= setTimeout(() => {
      timer = 0;
      task();
    }, milliseconds);
  };
  run.cancel = () => {
    clearTimeout(timer);
    timer = 0;
  };
  return run;
}

/** Runs `task` when no call has come for `milliseconds`. */
export function debounced(task, milliseconds) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => task(...values), milliseconds);
  };
}
