/* Questions to Confluence in the name of the person who looks, not of the app. AP.request calls as the viewing user, so an
 * answer never holds what that person may not see (docs/adr/0016). */

const AT_ONCE = 4;

const REFUSALS = {
  400: "Confluence cannot answer this query",
  401: "Confluence asks you to log in again",
  403: "You may not see this in Confluence",
  429: "Confluence asks for a pause",
};

export class Refused extends Error {
  constructor(status) {
    super(REFUSALS[status] || "Confluence did not answer");
    this.status = status;
  }
}

/* Return the decoded JSON of a GET below /wiki. Throws Refused. */
export async function asViewer(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  let answer;
  try {
    answer = await window.AP.request({ url: given.length ? `${path}?${new URLSearchParams(given)}` : path, type: "GET" });
  } catch (refusal) {
    throw new Refused(refusal && refusal.xhr ? refusal.xhr.status : 0);
  }
  return JSON.parse(answer.body);
}

export const mayAsk = () => Boolean(window.AP && window.AP.request);

/* How many items match: one question, no rows. */
export async function countAsViewer(cql) {
  const { totalSize } = await asViewer("/rest/api/search", { cql, limit: 0 });
  if (!Number.isInteger(totalSize)) throw new Refused(0);
  return totalSize;
}

/* The ids of all items that match, a thousand at a time; null when there are more than `most`. */
export async function idsAsViewer(cql, most) {
  const ids = [];
  let next = { path: "/rest/api/content/search", query: { cql, limit: 1000 } };
  while (next) {
    const page = await asViewer(next.path, next.query);
    ids.push(...page.results.map(({ id }) => String(id)));
    if (ids.length > most) return null;
    const link = page._links && page._links.next;
    next = link ? { path: link.replace(/^\/wiki/, ""), query: {} } : null;
  }
  return ids;
}

/* List the current spaces that the viewer sees, a hundred at a time. Returns {items, done, more()}. */
export function spacesAsViewer() {
  const list = { items: [], done: false };
  let next = { path: "/api/v2/spaces", query: { status: "current", sort: "name", limit: 100 } };
  list.more = async () => {
    if (list.done) return;
    const page = await asViewer(next.path, next.query);
    list.items.push(...page.results.map(({ key, name, type }) => ({ key, name, type })));
    const link = page._links && page._links.next;
    if (link) next = { path: link.replace(/^\/wiki/, ""), query: {} };
    else list.done = true;
  };
  return list;
}

/* Run the tasks, few at a time, until they are done or `wanted` says that they are not needed any more. */
export async function fewAtOnce(tasks, wanted) {
  const waiting = [...tasks];
  const worker = async () => {
    while (waiting.length && wanted()) await waiting.shift()();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
