/* The times that a scheduled run was started for, and those at which nothing started, with the reasons. */

import { h } from "./dom.js";
import { capital, count, moment, number, span, timeZone } from "./format.js";
import { moreButton } from "./lists.js";
import { at, row, table } from "./parts.js";

const IN_TIME = 60;
const DAY = 24 * 3600;
const NAMED = 5;

const seconds = (from, to) => (new Date(to) - new Date(from)) / 1000;

/* [{name, value}] for an execution's details; none when it simply started at the time of its job's only schedule. */
export function slotFacts({ slots, startedAt }) {
  if (!slots) return [];
  const started = slots.items.filter((slot) => slot.outcome === "started");
  const joined = slots.items.filter((slot) => slot.outcome !== "started");
  const plain = started.every((slot) => !slot.ruleId && seconds(slot.scheduledFor, startedAt) <= IN_TIME);
  if (plain && !joined.length) return [];
  const named = joined.slice(0, NAMED);
  const covered = joined.length + slots.more + joined.reduce((sum, slot) => sum + slot.earlier, 0);
  return [
    started.length && { name: "Started for", value: [byTime(started, "; ", startedAt), !joined.length && furtherOnes(slots.more)] },
    joined.length && { name: "Joined by", value: [`${count(covered, "missed slot")}: `, byTime(named, ", "), furtherOnes(covered - named.length)] },
  ].filter(Boolean);
}

/* "today 08:00 (Weekly digest, Stale pages), late by 2 h": rules that were due at the same time are named together. */
function byTime(slots, between, startedAt = null) {
  const times = [...new Set(slots.map((slot) => slot.scheduledFor))];
  return times.map((time, index) => {
    const names = slots.filter((slot) => slot.scheduledFor === time && slot.ruleId).map((slot) => slot.name);
    const late = startedAt ? seconds(time, startedAt) : 0;
    return [
      index > 0 && between,
      at(time, startedAt && index === 0 ? capital(moment(time)) : moment(time)),
      names.length > 0 && ` (${names.join(", ")})`,
      late > IN_TIME && `, late by ${span(Math.floor(late / 60) * 60)}`,
    ];
  });
}

const furtherOnes = (left) => left > 0 && ` and ${number(left)} more`;

/* The section of the audit log; nothing as long as nothing was missed. */
export function missedSection(list) {
  if (!list.trouble && !(list.items && list.items.length)) return null;
  return h(
    "section",
    { "aria-labelledby": "missed-title", "data-key": "missed" },
    h("h2", { id: "missed-title" }, "Missed slots"),
    h("p", { class: "subtle lead" }, `Times of schedules at which nothing started (${timeZone()}), latest first.`),
    list.items && table("What became of missed slots", ["Due", "Job", "Rule", "What became of it", "Why nothing started"], list.items.map(missedRow), "table-missed"),
    moreButton(list, "Older missed slots"),
  );
}

function missedRow(slot) {
  const due = [at(slot.scheduledFor, capital(moment(slot.scheduledFor))), slot.earlier > 0 && earlierOnes(slot)];
  const cells = [due, slot.title, slot.ruleId ? slot.name : "–", fate(slot), why(slot)];
  return row(cells, `${slot.job} ${slot.ruleId} ${slot.scheduledFor}`);
}

const earlierOnes = ({ earlier, earlierSince }) => [` and ${count(earlier, "earlier one")} since `, at(earlierSince)];

const why = ({ reason, blockedBy }) => (blockedBy ? h("a", { href: `#/executions/${blockedBy}` }, reason) : reason);

function fate(slot) {
  if (slot.outcome === "withdrawn") return "Withdrawn";
  if (slot.outcome !== "coalesced") return seconds(slot.scheduledFor, slot.at) > DAY ? "Skipped: more than 24 hours late" : "Skipped: too late";
  const run = `the run of ${moment(slot.at)}`;
  return ["Joined ", slot.executionId ? h("a", { href: `#/executions/${slot.executionId}` }, run) : run];
}
