/* The icons that a status can have, drawn in the colour of the text around them. */

import { h } from "./dom.js";

const PATHS = {
  circle: "M8 3.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9z",
  check: "M8 1.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM5 8.1l2.1 2.1 4-4.3",
  alert: "M8 2 15 14H1zM8 6.3v3.6M8 11.4v.9",
  clock: "M8 1.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM8 4.5V8l2.5 1.7",
  flag: "M3.5 14.5v-13M3.5 2.5h9l-2 3 2 3h-9",
  eye: "M1 8s2.6-4.5 7-4.5S15 8 15 8s-2.6 4.5-7 4.5S1 8 1 8zM8 6a2 2 0 1 0 0 4 2 2 0 0 0 0-4z",
  pencil: "M2 14l.8-3.4 8-8 2.6 2.6-8 8zM9.3 4.1l2.6 2.6",
  archive: "M1.5 2.5h13v3h-13zM2.5 5.5v8h11v-8M6.2 8.3h3.6",
  lock: "M3 7h10v7H3zM5 7V4.7a3 3 0 0 1 6 0V7",
  star: "M8 1.8l1.9 4 4.4.6-3.2 3 .8 4.3L8 11.6l-3.9 2.1.8-4.3-3.2-3 4.4-.6z",
  calendar: "M2 3.5h12v11H2zM2 6.8h12M5 1.5v3M11 1.5v3",
  question: "M8 1.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM6.2 6.2A1.9 1.9 0 1 1 8 8.4v1M8 11.2v.8",
};
export const ICONS = Object.keys(PATHS);

export const COLOURS = [
  ["#22a06b", "Green"],
  ["#6a9a23", "Lime"],
  ["#e2b203", "Yellow"],
  ["#e56910", "Orange"],
  ["#c9372c", "Red"],
  ["#ae4787", "Magenta"],
  ["#8270db", "Purple"],
  ["#1868db", "Blue"],
  ["#2898bd", "Teal"],
  ["#8590a2", "Grey"],
];

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", name === "circle" || !PATHS[name] ? "icon icon-full" : "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name] || PATHS.circle);
  svg.append(path);
  return svg;
}

export function statusMark(status) {
  const mark = h("span", { class: "status-mark" }, icon(status ? status.icon : "question"));
  mark.style.color = (status && status.colour) || "#8590a2";
  return mark;
}

export const statusBadge = (status, id) => h("span", { class: "status-badge" }, statusMark(status), status ? status.name : id);
