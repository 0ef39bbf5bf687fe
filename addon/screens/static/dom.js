/* Elements: how they are made and kept up to date. Text is only ever set as text; a poll's new tree is laid over the old one,
 * so that focus, selection and scroll positions survive. */

import { keepingFocus } from "./focus.js";

export { focusOn } from "./focus.js";

const BOOLEAN = new Set(["disabled", "checked", "selected", "hidden", "required", "readonly", "open", "multiple"]);

/* Make an element: h("button", {class: "primary", onclick: start}, "Start"). Children may be nested arrays; null and
 * false are left out. Handlers live on the element, where morph() can renew them. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) set(element, name, value);
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

function set(element, name, value) {
  if (name.startsWith("on")) {
    listen(element, name.slice(2), value);
  } else if (BOOLEAN.has(name)) {
    element.toggleAttribute(name, Boolean(value));
  } else if (value !== null && value !== undefined && value !== false) {
    element.setAttribute(name, value === true ? "" : String(value));
  }
}

function listen(element, type, handler) {
  element.handlers = element.handlers || {};
  if (!(type in element.handlers)) {
    element.addEventListener(type, (event) => element.handlers[type] && element.handlers[type](event));
  }
  element.handlers[type] = handler;
}

/* Make the children of `target` equal to `wanted`, keeping every node that can stay: one with a data-key wherever it
 * goes, others in their place. What is inside an element with data-keep is left alone; the policy on styles forbids the
 * style attribute, hence cssText. */
export function morph(target, ...wanted) {
  const next = wanted.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
  const fresh = next.map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
  keepingFocus(target, () => lay(target, fresh));
}

function lay(target, fresh) {
  const wanted = new Set(fresh.map(keyOf));
  let old = target.firstChild;
  const drop = () => {
    const gone = old;
    old = old.nextSibling;
    gone.remove();
  };
  for (const node of fresh) {
    while (old && keyOf(old) && !wanted.has(keyOf(old))) drop();
    if (old && same(old, node)) {
      const kept = old;
      old = old.nextSibling;
      update(kept, node);
      continue;
    }
    const moved = keyOf(node) ? later(old, node) : null;
    target.insertBefore(moved || node, old);
    if (moved) update(moved, node);
    else if (old && !keyOf(old) && !keyOf(node)) drop();
  }
  while (old) drop();
}

const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.dataset.key : undefined);

/* The node from `old` on that `node` is a new state of. */
function later(old, node) {
  for (let each = old; each; each = each.nextSibling) if (same(each, node)) return each;
  return null;
}

function same(old, node) {
  if (old.nodeType !== node.nodeType || old.nodeName !== node.nodeName) return false;
  return old.nodeType !== Node.ELEMENT_NODE || (old.dataset.key === node.dataset.key && old.getAttribute("type") === node.getAttribute("type"));
}

function update(old, node) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== node.data) old.data = node.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    const holdsFocus = name === "tabindex" && old === document.activeElement;
    if (!node.hasAttribute(name) && !holdsFocus) old.removeAttribute(name);
  }
  for (const { name, value } of [...node.attributes]) {
    if (old.getAttribute(name) === value) continue;
    if (name === "style") old.style.cssText = value;
    else old.setAttribute(name, value);
  }
  for (const type of Object.keys(old.handlers || {})) if (!(type in (node.handlers || {}))) old.handlers[type] = null;
  for (const [type, handler] of Object.entries(node.handlers || {})) listen(old, type, handler);
  if ("keep" in node.dataset) return;
  lay(old, [...node.childNodes]);
}

/* Say something to a screen reader without moving the focus. */
export function announce(text) {
  const place = document.getElementById("announcer");
  if (place && place.textContent !== text) place.textContent = text;
}
