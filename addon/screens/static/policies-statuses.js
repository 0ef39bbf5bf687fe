/* The statuses, listed with where they are used; made, changed and deleted in a dialog. */

import { ask } from "./dialogs.js";
import { announce, focusOn, h } from "./dom.js";
import { button, paragraph } from "./parts.js";
import { copyOf, fieldId, keyOf, slugOf } from "./policies-draft.js";
import { COLOURS, ICONS, icon, statusBadge } from "./policies-icons.js";
import { rulesNaming, schemesWith } from "./policies-usage.js";

export function statusesView(screen) {
  const { doc } = screen.draft;
  return [
    h(
      "div",
      { class: "section-head" },
      h("h2", { id: "statuses-title" }, "Statuses"),
      button("Create status", () => edit(screen, null), { id: "create-status" }),
    ),
    paragraph("A status has a name, an icon and a colour. Status schemes say which pages and posts have it. A deleted status's id is never used again."),
    h("ul", { class: "rows", "aria-labelledby": "statuses-title" }, doc.statuses.map((status) => row(screen, status))),
  ];
}

function row(screen, status) {
  const { draft } = screen;
  const errors = draft.errors.filter((error) => error.owner === status);
  return h(
    "li",
    { class: "row", "data-key": `${keyOf(status)}-${draft.generation}`, "data-status": status.id },
    h(
      "div",
      { class: "row-words" },
      h("h3", {}, statusBadge(status), h("code", { class: "row-id" }, status.id)),
      status.description && h("p", {}, status.description),
      h("p", { class: "row-used" }, "Used in: ", used(screen, status)),
      errors.map((error) => h("p", { class: "field-error" }, error.detail)),
    ),
    h(
      "div",
      { class: "row-buttons" },
      button("Edit", () => edit(screen, status), { kind: "subtle", id: fieldId(status, "name"), "aria-label": `Edit ${status.name}` }),
      button("Delete", () => remove(screen, status), { kind: "subtle", "aria-label": `Delete ${status.name}` }),
    ),
  );
}

const schemeLink = (scheme, index) => [index > 0 && ", ", h("a", { href: `#/policies/schemes/${scheme.id}` }, scheme.name)];

function used(screen, status) {
  const { doc, factory } = screen.draft;
  const schemes = schemesWith(doc, status.id);
  const rules = rulesNaming(doc, status.id, factory.namespace);
  if (!schemes.length && !rules.length) return "nothing";
  return [schemes.map(schemeLink), rules.map((name, index) => `${schemes.length + index ? ", " : ""}${name}`)];
}

async function edit(screen, status) {
  const { draft } = screen;
  const made = status ? copyOf(status) : { id: "", name: "", description: "", colour: "#22a06b", icon: "circle" };
  const saved = await ask({
    title: status ? `Edit ${status.name}` : "Create status",
    content: form(made, status),
    label: status ? "Apply" : "Create",
    act: () => {
      made.name = made.name.trim();
      const twin = draft.doc.statuses.find((each) => each !== status && each.name.toLowerCase() === made.name.toLowerCase());
      if (!made.name) throw { title: "A name is missing", detail: "Give the status a name." };
      if (twin) throw { title: "This name is taken", detail: `There is a status ${twin.name} already.` };
      return true;
    },
  });
  if (!saved) return;
  if (status) {
    Object.assign(status, made);
    draft.fix(status, "name");
  } else {
    const taken = [...draft.doc.statuses.map((each) => each.id), ...draft.factory.retiredStatuses];
    draft.doc.statuses.push({ ...made, id: slugOf(made.name, taken, "status") });
  }
  screen.draw();
  announce(`${made.name} ${status ? "changed" : "created"}. Save to keep it.`);
}

function form(made, status) {
  const input = h("input", { type: "text", id: "status-name", maxlength: 120, value: made.name, required: true, autocomplete: "off", oninput: (event) => (made.name = event.target.value) });
  const about = h("textarea", { id: "status-description", rows: 3, maxlength: 1000, class: "area", "aria-describedby": "status-description-help", oninput: (event) => (made.description = event.target.value) }, made.description || "");
  return [
    h("div", { class: "field" }, h("label", { for: "status-name" }, "Name"), input),
    h(
      "div",
      { class: "field" },
      h("label", { for: "status-description" }, "Description"),
      about,
      h("p", { class: "field-help", id: "status-description-help" }, "Readers see it as the tooltip of the status."),
    ),
    choices("Colour", "status-colour", made.colour, colours(made.colour), (value) => (made.colour = value)),
    choices("Icon", "status-icon", made.icon, icons(made.icon), (value) => (made.icon = value)),
    status && h("p", { class: "field-help" }, "Its id for CQL stays ", h("code", {}, status.id), ", whatever its name."),
  ];
}

function colours(current) {
  const known = COLOURS.some(([value]) => value === current);
  return [...COLOURS, ...(known ? [] : [[current, `As it is (${current})`]])].map(([value, name]) => {
    const swatch = h("span", { class: "swatch" });
    swatch.style.backgroundColor = value;
    return [value, name, swatch];
  });
}

function icons(current) {
  return [...ICONS, ...(ICONS.includes(current) ? [] : [current])].map((name) => [name, name, icon(name)]);
}

function choices(legend, name, current, offered, choose) {
  return h(
    "fieldset",
    { class: "choice" },
    h("legend", {}, legend),
    offered.map(([value, label, picture]) =>
      h(
        "label",
        { class: "choice-one", title: label },
        h("input", { type: "radio", name, value, checked: value === current, class: "visually-hidden", onchange: () => choose(value) }),
        picture,
        h("span", { class: "visually-hidden" }, label),
      ),
    ),
  );
}

async function remove(screen, status) {
  const { doc, factory } = screen.draft;
  const schemes = schemesWith(doc, status.id);
  const only = doc.statuses.length === 1;
  const rules = rulesNaming(doc, status.id, factory.namespace);
  if (schemes.length || only) {
    const where = schemes.length ? ["It is used in ", schemes.map(schemeLink), ". Take it out of there first."] : ["It is the only status."];
    const follow = (event) => event.target.closest("a") && event.target.closest("dialog").close();
    await ask({ title: `${status.name} cannot be deleted`, content: h("p", { onclick: follow }, where), label: "Close", keep: null, act: () => true });
    return;
  }
  const gone = await ask({
    title: `Delete ${status.name}?`,
    content: [
      paragraph("Pages and posts that still have it get another status at their next refresh. Its id ", h("code", {}, status.id), " can never be used again."),
      rules.length > 0 && paragraph(`${rules.join(", ")} ${rules.length > 1 ? "look" : "looks"} for it and will find nothing more.`),
    ],
    label: "Delete",
    danger: true,
    act: () => true,
  });
  if (!gone) return;
  doc.statuses.splice(doc.statuses.indexOf(status), 1);
  screen.draw();
  announce(`${status.name} deleted. Save to keep it so.`);
  focusOn(document.getElementById("statuses-title"));
}
