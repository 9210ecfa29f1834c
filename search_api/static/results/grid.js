// The pictures: only the rows near the window are in the document, however many were found.

import { $, h } from "../page/dom.js";
import { card, dress } from "./card.js";
import { justify, places, ratio, rowAt, rowOf } from "./layout.js";
import { more, on, results } from "./results.js";

const AHEAD = 1; // windows drawn above and below what is seen
const NEARLY = 2.5; // windows before the end at which more is fetched
const SLIM = 84; // too narrow for buttons
const SKELETON_MS = 150;
const SKELETON = [1.5, 0.75, 1.33, 1, 1.78, 0.67, 1.5, 1.33, 1, 1.5, 0.8, 1.6, 1.2, 1.5, 0.75, 1.4];
const cards = new Map();
let rows = [];
let ratios = [];
let width = 0;
let active = 0;
let drawing = 0;
let hadFocus = false;
let waiting;

export function initGrid() {
  on("asked", ({ detail }) => { if (!detail.quiet) waiting = setTimeout(skeleton, SKELETON_MS); });
  on("answered", ({ detail }) => show(!detail.quiet));
  on("refused", () => show(!results.hits.length));
  on("grown", () => show(false));
  on("changed", ({ detail }) => redress(detail.id));
  addEventListener("scroll", schedule, { passive: true });
  new ResizeObserver(resized).observe($("results"));
}

const settings = () => {
  const style = getComputedStyle($("results"));
  return { width, wanted: parseFloat(style.getPropertyValue("--row")), gap: parseFloat(style.getPropertyValue("--gap")) };
};

function show(anew) {
  clearTimeout(waiting);
  $("results").classList.remove("waiting");
  if (anew) active = 0;
  hadFocus ||= anew && $("results").contains(document.activeElement);
  const ids = new Set(results.hits.map((hit) => hit.id));
  for (const [id, element] of cards) if (anew || !ids.has(id)) forget(id, element);
  for (const element of $("results").querySelectorAll(".skeleton")) element.remove();
  width = $("results").clientWidth;
  measure();
  draw();
  if (anew) refocus();
}

/** Who was among the pictures when others came is at the first of these. */
function refocus() {
  if (hadFocus && results.hits.length) goToPicture(0);
  hadFocus = false;
}

function measure() {
  ratios = results.hits.map((hit) => ratio(hit.image));
  rows = width ? justify(ratios, settings()) : [];
  const last = rows.at(-1);
  $("results").style.height = last ? `${last.top + last.height}px` : "";
}

/** The picture at the top of the window stays there when the width changes. */
function resized() {
  const now = $("results").clientWidth;
  if (now === width || !now) return;
  const place = topmost();
  width = now;
  measure();
  for (const element of cards.values()) element.style.removeProperty("width");
  if (place) goTo(place);
  draw();
}

function schedule() {
  drawing ||= requestAnimationFrame(() => { drawing = 0; draw(); });
}

const top = () => $("results").getBoundingClientRect().top;

function draw() {
  if (!rows.length) return;
  const above = -top();
  const room = innerHeight * AHEAD;
  const first = rowAt(rows, above - room);
  const last = rowAt(rows, above + innerHeight + room);
  const gap = settings().gap;
  const wanted = new Map();
  const place = (row) => { for (const spot of places(row, ratios, gap)) wanted.set(spot.index, { ...spot, row }); };
  // What has the focus stays, wherever one scrolls.
  const held = rowOf(rows, active);
  if (held >= 0 && held < first) place(rows[held]);
  for (let at = first; at <= last; at += 1) place(rows[at]);
  if (held > last) place(rows[held]);
  put(wanted);
  if (rows.at(-1).top - above < innerHeight * NEARLY) more();
}

/** Bring the document in line with the wanted pictures, in order, touching none that may stay. */
function put(wanted) {
  const kept = new Set([...wanted.keys()].map((index) => results.hits[index].id));
  for (const [id, element] of cards) if (!kept.has(id)) forget(id, element);
  let follower = $("results").firstElementChild;
  for (const spot of wanted.values()) {
    const element = cardAt(spot.index);
    if (element === follower) follower = follower.nextElementSibling;
    else $("results").insertBefore(element, follower);
    locate(element, spot);
  }
}

function cardAt(index) {
  const hit = results.hits[index];
  let element = cards.get(hit.id);
  if (!element) {
    element = card(hit);
    cards.set(hit.id, element);
  }
  dress(element, { index, size: results.cursor ? -1 : results.hits.length, tabbable: index === active });
  return element;
}

function locate(element, { left, width: across, row }) {
  const { style } = element;
  style.transform = `translate(${left}px, ${row.top}px)`;
  style.width = `${across}px`;
  style.height = `${row.height}px`;
  element.classList.toggle("slim", across < SLIM);
}

function forget(id, element) {
  cards.delete(id);
  element.remove();
}

function redress(id) {
  const old = cards.get(id);
  if (!old) return;
  const focused = old.contains(document.activeElement);
  forget(id, old);
  draw();
  if (focused) cards.get(id)?.querySelector("a").focus({ preventScroll: true });
}

function skeleton() {
  hadFocus ||= $("results").contains(document.activeElement);
  for (const [id, element] of cards) forget(id, element);
  width = $("results").clientWidth;
  const drawn = justify([...SKELETON, ...SKELETON], settings());
  const gap = settings().gap;
  const all = [...SKELETON, ...SKELETON];
  rows = [];
  $("results").classList.add("waiting");
  $("results").style.height = "";
  $("results").replaceChildren(...drawn.flatMap((row) => places(row, all, gap).map((spot) => {
    const element = h("div", { className: "card skeleton", "aria-hidden": "true" });
    locate(element, { ...spot, row });
    return element;
  })));
}

/** The first picture in sight and how far below the window's top it begins. */
export function topmost() {
  if (!rows.length) return null;
  const row = rows[rowAt(rows, Math.max(0, barBottom() - top()))];
  return { id: results.hits[row.from]?.id, index: row.from, offset: row.top + top(), loaded: results.hits.length };
}

const barBottom = () => $("bar").getBoundingClientRect().bottom;

/** Scroll so that a remembered place is where it was. */
export function goTo(place) {
  const known = results.hits.findIndex((hit) => hit.id === place.id);
  const row = rows[rowOf(rows, known < 0 ? Math.min(place.index, results.hits.length - 1) : known)];
  if (row) scrollTo({ top: scrollY + top() + row.top - place.offset, behavior: "instant" });
  draw();
}

/** Make a picture the one the keyboard is at; it comes into sight and, unless told otherwise, takes the focus. */
export function goToPicture(index, { focus = true } = {}) {
  if (!results.hits[index]) return;
  const before = cards.get(results.hits[active]?.id);
  if (before) before.querySelector("a").tabIndex = -1;
  active = index;
  const row = rows[rowOf(rows, index)];
  reveal(row);
  draw();
  const link = cards.get(results.hits[index].id)?.querySelector("a");
  if (link) link.tabIndex = 0;
  if (focus) link?.focus({ preventScroll: true });
}

function reveal(row) {
  const from = top() + row.top;
  const margin = 12;
  const ceiling = barBottom() + margin;
  if (from < ceiling) scrollBy({ top: from - ceiling, behavior: "instant" });
  else if (from + row.height > innerHeight - margin) scrollBy({ top: from + row.height - innerHeight + margin, behavior: "instant" });
}

export const current = () => active;
export const shownCards = () => cards.entries();

/** The picture in the next row, `direction` 1 down or -1 up, that stands nearest above or below `index`. */
export function vertical(index, direction) {
  const at = rowOf(rows, index);
  const target = rows[at + direction];
  if (!target) return null;
  const { gap } = settings();
  const here = places(rows[at], ratios, gap)[index - rows[at].from];
  const centre = here.left + here.width / 2;
  const away = (spot) => Math.abs(spot.left + spot.width / 2 - centre);
  return places(target, ratios, gap).reduce((best, spot) => (away(spot) < away(best) ? spot : best)).index;
}

/** How many rows fit the window. */
export const rowsInSight = () => Math.max(1, Math.floor((innerHeight - barBottom()) / (settings().wanted + settings().gap)));
