/* The check of one CQL: Confluence is asked as soon as the person pauses, and typing never waits for the answer. */

import { post } from "./api.js";
import { countAsViewer, mayAsk, Refused } from "./asviewer.js";
import { h } from "./dom.js";
import { count } from "./format.js";
import { button } from "./parts.js";
import { fieldId } from "./policies-draft.js";
import { labelled, typed } from "./policies-fields.js";

const PAUSE = 600;
const found = new Map();
const timers = new Map();

/* The count is the viewer's, not the app's, which sees pages that the viewer may not. A click on the button also leaves
 * the field, hence the return while the same question is under way. */
async function ask(screen, id, cql, kind) {
  clearTimeout(timers.get(id));
  timers.delete(id);
  const before = found.get(id);
  if (!cql.trim() || (before && before.cql === cql && before.state === "checking")) return;
  const mine = { cql, state: "checking", notices: [] };
  found.set(id, mine);
  screen.draw();
  try {
    const { notices, question } = await post("/cql-checks", { cql, kind });
    Object.assign(mine, { state: "right", notices, matches: await counted(question) });
  } catch (problem) {
    const at = (problem.errors || []).find((each) => each.pointer === "/cql");
    Object.assign(mine, at ? { state: "wrong", detail: at.detail } : { state: "unknown", detail: problem.detail });
  }
  if (found.get(id) === mine) screen.draw();
}

/* A number is a courtesy: what Confluence does not count for this person is right all the same. */
async function counted(question) {
  try {
    return mayAsk() ? await countAsViewer(question) : null;
  } catch (refusal) {
    if (refusal instanceof Refused) return null;
    throw refusal;
  }
}

function words(check, below) {
  if (!check) return null;
  const { state, matches, detail, notices } = check;
  if (state === "checking") return h("span", { class: "subtle" }, "Asking Confluence…");
  if (state === "unknown") return h("span", { class: "cql-unknown" }, `Not checked: ${detail}`);
  if (state !== "right") return null;
  const contents =
    matches === null
      ? "Confluence takes this; how many match is not known now"
      : `${count(matches, "page or blog post", "pages and blog posts")} that you may view ${matches === 1 ? "matches" : "match"} now`;
  return [
    h("span", { class: "cql-right" }, below ? `${contents}; what lies below gets this status` : contents),
    notices.map((notice) => h("span", { class: "cql-notice" }, notice)),
  ];
}

/* A CQL of the draft. `kind`: status, rule or automation. */
export function cqlField(screen, owner, name, { kind = "status", optional = false, below = false, ...options }) {
  const id = fieldId(owner, name);
  const text = owner[name] || "";
  const known = found.get(id);
  const check = known && known.cql === text ? known : null;
  const now = () => ask(screen, id, owner[name] || "", kind);
  const trouble = check && check.state === "wrong" ? check : null;
  const changed = (event) => {
    typed(screen, owner, name, event.target.value, optional);
    if (found.get(id)) {
      found.delete(id);
      screen.draw();
    }
    clearTimeout(timers.get(id));
    timers.set(id, setTimeout(now, PAUSE));
  };
  return h(
    "div",
    { class: "cql", "data-key": `cql-${id}` },
    labelled(screen, owner, name, { ...options, wide: true, trouble }, (attributes) =>
      h(
        "textarea",
        {
          rows: 2,
          maxlength: 2000,
          class: "area code",
          spellcheck: "false",
          autocapitalize: "off",
          autocomplete: "off",
          oninput: changed,
          onblur: () => timers.has(id) && now(),
          ...attributes,
        },
        text,
      ),
    ),
    h(
      "div",
      { class: "cql-foot" },
      button("How many match now?", now, { kind: "small", disabled: !text.trim(), "aria-label": `How many pages and posts match ${options.label} now?` }),
      h("span", { class: "cql-said", role: "status" }, words(check, below)),
    ),
  );
}
