/* The first run: what a new installation would do, shown before anything happens, and decided by an administrator. */

import { get, post } from "./api.js";
import { ask } from "./dialogs.js";
import { h } from "./dom.js";
import { count, number } from "./format.js";
import { button, message, paragraph, problemMessage, skeleton } from "./parts.js";

/* `state.firstRun` keeps {data, trouble, chosen, open} across polls. */
export function firstRunPanel(state, jobs, draw, begun) {
  if (jobs.scope === "space") {
    return message(
      "info",
      "Waiting for a Confluence administrator",
      paragraph("Content Steward was installed but has not begun: a Confluence administrator confirms the first run under Confluence settings, Content Steward, Jobs."),
    );
  }
  if (!state.firstRun) {
    state.firstRun = { data: null, trouble: null, chosen: new Set(), open: false };
    load(state, draw);
  }
  const { data, trouble } = state.firstRun;
  return h(
    "section",
    { class: "panel panel-first", "aria-labelledby": "first-title", "data-key": "first" },
    h("h2", { id: "first-title" }, "Before the first run"),
    paragraph("Nothing has been read in bulk, written or sent yet. This is what Content Steward found at a glance; it begins when you say so."),
    trouble && problemMessage(trouble, () => load(state, draw)),
    !data && !trouble && skeleton(3),
    data && found(state, draw, begun),
  );
}

async function load(state, draw) {
  state.firstRun.trouble = null;
  try {
    state.firstRun.data = await get("/first-run");
  } catch (problem) {
    state.firstRun.trouble = problem;
  }
  draw();
}

function found(state, draw, begun) {
  const { data, chosen } = state.firstRun;
  const tile = (label, value) => h("div", { class: "tile" }, h("dt", {}, label), h("dd", {}, value));
  const chosenOnes = state.firstRun.open && chosen.size > 0;
  return [
    h(
      "dl",
      { class: "tiles" },
      tile("Spaces included", number(data.spacesIncluded)),
      tile("Excluded by rule", number(data.spacesExcluded)),
      data.counts.map((each) => tile(each.name, each.contents === null ? "?" : number(each.contents))),
    ),
    paragraph(`The first refresh takes about ${count(data.estimatedMinutes, "minute")} and ${number(data.estimatedPoints)} of the app's API points.`),
    h(
      "ul",
      { class: "checks" },
      check(data.mail, `Mail can be sent. ${switched(data.rulesOn, "notification rule")}`),
      check(data.archive, `Pages can be archived. ${switched(data.automationsOn, "automation")}`),
    ),
    h(
      "details",
      { open: state.firstRun.open, ontoggle: (event) => toggled(state, event, draw) },
      h("summary", {}, "Start with some spaces only"),
      h("p", { class: "subtle" }, "Only these take part then. The others, and spaces that are made later, are left alone until you include them: new ones are listed here on the Jobs screen, and all of them in the policies."),
      h("ul", { class: "choices" }, data.spaces.filter((space) => space.included).map((space) => choice(space, chosen, draw))),
    ),
    h(
      "div",
      { class: "card-buttons" },
      chosenOnes
        ? button(`Start with ${count(chosen.size, "space")}`, () => agreed(data, [...chosen], begun), { kind: "primary" })
        : button("Start with all spaces", () => agreed(data, "all", begun), { kind: "primary" }),
    ),
  ];
}

function toggled(state, event, draw) {
  if (state.firstRun.open === event.target.open) return;
  state.firstRun.open = event.target.open;
  draw();
}

function choice(space, chosen, draw) {
  const change = (event) => {
    if (event.target.checked) chosen.add(space.key);
    else chosen.delete(space.key);
    draw();
  };
  return h(
    "li",
    { "data-key": space.key },
    h("label", {}, h("input", { type: "checkbox", value: space.key, checked: chosen.has(space.key), onchange: change }), ` ${space.name} `, h("span", { class: "subtle" }, space.key)),
  );
}

function check(trouble, fine) {
  return h("li", { class: trouble ? "check check-bad" : "check" }, h("span", { class: "check-mark", "aria-hidden": "true" }), trouble || fine);
}

/* What a new installation ships is off; who wrote policies before the first run may have switched something on. */
const switched = (on, what) =>
  on ? `${count(on, what)} ${on === 1 ? "is" : "are"} on and ${on === 1 ? "starts" : "start"} by schedule once you begin.` : `Every ${what} is off until you switch it on.`;

const MEANWHILE = "The first refresh of statuses starts at once; after it they are refreshed by schedule, every six hours. You can cancel it, or hold all schedules, at any time.";

function warning({ rulesOn, automationsOn }) {
  if (!rulesOn && !automationsOn) return `${MEANWHILE} Nothing is mailed, archived or deleted before you switch on a rule or an automation.`;
  const on = [rulesOn && count(rulesOn, "notification rule"), automationsOn && count(automationsOn, "automation")].filter(Boolean);
  return `${MEANWHILE} ${on.join(" and ")} that ${rulesOn + automationsOn === 1 ? "is" : "are"} on may mail, archive or delete from their next time on.`;
}

async function agreed(data, spaces, begun) {
  const some = spaces === "all" ? "all included spaces" : count(spaces.length, "space");
  const confirmed = await ask({
    title: `Let Content Steward begin with ${some}?`,
    content: paragraph(warning(data)),
    label: "Begin",
    act: () => post("/first-run", { spaces }),
  });
  await begun(confirmed && confirmed.execution);
  if (confirmed && confirmed.notStarted) await refused(confirmed.notStarted);
}

function refused(reason) {
  return ask({
    title: "The first refresh did not start",
    content: [paragraph(reason), paragraph("The first run is confirmed: the refresh starts by its schedule, or by hand on this screen.")],
    label: "Close",
    keep: null,
    act: async () => true,
  });
}
