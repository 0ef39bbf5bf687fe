/* Parts that several screens show: lozenges, messages, metrics, tables with more to load. */

import { h } from "./dom.js";
import { capital, exactly, moment, number } from "./format.js";
import { STATUS, metricList } from "./words.js";

export const lozenge = (status) => h("span", { class: `lozenge lozenge-${status}` }, STATUS[status] || status);

/* The mark next to the status of a run that could not reach everything. */
export const coverageMark = (execution) => execution.coverage === "incomplete" && [" ", h("span", { class: "lozenge lozenge-incomplete" }, "Coverage incomplete")];

export const at = (iso, text = moment(iso)) => h("time", { datetime: iso, title: exactly(iso) }, text);

export function message(kind, title, ...content) {
  const role = kind === "error" ? "alert" : null;
  return h(
    "div",
    { class: `message message-${kind}`, role },
    h("span", { class: "message-mark", "aria-hidden": "true" }),
    h("div", { class: "message-words" }, title && h("p", { class: "message-title" }, title), ...content),
  );
}

export const paragraph = (...content) => h("p", {}, ...content);

export function problemMessage(problem, retry) {
  const title = problem.title || "Something went wrong";
  return message(
    "error",
    title,
    paragraph(problem.detail || problem.message),
    retry && h("p", {}, h("button", { type: "button", class: "link", onclick: retry }, "Try again")),
  );
}

export function button(label, onclick, { kind = "default", ...attributes } = {}) {
  return h("button", { type: "button", class: `button button-${kind}`, onclick, ...attributes }, label);
}

export function skeleton(lines = 3) {
  return h("div", { class: "skeleton", "aria-hidden": "true" }, Array.from({ length: lines }, () => h("span", {})));
}

/* Numbers as tiles, those that mean trouble marked; the counts per status as a bar with its legend. */
export function metricTiles(metrics, statuses = [], dryRun = false) {
  const list = metricList(metrics, dryRun);
  const tile = ({ name, label, value, bad, minor }) =>
    h("div", { class: minor ? "minor" : bad ? "tile tile-bad" : "tile", "data-metric": name }, h("dt", {}, label), h("dd", {}, number(value)));
  const counts = metrics.statusCounts;
  return [
    h("dl", { class: "tiles" }, list.filter((each) => !each.minor).map(tile)),
    h("dl", { class: "minors" }, list.filter((each) => each.minor).map(tile)),
    counts && Object.keys(counts).length ? statusBar(counts, statuses) : null,
  ];
}

function statusBar(counts, statuses) {
  const known = new Map(statuses.map((status) => [status.id, status]));
  const order = [...statuses.map((status) => status.id), ...Object.keys(counts)];
  const slugs = [...new Set(order)].filter((slug) => slug in counts);
  const total = slugs.reduce((sum, slug) => sum + counts[slug], 0);
  const name = (slug) => (known.get(slug) ? known.get(slug).name : capital(slug.replaceAll("-", " ")));
  const coloured = (slug, kind) => {
    const element = h("span", { class: kind, "aria-hidden": "true" });
    element.style.backgroundColor = (known.get(slug) && known.get(slug).colour) || "#8590a2";
    return element;
  };
  const part = (slug) => {
    const element = coloured(slug, "bar-part");
    element.style.flexGrow = counts[slug];
    return element;
  };
  return h(
    "div",
    { class: "statuses" },
    h("h3", {}, "Pages and posts by status"),
    h("div", { class: "bar", "aria-hidden": "true" }, slugs.filter((slug) => counts[slug] > 0).map(part)),
    h(
      "ul",
      { class: "legend" },
      slugs.map((slug) =>
        h(
          "li",
          { "data-status": slug },
          coloured(slug, "dot"),
          name(slug),
          " ",
          h("strong", {}, number(counts[slug])),
          total > 0 && h("span", { class: "subtle" }, ` ${share(counts[slug], total)}`),
        ),
      ),
    ),
  );
}

function share(part, total) {
  const percent = (part * 100) / total;
  return percent > 0 && percent < 1 ? "<1 %" : `${Math.round(percent)} %`;
}

/* A table inside its own scrolling region. `rows` are arrays of cells; the first cell heads its row. */
export function table(caption, heads, rows, kind = "") {
  return h(
    "div",
    { class: `table-region ${kind}`, role: "region", "aria-label": caption, tabindex: "0" },
    stackable(
      h(
        "table",
        {},
        h("caption", { class: "visually-hidden" }, caption),
        h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))),
        h("tbody", {}, rows),
      ),
    ),
  );
}

/* A table that may be drawn as a list in a narrow frame: each cell knows its column's name, and all keep their roles, which
 * the browser forgets as soon as they are not drawn as a table. */
export function stackable(table) {
  const heads = [...table.tHead.rows[0].cells].map((head) => head.textContent);
  table.setAttribute("role", "table");
  for (const part of [table.tHead, ...table.tBodies, table.tFoot].filter(Boolean)) part.setAttribute("role", "rowgroup");
  for (const line of table.rows) {
    line.setAttribute("role", "row");
    for (const [index, cell] of [...line.cells].entries()) {
      const headed = cell.matches("th") ? (cell.scope === "col" ? "columnheader" : "rowheader") : "cell";
      cell.setAttribute("role", headed);
      if (headed === "cell" && cell.colSpan === 1) cell.dataset.label = heads[index];
    }
  }
  return table;
}

export function row(cells, key) {
  const [first, ...others] = cells;
  return h("tr", { "data-key": key }, h("th", { scope: "row" }, first), others.map((cell) => h("td", {}, cell)));
}

export function empty(title, text) {
  return h("div", { class: "empty" }, h("p", { class: "empty-title" }, title), text && h("p", { class: "subtle" }, text));
}

export function select(label, name, value, choices, onchange) {
  return h(
    "div",
    { class: "field" },
    h("label", { for: `choose-${name}` }, label),
    h(
      "select",
      { name, id: `choose-${name}`, onchange: (event) => onchange(event.target.value) },
      choices.map(([key, text]) => h("option", { value: key, selected: key === value }, text)),
    ),
  );
}
