/* The hold on all schedules: put on, shown and released. */

import { post } from "./api.js";
import { ask } from "./dialogs.js";
import { h } from "./dom.js";
import { instant, timeZone } from "./format.js";
import { at, button, message, paragraph } from "./parts.js";

export function holdBanner(jobs, refresh) {
  const { hold } = jobs;
  const who = hold.byName || hold.by;
  return message(
    "warning",
    "All schedules are on hold",
    paragraph(
      who ? `Put on hold by ${who}` : "On hold",
      hold.reason ? `: ${hold.reason.replace(/\.$/, "")}.` : ".",
      hold.until ? [" They resume ", at(hold.until), "."] : " Nothing starts by schedule until they are released.",
      " Jobs can still be started by hand.",
    ),
    jobs.scope === "site" && h("p", { class: "links" }, h("button", { type: "button", class: "link", onclick: () => release(refresh) }, "Release schedules")),
  );
}

export function holdButton(refresh) {
  return h("p", { class: "hold" }, button("Hold all schedules…", () => hold(refresh), { kind: "subtle" }));
}

async function hold(refresh) {
  const reason = h("input", { type: "text", name: "reason", maxlength: "500", autocomplete: "off" });
  const until = h("input", { type: "datetime-local", name: "until" });
  await ask({
    title: "Hold all schedules?",
    content: [
      paragraph("Nothing starts by schedule until you release them. What runs continues, and jobs can be started by hand. Slots that pass meanwhile start once when the schedules are released, if they are not older than a day."),
      h("label", { class: "field field-wide" }, h("span", {}, "Why (shown to everyone who opens Jobs)"), reason),
      h("label", { class: "field field-wide" }, h("span", {}, `Until (optional, ${timeZone()})`), until),
    ],
    label: "Hold schedules",
    act: () =>
      post("/hold", {
        on: true,
        ...(reason.value.trim() ? { reason: reason.value.trim() } : {}),
        ...(until.value ? { until: instant(until.value).toISOString() } : {}),
      }),
  });
  await refresh();
}

async function release(refresh) {
  await ask({
    title: "Release all schedules?",
    content: paragraph("Due slots start as soon as nothing else runs."),
    label: "Release schedules",
    act: () => post("/hold", { on: false }),
  });
  await refresh();
}
