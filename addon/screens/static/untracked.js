/* Pages and posts that the viewer sees and Content Steward does not: the viewer's ids, counted as the app
 * (docs/adr/0023). */

import { call } from "./api.js";
import { idsAsViewer } from "./asviewer.js";

const MOST = 5000;
const AT_ONCE = 1000;

/* What of a space has no other status than the default and is hidden from the app; null where it is too much to compare. */
export async function countUntracked({ key, total, others }) {
  const all = await idsAsViewer(total, MOST);
  const stamped = all && others ? await idsAsViewer(others, MOST) : [];
  if (!all || !stamped) return null;
  const known = new Set(stamped);
  const rest = [...new Set(all)].filter((id) => !known.has(id));
  let seen = 0;
  for (let first = 0; first < rest.length; first += AT_ONCE) {
    const body = { key, ids: rest.slice(first, first + AT_ONCE), spaceKey: document.body.dataset.spaceKey || null };
    const { data } = await call("POST", "/overview/seen", { body });
    seen += data.seen;
  }
  return rest.length - seen;
}
