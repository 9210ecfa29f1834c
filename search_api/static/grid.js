// The pictures: rows that fill the width with every picture whole, more as one scrolls.

import * as api from "./api.js";
import { $, count, h, number, percent, score } from "./dom.js";
import * as notices from "./notices.js";
import * as state from "./state.js";

const PAGE = 60;
const SKELETON_MS = 120;
const RATIOS = [1.5, 0.75, 1.33, 1, 1.78, 0.67, 1.5, 1.33, 1, 1.5, 0.8, 1.6];
let hits = [];
let next = null;
let running;
let loadingMore = false;

/** The hit of an image on the page, its neighbours, and the weights of the channels. */
export const results = { hits: [], weights: {} };

export function initGrid() {
  state.subscribe((now, before) => {
    if (state.question(now) !== state.question(before)) start();
  });
  $("more").firstElementChild.addEventListener("click", () => more(true));
  new IntersectionObserver((seen) => { if (seen.some((entry) => entry.isIntersecting)) more(false); }, { rootMargin: "800px" }).observe($("more"));
  $("results").addEventListener("keydown", onKey);
  addEventListener("library-changed", () => start({ quiet: true }));
  start();
}

/** Ask anew; `quiet` keeps what is shown until the answer is there. */
export async function start({ quiet = false } = {}) {
  running?.abort();
  const mine = new AbortController();
  running = mine;
  const now = state.get();
  const timer = setTimeout(() => { if (!quiet) skeleton(); }, hits.length ? SKELETON_MS * 3 : SKELETON_MS);
  $("results").setAttribute("aria-busy", "true");
  try {
    const limit = quiet ? Math.min(500, Math.max(PAGE, hits.length)) : PAGE;
    const found = await api.search(now, { limit, signal: mine.signal });
    clearTimeout(timer);
    const before = new Map(quiet ? hits.map((hit, index) => [hit.id, [hit, $("results").children[index]]]) : []);
    hits = found.hits;
    Object.assign(results, { hits, weights: found.weights });
    show(found, now, before, quiet);
  } catch (error) {
    clearTimeout(timer);
    if (error.name !== "AbortError") fail(error);
  } finally {
    if (running === mine) $("results").removeAttribute("aria-busy");
  }
}

function show(found, now, before, quiet) {
  next = found.next_offset;
  // A picture that stays keeps its element, so that nothing flickers while the library grows.
  const kept = (hit) => (before.get(hit.id)?.[0].score === hit.score ? before.get(hit.id)[1] : null);
  $("results").replaceChildren(...hits.map((hit) => kept(hit) ?? card(hit)));
  $("more").hidden = next === null;
  $("summary").textContent = summary(found, now);
  notices.clear();
  if (!quiet) scrollTo({ top: 0 });
  if (!found.total.value) notices.nothing(now);
  dispatchEvent(new CustomEvent("results-shown"));
}

function summary(found, now) {
  if (!found.total.value) return "";
  const order = state.ranked(now) ? "nearest first" : "newest first";
  return `${count(found.total.value, "picture")}, ${order} · ${number(Math.round(found.took_ms))} ms`;
}

function fail(error) {
  hits = [];
  next = null;
  Object.assign(results, { hits, weights: {} });
  $("results").replaceChildren();
  $("more").hidden = true;
  $("summary").textContent = "";
  notices.failure(error, () => start());
}

function skeleton() {
  notices.clear();
  $("summary").textContent = "Looking…";
  $("more").hidden = true;
  $("results").replaceChildren(...RATIOS.concat(RATIOS).map((ratio) => h("div", { className: "card skeleton", style: { "--r": ratio } })));
}

async function more(byHand) {
  if (next === null || loadingMore) return;
  loadingMore = true;
  const mine = running;
  const focusAt = hits.length;
  try {
    const found = await api.search(state.get(), { limit: PAGE, offset: next, signal: mine.signal });
    const seen = new Set(hits.map((hit) => hit.id));
    const fresh = found.hits.filter((hit) => !seen.has(hit.id));
    hits.push(...fresh);
    next = found.next_offset;
    $("results").append(...fresh.map(card));
    $("more").hidden = next === null;
    if (byHand) $("results").children[focusAt]?.focus();
  } catch (error) {
    if (error.name !== "AbortError") { next = null; $("more").hidden = true; notices.failure(error, () => start()); }
  } finally {
    loadingMore = false;
  }
}

function card(hit) {
  const { image } = hit;
  const ratio = Math.min(3.2, Math.max(0.45, (image.width ?? 1) / (image.height ?? 1)));
  const href = state.address({ ...state.get(), image: hit.id });
  const strongest = topTags(hit);
  const spoken = [image.caption ?? "Picture", strongest.map((tag) => tag.name).join(", "), hit.score === null ? "" : `score ${score(hit.score)}`];
  return h("a", { className: "card", href, style: { "--r": ratio.toFixed(4) }, "data-id": hit.id, "aria-label": spoken.filter(Boolean).join(". "), onclick: open },
    h("img", { src: image.thumbnail_url, alt: "", loading: "lazy", decoding: "async", width: image.width, height: image.height, onload: appear, onerror: missing }),
    h("span", { className: "over", "aria-hidden": "true" },
      h("span", { className: "caption" }, image.caption ?? ""),
      h("span", { className: "tags" }, ...strongest.map((tag) => h("span", { className: hit.matched_tags.includes(tag.name) ? "matched" : "" }, `${tag.name} ${percent(tag.confidence)}`)))),
    hit.score === null ? null : h("span", { className: "score", "aria-hidden": "true" }, score(hit.score)));
}

/** The asked tags first, then the surest; one entry a name. */
function topTags(hit) {
  const byName = new Map();
  for (const tag of hit.image.tags) if (!tag.rejected && !byName.has(tag.name)) byName.set(tag.name, tag);
  const rank = (tag) => (hit.matched_tags.includes(tag.name) ? 1 : 0);
  return [...byName.values()].sort((a, b) => rank(b) - rank(a)).slice(0, 4);
}

function open(event) {
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.button > 0) return;
  event.preventDefault();
  state.set({ image: Number(event.currentTarget.dataset.id) });
}

function appear(event) {
  event.currentTarget.classList.add("here");
}

function missing(event) {
  event.currentTarget.replaceWith(h("span", { className: "gone" }, "thumbnail missing"));
}

/** Arrow keys walk the grid; up and down go to the nearest picture in the next row. */
function onKey(event) {
  const here = event.target.closest(".card");
  const cards = [...$("results").children];
  const at = cards.indexOf(here);
  if (at < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
  const target = { ArrowRight: cards[at + 1], ArrowLeft: cards[at - 1], Home: cards[0], End: cards.at(-1) }[event.key]
    ?? (event.key === "ArrowDown" ? vertical(here, cards, 1) : event.key === "ArrowUp" ? vertical(here, cards, -1) : null);
  if (!target) return;
  event.preventDefault();
  target.focus();
}

function vertical(here, cards, direction) {
  const from = here.getBoundingClientRect();
  const centre = from.left + from.width / 2;
  const beyond = cards.map((item) => [item, item.getBoundingClientRect()]).filter(([, box]) => (box.top - from.top) * direction > 4);
  const row = direction > 0 ? Math.min(...beyond.map(([, box]) => box.top)) : Math.max(...beyond.map(([, box]) => box.top));
  const inRow = beyond.filter(([, box]) => Math.abs(box.top - row) < 4);
  inRow.sort(([, a], [, b]) => Math.abs(a.left + a.width / 2 - centre) - Math.abs(b.left + b.width / 2 - centre));
  return inRow[0]?.[0];
}
