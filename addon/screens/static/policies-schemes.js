/* The status schemes and the spaces that have them: made, copied, reset and deleted here. */

import { ask } from "./dialogs.js";
import { announce, focusOn, h } from "./dom.js";
import { button, paragraph } from "./parts.js";
import { copyOf, fieldId, keyOf, slugOf } from "./policies-draft.js";
import { statusBadge } from "./policies-icons.js";
import { assignmentsOf, schemeUse, selectorText, statusOf } from "./policies-usage.js";

export const SCOPE = "Pages and blog posts have a status (live docs count as pages); drafts, whiteboards, databases and folders are out of scope.";

export function schemesView(screen) {
  const { doc } = screen.draft;
  const missing = screen.draft.error(doc, "statusSchemes");
  return [
    h(
      "div",
      { class: "section-head" },
      h("h2", { id: "schemes-title" }, "Status schemes"),
      h(
        "div",
        { class: "card-buttons" },
        button("Reset to factory…", () => resetAll(screen), { kind: "subtle" }),
        button("Create scheme", () => create(screen, null), { id: "create-scheme" }),
      ),
    ),
    paragraph("A scheme is an ordered list of statuses: the first whose CQL matches a page or post wins, the last is for everything else. Each space has one scheme. ", SCOPE),
    missing && h("p", { class: "field-error" }, missing.detail),
    h("ul", { class: "rows", "aria-labelledby": "schemes-title" }, doc.statusSchemes.map((scheme) => row(screen, scheme))),
  ];
}

function row(screen, scheme) {
  const { draft } = screen;
  const wrong = draft.errors.filter((error) => error.view === `/policies/schemes/${scheme.id}`).length;
  const use = schemeUse(draft.doc, scheme);
  const tell = (label) => ({ kind: "subtle", "aria-label": `${label}: ${scheme.name}` });
  return h(
    "li",
    { class: "row", "data-key": `${keyOf(scheme)}-${draft.generation}`, "data-scheme": scheme.id },
    h(
      "div",
      { class: "row-words" },
      h("h3", {}, h("a", { href: `#/policies/schemes/${scheme.id}`, id: fieldId(scheme, "link") }, scheme.name), scheme.default && h("span", { class: "lozenge lozenge-running" }, "Default")),
      scheme.description && h("p", {}, scheme.description),
      h("ol", { class: "chain", "aria-label": "Statuses, first match wins" }, scheme.entries.map((entry) => h("li", {}, statusBadge(statusOf(draft.doc, entry.status), entry.status)))),
      h("p", { class: "row-used" }, "Used by: ", use ? h("a", { href: "#/policies/spaces" }, use) : "no space"),
      wrong > 0 && h("p", { class: "field-error" }, "Something in it is not right: open it to see what."),
    ),
    h(
      "div",
      { class: "row-buttons" },
      button("Edit", () => (location.hash = `#/policies/schemes/${scheme.id}`), tell("Edit")),
      button("Copy", () => create(screen, scheme), tell("Copy")),
      !scheme.default && button("Make default", () => makeDefault(screen, scheme), tell("Make default")),
      differs(draft, scheme) && button("Reset…", () => reset(screen, scheme), tell("Reset to factory")),
      button("Delete", () => remove(screen, scheme), tell("Delete")),
    ),
  );
}

const shippedOf = (draft, id) => draft.factory.policies.statusSchemes.find((scheme) => scheme.id === id);
const plain = ({ default: _, ...scheme }) => JSON.stringify(scheme, Object.keys(scheme).sort().concat("status", "cql", "ancestorCql"));

function differs(draft, scheme) {
  const shipped = shippedOf(draft, scheme.id);
  return Boolean(shipped) && plain(shipped) !== plain(scheme);
}

function makeDefault(screen, scheme) {
  for (const each of screen.draft.doc.statusSchemes) each.default = each === scheme;
  screen.draw();
  announce(`${scheme.name} is the default now. Save to keep it so.`);
  document.getElementById(fieldId(scheme, "link")).focus();
}

async function create(screen, from) {
  const { doc } = screen.draft;
  const made = from ? copyOf(from) : { name: "", description: "", entries: [{ status: doc.statuses[doc.statuses.length - 1].id }] };
  made.name = from ? `Copy of ${from.name}`.slice(0, 120) : "";
  const input = h("input", { type: "text", id: "scheme-name", maxlength: 120, value: made.name, required: true, autocomplete: "off", oninput: (event) => (made.name = event.target.value) });
  const agreed = await ask({
    title: from ? `Copy ${from.name}` : "Create status scheme",
    content: h("div", { class: "field" }, h("label", { for: "scheme-name" }, "Name"), input),
    label: from ? "Copy" : "Create",
    act: () => {
      made.name = made.name.trim();
      if (!made.name) throw { title: "A name is missing", detail: "Give the scheme a name." };
      return true;
    },
  });
  if (!agreed) return;
  made.id = slugOf(made.name, doc.statusSchemes.map((scheme) => scheme.id), "scheme");
  made.default = false;
  doc.statusSchemes.push(made);
  location.hash = `#/policies/schemes/${made.id}`;
}

async function remove(screen, scheme) {
  const { doc } = screen.draft;
  const used = assignmentsOf(doc, scheme.id);
  if (scheme.default || used.length) {
    const why = scheme.default
      ? paragraph("It is the default of all spaces without a scheme of their own. Make another scheme the default first.")
      : [paragraph("It is used by these assignments. Give their spaces another scheme first."), h("ul", { class: "bullets" }, used.slice(0, 10).map((each) => h("li", {}, selectorText(each.space))), used.length > 10 && h("li", {}, `and ${used.length - 10} more`))];
    const go = await ask({ title: `${scheme.name} cannot be deleted`, content: why, label: used.length ? "Show assignments" : "Close", keep: used.length ? "Close" : null, act: () => true });
    if (go && used.length) location.hash = "#/policies/spaces";
    return;
  }
  const gone = await ask({ title: `Delete ${scheme.name}?`, content: paragraph("No space uses it. Its statuses stay."), label: "Delete", danger: true, act: () => true });
  if (!gone) return;
  doc.statusSchemes.splice(doc.statusSchemes.indexOf(scheme), 1);
  screen.draw();
  announce(`${scheme.name} deleted. Save to keep it so.`);
  focusOn(document.getElementById("schemes-title"));
}

/* The statuses that a shipped scheme needs come back with it; a name in use gets a number. */
function restore(draft, shipped) {
  const { doc, factory } = draft;
  for (const { status: id } of shipped.entries) {
    if (statusOf(doc, id)) continue;
    const status = copyOf(factory.policies.statuses.find((each) => each.id === id));
    const names = doc.statuses.map((each) => each.name.toLowerCase());
    for (let number = 2; names.includes(status.name.toLowerCase()); number += 1) status.name = `${status.name.replace(/ \d+$/, "")} ${number}`;
    doc.statuses.push(status);
  }
  const index = doc.statusSchemes.findIndex((scheme) => scheme.id === shipped.id);
  if (index < 0) doc.statusSchemes.push({ ...copyOf(shipped), default: false });
  else doc.statusSchemes[index] = { ...copyOf(shipped), default: Boolean(doc.statusSchemes[index].default) };
}

async function reset(screen, scheme) {
  const shipped = shippedOf(screen.draft, scheme.id);
  const agreed = await ask({
    title: `Reset ${scheme.name}?`,
    content: paragraph(`Its name, description, statuses and CQL become those that ship with Content Steward (${shipped.name}). Nothing is stored before you save.`),
    label: "Reset",
    act: () => true,
  });
  if (!agreed) return;
  restore(screen.draft, shipped);
  screen.draw();
  announce(`${shipped.name} is as it ships. Save to keep it so.`);
}

async function resetAll(screen) {
  const { draft } = screen;
  const shipped = draft.factory.policies.statusSchemes;
  const agreed = await ask({
    title: "Reset the shipped schemes?",
    content: [
      paragraph(`${shipped.map((scheme) => scheme.name).join(", ")} and their statuses become as they ship; those that were deleted come back.`),
      paragraph("Your own schemes and statuses, the default and the assignments stay. Nothing is stored before you save."),
    ],
    label: "Reset",
    act: () => true,
  });
  if (!agreed) return;
  shipped.forEach((scheme) => restore(draft, scheme));
  for (const status of draft.factory.policies.statuses) {
    const mine = statusOf(draft.doc, status.id);
    const twin = draft.doc.statuses.some((each) => each !== mine && each.name.toLowerCase() === status.name.toLowerCase());
    if (mine) Object.assign(mine, status, twin ? { name: mine.name } : {});
  }
  draft.generation += 1;
  screen.draw();
  announce("The shipped schemes are as they ship. Save to keep it so.");
}
