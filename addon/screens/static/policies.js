/* The policies: one YAML document, edited, checked and saved as a new version; every earlier version stays. */

import { call, get } from "./api.js";
import { announce, focusOn, h, morph } from "./dom.js";
import { capital, moment } from "./format.js";
import { moreButton, pages } from "./lists.js";
import { at, button, message, paragraph, problemMessage, skeleton } from "./parts.js";

const YAML = "application/yaml";

export function policiesScreen(app) {
  const state = { saved: null, version: null, shown: null, trouble: null, said: null, busy: false };
  const versions = pages("/policies/versions", draw);
  const editor = h("textarea", {
    id: "policies-text",
    class: "editor",
    spellcheck: "false",
    autocapitalize: "off",
    autocomplete: "off",
    wrap: "off",
    "aria-describedby": "policies-help",
    oninput: () => drawIfChanged(),
    onkeydown: keys,
  });
  const file = h("input", { type: "file", accept: ".yaml,.yml,.json,application/yaml,application/json", class: "visually-hidden", tabindex: "-1", "aria-hidden": "true", onchange: importFile });
  let wasChanged = false;

  const changed = () => state.saved !== null && editor.value !== state.saved;

  function drawIfChanged() {
    if (changed() === wasChanged) return;
    wasChanged = changed();
    draw();
  }

  async function load() {
    state.trouble = null;
    try {
      const { data, headers } = await call("GET", "/policies", { accept: YAML });
      Object.assign(state, { saved: data, version: Number(headers.get("ETag").replace(/\D/g, "")), shown: null });
      editor.value = data;
    } catch (problem) {
      state.trouble = problem;
    }
    wasChanged = false;
    draw();
    versions.load({});
  }

  async function save() {
    Object.assign(state, { busy: true, trouble: null, said: null });
    draw();
    try {
      const { headers } = await call("PUT", "/policies", {
        text: editor.value,
        headers: { "If-Match": `"${state.version}"` },
        accept: "application/json",
      });
      const notices = JSON.parse(headers.get("Steward-Notices") || "[]");
      await load();
      state.said = { title: `Saved as version ${state.version}`, notices };
      announce(state.said.title);
    } catch (problem) {
      state.trouble = problem;
    }
    state.busy = false;
    draw();
    focusOn(app.main.querySelector(".message"));
  }

  function keys(event) {
    if (event.key === "s" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      if (changed() && !state.busy) save();
    }
  }

  async function importFile() {
    const [chosen] = file.files;
    file.value = "";
    if (!chosen) return;
    if (chosen.size > 1000000) {
      state.trouble = { title: "Too large", detail: "A policies document has at most 1,000,000 bytes.", errors: [] };
    } else {
      editor.value = await chosen.text();
      Object.assign(state, { trouble: null, said: { title: `${chosen.name} is in the editor`, notices: [], text: "It is checked and takes effect when you save it." } });
    }
    wasChanged = changed();
    draw();
  }

  async function show(version) {
    try {
      const { data } = await call("GET", "/policies", { query: { version }, accept: YAML });
      editor.value = data;
      Object.assign(state, { shown: version, trouble: null, said: { title: `Version ${version} is in the editor`, notices: [], text: "Save it to make it the current one again." } });
    } catch (problem) {
      state.trouble = problem;
    }
    wasChanged = changed();
    draw();
    focusOn(app.main.querySelector(".message"));
  }

  function discard() {
    editor.value = state.saved;
    Object.assign(state, { trouble: null, said: null, shown: null });
    wasChanged = false;
    draw();
    editor.focus();
  }

  function download() {
    const link = h("a", { href: URL.createObjectURL(new Blob([editor.value], { type: YAML })), download: `content-steward-policies-${state.version}.yaml` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  /* Put the caret on a line of the editor and bring it into view. */
  function jump(line) {
    const lines = editor.value.split("\n");
    const start = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    editor.focus();
    editor.setSelectionRange(start, start + (lines[line - 1] || "").length);
    const height = editor.scrollHeight / lines.length;
    editor.scrollTop = Math.max(0, (line - 4) * height);
  }

  function draw() {
    const ready = state.saved !== null;
    morph(
      app.main,
      h("h1", {}, "Policies"),
      h("p", { class: "subtle lead", id: "policies-help" }, "Statuses, schedules, notification rules, automations and excluded spaces of this site, in one document. Saving makes a new version; an execution keeps the version it started with."),
      h("div", { class: "messages", "data-key": "messages" }, troubles(), said()),
      !ready && !state.trouble && skeleton(8),
      ready && [toolbar(), h("label", { for: "policies-text", class: "visually-hidden", "data-key": "label" }, "Policies document (YAML)"), h("div", { "data-key": "editor", "data-keep": true, class: "editor-place" }), history()],
    );
    const place = app.main.querySelector(".editor-place");
    if (place && editor.parentNode !== place) place.append(editor, file);
    app.main.removeAttribute("aria-busy");
  }

  function toolbar() {
    const dirty = changed();
    return h(
      "div",
      { class: "toolbar", "data-key": "toolbar" },
      button(state.busy ? "Saving…" : "Save", save, { kind: "primary", disabled: !dirty || state.busy }),
      button("Discard changes", discard, { disabled: !dirty || state.busy }),
      button("Import file…", () => file.click(), { kind: "subtle" }),
      button("Download", download, { kind: "subtle" }),
      h("span", { class: "subtle toolbar-end" }, `Version ${state.version}`, dirty ? " · not saved" : ""),
    );
  }

  function troubles() {
    const { trouble } = state;
    if (!trouble) return null;
    if (trouble.status === 412) {
      return message("error", "Somebody else saved meanwhile", paragraph(trouble.detail), h("p", {}, h("button", { type: "button", class: "link", onclick: load }, "Load the current version (your text is lost; download it first)")));
    }
    if (!trouble.errors || !trouble.errors.length) return problemMessage(trouble, state.saved === null ? load : null);
    return message("error", "The policies were not saved", paragraph(trouble.detail), h("ul", { class: "errors" }, trouble.errors.map(mistake)));
  }

  function mistake(error) {
    const where = error.line
      ? h("button", { type: "button", class: "link", onclick: () => jump(error.line) }, `Line ${error.line}`)
      : null;
    return h("li", {}, where, where ? " " : null, h("code", {}, error.pointer || "/"), ` ${error.detail}`);
  }

  function said() {
    if (!state.said) return null;
    const { title, text, notices } = state.said;
    return message("success", title, text && paragraph(text), notices.length > 0 && h("ul", { class: "errors" }, notices.map((each) => h("li", {}, h("code", {}, each.pointer), ` ${each.detail}`))));
  }

  function history() {
    const items = versions.items || [];
    return h(
      "section",
      { "aria-labelledby": "versions-title", "data-key": "versions" },
      h("h2", { id: "versions-title" }, "Version history"),
      h(
        "ol",
        { class: "versions" },
        items.map((each) =>
          h(
            "li",
            { "data-key": each.version },
            h("strong", {}, `Version ${each.version}`),
            each.version === state.version ? h("span", { class: "tag" }, "current") : null,
            h("span", { class: "subtle" }, at(each.at, capital(moment(each.at))), ` · ${each.byName || each.by || "Content Steward"}`),
            button("Show", () => show(each.version), { kind: "subtle", "aria-label": `Show version ${each.version}` }),
          ),
        ),
      ),
      moreButton(versions, "Older versions"),
    );
  }

  return {
    title: "Policies",
    show() {
      draw();
      load();
    },
    hide() {},
    unsaved: changed,
  };
}
