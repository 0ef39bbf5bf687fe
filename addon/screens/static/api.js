/* Calls of the add-on's API. Every call carries a fresh context token of the host, and the space's key on a
 * space's screen. Whatever goes wrong becomes a Problem with words for people. */

import { timeZone } from "./format.js";

const root = document.body.dataset.root;

export class Problem extends Error {
  constructor(document) {
    super(document.detail || document.title);
    this.status = document.status;
    this.title = document.title;
    this.detail = document.detail;
    this.errors = document.errors || [];
    this.execution = document.execution || null;
  }
}

const PATIENCE_SECONDS = 2;

const UNREACHABLE = {
  status: 0,
  title: "No connection",
  detail: "Content Steward could not be reached. Check your connection; this screen tries again automatically.",
};
const GARBLED = {
  status: 502,
  title: "Unexpected answer",
  detail: "Something between you and Content Steward answered in its place. Try again in a minute.",
};

/* Return {data, headers} of a call. `path` is below /api; `text` sends or asks for YAML. Throws a Problem. */
export async function call(method, path, { query = {}, body, text, headers = {}, accept = "application/json" } = {}) {
  const target = new URL(`${root}/api${path}`, location.origin);
  const spaceKey = document.body.dataset.spaceKey;
  const scoped = spaceKey && method === "GET" ? { spaceKey, ...query } : query;
  for (const [name, value] of Object.entries(scoped)) {
    if (value !== null && value !== undefined && value !== "") target.searchParams.set(name, value);
  }
  const sent = { Accept: `${accept}, application/problem+json`, "Steward-Time-Zone": timeZone(), ...headers };
  if (body !== undefined) sent["Content-Type"] = "application/json";
  if (text !== undefined) sent["Content-Type"] = "application/yaml";
  const payload = body !== undefined ? JSON.stringify(body) : text;
  let answer = await request(method, target, sent, payload);
  if (answer.status === 401) answer = await request(method, target, sent, payload);
  const wait = method === "GET" ? await secondsOfACrowd(answer) : null;
  if (wait !== null) {
    await new Promise((resolve) => setTimeout(resolve, wait * 1000));
    answer = await request(method, target, sent, payload);
  }
  return { data: await read(answer, accept), headers: answer.headers };
}

export const get = async (path, query) => (await call("GET", path, { query })).data;
export const post = async (path, body, query) => (await call("POST", path, { body, query })).data;

/* Return for how long to wait before asking once more where the site was busy with the other calls of a screen that
 * asks several things at once; null where the answer is to be taken as it is. */
async function secondsOfACrowd(answer) {
  const seconds = Number(answer.headers.get("Retry-After") || NaN);
  if (answer.status !== 503 || !(seconds <= PATIENCE_SECONDS)) return null;
  const said = await answer.clone().json().catch(() => ({}));
  return said.type === "urn:content-steward:problem:site-busy" ? seconds : null;
}

async function request(method, target, headers, body) {
  const token = await contextToken();
  try {
    return await fetch(target, { method, body, headers: { ...headers, Authorization: `JWT ${token}` } });
  } catch {
    throw new Problem(UNREACHABLE);
  }
}

function contextToken() {
  return new Promise((resolve, reject) => {
    const silent = setTimeout(() => reject(new Problem(SILENT)), 10000);
    window.AP.context.getToken((token) => {
      clearTimeout(silent);
      resolve(token);
    });
  });
}

const SILENT = {
  status: 0,
  title: "Confluence is silent",
  detail: "Confluence gave no token for this frame. Reload the page; if that does not help, log in to Confluence again.",
};

async function read(answer, accept) {
  const kind = (answer.headers.get("Content-Type") || "").split(";")[0];
  if (kind === "application/problem+json") throw new Problem(await answer.json());
  if (!answer.ok || kind !== accept) throw new Problem(GARBLED);
  return accept === "application/json" ? answer.json() : answer.text();
}
