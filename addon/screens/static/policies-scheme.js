/* One status scheme: its entries in their order, the last one for everything else. */

import { announce, h } from "./dom.js";
import { button, empty, paragraph } from "./parts.js";
import { cqlField } from "./policies-cql.js";
import { fieldId, keyOf } from "./policies-draft.js";
import { areaField, choiceField, orderButtons, textField } from "./policies-fields.js";
import { statusMark } from "./policies-icons.js";
import { SCOPE } from "./policies-schemes.js";
import { statusOf } from "./policies-usage.js";

export function schemeView(screen, id) {
  const scheme = screen.draft.doc.statusSchemes.find((each) => each.id === id);
  const back = h("p", { class: "crumbs" }, h("a", { href: "#/policies" }, "Status schemes"));
  if (!scheme) return [back, empty("Scheme not found", "It was deleted, or never saved.")];
  const last = scheme.entries[scheme.entries.length - 1];
  return [
    back,
    h("h2", {}, scheme.name || "Status scheme", scheme.default && h("span", { class: "lozenge lozenge-running" }, "Default")),
    h(
      "div",
      { class: "panel panel-form", "data-key": `about-${keyOf(scheme)}` },
      textField(screen, scheme, "name", { label: "Name" }),
      areaField(screen, scheme, "description", { label: "Description" }),
    ),
    h("h3", { id: "entries-title" }, "Statuses, first match wins"),
    paragraph("From top to bottom: a page or post has the first status whose CQL it matches or whose ancestor is above it in the page tree. ", SCOPE),
    h(
      "ol",
      { class: "entries", "aria-labelledby": "entries-title" },
      scheme.entries.map((entry, index) => card(screen, scheme, entry, index, entry === last)),
    ),
    paragraph(button("Add status", () => add(screen, scheme), { id: "add-entry", disabled: !unused(screen, scheme).length })),
    !unused(screen, scheme).length && h("p", { class: "field-help" }, "Every status is in this scheme. ", h("a", { href: "#/policies/statuses" }, "Create another status")),
  ];
}

const unused = (screen, scheme) => screen.draft.doc.statuses.filter((status) => !scheme.entries.some((entry) => entry.status === status.id));

function card(screen, scheme, entry, index, last) {
  const { doc } = screen.draft;
  const status = statusOf(doc, entry.status);
  const name = status ? status.name : entry.status;
  const taken = (id) => id !== entry.status && scheme.entries.some((each) => each.status === id);
  const choices = doc.statuses.map((each) => [each.id, each.name, taken(each.id)]);
  if (!status) choices.unshift([entry.status, entry.status]);
  return h(
    "li",
    { class: `entry${last ? " entry-last" : ""}`, "data-key": `${keyOf(entry)}-${last}`, "data-entry": entry.status },
    h(
      "div",
      { class: "entry-head" },
      h("span", { class: "entry-number", "aria-hidden": "true" }, String(index + 1)),
      statusMark(status),
      choiceField(screen, entry, "status", { label: last ? "Default status" : `Status ${index + 1}`, choices, hidden: true }),
      last
        ? h("span", { class: "subtle entry-note" }, "Everything else")
        : orderButtons(screen, scheme.entries, entry, { name, last: scheme.entries.length - 2, empty: "add-entry" }),
    ),
    h(
      "div",
      { class: "entry-fields" },
      last && h("p", { class: "field-help" }, "Pages and posts that match nothing above have this status. It has no CQL and stays last."),
      !last && cqlField(screen, entry, "cql", { label: `CQL of ${name}` }),
      !last && ancestor(screen, entry, name),
    ),
  );
}

function ancestor(screen, entry, name) {
  if (entry.ancestorCql === undefined)
    return button("Add ancestor CQL", () => {
      entry.ancestorCql = "";
      screen.draw();
      document.getElementById(fieldId(entry, "ancestorCql")).focus();
    }, { kind: "small", "aria-label": `Add ancestor CQL of ${name}` });
  return h(
    "div",
    { class: "ancestor" },
    cqlField(screen, entry, "ancestorCql", {
      label: `Ancestor CQL of ${name}`,
      below: true,
      help: "Pages below any page that matches this have the status too. Empty: only the CQL above counts.",
    }),
  );
}

function add(screen, scheme) {
  const [status] = unused(screen, scheme);
  const entry = { status: status.id, cql: "" };
  scheme.entries.splice(scheme.entries.length - 1, 0, entry);
  screen.draw();
  announce(`${status.name} added before the last`);
  document.getElementById(fieldId(entry, "status")).focus();
}
