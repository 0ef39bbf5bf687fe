/* The draft of the policies: one for the whole document, in the browser, saved as one new version. */

import { call, get } from "./api.js";

const keys = new WeakMap();
let lastKey = 0;

/* A part of the draft keeps its key wherever it is moved. */
export function keyOf(part) {
  if (!keys.has(part)) keys.set(part, ++lastKey);
  return keys.get(part);
}

export const fieldId = (part, name = "") => `field-${keyOf(part)}-${name.replaceAll("/", "-")}`;

export const copyOf = (part) => JSON.parse(JSON.stringify(part));

const written = ({ version, ...rest }) => JSON.stringify(rest);
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

export const SECTIONS = {
  statuses: "statuses",
  statusSchemes: "status schemes",
  templates: "mail templates",
  schedules: "schedules",
  notificationSchemes: "notification schemes",
  automationSchemes: "automation schemes",
  assignments: "assignments of schemes to spaces",
  includedSpaces: "included spaces",
  excludedSpaces: "excluded spaces",
  statusStamps: "the status stamps",
  indicator: "the status indicator",
};

/* Where on the screen is the part that a JSON pointer names? */
function viewOf(doc, pointer) {
  const [, section, index] = pointer.split("/");
  if (section === "statuses") return "/policies/statuses";
  if (section === "statusSchemes") {
    const scheme = doc.statusSchemes[Number(index)];
    return scheme && index !== undefined ? `/policies/schemes/${scheme.id}` : "/policies";
  }
  if (["assignments", "includedSpaces", "excludedSpaces", "indicator", "statusStamps"].includes(section)) return "/policies/spaces";
  return "/policies/document";
}

/* The innermost object on the way of a pointer, and what is left of the way from there. */
function ownerOf(doc, pointer) {
  const steps = pointer.split("/").slice(1).map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
  let owner = doc;
  let field = steps;
  let part = doc;
  steps.forEach((step, index) => {
    part = part === null || part === undefined ? undefined : part[step];
    if (part && typeof part === "object" && !Array.isArray(part)) [owner, field] = [part, steps.slice(index + 1)];
  });
  return { owner, field: field.join("/") };
}

export function createDraft() {
  const draft = { doc: null, saved: null, version: null, factory: null, generation: 0, errors: [], notices: [], busy: false };

  draft.dirty = () => draft.doc !== null && written(draft.doc) !== draft.saved;

  function take(data, headers) {
    draft.version = Number(headers.get("ETag").replace(/\D/g, ""));
    draft.doc = data;
    draft.saved = written(data);
    draft.errors = [];
    draft.notices = [];
    draft.generation += 1;
  }

  draft.load = async () => {
    const [current, factory] = await Promise.all([call("GET", "/policies"), get("/policies/factory")]);
    draft.factory = factory;
    take(current.data, current.headers);
  };

  /* Return the notices of the saved version. Throws the Problem, its errors placed at the parts they are about. */
  draft.save = async () => {
    draft.errors = [];
    try {
      const { data, headers } = await call("PUT", "/policies", { body: draft.doc, headers: { "If-Match": `"${draft.version}"` } });
      const { notices, ...stored } = data;
      take(stored, headers);
      draft.factory = await get("/policies/factory").catch(() => draft.factory);
      draft.notices = draft.placed(notices);
      return draft.notices;
    } catch (problem) {
      draft.errors = draft.placed(problem.errors || []);
      throw problem;
    }
  };

  draft.placed = (errors) => errors.map((error) => ({ ...error, ...ownerOf(draft.doc, error.pointer), view: viewOf(draft.doc, error.pointer) }));

  draft.discard = () => {
    draft.doc = { ...JSON.parse(draft.saved), version: draft.version };
    draft.errors = [];
    draft.generation += 1;
  };

  /* Put the changes made here over the version that somebody else saved meanwhile. What only one side changed is taken
   * from that side; where both changed a section, this draft's stays. Returns the names of such sections. */
  draft.rebase = async () => {
    const { data, headers } = await call("GET", "/policies");
    const before = JSON.parse(draft.saved);
    const mine = draft.doc;
    const both = [];
    const merged = { ...data };
    for (const name of Object.keys(SECTIONS)) {
      if (same(mine[name], before[name])) continue;
      if (!same(data[name], before[name]) && !same(data[name], mine[name])) both.push(name);
      merged[name] = mine[name];
    }
    take(data, headers);
    draft.doc = merged;
    return both;
  };

  draft.notice = (owner, field) => draft.notices.find((each) => each.owner === owner && each.field === field);

  draft.error = (owner, field) => draft.errors.find((each) => each.owner === owner && each.field === field);

  /* A field that is edited is not wrong or doubtful any more until the server says so again. */
  draft.fix = (owner, field) => {
    const before = draft.errors.length + draft.notices.length;
    const others = (each) => each.owner !== owner || (each.field !== field && each.field !== "");
    [draft.errors, draft.notices] = [draft.errors.filter(others), draft.notices.filter(others)];
    return draft.errors.length + draft.notices.length !== before;
  };

  return draft;
}

/* A new id from a name: small letters, digits and hyphens, and never one of `taken`. */
export function slugOf(name, taken, fallback) {
  const plain = name.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
  const slug = plain.replace(/[^a-z0-9]+/g, "-").slice(0, 56).replace(/^-+|-+$/g, "") || fallback;
  if (!taken.includes(slug)) return slug;
  let number = 2;
  while (taken.includes(`${slug}-${number}`)) number += 1;
  return `${slug}-${number}`;
}
