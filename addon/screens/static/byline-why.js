/* The statuses that the scheme tries, in their order, and which of them matched. */

import { h } from "./dom.js";

const verdict = (test, decided) => {
  if (test.applies) return ["Applies", "done"];
  if (test.problem) return ["No answer", "cancelling"];
  if (test.isDefault) return [decided ? "Not reached" : "Default", "skipped"];
  if (test.direct || test.above) return ["Matches, too", "skipped"];
  return ["Does not match", "skipped"];
};

function query(label, cql, holds) {
  const words = holds === null ? "not asked" : holds ? "matches" : "does not match";
  return h(
    "div",
    { class: "query" },
    h("p", { class: "subtle" }, label, ": ", h("span", { class: holds ? "holds" : "" }, words)),
    cql && h("pre", { tabindex: "0", "aria-label": `${label}, CQL` }, h("code", {}, cql)),
  );
}

function step(test, root, decided) {
  const [words, look] = verdict(test, decided);
  return h(
    "li",
    { class: test.applies ? "step step-applies" : "step", "data-status": test.status.id },
    h(
      "div",
      { class: "step-head" },
      h("img", { src: root + test.status.icon, alt: "", width: "16", height: "16" }),
      h("strong", {}, test.status.name),
      h("span", { class: `lozenge lozenge-${look}` }, words),
    ),
    test.problem && h("p", { class: "step-problem" }, "Confluence refuses the query. ", test.problem),
    !test.isDefault && query("Condition", test.cql, test.direct),
    test.hasAncestorCql && query("Inherited from a page above", test.ancestorCql, test.above),
    test.isDefault && h("p", { class: "subtle" }, "The default: whatever matches none of the others."),
  );
}

export function reasons(seen, root) {
  const decided = seen.tests.some((test) => test.applies);
  return h(
    "section",
    { "aria-labelledby": "why" },
    h("h2", { id: "why" }, "Why this status"),
    h(
      "p",
      { class: "subtle" },
      "The space ",
      h("strong", {}, seen.space.name),
      " uses the scheme ",
      h("strong", {}, seen.scheme.name),
      ". Its statuses are tried from top to bottom and the first that matches applies.",
    ),
    h("ol", { class: "steps" }, seen.tests.map((test) => step(test, root, decided))),
  );
}
