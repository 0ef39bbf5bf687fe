/* Where the keyboard's focus is, and where it goes when its element goes: to what took its place, else to the nearest
 * heading. It is never left on the body, from where the next Tab would begin at the top of the frame. */

const CONTROLS = "a[href], button, input, select, textarea, summary, [tabindex='0']";
const HEADINGS = "h1, h2, h3, h4, legend";

/* Move the focus to a heading or message that is not reachable by Tab. */
export function focusOn(element) {
  if (!element) return;
  if (!element.matches(CONTROLS) && !element.hasAttribute("tabindex")) element.setAttribute("tabindex", "-1");
  element.focus({ preventScroll: false });
}

const usable = (element) => Boolean(element) && element.isConnected && !element.matches(":disabled") && element.getClientRects().length > 0;

/* What Tab stops at inside `root`, in order; of a group of radio buttons the chosen one only. */
export const tabStops = (root) => [...root.querySelectorAll(CONTROLS)].filter((each) => usable(each) && each.tabIndex >= 0 && !each.matches("[type=radio]:not(:checked)"));

const named = (element) => `${element.tagName} ${element.getAttribute("aria-label") || element.textContent}`;

/* Return where `element` is, in terms that outlive it: its name, and its ancestors with the position in each. */
export function placeOf(element) {
  const steps = [];
  for (let node = element; node && node.parentElement && node !== document.body; node = node.parentElement) {
    steps.push([node.parentElement, [...node.parentElement.children].indexOf(node)]);
  }
  return { element, id: element ? element.id : "", name: element ? named(element) : "", steps };
}

/* Move the focus to that place: the element itself, its twin, the same row's successor, or the nearest heading. */
export function refocus(place) {
  focusOn(usable(place.element) && place.element !== document.body ? place.element : successor(place) || document.getElementById("main"));
}

function successor({ id, name, steps }) {
  const twin = id && document.getElementById(id);
  if (usable(twin)) return twin;
  for (const [ancestor, index] of steps) {
    if (!ancestor.isConnected || !ancestor.children.length) continue;
    const heir = ancestor.children[Math.min(index, ancestor.children.length - 1)];
    const controls = [heir, ...heir.querySelectorAll(CONTROLS)].filter((each) => each.matches(CONTROLS) && usable(each));
    const inList = ancestor.matches("ul, ol, tbody");
    const found = controls.find((each) => named(each) === name) || (inList ? controls[0] : null) || headingIn(heir) || [...ancestor.children].find((each) => each.matches(HEADINGS) && usable(each));
    if (found) return found;
  }
  return headingIn(document.getElementById("main"));
}

const headingIn = (root) => [root, ...root.querySelectorAll(HEADINGS)].find((each) => each.matches(HEADINGS) && usable(each));

/* Run `change`, which draws inside `target`, and keep the focus that was in there. */
export function keepingFocus(target, change) {
  const active = document.activeElement;
  const place = active && active !== target && target.contains(active) ? placeOf(active) : null;
  change();
  if (place && (document.activeElement !== active || !usable(active))) refocus(place);
}
