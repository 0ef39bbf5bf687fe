/* The job audit log: every execution, newest first, filtered; and the times of schedules at which none could start. */

import { h, morph } from "./dom.js";
import { capital, duration, moment, setTimeZone } from "./format.js";
import { moreButton, pages } from "./lists.js";
import { at, button, coverageMark, empty, lozenge, row, select, skeleton, table } from "./parts.js";
import { missedSection } from "./slots.js";
import { JOBS, STATUS, TRIGGER, outcome, scopeOf, starter } from "./words.js";

const FILTERS = ["job", "status", "scope", "trigger"];

export function auditScreen(app, query) {
  const inSpace = Boolean(app.spaceKey);
  const filters = Object.fromEntries(FILTERS.map((name) => [name, query.get(name) || ""]));
  const list = pages("/executions", draw);
  const missed = pages("/missed-slots", () => {
    if (missed.page && !app.ownTimeZone) setTimeZone(missed.page.timeZone);
    draw();
  });

  function reload() {
    list.reload();
    if (!inSpace) missed.load();
  }

  function choose(name, value) {
    filters[name] = value;
    const chosen = new URLSearchParams(Object.entries(filters).filter(([, each]) => each));
    history.replaceState(null, "", `#/audit-log${chosen.size ? `?${chosen}` : ""}`);
    list.load(filters);
  }

  const choices = (words, all) => [["", all], ...Object.entries(words)];
  const filtered = () => FILTERS.some((name) => filters[name]);

  function draw() {
    morph(
      app.main,
      h("h1", {}, "Job audit log"),
      h("p", { class: "subtle lead" }, inSpace ? "What ran in this space, newest first. A run over all included spaces is listed with what it did here. One that changed nothing here is listed for 30 days." : "Every execution on this site, newest first."),
      h(
        "form",
        { class: "filters", role: "search", "aria-label": "Filter the log", onsubmit: (event) => event.preventDefault() },
        select("Job", "job", filters.job, choices(JOBS, "All jobs"), (value) => choose("job", value)),
        select("Status", "status", filters.status, choices(pick(STATUS, ["successful", "failed", "cancelled", "running"]), "Any status"), (value) => choose("status", value)),
        select("Scope", "scope", filters.scope, [["", "Any scope"], ["site", "All included spaces"], ["space", inSpace ? "This space" : "One space"]], (value) => choose("scope", value)),
        select("Started by", "trigger", filters.trigger, choices(TRIGGER, "Anyone"), (value) => choose("trigger", value)),
        button("Refresh", reload, { kind: "subtle" }),
      ),
      !list.items && !list.trouble && skeleton(6),
      list.items && (list.items.length ? log() : nothing()),
      moreButton(list, "Older executions"),
      !inSpace && !list.trouble && missedSection(missed),
    );
    app.main.toggleAttribute("aria-busy", list.loading || missed.loading);
  }

  const pick = (words, names) => Object.fromEntries(names.map((name) => [name, words[name]]));

  function nothing() {
    return filtered()
      ? empty("No execution matches these filters", "Choose others to see more of the log.")
      : empty("Nothing has run yet", "Every execution is listed here as soon as it starts.");
  }

  function log() {
    const heads = ["Job", "Space", "Status", "Started by", "Started", "Duration", "Outcome", "Results"];
    return table("Job audit log", heads, list.items.map(entry), "table-log");
  }

  function entry(execution) {
    return row(
      [
        [execution.title, execution.dryRun ? h("span", { class: "tag" }, "dry run") : null],
        scopeOf(execution),
        [lozenge(execution.status), coverageMark(execution)],
        starter(execution),
        at(execution.startedAt, capital(moment(execution.startedAt))),
        duration(execution) || "–",
        capital(outcome(execution)) || "–",
        h("a", { href: `#/executions/${execution.id}`, "aria-label": `Results of ${execution.title}, ${moment(execution.startedAt)}` }, "Results"),
      ],
      execution.id,
    );
  }

  return {
    title: "Job audit log",
    show() {
      list.load(filters);
      if (!inSpace) missed.load();
    },
    hide() {},
  };
}
