/* What is running, how far it is, and its Cancel: the panel on the Jobs screen and on an execution's own. */

import { call } from "./api.js";
import { ask } from "./dialogs.js";
import { announce, h } from "./dom.js";
import { count, left, number, span } from "./format.js";
import { at, button, coverageMark, lozenge, message, metricTiles, paragraph } from "./parts.js";
import { retryButton } from "./retry.js";
import { STATUS, retryName, scopeOf, starter, uncovered } from "./words.js";

/* The progress of an active execution. `refresh` is called after a cancel. */
export function runningPanel(execution, refresh, { heading = "h2", waiting = [] } = {}) {
  speak(execution);
  const { progress } = execution;
  const indeterminate = progress.spacesTotal === null && !execution.paused;
  return [
    h(
      "div",
      { class: "panel-head" },
      h(heading, { id: "current-title" }, execution.title, execution.dryRun ? " (dry run)" : ""),
      lozenge(execution.status),
    ),
    h("progress", {
      class: "progress",
      max: "100",
      value: indeterminate ? null : progress.percent,
      "aria-labelledby": "current-title",
      "data-key": indeterminate ? "indeterminate" : "determinate",
    }),
    h("p", { class: "progress-words" }, h("strong", {}, `${progress.percent} %`), ` · ${words(execution)}`),
    h("p", { class: "subtle details" }, details(execution)),
    notes(execution),
    failures(execution),
    behind(waiting),
    actions(execution, refresh),
  ];
}

function words(execution) {
  const { spacesDone, spacesFailed, spacesSkipped, spacesTotal, secondsLeft } = execution.progress;
  if (execution.paused) return `${spacesDone} of ${count(spacesTotal || 0, "space")} · waiting`;
  if (spacesTotal === null) return "listing the spaces";
  const parts = [`${number(spacesDone)} of ${count(spacesTotal, "space")}`];
  if (spacesFailed) parts.push(`${number(spacesFailed)} failed`);
  if (spacesSkipped) parts.push(`${number(spacesSkipped)} skipped`);
  if (execution.status === "finalizing") parts.push("compiling the results");
  else if (execution.status === "cancelling") parts.push("stopping at the next safe point");
  else if (!execution.stalledSince) parts.push(secondsLeft === null ? "no estimate yet" : left(secondsLeft));
  return parts.join(" · ");
}

function details(execution) {
  const parts = [];
  const spaces = execution.runningSpaces || [];
  if (spaces.length) parts.push(`now: ${spaces.join(", ")}`);
  if (!execution.restricted) parts.push(`${number(execution.points)} API points`);
  parts.push(execution.scope === "site" ? "all included spaces" : `space ${scopeOf(execution)}`);
  const joined = parts.join(" · ");
  return [joined, " · started ", at(execution.startedAt), execution.restricted ? "" : ` by ${by(execution)}`];
}

function by(execution) {
  if (execution.trigger === "scheduled") return "the schedule";
  if (execution.trigger === "retry") return retryName(execution.attempt);
  return starter(execution);
}

function notes(execution) {
  if (execution.paused) {
    return message("info", ["Paused until ", at(execution.paused.until), `: ${execution.paused.reason}`], paragraph("It continues then. Nothing is lost; you can cancel it."));
  }
  if (execution.stalledSince) {
    const idle = span((Date.now() - new Date(execution.stalledSince)) / 1000);
    return message(
      "warning",
      ["No progress since ", at(execution.stalledSince)],
      paragraph(`Nothing has moved for ${idle}. Confluence may be slow; you can cancel the execution.`),
    );
  }
  return null;
}

/* What starts when the lane is free, the first one first. */
function behind(waiting) {
  if (!waiting.length) return null;
  const one = (each) => [each.title, each.retry ? ` (${retryName(each.retry.attempt, each.retry.attempts)})` : "", new Date(each.due) > new Date() ? ", due " : ", due since ", at(each.due)];
  return h("p", { class: "subtle behind" }, "Next: ", waiting.map((each, index) => [index ? "; then " : "", one(each)]));
}

export function failures(execution) {
  const failed = execution.failures || [];
  if (!failed.length) return null;
  const more = execution.progress.spacesFailed - failed.length;
  return h(
    "ul",
    { class: "failures" },
    failed.map((each) => h("li", {}, h("strong", {}, each.spaceKey), ` ${each.reason}`)),
    more > 0 && h("li", { class: "subtle" }, `and ${count(more, "other space")}`),
  );
}

function actions(execution, refresh) {
  const links = [];
  if (!execution.restricted) links.push(h("a", { href: `#/executions/${execution.id}` }, "Details"));
  if (execution.mayCancel) {
    links.unshift(h("button", { type: "button", class: "link link-danger", id: "cancel-job", onclick: () => cancel(execution, refresh) }, "Cancel job"));
  } else if (execution.restricted && execution.scope === "site") {
    return h("p", { class: "subtle" }, "It runs over all included spaces: only a Confluence administrator can cancel it.");
  }
  return links.length ? h("p", { class: "links" }, links) : null;
}

async function cancel(execution, refresh) {
  await ask({
    title: `Cancel “${execution.title}”?`,
    content: [
      paragraph("Work already done stays done. Spaces not finished are skipped."),
      paragraph("The execution stops at the next safe point, usually within seconds."),
    ],
    label: "Cancel job",
    keep: "Keep it running",
    danger: true,
    act: () => call("POST", `/executions/${execution.id}/cancel`, { query: { spaceKey: document.body.dataset.spaceKey } }),
  });
  await refresh();
}

let spoken = null;

/* What a screen reader hears of the progress, once: each fifth of the way, and every change of status. */
function speak(execution) {
  const fifth = Math.floor(execution.progress.percent / 20) * 20;
  const state = execution.paused ? "paused" : STATUS[execution.status].toLowerCase();
  say(execution, `${execution.title}: ${state}, ${fifth} percent`);
}

function say(execution, words) {
  if (spoken === execution.id + words) return;
  spoken = execution.id + words;
  announce(words);
}

/* The results of an execution that has just ended. */
export function resultPanel(execution, statuses, dismiss, retried) {
  const ended = { successful: "success", failed: "error", cancelled: "info" }[execution.status];
  say(execution, `${execution.title}: ${STATUS[execution.status].toLowerCase()}`);
  return [
    h(
      "div",
      { class: "panel-head" },
      h("h2", { id: "current-title" }, execution.title, execution.dryRun ? " (dry run)" : ""),
      h("span", {}, lozenge(execution.status), coverageMark(execution)),
    ),
    h(
      "p",
      { class: `result-line result-${ended}` },
      `${scopeOf(execution)} · took ${span((new Date(execution.endedAt) - new Date(execution.startedAt)) / 1000)} · ended `,
      at(execution.endedAt),
    ),
    execution.error && message("error", null, paragraph(execution.error)),
    failures(execution),
    execution.coverage === "incomplete" && paragraph(uncovered(execution)),
    metricTiles(execution.metrics || {}, statuses, execution.dryRun),
    h(
      "p",
      { class: "links" },
      h("a", { href: `#/executions/${execution.id}` }, "All results"),
      retried && retryButton(execution, retried),
      dismiss && button("Close", dismiss, { kind: "subtle" }),
    ),
  ];
}
