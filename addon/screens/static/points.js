/* The site's API points of this hour on the Jobs screen, for Confluence administrators. */

import { get } from "./api.js";
import { h } from "./dom.js";
import { number } from "./format.js";
import { at } from "./parts.js";

const FRESH = 15000;

/* Return {look, draw}: `look` asks at most every 15 seconds and never fails, because the panel is a courtesy. */
export function pointsPanel() {
  let usage = null;
  let asked = 0;

  async function look() {
    if (Date.now() - asked < FRESH) return;
    asked = Date.now();
    try {
      usage = await get("/quota");
    } catch (problem) {
      console.warn("the points could not be read:", problem.message);
      usage = null;
    }
  }

  function meter(name, label, { used, limit }) {
    const words = `${number(used)} of ${number(limit)}`;
    return h(
      "div",
      { class: "points-share", "data-share": name },
      h("span", { class: "points-label", id: `points-${name}` }, label),
      h("meter", { min: 0, max: limit, value: Math.min(used, limit), high: Math.round(limit * 0.8), "aria-labelledby": `points-${name}`, "aria-valuetext": words }),
      h("span", { class: "points-number" }, words),
    );
  }

  function draw() {
    if (!usage) return null;
    return h(
      "section",
      { class: "points", "aria-labelledby": "points-title", "data-key": "points" },
      h("h2", { id: "points-title", class: "section-title" }, "API points this hour"),
      meter("jobs", "Jobs", usage.jobs),
      meter("people", "People", usage.people),
      usage.closedUntil && h("p", { class: "why" }, `Confluence takes no further calls: ${usage.reason}. Until `, at(usage.closedUntil), "."),
      h("p", { class: "subtle" }, "Confluence limits apps by points an hour, for all sites together. The count starts again at zero ", at(usage.resetsAt), "."),
    );
  }

  return { look, draw };
}
