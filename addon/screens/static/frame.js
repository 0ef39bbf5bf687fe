/* What a frame of Confluence needs before it shows anything: the host's colours and the person's time zone. */

import { setTimeZone } from "./format.js";

const root = document.documentElement;

export const insideConfluence = () => Boolean(window.AP && window.AP.context);

/* Hidden until the colours are known, so that there is no white flash in dark mode; never for long. */
export function unveil() {
  root.classList.remove("is-waiting");
}

/* Ask the host for both, and wait for neither for long; return whether the person's own time zone is known. */
export async function prepared() {
  const [, own] = await Promise.all([theme(), ownTimeZone()]);
  return own;
}

function within(milliseconds, promise) {
  return Promise.race([promise, new Promise((resolve) => setTimeout(resolve, milliseconds))]);
}

async function theme() {
  try {
    if (window.AP.theming) await within(600, window.AP.theming.initializeTheming());
  } catch (error) {
    console.warn("the theme could not be set:", error.message);
  }
  unveil();
}

async function ownTimeZone() {
  if (!window.AP.user || !window.AP.user.getTimeZone) return false;
  const zone = await within(1500, new Promise((resolve) => window.AP.user.getTimeZone(resolve)));
  if (zone) setTimeZone(zone);
  return Boolean(zone);
}
