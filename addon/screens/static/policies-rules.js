/* The notification and automation schemes, to read; they are changed in the document. */

import { h } from "./dom.js";
import { paragraph } from "./parts.js";
import { keyOf } from "./policies-draft.js";

const ACTIONS = { archive: "archives", delete: "moves to the trash" };

export function rulesView(screen) {
  const { doc } = screen.draft;
  const refresh = doc.schedules.refreshStatuses;
  return [
    paragraph("Notification rules, automations and the refresh schedule are changed in the policies document: ", h("a", { href: "#/policies/document" }, "import or edit it"), "."),
    list("Refresh of statuses", [{ key: "refresh", title: "Refresh content statuses", on: refresh.enabled, schedule: refresh }]),
    ...doc.notificationSchemes.map((scheme) => list(`Notifications: ${scheme.name}`, (scheme.rules || []).map(rule), scheme)),
    ...doc.automationSchemes.map((scheme) => list(`Automations: ${scheme.name}`, (scheme.automations || []).map(automation), scheme)),
  ];
}

const rule = (each) => ({ key: keyOf(each), title: each.name, on: each.enabled, schedule: each.schedule, cql: each.cql, does: `mails ${each.recipients.map(recipient).join(", ")}` });

const automation = (each) => ({ key: keyOf(each), title: each.name, on: each.enabled, schedule: each.schedule, cql: each.cql, does: `${ACTIONS[each.action.type] || each.action.type} what it finds, at most ${each.action.cap}` });

const WORDS = { author: "authors", lastUpdater: "last updaters", spaceAdmins: "space administrators" };
const recipient = (each) => (typeof each === "string" ? WORDS[each] || each : `one ${Object.keys(each)[0]}`);

function list(title, rows, scheme) {
  return h(
    "section",
    { "data-key": `${title}-${scheme ? scheme.id : ""}` },
    h("h2", {}, title, scheme && scheme.default && h("span", { class: "lozenge lozenge-running" }, "Default")),
    rows.length === 0 && h("p", { class: "subtle" }, "Nothing in it."),
    h("ul", { class: "rows" }, rows.map(row)),
  );
}

function row({ key, title, on, schedule, cql, does }) {
  return h(
    "li",
    { class: "row", "data-key": key },
    h(
      "div",
      { class: "row-words" },
      h("h3", {}, title, h("span", { class: `lozenge${on ? " lozenge-done" : ""}` }, on ? "On" : "Off")),
      h("p", { class: "subtle" }, "When: ", h("code", {}, schedule.cron), ` ${schedule.timeZone}`, does && ` · ${does}`),
      cql && h("p", {}, h("code", {}, cql)),
    ),
  );
}
