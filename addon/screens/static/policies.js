/* The policies of the site: statuses, schemes, spaces, and the whole as a document. One draft, saved as one version. */

import { ask } from "./dialogs.js";
import { announce, focusOn, h, morph } from "./dom.js";
import { capital, count } from "./format.js";
import { button, message, paragraph, problemMessage, skeleton } from "./parts.js";
import { documentView } from "./policies-document.js";
import { SECTIONS, createDraft, fieldId } from "./policies-draft.js";
import { rulesView } from "./policies-rules.js";
import { schemeView } from "./policies-scheme.js";
import { schemesView } from "./policies-schemes.js";
import { spacesView } from "./policies-spaces.js";
import { statusesView } from "./policies-statuses.js";
import { statusOf } from "./policies-usage.js";

const PAGES = [
  ["/policies", "Status schemes"],
  ["/policies/statuses", "Statuses"],
  ["/policies/spaces", "Spaces"],
  ["/policies/rules", "Rules and automations"],
  ["/policies/document", "Import / export"],
];

export function policiesScreen(app, path) {
  const draft = createDraft();
  const screen = { draft, draw, say };
  const text = documentView(screen);
  let view = path;
  let trouble = null;
  let said = null;
  let busy = false;
  let wanted = null;

  const asText = () => view === "/policies/document";
  const dirty = () => draft.dirty() || text.dirty();
  const scheme = () => view.match(/^\/policies\/schemes\/([^/]+)$/);

  async function load() {
    trouble = null;
    draw();
    try {
      await draft.load();
    } catch (problem) {
      trouble = problem;
    }
    if (asText()) await text.load();
    draw();
  }

  async function save() {
    if (busy) return;
    [busy, trouble, said] = [true, null, null];
    draw();
    try {
      const textual = asText();
      const notices = textual ? await text.save() : await draft.save();
      if (textual) {
        await draft.load();
        await text.load();
        draft.notices = draft.placed(notices);
      }
      said = { kind: "success", title: `Saved as version ${draft.version}`, notices: draft.notices };
      announce(said.title);
    } catch (problem) {
      trouble = problem;
    }
    busy = false;
    draw();
    focusOn(app.main.querySelector(".message"));
  }

  function discard() {
    [trouble, said] = [null, null];
    if (asText()) text.discard();
    else draft.discard();
    draw();
    if (!asText()) focusOn(app.main.querySelector("h1"));
  }

  /* Somebody else saved meanwhile: theirs below, the changes made here on top. */
  async function rebase() {
    try {
      const both = await draft.rebase();
      const names = both.map((name) => SECTIONS[name]).join(", ");
      trouble = null;
      said = {
        kind: both.length ? "warning" : "success",
        title: `Your changes are now made to version ${draft.version}`,
        text: both.length ? `You both changed: ${names}. Yours are kept here; look at them before you save.` : "The other person changed different parts. Save when you are ready.",
      };
    } catch (problem) {
      trouble = problem;
    }
    draw();
    focusOn(app.main.querySelector(".message"));
  }

  async function theirs() {
    [trouble, said] = [null, null];
    await load();
    focusOn(app.main.querySelector("h1"));
  }

  function say(kind, title, words) {
    [said, trouble] = [{ kind, title, text: words }, null];
    draw();
    focusOn(app.main.querySelector(".message"));
  }

  function draw() {
    const ready = draft.doc !== null;
    morph(
      app.main,
      h("h1", {}, "Policies"),
      h(
        "div",
        { class: "policy-bar", "data-key": "bar" },
        h("nav", { class: "tabs", "aria-label": "Parts of the policies" }, PAGES.map(tab)),
        ready && bar(),
      ),
      h("div", { class: "messages", "data-key": "messages" }, troubles(), words()),
      h("div", { class: "policy-page", "data-key": view }, ready ? page() : !trouble && skeleton(6)),
    );
    text.drawn(app.main);
    if (ready || trouble) app.main.removeAttribute("aria-busy");
    const target = wanted && document.getElementById(wanted);
    if (target) target.focus();
    if (target) wanted = null;
  }

  function tab([address, label]) {
    const current = address === view || (address === "/policies" && scheme());
    return h("a", { href: `#${address}`, "aria-current": current ? "page" : null }, label);
  }

  function bar() {
    const changed = asText() ? text.dirty() : draft.dirty();
    const blocked = asText() ? draft.dirty() : false;
    return h(
      "div",
      { class: "toolbar policy-save" },
      h("span", { class: "subtle" }, `Version ${draft.version}`, changed ? " · your changes are not saved" : ""),
      button("Discard changes", () => busy || discard(), { kind: "subtle", disabled: !changed, "aria-disabled": busy && "true" }),
      button(busy ? "Saving…" : "Save", save, { kind: "primary", disabled: !changed || blocked, "aria-disabled": busy && "true" }),
    );
  }

  function page() {
    if (view === "/policies/statuses") return statusesView(screen);
    if (view === "/policies/spaces") return spacesView(screen);
    if (view === "/policies/rules") return rulesView(screen);
    if (asText()) return text.draw();
    return scheme() ? schemeView(screen, decodeURIComponent(scheme()[1])) : schemesView(screen);
  }

  function troubles() {
    if (!trouble) return null;
    if (trouble.status === 412) {
      return message(
        "error",
        "Somebody else saved meanwhile",
        paragraph(asText() ? "Download your text before you load the current version: it replaces what is in the editor." : "Your changes are still here and not saved. Take the other person's version and keep your changes on top of it, or drop yours."),
        h("p", { class: "links" }, asText() ? button("Download my text", text.download) : button("Keep my changes on the current version", rebase), button("Load the current version and drop mine", theirs, { kind: "subtle" })),
      );
    }
    const errors = trouble.errors || [];
    if (!errors.length) return problemMessage(trouble, draft.doc === null ? load : null);
    const list = asText() ? errors.map(lineError) : draft.errors.map(fieldError);
    return message("error", "The policies were not saved", paragraph(`${count(errors.length, "field is", "fields are")} not right:`), h("ul", { class: "errors" }, list));
  }

  const lineError = (error) =>
    h("li", {}, error.line && h("button", { type: "button", class: "link", onclick: () => text.jump(error.line) }, `Line ${error.line}`), " ", h("code", {}, error.pointer || "/"), ` ${error.detail}`);

  /* "Freshness, Not updated" for an entry of a scheme, "statuses, Expired" for a status. */
  function placeName(owner, pointer) {
    const [, section, index] = pointer.split("/");
    const above = section === "statusSchemes" && draft.doc.statusSchemes[Number(index)];
    const inner = owner.status ? statusOf(draft.doc, owner.status) || { name: owner.status } : owner;
    const names = [above ? above.name : SECTIONS[section] || "policies", inner !== above && inner.name];
    return capital(names.filter(Boolean).join(", "));
  }

  function fieldError({ owner, field, view: place, pointer, detail }) {
    const go = (event) => {
      event.preventDefault();
      wanted = place === "/policies/statuses" ? fieldId(owner, "name") : fieldId(owner, field);
      if (place === view) draw();
      else location.hash = `#${place}`;
    };
    return h("li", {}, h("a", { href: `#${place}`, onclick: go }, placeName(owner, pointer)), ": ", detail);
  }

  function words() {
    if (!said) return null;
    const notices = said.notices || [];
    const list = notices.length > 0 && h("ul", { class: "errors" }, notices.map((each) => h("li", {}, h("code", {}, each.pointer), ` ${each.detail}`)));
    return message(said.kind, said.title, said.text && paragraph(said.text), list);
  }

  function keys(event) {
    if (event.key !== "s" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    const button = app.main.querySelector(".policy-save .button-primary");
    if (button && !button.disabled) save();
  }

  const leaving = (event) => dirty() && event.preventDefault();

  async function leaveText(to) {
    history.replaceState(null, "", `#${view}`);
    const agreed = await ask({
      title: "Leave the text without saving it?",
      content: paragraph("What you changed in the text is not saved. It is lost when you leave this page."),
      label: "Leave without saving",
      keep: "Stay here",
      danger: true,
      act: () => true,
    });
    if (!agreed) return;
    text.forget();
    location.hash = `#${to}`;
  }

  return {
    title: "Policies",
    show() {
      document.addEventListener("keydown", keys);
      window.addEventListener("beforeunload", leaving);
      load();
    },
    hide() {
      document.removeEventListener("keydown", keys);
      window.removeEventListener("beforeunload", leaving);
    },
    unsaved: dirty,
    address: () => `#${view}`,
    /* Another page of the policies: the draft stays. A text that is edited is left only when the person agrees. */
    moves(to) {
      if (!to.startsWith("/policies")) return false;
      if (to === view) return true;
      if (asText() && text.dirty()) {
        leaveText(to);
        return true;
      }
      [view, trouble, said] = [to, draft.errors.length ? trouble : null, null];
      if (asText()) text.load();
      window.scrollTo(0, 0);
      const aimed = wanted;
      draw();
      if (!aimed) focusOn(app.main.querySelector(".policy-page h2"));
      return true;
    },
  };
}
