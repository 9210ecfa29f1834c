// Walking the grid and choosing in it, by keyboard and by pointer.

import { $, writing } from "../page/dom.js";
import * as state from "../page/state.js";
import { moreLike } from "../query/examples.js";
import { current, goToPicture, rowsInSight, shownCards, vertical } from "./grid.js";
import { showPicked } from "./card.js";
import { more, results, stale } from "./results.js";
import * as selection from "./selection.js";

const MOVES = {
  ArrowRight: (at) => at + 1,
  ArrowLeft: (at) => at - 1,
  ArrowDown: (at) => vertical(at, 1) ?? at,
  ArrowUp: (at) => vertical(at, -1) ?? at,
  PageDown: (at) => far(at, 1),
  PageUp: (at) => far(at, -1),
  Home: () => 0,
  End: () => results.hits.length - 1,
};

export function initGridKeys() {
  $("results").addEventListener("click", onClick);
  $("results").addEventListener("focusin", onFocus);
  addEventListener("keydown", onKey);
  addEventListener("enter-grid", () => { if (!stale()) goToPicture(current()); });
  selection.subscribe(() => { for (const [, element] of shownCards()) showPicked(element); });
}

function far(at, direction) {
  let index = at;
  for (let step = 0; step < rowsInSight(); step += 1) index = vertical(index, direction) ?? index;
  return index;
}

const hitOf = (element) => results.hits[Number(element.closest(".card").dataset.index)];

function onClick(event) {
  const hit = event.target.closest(".card") && hitOf(event.target);
  if (!hit) return;
  const does = event.target.closest("[data-do]")?.dataset.do;
  if (does === "pick") return event.shiftKey ? selection.extendTo(hit.id) : selection.toggle(hit.id);
  if (does) return moreLike(hit.id, does === "less");
  return open(event, hit);
}

/** Shift and Ctrl select, as in file managers; while something is selected, so does a plain click in select mode. */
function open(event, hit) {
  if (event.metaKey || event.button > 0) return;
  event.preventDefault();
  if (event.shiftKey) selection.extendTo(hit.id);
  else if (event.ctrlKey || document.body.classList.contains("selecting")) selection.toggle(hit.id);
  else state.set({ image: hit.id });
}

function onFocus(event) {
  const index = Number(event.target.closest(".card")?.dataset.index);
  if (index !== current() && Number.isInteger(index)) goToPicture(index, { focus: false });
}

/** Keys work from the grid and from nowhere in particular, not from other controls. */
function onKey(event) {
  if (writing(event.target) || event.altKey || stale() || document.querySelector("dialog[open]")) return;
  const inGrid = event.target.closest?.("#results");
  if (!inGrid && event.target !== document.body) return;
  if ((event.ctrlKey || event.metaKey) && event.key === "a" && results.hits.length) return did(event, selection.all);
  if (event.ctrlKey || event.metaKey) return;
  if (MOVES[event.key]) move(event, inGrid);
  else command(event, inGrid);
}

function did(event, run) {
  event.preventDefault();
  run();
}

function move(event, inGrid) {
  if (!results.hits.length || (!inGrid && !event.key.startsWith("Arrow"))) return;
  if (event.key === "End" && results.cursor) more().then(() => goToPicture(results.hits.length - 1));
  const at = current();
  const target = inGrid ? Math.min(results.hits.length - 1, Math.max(0, MOVES[event.key](at))) : at;
  event.preventDefault();
  goToPicture(target);
  if (event.shiftKey && inGrid) {
    if (!selection.has(results.hits[at].id)) selection.toggle(results.hits[at].id);
    selection.extendTo(results.hits[target].id);
  }
}

function command(event, inGrid) {
  const hit = inGrid && event.target.closest(".card") && hitOf(event.target);
  if (event.key === "Escape" && selection.size()) did(event, selection.clear);
  else if (!hit) return;
  else if (event.key === "x") did(event, () => selection.toggle(hit.id));
  else if (event.key === "X") did(event, () => selection.extendTo(hit.id));
  else if (event.key === "m") did(event, () => moreLike(hit.id, false));
  else if (event.key === "n") did(event, () => moreLike(hit.id, true));
}
