/* The status overview: how many pages and posts of each space have which status, as the viewer may see them. */

import { get } from "./api.js";
import { countAsViewer, fewAtOnce, mayAsk, spacesAsViewer } from "./asviewer.js";
import { announce, focusOn, h, morph } from "./dom.js";
import { count, number, setTimeZone } from "./format.js";
import { countUntracked } from "./untracked.js";
import { at, button, empty, message, paragraph, problemMessage, select, skeleton, stackable } from "./parts.js";

const PAGE = 20;
const UNTRACKED = " untracked";
const TYPES = { global: "Team spaces", collaboration: "Team spaces", knowledge_base: "Knowledge bases", personal: "Personal spaces" };

export function overviewScreen(app) {
  const state = { about: null, rows: null, trouble: null, loading: false, counting: false, first: 0, more: false };
  const filters = { type: "", name: "" };
  const counts = new Map();
  let spaces = spacesAsViewer();
  let turn = 0;

  const fits = (space) => (!filters.type || TYPES[space.type] === filters.type) && matches(space);
  const matches = ({ name, key }) => `${name} ${key}`.toLowerCase().includes(filters.name.trim().toLowerCase());

  /* The spaces of this page; lists on until there are enough of them, and one more to know of a next page. */
  async function page() {
    if (app.spaceKey) return [];
    let found = spaces.items.filter(fits);
    while (!spaces.done && found.length <= state.first + PAGE) {
      await spaces.more();
      found = spaces.items.filter(fits);
    }
    state.more = found.length > state.first + PAGE;
    return found.slice(state.first, state.first + PAGE);
  }

  async function load() {
    const mine = ++turn;
    Object.assign(state, { loading: true, trouble: null, rows: app.spaceKey ? null : state.rows });
    draw();
    try {
      const wanted = mayAsk() ? await page() : [];
      if (mine !== turn) return;
      const keys = wanted.map(({ key }) => key).join(",");
      const about = await get("/overview", { keys });
      if (mine !== turn) return;
      if (!app.ownTimeZone) setTimeZone(about.timeZone);
      const names = new Map(wanted.map(({ key, name, type }) => [key, { name, type }]));
      state.about = about;
      state.rows = about.items.map((row) => ({ ...row, ...names.get(row.key) }));
    } catch (problem) {
      if (mine !== turn) return;
      state.trouble = problem;
    }
    state.loading = false;
    state.counting = Boolean(!state.trouble && showing());
    draw();
    if (state.counting) await countAll(mine);
  }

  const showing = () => state.about.stamps && state.about.refreshedAt && mayAsk();
  const tracked = (row) => !row.note && row.refreshedAt;
  const counted = (row) => tracked(row) || !row.tracked;

  async function countAll(mine) {
    const rows = state.rows.filter(counted);
    for (const row of rows) counts.delete(row.key);
    draw();
    const tasks = rows.flatMap((row) => [
      () => ask(row, "", () => countAsViewer(row.total), mine),
      ...row.cells.filter((cell) => !cell.default).map((cell) => () => ask(row, cell.status, () => countAsViewer(cell.cql), mine)),
      ...(row.tracked ? [() => ask(row, UNTRACKED, () => countUntracked(row), mine)] : []),
    ]);
    await fewAtOnce(tasks, () => mine === turn);
    if (mine !== turn) return;
    state.counting = false;
    draw();
    if (rows.length) announce(`Pages and posts of ${count(rows.length, "space")} counted`);
  }

  async function ask(row, slug, question, mine) {
    let value;
    try {
      value = await question();
    } catch (refusal) {
      value = refusal;
    }
    if (mine !== turn) return;
    if (!counts.has(row.key)) counts.set(row.key, new Map());
    counts.get(row.key).set(slug, value);
    draw();
  }

  /* undefined: not known yet; an Error: refused; else the number. The default is what the others leave. */
  function total(row) {
    return (counts.get(row.key) || new Map()).get("");
  }

  function untracked(row) {
    return (counts.get(row.key) || new Map()).get(row.tracked ? UNTRACKED : "");
  }

  function value(row, cell) {
    const known = counts.get(row.key) || new Map();
    if (!cell.default) return known.get(cell.status);
    const parts = ["", UNTRACKED, ...row.cells.filter((each) => !each.default).map((each) => each.status)].map((slug) => known.get(slug));
    const refused = parts.find((part) => part instanceof Error);
    if (refused || parts.includes(undefined)) return refused;
    // Where there is too much to compare, what is not tracked is null and the number the most that it can be.
    return Math.max(0, parts.slice(1).reduce((left, part) => left - (part || 0), parts[0]));
  }

  function choose(name, given) {
    filters[name] = given;
    state.first = 0;
    load();
  }

  function turnTo(first) {
    state.first = first;
    load().then(() => focusOn(document.getElementById("overview-title")));
  }

  function again() {
    spaces = spacesAsViewer();
    state.first = 0;
    load();
  }

  function draw() {
    const { about, trouble, rows } = state;
    morph(
      app.main,
      h(
        "div",
        { class: "overview-head" },
        h("h1", { id: "overview-title" }, "Status overview"),
        about && about.refreshedAt && h("p", { class: "subtle" }, "Last refresh: ", at(about.refreshedAt)),
        rows && h("div", { class: "overview-again" }, button("Count again", () => state.loading || again(), { kind: "subtle", "aria-disabled": state.loading && "true" })),
      ),
      h("p", { class: "subtle lead" }, "How many pages and blog posts have which status. You see the numbers of what you may view: others may see different ones."),
      trouble && problemMessage(trouble.status === undefined || trouble.title ? trouble : { title: "Confluence did not answer", detail: `${trouble.message}. Try again in a minute.` }, load),
      !about && !trouble && skeleton(6),
      about && !trouble && body(),
    );
    app.main.toggleAttribute("aria-busy", state.loading);
  }

  function body() {
    const { about, rows } = state;
    if (!about.stamps) return noStamps();
    if (!mayAsk()) return message("warning", "This host cannot be asked", paragraph("The counts are asked of Confluence in your name, and this host offers no way to do that."));
    if (app.spaceKey && rows.length && rows[0].note) return message("info", "This space is not counted", paragraph(`${sentence(rows[0].note)}.`));
    if (!about.refreshedAt) return unrefreshed();
    const foot = h("p", { class: "subtle overview-foot" }, "Items that never needed a status written to them count as the last status of their scheme.");
    return [!app.spaceKey && filterForm(), rows.length ? [uncovered(), grid(), foot] : nothing(), !app.spaceKey && pager()];
  }

  function uncovered() {
    const missing = state.rows.filter(counted).map(untracked).filter(Number.isInteger).reduce((sum, many) => sum + many, 0);
    if (!missing) return null;
    const items = missing === 1 ? "page or post that you see is" : "pages and posts that you see are";
    return message("warning", "Coverage incomplete", paragraph(`${number(missing)} ${items} not tracked: the app cannot see them, because a restriction or a space's permissions keep it out. Their status is not known.`));
  }

  const noStamps = () =>
    message(
      "info",
      "The overview needs stamps",
      paragraph("The policies say that statuses are kept by Content Steward alone, without a stamp on the pages and posts. Then Confluence cannot find them by status, and only Confluence knows what each person may see. Switch stamps on in the policies to have the overview and the search by status."),
    );

  const unrefreshed = () => [
    empty("Nothing has been refreshed yet", "Statuses are counted here as soon as the first refresh of content statuses has ended."),
    paragraph(h("a", { href: "#/jobs" }, "Go to Jobs")),
  ];

  const nothing = () =>
    state.loading ? skeleton(6) : empty("No space matches these filters", "Only current spaces that you can see in Confluence are listed.");

  /* No field is called "type": a form would answer with it when asked for its own type, and be taken for another. */
  function filterForm() {
    const names = [...new Set(Object.values(TYPES))];
    return h(
      "form",
      { class: "filters", role: "search", "aria-label": "Filter the spaces", onsubmit: (event) => event.preventDefault() },
      h(
        "div",
        { class: "field" },
        h("label", { for: "choose-name" }, "Space"),
        h("input", { type: "search", id: "choose-name", name: "wanted", placeholder: "Name or key", autocomplete: "off", oninput: typed }),
      ),
      select("Type", "kind", filters.type, [["", "All types"], ...names.map((name) => [name, name])], (given) => choose("type", given)),
    );
  }

  let typing = null;
  function typed(event) {
    const given = event.target.value;
    clearTimeout(typing);
    typing = setTimeout(() => choose("name", given), 250);
  }

  function grid() {
    const { about, rows } = state;
    const heads = about.statuses.map((status) => h("th", { scope: "col", class: "number" }, dot(status.colour), status.name));
    return h(
      "div",
      { class: "table-region overview", role: "region", "aria-label": "Pages and posts by space and status", "aria-busy": String(state.loading || state.counting), tabindex: "0" },
      stackable(h(
        "table",
        {},
        h("caption", { class: "visually-hidden" }, "Pages and posts by space and status"),
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Space"), h("th", { scope: "col", class: "number" }, "All items"), heads, h("th", { scope: "col", class: "number" }, "Not tracked"), h("th", { scope: "col" }, "Refreshed"))),
        h("tbody", {}, rows.map(line)),
        rows.filter(counted).length > 1 && h("tfoot", {}, totals()),
      )),
    );
  }

  function dot(colour) {
    const element = h("span", { class: "dot", "aria-hidden": "true" });
    element.style.backgroundColor = colour;
    return element;
  }

  function line(row) {
    const columns = state.about.statuses;
    const name = (...more) => h("th", { scope: "row" }, row.name, h("span", { class: "subtle" }, ` ${row.key}`), more);
    if (!row.tracked) return hidden(row, name);
    if (!counted(row)) {
      const why = row.note ? sentence(row.note) : "Not refreshed lately: the next refresh counts it";
      return h("tr", { "data-key": row.key, class: "overview-left-out" }, name(), h("td", { colspan: columns.length + 3, class: "subtle" }, why));
    }
    const cells = new Map(row.cells.map((cell) => [cell.status, cell]));
    return h(
      "tr",
      { "data-key": row.key },
      name(bar(row)),
      h("td", { class: "number" }, linked(total(row), row.total, `all pages and posts of ${row.name}`)),
      columns.map((status) => h("td", { class: "number", "data-status": status.id }, cells.has(status.id) ? figure(row, cells.get(status.id), status) : "–")),
      h("td", { class: "untracked" }, notTracked(untracked(row))),
      h("td", {}, at(row.refreshedAt)),
    );
  }

  /* A space that the app cannot see: all of it is not tracked. */
  function hidden(row, name) {
    return h(
      "tr",
      { "data-key": row.key, class: "overview-left-out" },
      name(h("span", { class: "overview-why" }, `${sentence(row.note)}.`)),
      h("td", { class: "number" }, linked(total(row), row.total, `all pages and posts of ${row.name}`)),
      state.about.statuses.map(() => h("td", { class: "untracked" }, "–")),
      h("td", { class: "untracked" }, notTracked(untracked(row))),
      h("td", {}, "–"),
    );
  }

  function notTracked(known) {
    if (known === null) return h("span", { title: "There are too many pages and posts to compare them" }, "not known");
    return [linked(known, null, ""), known > 0 && h("span", { class: "visually-hidden" }, " not tracked")];
  }

  /* The row at a glance, for the eye only: the numbers next to it say the same. */
  function bar(row) {
    const cells = new Map(row.cells.map((cell) => [cell.status, cell]));
    const parts = state.about.statuses.filter((status) => cells.has(status.id)).map((status) => [status, value(row, cells.get(status.id))]);
    const known = parts.every(([, many]) => Number.isInteger(many)) ? parts.filter(([, many]) => many > 0) : [];
    const part = ([status, many]) => {
      const element = h("span", { class: "bar-part" });
      element.style.flexGrow = many;
      element.style.backgroundColor = status.colour;
      return element;
    };
    return h("span", { class: "bar", "aria-hidden": "true" }, known.map(part));
  }

  function figure(row, cell, status) {
    const known = value(row, cell);
    const all = total(row);
    const hides = cell.default && untracked(row) !== 0;
    return [
      hides && untracked(row) === null && "at most ",
      linked(known, hides ? null : cell.cql, `${status.name} in ${row.name}`),
      Number.isInteger(known) && Number.isInteger(all) && all > 0 && [" ", h("span", { class: "share" }, share(known, all))],
    ];
  }

  function linked(known, cql, what) {
    if (known === undefined) return h("span", { class: "pending" }, h("span", { class: "visually-hidden" }, "counting"));
    if (known instanceof Error) return h("span", { class: "refused", title: known.message }, "?", h("span", { class: "visually-hidden" }, ` ${known.message}`));
    if (!cql) return number(known);
    const href = `${state.about.siteUrl}/search?${new URLSearchParams({ cql })}`;
    return h("a", { href, target: "_top", "aria-label": `${number(known)}: search for ${what}` }, number(known));
  }

  function totals() {
    const rows = state.rows.filter(counted);
    const sum = (values) => (values.every(Number.isInteger) ? values.reduce((left, right) => left + right, 0) : undefined);
    const all = sum(rows.map(total));
    const missed = sum(rows.map(untracked));
    const column = (status) => {
      const having = rows.map((row) => [row, row.cells.find((cell) => cell.status === status.id)]).filter(([, cell]) => cell);
      const known = sum(having.map(([row, cell]) => value(row, cell)));
      return h("td", { class: "number" }, known === undefined ? "…" : [number(known), all > 0 && [" ", h("span", { class: "share" }, share(known, all))]]);
    };
    const which = state.first === 0 && !state.more ? "Total" : "Total of this page";
    return h("tr", {}, h("th", { scope: "row" }, which), h("td", { class: "number" }, all === undefined ? "…" : number(all)), state.about.statuses.map(column), h("td", { class: "untracked" }, missed === undefined ? "…" : number(missed)), h("td", {}));
  }

  function pager() {
    if (state.first === 0 && !state.more) return null;
    return h(
      "nav",
      { class: "overview-pages", "aria-label": "Pages of spaces" },
      button("Previous spaces", () => state.loading || turnTo(state.first - PAGE), { disabled: state.first === 0, "aria-disabled": state.loading && "true" }),
      h("span", { class: "subtle" }, `Spaces ${number(state.first + 1)} to ${number(state.first + state.rows.length)}`),
      button("Next spaces", () => state.loading || turnTo(state.first + PAGE), { disabled: !state.more, "aria-disabled": state.loading && "true" }),
    );
  }

  return {
    title: "Status overview",
    show: load,
    hide() {
      turn += 1;
      clearTimeout(typing);
    },
  };
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function share(part, whole) {
  const percent = (part * 100) / whole;
  if (percent > 0 && percent < 1) return "<1 %";
  return `${percent > 99 && percent < 100 ? ">99" : Math.round(percent)} %`;
}
