/* The dialog that the byline opens: why a page has its status, and what its editors say about it. */

import { call, get, post } from "./api.js";
import { reasons } from "./byline-why.js";
import { review } from "./byline-review.js";
import { announce, focusOn, h, morph } from "./dom.js";
import { insideConfluence, prepared, unveil } from "./frame.js";
import { at, button, message, paragraph, problemMessage } from "./parts.js";

const main = document.getElementById("main");
const { contentId, property, root } = document.body.dataset;
const screen = { seen: null, busy: null, problem: null, said: null };

const picture = (status) => h("img", { src: root + status.icon, alt: "", width: "24", height: "24", class: "status-icon" });

/* The page behind the dialog shows the new status without being loaded again. */
function tellThePage() {
  const confluence = window.AP.confluence;
  if (confluence && confluence.syncPropertyFromServer) confluence.syncPropertyFromServer(property, () => {});
}

async function act(name, ask, done) {
  if (screen.busy) return;
  screen.busy = name;
  screen.problem = null;
  screen.said = null;
  show();
  const before = screen.seen && screen.seen.status && screen.seen.status.id;
  try {
    screen.seen = await ask();
    if (done) screen.said = done(screen.seen, before);
    if (name !== "open") tellThePage();
  } catch (problem) {
    screen.problem = problem;
  }
  screen.busy = null;
  show();
  if (screen.said) announce(screen.said);
  if (screen.problem) focusOn(main.querySelector(".message-error"));
}

const refreshed = (seen, before) =>
  seen.status.id === before ? `Refreshed: it still is ${seen.status.name}.` : `Refreshed: it is ${seen.status.name} now.`;

const path = (what) => `/content/${contentId}/${what}`;
const open = () => act("open", () => get(path("status")));
const refresh = () => act("refresh", () => post(path("refresh")), refreshed);

function change(name, body, words) {
  const ask = async () => (await call("PUT", path("review"), { body })).data;
  return act(name, ask, (seen) => seen.problem || `${words} It is ${seen.status.name} now.`);
}

const close = () => window.AP.dialog.close();
const closer = () =>
  h("button", { type: "button", class: "close", "aria-label": "Close", onclick: close }, h("span", { "aria-hidden": "true" }, "✕"));

function head(seen) {
  const { status, previous } = seen;
  const since = seen.changedOn && [" since ", at(seen.changedOn)];
  return h(
    "header",
    { class: "status-head" },
    picture(status),
    h(
      "div",
      { class: "status-words" },
      h("p", { class: "subtle status-of" }, seen.title),
      h("h1", {}, status.name),
      status.description && h("p", {}, status.description),
      (since || previous) &&
        h("p", { class: "subtle" }, since && ["It has had this status", since], previous && [since ? "; before that it was " : "Before that it was ", previous.name], "."),
    ),
    closer(),
  );
}

function renewal(seen) {
  const busy = screen.busy === "refresh";
  return h(
    "div",
    { class: "renewal" },
    h("p", { class: "subtle" }, seen.refreshedAt ? ["Last refreshed ", at(seen.refreshedAt)] : "Not refreshed yet"),
    button(busy ? "Refreshing…" : `Refresh this ${seen.kind === "page" ? "page" : "post"}`, refresh, {
      class: `button button-default${busy ? " is-busy" : ""}`,
      "aria-disabled": screen.busy && "true",
    }),
  );
}

function notices(seen) {
  const applies = seen.tests.find((test) => test.applies);
  return h(
    "div",
    { class: "messages" },
    screen.problem && problemMessage(screen.problem),
    !screen.problem && seen.problem && message("warning", "The status could not be refreshed", paragraph(seen.problem)),
    screen.said && !seen.problem && message("success", null, paragraph(screen.said)),
    seen.outdated && applies && message("info", null, paragraph("By its scheme it is ", h("strong", {}, applies.status.name), " now. Refresh it to say so on the page.")),
  );
}

function excluded(seen) {
  return [
    h("header", { class: "status-head" }, h("div", { class: "status-words" }, h("p", { class: "subtle status-of" }, seen.title), h("h1", {}, "No content status")), closer()),
    message("info", "This space is left out", paragraph(`The space ${seen.space.name} is ${seen.excluded}. Its pages and posts have no status, and no job touches them.`)),
  ];
}

function failed() {
  return [
    h("header", { class: "status-head" }, h("div", { class: "status-words" }, h("h1", {}, "Content status")), closer()),
    screen.problem.status === 404 ? unreadable(screen.problem) : problemMessage(screen.problem, open),
  ];
}

/* Not an error: the page is one that the app is kept out of, and people can change that. */
function unreadable(problem) {
  const again = h("button", { type: "button", class: "link", onclick: open }, "Look again");
  return message("warning", problem.title, paragraph(problem.detail), h("p", {}, again));
}

function show() {
  const { seen } = screen;
  if (!seen && !screen.problem) return;
  main.removeAttribute("aria-busy");
  if (!seen) morph(main, failed());
  else if (seen.excluded) morph(main, excluded(seen));
  else morph(main, head(seen), notices(seen), renewal(seen), review(seen, screen.busy, change), reasons(seen, root));
}

async function begin() {
  if (!insideConfluence()) {
    unveil();
    main.removeAttribute("aria-busy");
    morph(main, h("h1", {}, "Content status"), message("info", "Open this inside Confluence", paragraph("It belongs to the byline of a page.")));
    return;
  }
  await prepared();
  await open();
  focusOn(main.querySelector("h1"));
}

begin();
