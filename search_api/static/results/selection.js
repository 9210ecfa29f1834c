// Which pictures are selected. The selection outlives scrolling and lasts until another question is asked.

import * as state from "../page/state.js";
import { indexOf, more, results } from "./results.js";

const chosen = new Set();
const listeners = new Set();
let anchor = null;

export function initSelection() {
  state.subscribe((now, before) => {
    if (state.question(now) !== state.question(before)) clear();
  });
}

export const subscribe = (listener) => listeners.add(listener);
export const has = (id) => chosen.has(id);
export const size = () => chosen.size;
export const ids = () => [...chosen];

function tell() {
  for (const listener of listeners) listener();
}

/** Select one picture or let go of it; a range begins here. */
export function toggle(id) {
  if (!chosen.delete(id)) chosen.add(id);
  anchor = id;
  tell();
}

/** Everything from where the selection began to this picture. */
export function extendTo(id) {
  const from = anchor === null ? -1 : indexOf(anchor);
  const to = indexOf(id);
  if (from < 0 || to < 0) return toggle(id);
  const [first, last] = [Math.min(from, to), Math.max(from, to)];
  for (const hit of results.hits.slice(first, last + 1)) chosen.add(hit.id);
  return tell();
}

export function all() {
  for (const hit of results.hits) chosen.add(hit.id);
  tell();
}

/** Everything that is found, fetching what is not shown yet; whether it all came and the question is still the same. */
export async function everything() {
  const asked = results.question;
  let before = -1;
  while (results.cursor && results.hits.length > before) {
    before = results.hits.length;
    await more();
    if (results.question !== asked) return false;
  }
  all();
  return !results.cursor;
}

/** How many of the selected pictures are no longer among what is found: an edit may have taken them out of it. */
export const outside = () => chosen.size - results.hits.filter((hit) => chosen.has(hit.id)).length;

export function clear() {
  if (!chosen.size) return;
  chosen.clear();
  anchor = null;
  tell();
}
