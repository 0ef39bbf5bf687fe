/* How does a screen ask before it acts? With a native modal dialog: it keeps the focus, Escape leaves it. */

import { focusOn, h, morph } from "./dom.js";
import { button, problemMessage } from "./parts.js";

/* Show a dialog with `content` and run `act` when the person agrees. Resolves to what `act` returned, or undefined when
 * the person left; a Problem of `act` is shown inside and the dialog stays. `also` adds a second way to agree; `keep` null
 * leaves only one. */
export function ask({ title, content, label, act, danger = false, keep = "Cancel", also = null }) {
  const opener = document.activeElement;
  return new Promise((resolve) => {
    const trouble = h("div", {});
    let result;
    const agree = async (run, pressed) => {
      for (const each of buttons) each.disabled = true;
      pressed.classList.add("is-busy");
      try {
        result = await run(dialog);
        dialog.close();
      } catch (problem) {
        pressed.classList.remove("is-busy");
        for (const each of buttons) each.disabled = false;
        morph(trouble, problemMessage(problem));
        focusOn(trouble.firstChild);
      }
    };
    const main = button(label, () => form.requestSubmit(), { kind: danger ? "danger" : "primary" });
    const other = also && button(also.label, () => agree(also.act, other));
    const leave = keep && button(keep, () => dialog.close(), { kind: "subtle" });
    const buttons = [leave, other, main].filter(Boolean);
    const form = h(
      "form",
      {
        onsubmit: (event) => {
          event.preventDefault();
          agree(act, main);
        },
      },
      h("h2", { id: "dialog-title" }, title),
      h("div", { class: "dialog-content", id: "dialog-content" }, content),
      trouble,
      h("div", { class: "dialog-buttons" }, buttons),
    );
    const dialog = h("dialog", { class: "dialog", "aria-labelledby": "dialog-title", "aria-describedby": "dialog-content" }, form);
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (opener && opener.isConnected) opener.focus();
      resolve(result);
    });
    document.body.append(dialog);
    dialog.showModal();
    (dialog.querySelector("input, textarea") || main).focus();
  });
}
