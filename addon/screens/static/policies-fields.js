/* One field of the draft, with its label, its help and its mistake, all of which a screen reader reads out. */

import { announce, h } from "./dom.js";
import { button } from "./parts.js";
import { fieldId } from "./policies-draft.js";

/* A control with its label. `make` gets the attributes that tie them together and returns the control. `whole` shows what
 * is wrong with the owner as such here too. */
export function labelled(screen, owner, name, { label, help, wide, hidden, whole, trouble }, make) {
  const id = fieldId(owner, name);
  const error = trouble || screen.draft.error(owner, name) || (whole && screen.draft.error(owner, ""));
  const notice = !error && screen.draft.notice(owner, name);
  const described = [help && `${id}-help`, error && `${id}-error`, notice && `${id}-notice`].filter(Boolean).join(" ");
  const attributes = { id, "aria-describedby": described || null, "aria-invalid": error ? "true" : null };
  return h(
    "div",
    { class: `field${wide ? " field-wide" : ""}`, "data-key": `${id}-${screen.draft.generation}` },
    h("label", { for: id, class: hidden ? "visually-hidden" : null }, label),
    make(attributes),
    error && h("p", { class: "field-error", id: `${id}-error` }, error.detail),
    notice && h("p", { class: "field-notice", id: `${id}-notice` }, `${notice.detail}.`),
    help && h("p", { class: "field-help", id: `${id}-help` }, help),
  );
}

/* Every key changes the draft; the screen is drawn again only when that shows. */
export function typed(screen, owner, name, value, optional) {
  const before = screen.draft.dirty();
  if (optional && value.trim() === "") delete owner[name];
  else owner[name] = value;
  if (screen.draft.fix(owner, name) || screen.draft.dirty() !== before) screen.draw();
}

export function textField(screen, owner, name, { optional = false, maxlength = 120, placeholder, code, ...options }) {
  return labelled(screen, owner, name, options, (attributes) =>
    h("input", {
      type: "text",
      value: owner[name] || "",
      maxlength,
      placeholder,
      class: code ? "code" : null,
      spellcheck: code ? "false" : null,
      autocomplete: "off",
      oninput: (event) => typed(screen, owner, name, event.target.value, optional),
      onchange: () => screen.draw(),
      ...attributes,
    }),
  );
}

export function areaField(screen, owner, name, { rows = 2, maxlength = 1000, ...options }) {
  return labelled(screen, owner, name, options, (attributes) =>
    h(
      "textarea",
      { rows, maxlength, class: "area", oninput: (event) => typed(screen, owner, name, event.target.value), onchange: () => screen.draw(), ...attributes },
      owner[name] || "",
    ),
  );
}

/* `choices` are [value, text, disabled]; "" leaves the field out of the document. */
export function choiceField(screen, owner, name, { choices, onchosen, ...options }) {
  return labelled(screen, owner, name, options, (attributes) =>
    h(
      "select",
      {
        onchange: (event) => {
          if (event.target.value === "") delete owner[name];
          else owner[name] = event.target.value;
          screen.draft.fix(owner, name);
          if (onchosen) onchosen();
          screen.draw();
        },
        ...attributes,
      },
      choices.map(([value, text, disabled]) => h("option", { value, disabled, selected: value === (owner[name] || "") }, text)),
    ),
  );
}

export function switchField(screen, owner, name, label, help) {
  const id = fieldId(owner, name);
  return h(
    "div",
    { class: "switch", "data-key": `${id}-${screen.draft.generation}` },
    h("input", {
      type: "checkbox",
      role: "switch",
      id,
      checked: Boolean(owner[name]),
      "aria-describedby": `${id}-help`,
      onchange: (event) => {
        owner[name] = event.target.checked;
        screen.draw();
      },
    }),
    h("div", {}, h("label", { for: id }, label), h("p", { class: "field-help", id: `${id}-help` }, help)),
  );
}

/* Move up, move down, remove. The focus goes with what is moved; after a removal to what took its place. */
export function orderButtons(screen, list, part, { name, last = list.length - 1, empty, remove = true }) {
  const index = list.indexOf(part);
  const id = fieldId(part, "order");
  const move = (by) => {
    [list[index], list[index + by]] = [list[index + by], list[index]];
    screen.draw();
    const wanted = document.getElementById(`${id}-${by < 0 ? "up" : "down"}`);
    (wanted.disabled ? document.getElementById(`${id}-${by < 0 ? "down" : "up"}`) : wanted).focus();
    announce(`${name} is now at position ${index + by + 1} of ${last + 1}`);
  };
  const drop = () => {
    list.splice(index, 1);
    screen.draw();
    announce(`${name} removed`);
    const next = list[Math.min(index, list.length - 1)];
    const place = next && document.getElementById(`${fieldId(next, "order")}-drop`);
    (place || document.getElementById(empty)).focus();
  };
  return h(
    "div",
    { class: "order" },
    last > 0 && button("↑", () => move(-1), { kind: "icon", id: `${id}-up`, disabled: index === 0, "aria-label": `Move ${name} up`, title: "Move up" }),
    last > 0 && button("↓", () => move(1), { kind: "icon", id: `${id}-down`, disabled: index >= last, "aria-label": `Move ${name} down`, title: "Move down" }),
    remove && button("Remove", drop, { kind: "subtle", id: `${id}-drop`, "aria-label": `Remove ${name}` }),
  );
}
