/* What the editors say about a page: until when it is valid, that it still is, that automations leave it alone. */

import { h } from "./dom.js";
import { button } from "./parts.js";

const AGAIN = [
  ["", "No date"],
  ["3", "In 3 months"],
  ["6", "In 6 months"],
  ["12", "In 12 months"],
];

const day = (iso) => new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", day: "numeric", month: "short", year: "numeric" }).format(new Date(iso));

function facts(said) {
  return h(
    "dl",
    { class: "facts" },
    h("div", {}, h("dt", {}, "Expires on"), h("dd", {}, said.expirationDate ? day(said.expirationDate) : "No date set")),
    h("div", {}, h("dt", {}, "Last reviewed"), h("dd", {}, said.reviewedOn ? day(said.reviewedOn) : "Not yet")),
    h("div", {}, h("dt", {}, "Kept"), h("dd", {}, said.keep ? "Yes, automations leave it alone" : "No")),
  );
}

function confirm(busy, change) {
  const submit = (event) => {
    event.preventDefault();
    const months = new FormData(event.target).get("months");
    change("valid", { stillValid: true, nextReviewMonths: months ? Number(months) : null }, "Confirmed.");
  };
  return h(
    "form",
    { class: "act", onsubmit: submit },
    h(
      "div",
      { class: "field" },
      h("label", { for: "months" }, "Next review"),
      h("select", { id: "months", name: "months" }, AGAIN.map(([value, text]) => h("option", { value }, text))),
    ),
    h("button", { type: "submit", class: "button button-primary", "aria-disabled": busy && "true" }, busy === "valid" ? "Confirming…" : "Still valid"),
  );
}

function expires(said, busy, change) {
  const submit = (event) => {
    event.preventDefault();
    const chosen = new FormData(event.target).get("expires");
    if (chosen) change("date", { expirationDate: chosen }, "The date is set.");
  };
  const clear = () => change("date", { expirationDate: null }, "The date is cleared.");
  const field = h("input", { type: "date", id: "expires", name: "expires", required: true, min: "2000-01-01", max: "2199-12-31", value: said.expirationDate || "" });
  return h(
    "form",
    { class: "act", onsubmit: submit },
    h("div", { class: "field" }, h("label", { for: "expires" }, "Expires on"), field),
    h("button", { type: "submit", class: "button button-default", "aria-disabled": busy && "true" }, "Set date"),
    said.expirationDate && button("Clear", clear, { kind: "subtle", "aria-disabled": busy && "true" }),
  );
}

function keep(said, busy, change) {
  const toggle = (event) => {
    if (busy) event.target.checked = said.keep;
    else change("keep", { keep: event.target.checked }, event.target.checked ? "It is kept." : "It is not kept any more.");
  };
  return h(
    "label",
    { class: "check" },
    h("input", { type: "checkbox", name: "keep", checked: said.keep, "aria-disabled": busy && "true", onchange: toggle }),
    h("span", {}, "Keep it", h("span", { class: "subtle" }, " · automations neither archive nor delete it")),
  );
}

export function review(seen, busy, change) {
  const said = seen.review;
  return h(
    "section",
    { class: "review", "aria-labelledby": "review", "data-key": `${seen.mayEdit}${said.expirationDate}${said.reviewedOn}${said.keep}` },
    h("h2", { id: "review" }, "Review"),
    facts(said),
    seen.mayEdit && h("div", { class: "acts" }, confirm(busy, change), expires(said, busy, change), keep(said, busy, change)),
  );
}
