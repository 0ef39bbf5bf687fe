/* Spaces that were made after an administrator chose some: listed on the Jobs screen, and taken in by one click. */

import { get, post } from "./api.js";
import { announce, h } from "./dom.js";
import { count } from "./format.js";
import { button, message, paragraph, problemMessage } from "./parts.js";

const FRESH = 5 * 60000;
const SHOWN = 10;

/* Return {look, draw}: `look` asks at most every five minutes and never fails, because the list is a courtesy. */
export function newSpaces(redraw, refresh) {
  let found = null;
  let trouble = null;
  let busy = false;
  let asked = 0;

  async function look() {
    if (Date.now() - asked < FRESH) return;
    asked = Date.now();
    try {
      found = await get("/not-included");
    } catch (problem) {
      console.warn("the new spaces could not be read:", problem.message);
      found = null;
    }
  }

  async function include(spaces) {
    if (busy) return;
    [busy, trouble] = [true, null];
    redraw();
    try {
      await post("/included-spaces", { keys: spaces.map((each) => each.key) });
      announce(`${count(spaces.length, "space")} included`);
      asked = 0;
      await look();
    } catch (problem) {
      trouble = problem;
    }
    busy = false;
    await refresh();
    redraw();
  }

  function draw() {
    const fresh = found ? found.items.filter((each) => each.new) : [];
    if (!fresh.length) return null;
    const take = (spaces, label) => button(label, () => include(spaces), { "aria-disabled": busy && "true" });
    return message(
      "info",
      `${count(found.new, "new space is", "new spaces are")} not included`,
      paragraph("No job reads or changes a space before it is included. ", h("a", { href: "#/policies/spaces" }, "All included spaces")),
      h(
        "ul",
        { class: "choices" },
        fresh.slice(0, SHOWN).map((each) =>
          h("li", { "data-key": each.key }, h("span", {}, `${each.name} `, h("span", { class: "subtle" }, each.key)), " ", take([each], [h("span", {}, "Include"), h("span", { class: "visually-hidden" }, ` ${each.name}`)])),
        ),
      ),
      found.new > SHOWN && paragraph(`and ${count(found.new - SHOWN, "other one")}`),
      fresh.length > 1 && paragraph(take(fresh, fresh.length === found.new ? `Include all ${found.new}` : `Include the newest ${fresh.length}`)),
      trouble && problemMessage(trouble),
    );
  }

  return { look, draw };
}
