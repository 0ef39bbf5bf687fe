/* One execution: what it was, what came of it, which spaces failed and why, what it did to which item. */

import { get } from "./api.js";
import { announce, h, morph } from "./dom.js";
import { capital, duration, moment, number } from "./format.js";
import { moreButton, pages } from "./lists.js";
import { at, coverageMark, empty, lozenge, message, metricTiles, paragraph, problemMessage, row, select, skeleton, table } from "./parts.js";
import { polling } from "./poll.js";
import { runningPanel } from "./running.js";
import { retryButton } from "./retry.js";
import { slotFacts } from "./slots.js";
import { ACTIVE, STATUS, metricList, retryName, scopeOf, starter, uncovered } from "./words.js";

const ACTIONS = { archive: "Archive", delete: "Delete", stamp: "Status", notify: "Mail" };
const OUTCOMES = ["done", "skipped", "failed", "planned"];

export function executionScreen(app, id) {
  const state = { execution: null, trouble: null, spaceStatus: "", itemOutcome: "" };
  const spaces = pages(`/executions/${id}/spaces`, draw);
  const items = pages(`/executions/${id}/items`, draw);
  let poll = null;

  async function look() {
    try {
      const before = state.execution;
      state.execution = await get(`/executions/${id}`);
      state.trouble = null;
      const ended = !before || (active(before) && !active(state.execution));
      if (ended && detailed(state.execution)) {
        if (before) announce(`${state.execution.title}: ${STATUS[state.execution.status]}`);
        await Promise.all([spaces.load({ status: state.spaceStatus }), items.load({ outcome: state.itemOutcome })]);
      }
    } catch (problem) {
      state.trouble = problem;
      draw();
      if (problem.status !== 404 && problem.status !== 403) throw problem;
      return false;
    }
    draw();
    return active(state.execution);
  }

  const detailed = (execution) => !execution.restricted || Boolean(execution.spaceResult);
  const active = (execution) => ACTIVE.includes(execution.status);

  function draw() {
    const { execution, trouble } = state;
    morph(
      app.main,
      h("p", { class: "crumbs" }, h("a", { href: "#/audit-log" }, "Job audit log")),
      h("h1", {}, execution ? [execution.title, execution.dryRun ? " (dry run) " : " ", lozenge(execution.status), coverageMark(execution)] : "Execution"),
      trouble && problemMessage(trouble, () => poll.now()),
      !execution && !trouble && skeleton(6),
      execution && body(execution),
    );
    app.main.removeAttribute("aria-busy");
  }

  function body(execution) {
    return [
      active(execution) && h("section", { class: "panel panel-running", "aria-labelledby": "current-title", "data-key": "run" }, runningPanel(execution, () => poll.now())),
      execution.spaceResult && message("info", "A run over all included spaces", paragraph("Here is what it did in this space. The rest of it is for Confluence administrators.")),
      execution.coverage === "incomplete" && message("warning", "Coverage incomplete", paragraph(uncovered(execution))),
      execution.error && message("error", "Why it ended", paragraph(execution.error)),
      execution.nextRetry && message("info", "It will be retried", paragraph(`${capital(retryName(execution.nextRetry.attempt, execution.nextRetry.attempts))} starts `, at(execution.nextRetry.dueAt), " with the spaces that were not done.")),
      retryButton(execution, (started) => location.assign(`#/executions/${started.id}`)),
      facts(execution),
      results(execution),
      detailed(execution) && [spaceSection(execution), itemSection(execution)],
    ];
  }

  function facts(execution) {
    const fact = (name, ...value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
    const link = (other, text) => h("a", { href: `#/executions/${other}` }, text);
    return h(
      "section",
      { class: "facts", "aria-label": "Details", "data-key": "facts" },
      h(
        "dl",
        {},
        fact("Space", scopeOf(execution)),
        fact("Executed by", starter(execution)),
        fact("Started", at(execution.startedAt, capital(moment(execution.startedAt)))),
        execution.endedAt && fact("Ended", at(execution.endedAt, capital(moment(execution.endedAt)))),
        execution.endedAt && fact("Duration", duration(execution)),
        slotFacts(execution).map(({ name, value }) => h("div", { class: "wide" }, h("dt", {}, name), h("dd", {}, value))),
        fact("Policies", `version ${execution.policyVersion}`),
        execution.retryOf && fact("Retry of", link(execution.retryOf, execution.trigger === "retry" && execution.attempt > 2 ? retryName(execution.attempt - 1) : "the failed execution")),
        execution.retriedBy && fact("Retried by", link(execution.retriedBy, "a newer execution")),
        h("div", { class: "wide" }, h("dt", {}, "Job execution ID"), h("dd", {}, h("code", {}, execution.id))),
      ),
    );
  }

  function results(execution) {
    if (!execution.metrics) return null;
    return h(
      "section",
      { "aria-labelledby": "metrics-title", "data-key": "metrics" },
      h("h2", { id: "metrics-title" }, execution.spaceResult ? "Results in this space" : "Results"),
      metricTiles(execution.metrics, execution.statuses, execution.dryRun),
      execution.mails && liveMails(execution),
    );
  }

  function liveMails(execution) {
    const { mails, metrics } = execution;
    if (Object.keys(mails).every((name) => mails[name] === metrics[name])) return null;
    return h("p", { class: "subtle" }, `Mails as of now: ${number(mails.emailsSent)} sent, ${number(mails.emailsPending)} waiting, ${number(mails.emailsFailed)} failed, ${number(mails.emailsSuppressed)} suppressed.`);
  }

  function spaceSection(execution) {
    const choices = [["", "All spaces"], ...["done", "failed", "skipped", "cancelled", "pending", "running"].map((name) => [name, STATUS[name]])];
    const choose = (value) => {
      state.spaceStatus = value;
      spaces.load({ status: value });
    };
    return h(
      "section",
      { "aria-labelledby": "spaces-title", "data-key": "spaces" },
      h("div", { class: "section-head" }, h("h2", { id: "spaces-title" }, "Spaces"), !execution.spaceResult && select("Show", "spaceStatus", state.spaceStatus, choices, choose)),
      !spaces.items && !spaces.trouble && skeleton(2),
      spaces.items && (spaces.items.length ? spaceTable() : noSpace(execution)),
      moreButton(spaces, "More spaces"),
    );
  }

  function noSpace(execution) {
    if (execution.progress.spacesTotal === 0) return empty("There was no space to process");
    const old = execution.endedAt && !state.spaceStatus;
    return empty("No space to show", old ? "Results per space of runs that changed nothing are kept for 30 days." : null);
  }

  function spaceTable() {
    return table(
      "Spaces of this execution",
      ["Space", "Status", "Reason", "Results"],
      spaces.items.map((space) =>
        row([[h("strong", {}, space.spaceKey), " ", h("span", { class: "subtle" }, space.name)], lozenge(space.status), why(space), brief(space.metrics)], space.spaceKey),
      ),
    );
  }

  function why(space) {
    if (space.status !== "cancelled") return space.reason || "–";
    return space.startedAt ? "Partly done when the run was cancelled" : "Not begun when the run was cancelled";
  }

  function brief(metrics) {
    const parts = metricList(metrics)
      .filter((each) => each.value > 0)
      .map((each) => `${each.label.toLowerCase()}: ${number(each.value)}`);
    const counts = Object.entries(metrics.statusCounts || {}).filter(([, value]) => value > 0);
    return [...parts, ...counts.map(([slug, value]) => `${name(slug)}: ${number(value)}`)].join(" · ") || "–";
  }

  const name = (slug) => ((state.execution.statuses || []).find((status) => status.id === slug) || { name: slug }).name.toLowerCase();

  function itemSection(execution) {
    const none = items.items && !items.items.length && !state.itemOutcome;
    if (none && execution.job !== "execute-automations") return null;
    const choices = [["", "Every outcome"], ...OUTCOMES.map((each) => [each, STATUS[each]])];
    const choose = (value) => {
      state.itemOutcome = value;
      items.load({ outcome: value });
    };
    return h(
      "section",
      { "aria-labelledby": "items-title", "data-key": "items" },
      h("div", { class: "section-head" }, h("h2", { id: "items-title" }, "Item log"), select("Show", "itemOutcome", state.itemOutcome, choices, choose)),
      !items.items && !items.trouble && skeleton(2),
      items.items && (items.items.length ? itemTable() : empty(state.itemOutcome ? "Nothing with this outcome" : "Nothing was done to any page or post")),
      moreButton(items, "More items"),
    );
  }

  function itemTable() {
    return table(
      "What was done to which item",
      ["Item", "Space", "Action", "Outcome", "Reason", "When"],
      items.items.map((item, index) =>
        row(
          [content(item), item.spaceKey, ACTIONS[item.action] || capital(item.action), lozenge(item.outcome), item.reason || "–", at(item.at, capital(moment(item.at)))],
          `${item.contentId}-${index}`,
        ),
      ),
    );
  }

  /* Titles are kept only of what was removed; whatever is still there opens in Confluence. */
  function content(item) {
    if (item.title) return item.title;
    const open = () => window.AP.navigator.go("contentview", { contentId: item.contentId });
    return h("button", { type: "button", class: "link", onclick: open }, `Item ${item.contentId}`);
  }

  return {
    title: "Execution",
    show() {
      draw();
      poll = polling(look);
      poll.now();
    },
    hide() {
      poll.stop();
    },
  };
}
