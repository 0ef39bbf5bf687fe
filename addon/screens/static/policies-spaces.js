/* Spaces: which schemes they have, which are left alone, and where readers see statuses. */

import { announce, h } from "./dom.js";
import { count } from "./format.js";
import { button, paragraph } from "./parts.js";
import { fieldId, keyOf } from "./policies-draft.js";
import { choiceField, labelled, orderButtons, switchField, typed } from "./policies-fields.js";
import { SPACE_TYPES, selectorText } from "./policies-usage.js";

const SORTS = [
  ["key", "Space key"],
  ["type", "Space type"],
  ["label", "Space label"],
  ["keyPattern", "Key pattern"],
];
const EXAMPLES = { key: "DOCS", label: "handbook", keyPattern: "ARCH*" };
const STEP = 100;
const shown = new Map();

export function spacesView(screen) {
  const { doc } = screen.draft;
  return [
    assignments(screen, doc),
    section("included", "Included spaces", doc.includedSpaces.length ? "Only these take part, unless they are excluded below. Spaces that are made later are left alone until they are included; the Jobs screen lists new ones." : "All spaces take part, also those that are made later, except the excluded spaces below. As soon as you include a space here, only included spaces take part.", [
      selectors(screen, doc.includedSpaces, "included", "Include only some spaces"),
    ]),
    section("excluded", "Excluded spaces", "Jobs leave these spaces alone; statuses they had are removed. A space that an assignment names by its key is not excluded by its type.", [
      selectors(screen, doc.excludedSpaces, "excluded", "Exclude spaces"),
    ]),
    section("visible", "Where statuses show", null, [
      switchField(screen, doc, "statusStamps", "Write statuses to pages and posts", "On: a status is written to its page or post, so that readers can search for it with CQL, and rules and automations can look for it. Off: statuses are kept in Content Steward only; a refresh writes nothing to Confluence, so Confluence does not take a status for activity on the item."),
      switchField(screen, doc.indicator, "on", "Show the status indicator in every space", "The line below a page's title then shows the page's status; a click says why. It needs statuses written to pages and posts."),
      !doc.indicator.on && h("h3", {}, "Show it in these spaces only"),
      !doc.indicator.on && selectors(screen, doc.indicator.spaces, "indicator", "Add spaces"),
    ]),
  ];
}

function section(name, title, about, content) {
  return h("section", { "aria-labelledby": `${name}-title`, "data-key": name }, h("h2", { id: `${name}-title` }, title), about && paragraph(about), content);
}

function assignments(screen, doc) {
  const add = () => {
    const made = { space: { key: "" }, statusScheme: doc.statusSchemes[0].id };
    doc.assignments.push(made);
    shown.set("assignments", Math.max(doc.assignments.length, STEP));
    screen.draw();
    announce("Assignment added at the end");
    document.getElementById(fieldId(made.space, "key")).focus();
  };
  const fallback = doc.statusSchemes.find((scheme) => scheme.default) || doc.statusSchemes[0];
  return section("assignments", "Schemes of spaces", "From top to bottom: the first line that selects a space and names a scheme wins.", [
    h("ol", { class: "lines", "aria-labelledby": "assignments-title" }, part("assignments", doc.assignments).map((each) => assignment(screen, doc, each))),
    more(screen, "assignments", doc.assignments),
    h("p", { class: "line-default" }, "All other spaces: ", h("a", { href: `#/policies/schemes/${fallback.id}` }, fallback.name), " (the default)"),
    paragraph(button("Assign a scheme", add, { id: "add-assignment" })),
  ]);
}

function assignment(screen, doc, each) {
  const error = screen.draft.error(each, "");
  const choices = (schemes) => [["", "Not set here"], ...schemes.map((scheme) => [scheme.id, scheme.name])];
  const scheme = (name, label, schemes) => choiceField(screen, each, name, { label, choices: choices(schemes) });
  return h(
    "li",
    { class: "line line-assignment", "data-key": `${keyOf(each)}-${screen.draft.generation}` },
    h(
      "div",
      { class: "line-fields" },
      selector(screen, each.space, (next) => (each.space = next), true),
      scheme("statusScheme", "Status scheme", doc.statusSchemes),
      scheme("notificationScheme", "Notifications", doc.notificationSchemes),
      scheme("automationScheme", "Automations", doc.automationSchemes),
    ),
    orderButtons(screen, doc.assignments, each, { name: `the assignment of ${selectorText(each.space)}`, empty: "add-assignment" }),
    error && h("p", { class: "field-error" }, error.detail),
  );
}

function selectors(screen, list, name, label) {
  const add = () => {
    const made = { key: "" };
    list.push(made);
    shown.set(name, Math.max(list.length, STEP));
    screen.draw();
    document.getElementById(fieldId(made, "key")).focus();
  };
  const replace = (each) => (next) => (list[list.indexOf(each)] = next);
  return [
    h(
      "ul",
      { class: "lines", "aria-label": label },
      part(name, list).map((each) =>
        h(
          "li",
          { class: "line", "data-key": `${keyOf(each)}-${screen.draft.generation}` },
          h("div", { class: "line-fields" }, selector(screen, each, replace(each))),
          orderButtons(screen, list, each, { name: selectorText(each), last: 0, empty: `add-${name}` }),
        ),
      ),
    ),
    more(screen, name, list),
    paragraph(button(label, add, { id: `add-${name}` })),
  ];
}

const part = (name, list) => list.slice(0, shown.get(name) || STEP);

function more(screen, name, list) {
  const rest = list.length - (shown.get(name) || STEP);
  if (rest <= 0) return null;
  const show = () => {
    shown.set(name, (shown.get(name) || STEP) + STEP);
    screen.draw();
  };
  return paragraph(button(`Show ${Math.min(rest, STEP)} more of ${count(list.length, "line")}`, show, { kind: "subtle" }));
}

/* A selector has exactly one of its fields; another sort is another selector in its place. */
function selector(screen, each, replace, headed = false) {
  const sort = SORTS.map(([name]) => name).find((name) => each[name] !== undefined) || "key";
  const choose = (event) => {
    const next = { [event.target.value]: event.target.value === "type" ? "global" : "" };
    replace(next);
    screen.draw();
    document.getElementById(fieldId(next, "sort")).focus();
  };
  const kind = labelled(screen, each, "sort", { label: "Spaces by", hidden: !headed }, (attributes) =>
    h("select", { onchange: choose, ...attributes }, SORTS.map(([value, text]) => h("option", { value, selected: value === sort }, text))),
  );
  const label = SORTS.find(([name]) => name === sort)[1];
  if (sort === "type") {
    const known = SPACE_TYPES.some(([value]) => value === each.type);
    return [kind, choiceField(screen, each, "type", { label, hidden: true, whole: true, choices: known ? SPACE_TYPES : [...SPACE_TYPES, [each.type, each.type]] })];
  }
  const value = labelled(screen, each, sort, { label, hidden: true, whole: true }, (attributes) =>
    h("input", {
      type: "text",
      class: "code",
      value: each[sort] || "",
      maxlength: 255,
      placeholder: EXAMPLES[sort],
      spellcheck: "false",
      autocomplete: "off",
      oninput: (event) => typed(screen, each, sort, event.target.value),
      onchange: () => screen.draw(),
      ...attributes,
    }),
  );
  return [kind, value];
}
