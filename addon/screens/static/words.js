/* The words that people read for the names that programs use. */

import { capital, number } from "./format.js";

export const STATUS = {
  running: "Running",
  finalizing: "Finalizing",
  cancelling: "Cancelling",
  successful: "Successful",
  failed: "Failed",
  cancelled: "Cancelled",
  pending: "Pending",
  done: "Done",
  skipped: "Skipped",
  planned: "Planned",
};
export const ACTIVE = ["running", "finalizing", "cancelling"];
export const JOBS = {
  "refresh-statuses": "Refresh content statuses",
  "send-notifications": "Send notifications",
  "execute-automations": "Execute automations",
};
export const TRIGGER = { scheduled: "Schedule", manual: "Person", retry: "Retry" };

const METRICS = {
  contentsChecked: "Items checked",
  statusesChanged: "Statuses changed",
  contentsReadOnly: "Items that are read-only",
  contentsMatched: "Items matched",
  contentsPlanned: "Items planned",
  contentsUntold: "Items no one was notified of",
  emailsSent: "E-mails sent",
  emailsFailed: "E-mails failed",
  emailsSuppressed: "E-mails suppressed",
  emailsPending: "E-mails pending",
  contentsArchived: "Items archived",
  contentsDeleted: "Items deleted",
  contentsSkipped: "Items skipped",
  contentsFailed: "Items failed",
  spacesProcessed: "Spaces processed",
  spacesFailed: "Spaces failed",
  spacesSkipped: "Spaces skipped",
  spacesCancelled: "Spaces cancelled",
  spacesTotal: "Spaces total",
  points: "API points",
  calls: "API calls",
};
const MINOR = new Set(["points", "calls"]);
/* Left out at zero: without them the others add up to the total. */
const RARE = new Set(["spacesSkipped", "spacesCancelled"]);
const TROUBLE = new Set(["spacesFailed", "contentsFailed", "contentsUntold", "emailsFailed"]);

/* [{name, label, value, bad, minor}] in the order in which they matter; statusCounts is left to its own bar. What a
   dry run plans is shown when it is nothing, too: zero is its result. */
export function metricList(given, dryRun = false) {
  const metrics = dryRun ? { contentsPlanned: 0, ...given } : given;
  const known = Object.keys(METRICS).filter((name) => name in metrics && !(RARE.has(name) && !metrics[name]));
  const other = Object.keys(metrics).filter((name) => !(name in METRICS) && typeof metrics[name] === "number");
  return [...known, ...other].map((name) => ({
    name,
    label: METRICS[name] || capital(name.replace(/([A-Z])/g, " $1").toLowerCase().replace(/^contents /, "items ")),
    value: metrics[name],
    bad: TROUBLE.has(name) && metrics[name] > 0,
    minor: MINOR.has(name),
  }));
}

/* One short phrase for a list: what came of it. */
export function outcome(execution) {
  const { metrics, spaceResult } = execution;
  if (!metrics) return "";
  const parts = spaceResult ? [`this space: ${STATUS[spaceResult.status].toLowerCase()}`] : [];
  const say = (name, words) => metrics[name] > 0 && parts.push(`${number(metrics[name])} ${words}`);
  if ("statusesChanged" in metrics) parts.push(`${number(metrics.statusesChanged)} changed`);
  if ("emailsSent" in metrics) parts.push(`${number(metrics.emailsSent)} mailed`);
  if ("contentsArchived" in metrics && !execution.dryRun) {
    say("contentsArchived", "archived");
    say("contentsDeleted", "deleted");
  }
  if (execution.dryRun && "contentsPlanned" in metrics) parts.push(`${number(metrics.contentsPlanned)} planned`);
  else if (execution.dryRun && "contentsMatched" in metrics) parts.push(`${number(metrics.contentsMatched)} matched`);
  say("spacesFailed", metrics.spacesFailed === 1 ? "space failed" : "spaces failed");
  if (!parts.length && "contentsMatched" in metrics) parts.push("nothing to do");
  return parts.join(" · ");
}

/* Why a result does not cover everything. */
export function uncovered({ metrics, spacesUnseen }) {
  const reasons = [];
  if (spacesUnseen > 0) reasons.push(`${spacesUnseen === 1 ? "1 space" : `${number(spacesUnseen)} spaces`} of the last run could not be seen any more: which and why is said with the skipped spaces.`);
  const items = (many) => `${number(many)} ${many === 1 ? "page or post" : "pages and posts"}`;
  if (metrics.contentsReadOnly > 0) reasons.push(`${items(metrics.contentsReadOnly)} cannot be edited by Content Steward, so ${metrics.contentsReadOnly === 1 ? "its" : "their"} status does not show in Confluence.`);
  if (metrics.contentsNotAllowed > 0) reasons.push(`${items(metrics.contentsNotAllowed)} may not be archived or deleted by Content Steward.`);
  return reasons.join(" ");
}

export const scopeOf = (execution) =>
  execution.scope === "site" ? "All included spaces" : execution.spaceKey || "Another space";

/* The second attempt is the first retry. */
export const retryName = (attempt, attempts) => `retry ${attempt - 1}${attempts ? ` of ${attempts - 1}` : ""}`;

export function starter(execution) {
  if (execution.trigger === "retry") return capital(retryName(execution.attempt));
  if (execution.trigger === "scheduled") return "Schedule";
  return execution.startedByName || (execution.restricted ? "A person" : execution.startedBy || "A person");
}

/* What the confirmation says before a job starts. */
export function beforeStart(job, dryRun) {
  const one = "Only one execution runs at a time: until this one ends no other can start, and schedules wait. You can cancel it while it runs.";
  if (dryRun) return ["A dry run finds what the automations would archive or delete, and lists it. Nothing is changed.", one];
  if (job === "send-notifications")
    return ["Every enabled notification rule is evaluated now, whatever its schedule, and its digests are mailed. People may get mail they do not expect; the next scheduled run happens all the same.", one];
  if (job === "execute-automations")
    return ["Every enabled automation runs now, whatever its schedule. Pages and posts that match are archived or moved to the trash; bringing many of them back is tedious. A dry run shows first what would happen.", one];
  return ["Pages and posts whose status must change get their new status. Nothing else about them changes.", one];
}
