// What the current question found: asked anew when the question changes, continued by its cursor.

import * as api from "../page/api.js";
import * as state from "../page/state.js";
import { remembered } from "../page/history.js";

export const PAGE = 80;
const MOST_AT_ONCE = 200;
const NEAREST = 24;
export const FACET_LIMIT = 60;
export const FACETS = ["tag", "year", "format", "source", "collection"];
const EMPTY = { hits: [], total: { value: 0, relation: "eq" }, hidden: { value: 0, relation: "eq" }, facets: {}, cutoff: null, cursor: null, tookMs: 0, degraded: [], error: null, question: null, asked: null, nearest: false };

/**
 * The answer so far, to what was `asked`. `error` is set instead when the question was refused; the answer to the one
 * before may be there still.
 */
export const results = { ...EMPTY, busy: false };
export const events = new EventTarget();
let running = new AbortController();
let continuing = null;

/** Whether a refusal points into the text of the question. */
export const points = (error) => Number.isInteger(error?.problem?.position);

/** Whether what is there answers another question than the one that was refused. */
export const stale = () => Boolean(results.error) && results.hits.length > 0;

const tell = (name, detail) => events.dispatchEvent(new CustomEvent(name, { detail }));
export const on = (name, listener) => events.addEventListener(name, listener);

export function initResults() {
  state.subscribe((now, before) => {
    if (state.question(now) !== state.question(before)) ask({ wanted: remembered() });
  });
  addEventListener("library-changed", catchUp);
}

/** Ask the question of the address; `wanted` hits at least, `quiet` if what is shown may stay meanwhile. */
export async function ask({ quiet = false, wanted = 0 }) {
  running.abort();
  const mine = running = new AbortController();
  continuing = null;
  const now = state.get();
  results.busy = true;
  tell("asked", { quiet });
  try {
    const first = await api.search({ ...body(now), facets: FACETS, facet_limit: FACET_LIMIT, limit: size(wanted) }, mine.signal);
    Object.assign(results, { ...EMPTY, ...parts(first), hits: first.hits, facets: first.facets ?? {}, question: state.question(now), asked: now });
    if (!results.hits.length && results.hidden.value) await showNearest(now, mine);
    while (results.hits.length < wanted && results.cursor) await next(mine, size(wanted - results.hits.length));
    results.busy = false;
    tell("answered", { quiet });
  } catch (error) {
    if (error.name === "AbortError") return;
    results.busy = false;
    // A slip while one writes leaves the last answer in sight, shown to be that (stale.js).
    const kept = points(error) && results.hits.length ? { cursor: null } : EMPTY;
    Object.assign(results, kept, { error, question: state.question(now) });
    tell("refused", { quiet });
  }
}

/** Ask the same again after the library has changed, keeping the place; cards that say something else are drawn anew. */
export async function catchUp() {
  const before = new Map(results.hits.map((hit) => [hit.id, told(hit)]));
  await ask({ quiet: true, wanted: results.hits.length });
  for (const hit of results.hits) if (before.has(hit.id) && before.get(hit.id) !== told(hit)) tell("changed", { id: hit.id });
}

/** What a card says of a hit; scores are left out, as they move a little with every picture of the library. */
const told = ({ image, why }) => JSON.stringify([image.thumbnail_url, image.caption, image.tags, why?.caption, why?.tags]);

const size = (wanted) => Math.min(MOST_AT_ONCE, Math.max(PAGE, wanted));
const body = ({ q, all }) => ({ q: q.trim(), all });
const parts = (found) => ({ total: found.total, hidden: found.hidden_below_cutoff, cutoff: found.cutoff, cursor: found.next_cursor, tookMs: found.took_ms, degraded: found.degraded });

/** Where nothing stands out, a few of what comes nearest: better than an empty page, and said to be no more than that. */
async function showNearest(now, mine) {
  const found = await api.search({ q: body(now).q, all: true, limit: NEAREST }, mine.signal);
  Object.assign(results, { hits: found.hits, nearest: true });
}

async function next(mine, limit) {
  const found = await api.search({ ...body(state.get()), cursor: results.cursor, limit }, mine.signal);
  const seen = new Set(results.hits.map((hit) => hit.id));
  results.hits = results.hits.concat(found.hits.filter((hit) => !seen.has(hit.id)));
  results.cursor = found.next_cursor;
}

/** Fetch the page after the last; calls while one is under way share it. */
export function more() {
  if (!results.cursor || results.busy) return Promise.resolve();
  continuing ??= fetchMore(running).finally(() => { continuing = null; });
  return continuing;
}

async function fetchMore(mine) {
  try {
    await next(mine, PAGE);
    tell("grown");
  } catch (error) {
    if (error.name !== "AbortError") tell("stuck", { error });
  }
}

export const indexOf = (id) => results.hits.findIndex((hit) => hit.id === id);

/** The hit of an image, with its reasons and the cut-off: from what is shown, or asked for by itself. */
export async function hitOf(id, signal) {
  const shown = stale() ? null : results.hits[indexOf(id)];
  if (shown) return { ...shown, cutoff: results.cutoff };
  const { q } = state.get();
  const found = await api.search({ q: `${q} id:${id}`.trim(), all: true, limit: 1 }, signal);
  return found.hits[0] ? { ...found.hits[0], cutoff: found.cutoff } : null;
}

/** Put the changed image into its hit, so that the grid and a later look show it as it is now. */
export function refresh(image) {
  const hit = results.hits[indexOf(image.id)];
  if (!hit) return;
  hit.image = { ...hit.image, caption: image.captions[0]?.text ?? null, tags: image.tags };
  tell("changed", { id: image.id });
}

/** Take an image that is gone out of what is shown; told twice, or of one that was not found, nothing changes. */
export function drop(id) {
  if (indexOf(id) < 0) return;
  results.hits = results.hits.filter((hit) => hit.id !== id);
  results.total = { ...results.total, value: Math.max(0, results.total.value - 1) };
  tell("grown");
}
