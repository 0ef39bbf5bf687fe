/* A list that comes page by page: load the first, append the next, keep the place of the focus. */

import { get } from "./api.js";
import { announce } from "./dom.js";
import { button, paragraph, problemMessage } from "./parts.js";

/* `draw` is called after every change. Returns {items, nextCursor, page, trouble, loading, load(query),
 * more()}; `page` is the last answer with all it says besides its items. */
export function pages(path, draw) {
  const list = { items: null, nextCursor: null, page: null, trouble: null, loading: false };
  let asked = {};
  let turn = 0;

  async function fetchPage(cursor) {
    const mine = ++turn;
    list.loading = true;
    list.trouble = null;
    draw();
    try {
      const page = await get(path, { ...asked, cursor });
      if (mine !== turn) return;
      list.items = cursor ? [...list.items, ...page.items] : page.items;
      list.nextCursor = page.nextCursor;
      list.page = page;
      if (cursor) announce(`${page.items.length} more loaded`);
    } catch (problem) {
      if (mine !== turn) return;
      list.trouble = problem;
    }
    list.loading = false;
    draw();
  }

  list.load = (query) => {
    asked = { limit: 25, ...query };
    return fetchPage(null);
  };
  list.more = () => fetchPage(list.nextCursor);
  list.reload = () => fetchPage(null);
  return list;
}

export function moreButton(list, label) {
  if (list.trouble) return problemMessage(list.trouble, list.items ? list.more : list.reload);
  if (!list.nextCursor) return null;
  // A button that is really disabled would lose the focus, and a person at the keyboard the place.
  const more = () => list.loading || list.more();
  return paragraph(button(list.loading ? "Loading…" : label, more, { "aria-disabled": list.loading && "true" }));
}
