/* The start of a frame: the theme, the time zone, and then the view that the address asks for. One shell
 * serves every page; the views differ by the part of the address after # (docs/adr/0004). */

import { auditScreen } from "./audit.js";
import { ask, dismiss } from "./dialogs.js";
import { focusOn, h, morph } from "./dom.js";
import { executionScreen } from "./execution.js";
import { setTimeZone } from "./format.js";
import { insideConfluence, prepared, unveil } from "./frame.js";
import { jobsScreen } from "./jobs.js";
import { overviewScreen } from "./overview.js";
import { message, paragraph } from "./parts.js";
import { policiesScreen } from "./policies.js";

const { view, spaceKey } = document.body.dataset;
const app = { main: document.getElementById("main"), spaceKey: spaceKey || null, ownTimeZone: false };
let screen = null;
let stage = null;
let agreed = false;

function route() {
  const [path, query = ""] = (location.hash.startsWith("#/") ? location.hash.slice(1) : view).split("?");
  const execution = path.match(/^\/executions\/([^/]+)$/);
  if (execution) return executionScreen(stage, execution[1]);
  if (path === "/audit-log") return auditScreen(stage, new URLSearchParams(query));
  if (path === "/overview") return overviewScreen(stage);
  if (path.startsWith("/policies") && !stage.spaceKey) return policiesScreen(stage, path);
  return jobsScreen(stage);
}

function mark(path) {
  const section = path.startsWith("/executions") ? "/audit-log" : path.startsWith("/policies") ? "/policies" : path;
  for (const link of document.querySelectorAll(".nav a")) {
    if (link.getAttribute("href") === `#${section}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function open(event) {
  if (location.hash && !location.hash.startsWith("#/")) return;
  dismiss();
  if (event && screen && screen.moves && screen.moves((location.hash.slice(1) || view).split("?")[0])) return;
  if (event && screen && screen.unsaved && screen.unsaved() && !agreed) {
    askToLeave(location.hash);
    return;
  }
  agreed = false;
  if (screen) leave();
  stage = { ...app };
  screen = route();
  mark((location.hash.slice(1) || view).split("?")[0]);
  document.title = `${screen.title} · Content Steward`;
  morph(app.main);
  app.main.setAttribute("aria-busy", "true");
  screen.show();
  window.scrollTo(0, 0);
  if (event) focusOn(app.main.querySelector("h1") || app.main);
}

/* The person stays where the changes are until they have answered; then the address is opened again. */
async function askToLeave(wanted) {
  history.replaceState(null, "", screen.address());
  agreed = await ask({
    title: "Leave without saving the policies?",
    content: paragraph("Your changes to the policies are not saved. They are lost when you leave."),
    label: "Leave without saving",
    keep: "Stay here",
    danger: true,
    act: () => true,
  });
  if (agreed) location.hash = wanted;
}

/* An answer may come after its screen was left: what that screen draws then must not be drawn over the next one. */
function leave() {
  screen.hide();
  stage.main = document.createElement("main");
}

function outside() {
  document.querySelector(".nav").remove();
  morph(
    app.main,
    h("h1", {}, "Content Steward"),
    message(
      "info",
      "Open this page inside Confluence",
      paragraph("Content Steward's screens work only in the frame that Confluence opens for them. Go to Confluence settings, Apps, Content Steward, or to a space's settings, Integrations, Content Steward."),
    ),
  );
  app.main.removeAttribute("aria-busy");
}

async function begin() {
  if (!insideConfluence()) {
    unveil();
    outside();
    return;
  }
  app.ownTimeZone = await prepared();
  if (!app.ownTimeZone) setTimeZone(document.body.dataset.timeZone);
  window.addEventListener("hashchange", open);
  open();
}

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  focusOn(app.main);
});
begin();
