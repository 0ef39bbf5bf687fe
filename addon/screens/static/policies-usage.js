/* The places where a status or a scheme is used; while there is one, it cannot be deleted. */

import { count } from "./format.js";

const TYPES = {
  global: "Global spaces",
  collaboration: "Collaboration spaces",
  knowledge_base: "Knowledge bases",
  personal: "Personal spaces",
  system: "System spaces",
  onboarding: "Onboarding spaces",
  xflow_sample_space: "Sample spaces",
};
export const SPACE_TYPES = Object.entries(TYPES);

export function selectorText(selector) {
  if (selector.key !== undefined) return `space ${selector.key || "…"}`;
  if (selector.type !== undefined) return (TYPES[selector.type] || `spaces of the type ${selector.type}`).toLowerCase();
  if (selector.label !== undefined) return `spaces labelled ${selector.label || "…"}`;
  return `spaces whose key fits ${selector.keyPattern || "…"}`;
}

export const statusOf = (doc, id) => doc.statuses.find((status) => status.id === id);

export const schemesWith = (doc, id) => doc.statusSchemes.filter((scheme) => scheme.entries.some((entry) => entry.status === id));

/* The rules and automations whose CQL compares our status aliases with `id`. */
export function rulesNaming(doc, id, namespace) {
  const value = `"[^"]*"|'[^']*'|[\\w-]+`;
  const comparison = new RegExp(`\\b${namespace}(?:Previous)?Status\\s*(?:!?=|(?:not\\s+)?in)\\s*(${value}|\\([^()]*\\))`, "gi");
  const names = (cql) => [...cql.matchAll(comparison)].some(([, operand]) => (operand.match(/[\w-]+/g) || []).includes(id));
  const rules = doc.notificationSchemes.flatMap((scheme) => scheme.rules || []);
  const automations = doc.automationSchemes.flatMap((scheme) => scheme.automations || []);
  return [...rules, ...automations].filter((rule) => names(rule.cql)).map((rule) => rule.name);
}

export const assignmentsOf = (doc, id) => doc.assignments.filter((assignment) => assignment.statusScheme === id);

export function schemeUse(doc, scheme) {
  const used = assignmentsOf(doc, scheme.id).length;
  if (scheme.default) return used ? `Default, and ${count(used, "assignment")}` : "All spaces without a scheme of their own";
  return used ? count(used, "assignment") : null;
}
