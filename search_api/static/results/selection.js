// Which pictures are selected. The selection outlives scrolling and lasts until another question is asked.

import * as api from "../page/api.js";
import * as state from "../page/state.js";
import { indexOf, on, results } from "./results.js";

const chosen = new Set();
const seen = new Set(); // what was among the pictures shown since the question was asked
const listeners = new Set();
let anchor = null;

export function initSelection() {
  state.subscribe((now, before) => {
    if (state.question(now) === state.question(before)) return;
    seen.clear();
    clear();
  });
  for (const event of ["answered", "grown"]) on(event, () => { for (const hit of results.hits) seen.add(hit.id); });
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

/** Everything that is found, shown already or not, unless something else is asked meanwhile. */
export async function everything() {
  const asked = results.question;
  const { q, all: faint } = state.get();
  const found = await api.foundIds(q, faint);
  if (state.question(state.get()) !== asked) return;
  for (const id of found) chosen.add(id);
  tell();
}

/** How many of the selected pictures are no longer among what is found: an edit may have taken them out of it. */
export function outside() {
  const shown = new Set(results.hits.map((hit) => hit.id));
  return ids().filter((id) => seen.has(id) && !shown.has(id)).length;
}

export function clear() {
  if (!chosen.size) return;
  chosen.clear();
  anchor = null;
  tell();
}
