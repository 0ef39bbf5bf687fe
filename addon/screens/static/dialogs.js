/* The one way in which a screen asks before it acts. The focus begins on what is safe, stays inside until the person has
 * answered, and goes back to where it came from; without that, Tab leaves the frame for the host's own bar. */

import { h, morph } from "./dom.js";
import { focusOn, placeOf, refocus, tabStops } from "./focus.js";
import { button, problemMessage } from "./parts.js";

let opened = null;

/* Show a dialog with `content` and run `act` when the person agrees. Resolves to what `act` returned, or undefined when
 * the person left; a Problem of `act` is shown inside and the dialog stays. `also` adds a second way to agree; `keep` null
 * leaves only one. While `act` runs the dialog cannot be left, because its answer would be lost. */
export function ask({ title, content, label, act, danger = false, keep = "Cancel", also = null }) {
  dismiss();
  const opener = placeOf(document.activeElement);
  return new Promise((resolve) => {
    const trouble = h("div", {});
    let result;
    let busy = false;
    const agree = async (run, pressed) => {
      if (busy) return;
      wait(true, pressed);
      try {
        result = await run(dialog);
        dialog.close();
      } catch (problem) {
        wait(false, pressed);
        morph(trouble, problemMessage(problem));
        focusOn(trouble.firstChild);
      }
    };
    const leaveIt = () => busy || dialog.close();
    const main = button(label, () => form.requestSubmit(), { kind: danger ? "danger" : "primary" });
    const other = also && button(also.label, () => agree(also.act, other));
    const leave = keep && button(keep, leaveIt, { kind: "subtle" });
    const buttons = [leave, other, main].filter(Boolean);
    // Really disabled buttons would drop the focus.
    const wait = (on, pressed) => {
      busy = on;
      pressed.classList.toggle("is-busy", on);
      for (const each of buttons) each.setAttribute("aria-disabled", String(on));
    };
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
    const dialog = h("dialog", { class: "dialog", tabindex: "-1", "aria-labelledby": "dialog-title", "aria-describedby": "dialog-content", oncancel: (event) => busy && event.preventDefault() }, form);
    const keys = (event) => pressedIn(dialog, event, leaveIt);
    dialog.addEventListener("close", () => {
      document.removeEventListener("keydown", keys);
      dialog.remove();
      if (opened === dialog) opened = null;
      if (document.activeElement === document.body) refocus(opener);
      resolve(result);
    });
    document.addEventListener("keydown", keys);
    document.body.append(dialog);
    opened = dialog;
    dialog.showModal();
    (dialog.querySelector("input, textarea") || leave || main).focus();
  });
}

/* Close the dialog that is open, as if the person had left it: its screen is not there any more. */
export function dismiss() {
  if (opened) opened.close();
}

/* Tab goes round inside the dialog; Escape leaves it, and nothing around the frame hears of either. */
function pressedIn(dialog, event, leaveIt) {
  if (event.key === "Escape") {
    event.preventDefault();
    leaveIt();
  }
  if (event.key !== "Tab") return;
  const stops = tabStops(dialog);
  const way = event.shiftKey ? Node.DOCUMENT_POSITION_PRECEDING : Node.DOCUMENT_POSITION_FOLLOWING;
  const inside = dialog.contains(document.activeElement);
  if (inside && stops.some((each) => document.activeElement.compareDocumentPosition(each) & way && !document.activeElement.contains(each))) return;
  if (inside && document.activeElement === dialog && !event.shiftKey) return;
  event.preventDefault();
  (event.shiftKey ? stops[stops.length - 1] : stops[0]).focus();
}
