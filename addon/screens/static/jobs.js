/* The Jobs screen: what can be started, what runs, what came of the last ones. */

import { get, post } from "./api.js";
import { ask } from "./dialogs.js";
import { focusOn, h, morph } from "./dom.js";
import { capital, duration, moment, setTimeZone, timeZone } from "./format.js";
import { firstRunPanel } from "./firstrun.js";
import { holdBanner, holdButton } from "./hold.js";
import { newSpaces } from "./newspaces.js";
import { at, button, coverageMark, empty, lozenge, message, paragraph, problemMessage, skeleton } from "./parts.js";
import { pointsPanel } from "./points.js";
import { polling } from "./poll.js";
import { resultPanel, runningPanel } from "./running.js";
import { ACTIVE, beforeStart, outcome, retryName, scopeOf } from "./words.js";

const LAST = 6;

export function jobsScreen(app) {
  const state = { jobs: null, last: null, ended: null, trouble: null, firstRun: null };
  const points = pointsPanel();
  const latecomers = newSpaces(() => draw(), () => refresh());
  let poll = null;

  async function look() {
    try {
      const before = state.jobs && state.jobs.current;
      const jobs = await get("/jobs");
      if (!app.ownTimeZone) setTimeZone(jobs.timeZone);
      const gone = before && (!jobs.current || jobs.current.id !== before.id);
      const known = gone && (!before.restricted || before.spaceResult) ? await get(`/executions/${before.id}`) : null;
      if (known && !ACTIVE.includes(known.status)) state.ended = known;
      else if (known && !jobs.current) jobs.current = known;
      if (jobs.current && state.ended && jobs.current.id !== state.ended.id) state.ended = null;
      // What began and ended between two looks is seen by the revision alone.
      if (!state.last || state.last.revision !== jobs.revision) {
        const { items } = await get("/executions", { limit: LAST });
        state.last = { items, revision: jobs.revision };
      }
      if (jobs.scope === "site") await Promise.all([points.look(), !jobs.firstRun && latecomers.look()]);
      Object.assign(state, { jobs, trouble: null });
    } catch (problem) {
      state.trouble = problem;
      draw();
      throw problem;
    }
    draw();
    return Boolean(state.jobs.current);
  }

  const refresh = () => poll.now();

  function draw() {
    const { jobs, trouble } = state;
    morph(
      app.main,
      h("h1", { class: "visually-hidden" }, "Jobs"),
      trouble && problemMessage(trouble, refresh),
      !jobs && !trouble && [skeleton(2), skeleton(4)],
      jobs && body(jobs),
    );
    app.main.removeAttribute("aria-busy");
  }

  function body(jobs) {
    if (jobs.space && jobs.space.excluded) return excluded(jobs);
    return [
      jobs.notices.length > 0 && message("warning", "Jobs do not run as planned", jobs.notices.map((text) => paragraph(text))),
      jobs.hold.on && !jobs.firstRun && holdBanner(jobs, refresh),
      jobs.firstRun && firstRunPanel(state, jobs, draw, begun),
      jobs.scope === "site" && !jobs.firstRun && latecomers.draw(),
      h(
        "div",
        { class: "columns" },
        h(
          "section",
          { class: "jobs", "aria-labelledby": "jobs-title" },
          h("h2", { id: "jobs-title", class: "section-title" }, "Start a job"),
          h("ul", { class: "cards" }, jobs.items.map((job) => card(job, jobs))),
          jobs.scope === "site" && !jobs.hold.on && !jobs.firstRun && holdButton(refresh),
          jobs.scope === "site" && points.draw(),
        ),
        h("div", { class: "present" }, now(jobs), lastOnes()),
      ),
    ];
  }

  function excluded(jobs) {
    const { included } = jobs.space;
    return message(
      "info",
      included ? "This space is excluded" : "This space is not included",
      paragraph(`Content Steward leaves ${jobs.space.name} (${jobs.space.key}) alone (${jobs.space.excluded}). No job reads or changes it, and none can be started here.`),
      paragraph(`A Confluence administrator can ${included ? "change the excluded spaces" : "include it"} in the policies.`),
    );
  }

  function card(job, jobs) {
    const busy = Boolean(jobs.current);
    const why = !job.startable && !busy && !jobs.firstRun ? job.reason : null;
    const describedBy = why ? `why-${job.job}` : `next-${job.job}`;
    const attributes = { disabled: !job.startable, "aria-describedby": describedBy };
    return h(
      "li",
      { class: "card", "data-job": job.job, "data-key": job.job },
      h("h3", {}, job.title),
      h("p", { class: "subtle" }, job.description),
      job.retry && h("p", { class: "next next-retry" }, `${capital(retryName(job.retry.attempt, job.retry.attempts))}: `, at(job.retry.dueAt)),
      why && h("p", { class: "why", id: `why-${job.job}` }, why),
      h(
        "div",
        { class: "card-foot" },
        h("p", { class: "next", id: `next-${job.job}` }, next(job, jobs)),
        h(
          "div",
          { class: "card-buttons" },
          job.dryRun && button("Dry run", () => start(job, jobs, true), { "aria-label": `Dry run: ${job.title}`, ...attributes }),
          button("Start", () => start(job, jobs, false), { kind: "primary", "aria-label": `Start: ${job.title}`, ...attributes }),
        ),
      ),
    );
  }

  function next(job, jobs) {
    if (!job.nextAt) return "No schedule is on";
    const where = jobs.scope === "space" ? "All included spaces: " : "Next: ";
    const unless = jobs.firstRun ? " (once the first run is confirmed)" : jobs.hold.on ? " (on hold)" : "";
    return [where, at(job.nextAt), unless];
  }

  async function start(job, jobs, dryRun) {
    const where = jobs.space ? `in ${jobs.space.name}` : "over all included spaces";
    const body = { job: job.job, scope: jobs.scope, dryRun, ...(jobs.space ? { spaceKey: jobs.space.key } : {}) };
    const go = (dry) => () => post("/executions", { ...body, dryRun: dry });
    const started = await ask({
      title: dryRun ? `Dry run: ${job.title.toLowerCase()} ${where}?` : `${job.title} ${where}?`,
      content: beforeStart(job.job, dryRun).map((text) => h("p", {}, text)),
      label: dryRun ? "Start dry run" : "Start",
      act: go(dryRun),
      also: job.dryRun && !dryRun ? { label: "Dry run first", act: go(true) } : null,
    });
    if (started) await begun(started);
    else await refresh();
  }

  async function begun(started) {
    if (!started) {
      await refresh();
      return;
    }
    state.jobs = { ...state.jobs, current: started, waiting: [], firstRun: false };
    state.ended = null;
    draw();
    focusOn(document.getElementById("current-title"));
    await refresh();
  }

  function now(jobs) {
    const { current } = jobs;
    const panel = (kind, ...content) => h("section", { class: `panel ${kind}`, "aria-labelledby": "current-title", "data-key": kind }, content);
    if (current) return panel("panel-running", runningPanel(current, refresh, { waiting: jobs.waiting }));
    if (state.ended) return panel("panel-ended", resultPanel(state.ended, jobs.statuses, dismiss, begun));
    return panel("panel-idle", h("h2", { id: "current-title" }, "Nothing is running"), h("p", { class: "subtle" }, upcoming(jobs)));
  }

  function dismiss() {
    state.ended = null;
    draw();
    focusOn(document.getElementById("current-title"));
  }

  function upcoming(jobs) {
    if (jobs.firstRun) return "Nothing starts before the first run is confirmed.";
    if (jobs.hold.on) return "All schedules are on hold. Jobs can be started by hand.";
    const coming = jobs.items.filter((job) => job.nextAt).sort((a, b) => new Date(a.nextAt) - new Date(b.nextAt));
    if (!coming.length) return "No schedule is on. Jobs can be started by hand.";
    return `Next over all included spaces: ${coming[0].title}, ${moment(coming[0].nextAt)} (${timeZone()}).`;
  }

  function lastOnes() {
    const items = state.last ? state.last.items.filter((each) => !ACTIVE.includes(each.status)).slice(0, LAST - 1) : [];
    return h(
      "section",
      { class: "last", "aria-labelledby": "last-title", "data-key": "last" },
      h("h2", { id: "last-title", class: "section-title" }, "Last executions"),
      items.length ? h("ul", { class: "runs" }, items.map(run)) : empty("No execution has ended yet", "Results appear here as soon as one has."),
      items.length > 0 && h("p", { class: "links" }, h("a", { href: "#/audit-log" }, "Job audit log")),
    );
  }

  function run(execution) {
    return h(
      "li",
      { "data-key": execution.id },
      h("span", { class: "run-when" }, at(execution.startedAt, capital(moment(execution.startedAt)))),
      h(
        "span",
        { class: "run-what" },
        h("a", { href: `#/executions/${execution.id}` }, execution.title),
        h("span", { class: "subtle" }, execution.dryRun ? " dry run" : "", execution.scope === "space" ? ` ${scopeOf(execution)}` : app.spaceKey ? " all included spaces" : ""),
      ),
      h("span", { class: "run-status" }, lozenge(execution.status), coverageMark(execution)),
      h("span", { class: "run-result subtle" }, [duration(execution), outcome(execution)].filter(Boolean).join(" · ")),
    );
  }

  return {
    title: "Jobs",
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
