/* The policies as one YAML document: exported, imported, edited as text. Every version that was ever saved stays. */

import { call } from "./api.js";
import { h } from "./dom.js";
import { capital, moment } from "./format.js";
import { moreButton, pages } from "./lists.js";
import { at, button, message, paragraph, problemMessage, skeleton } from "./parts.js";

const YAML = "application/yaml";
const MOST = 1000000;

export function documentView(screen) {
  const state = { saved: null, version: null, trouble: null, busy: false };
  const versions = pages("/policies/versions", () => screen.draw());
  const editor = h("textarea", {
    id: "policies-text",
    class: "editor",
    spellcheck: "false",
    autocapitalize: "off",
    autocomplete: "off",
    wrap: "off",
    "aria-describedby": "policies-help",
    oninput: changes,
  });
  const file = h("input", { type: "file", accept: ".yaml,.yml,.json,application/yaml,application/json", class: "visually-hidden", tabindex: "-1", "aria-hidden": "true", onchange: importFile });
  let wasDirty = false;

  const dirty = () => state.saved !== null && editor.value !== state.saved;

  function changes() {
    if (dirty() === wasDirty) return;
    wasDirty = dirty();
    screen.draw();
  }

  async function load() {
    state.trouble = null;
    try {
      const { data, headers } = await call("GET", "/policies", { accept: YAML });
      // Who types before the answer came keeps the text; saving it meets the version it began with.
      if (!dirty()) {
        Object.assign(state, { saved: data, version: Number(headers.get("ETag").replace(/\D/g, "")) });
        editor.value = data;
      }
    } catch (problem) {
      state.trouble = problem;
    }
    wasDirty = dirty();
    screen.draw();
    versions.load({});
  }

  /* Put the text as the next version. Return its notices. Throws the Problem. */
  async function save() {
    const sent = editor.value;
    const { data } = await call("PUT", "/policies", { text: sent, headers: { "If-Match": `"${state.version}"` }, accept: "application/json" });
    state.saved = sent;
    return data.notices;
  }

  async function put(text, said) {
    editor.value = text;
    wasDirty = dirty();
    screen.say("success", said, "It is checked and takes effect when you save it.");
  }

  async function importFile() {
    const [chosen] = file.files;
    file.value = "";
    if (!chosen) return;
    if (chosen.size > MOST) screen.say("error", "Too large", "A policies document has at most 1,000,000 bytes.");
    else put(await chosen.text(), `${chosen.name} is in the editor`);
  }

  async function show(version) {
    try {
      const { data } = await call("GET", "/policies", { query: { version }, accept: YAML });
      put(data, `Version ${version} is in the editor`);
    } catch (problem) {
      screen.say("error", problem.title, problem.detail);
    }
  }

  function forget() {
    editor.value = state.saved;
    wasDirty = false;
  }

  function discard() {
    forget();
    screen.draw();
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
    if (state.saved === null) return state.trouble ? problemMessage(state.trouble, load) : skeleton(8);
    return [
      h("h2", {}, "Import / export"),
      h("p", { class: "lead subtle", id: "policies-help" }, "Everything on these screens is one YAML document. Download it to keep it or to bring it to another site; import one or edit it here, and save it as the next version. An execution keeps the version it started with."),
      screen.draft.dirty() && message("warning", null, paragraph("Your changes on the other pages are not in this text. Save or discard them before you save the text.")),
      h(
        "div",
        { class: "toolbar" },
        button("Download", download),
        button("Copy to clipboard", copy),
        button("Import file…", () => file.click()),
      ),
      h("label", { for: "policies-text", class: "visually-hidden", "data-key": "label" }, "Policies document (YAML)"),
      h("div", { "data-key": "editor", "data-keep": true, class: "editor-place" }),
      history(),
    ];
  }

  async function copy() {
    editor.select();
    const done = document.execCommand("copy");
    screen.say(done ? "success" : "error", done ? "The document is in the clipboard" : "The clipboard could not be used", done ? null : "Select the text and copy it by keyboard.");
  }

  /* The editor lives through every drawing: its text and caret are the browser's. */
  function drawn(main) {
    const place = main.querySelector(".editor-place");
    if (place && editor.parentNode !== place) place.append(editor, file);
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

  return { load, save, draw, drawn, dirty, forget, discard, jump, download };
}
