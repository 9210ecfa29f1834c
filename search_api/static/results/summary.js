// What the result is: how many, in which order, what was held back, and what can be done with all of it.

import { $, h } from "../page/dom.js";
import { milliseconds, number, total } from "../page/format.js";
import * as state from "../page/state.js";
import { order, orderOf, ranks } from "../query/edit.js";
import { brief } from "../query/tokens.js";
import { on, results } from "./results.js";
import * as selection from "./selection.js";

const ORDERS = [
  ["relevance", "Best first"],
  ["added", "Newest here first"],
  ["added_asc", "Oldest here first"],
  ["taken", "Last taken first"],
  ["taken_asc", "First taken first"],
  ["size", "Largest files first"],
];

export function initSummary() {
  on("asked", ({ detail }) => { if (!detail.quiet) $("summary").setAttribute("aria-busy", "true"); });
  on("answered", draw);
  on("grown", draw);
  on("refused", draw);
  $("order").addEventListener("change", ({ target }) => state.ask(order(state.get().q, target.value === usual() ? null : target.value)));
  $("select").addEventListener("click", () => setSelecting(!document.body.classList.contains("selecting")));
  selection.subscribe(() => { if (!selection.size()) setSelecting(false); });
  state.subscribe(drawOrder);
  drawOrder();
}

function setSelecting(on_) {
  document.body.classList.toggle("selecting", on_);
  $("select").setAttribute("aria-pressed", String(on_));
}

/** The order the server chooses when none is asked for. */
const usual = () => (ranks(state.get().q) ? "relevance" : "added");

function drawOrder() {
  const asked = orderOf(state.get().q)?.replace(/^-(.*)/, "$1_asc") ?? usual();
  const offered = ORDERS.filter(([value]) => value !== "relevance" || usual() === "relevance");
  if (!offered.some(([value]) => value === asked)) offered.push([asked, asked]);
  $("order").replaceChildren(...offered.map(([value, label]) => h("option", { value, selected: value === asked }, label)));
}

function draw() {
  const { q } = state.get();
  document.title = q ? `${brief(q)} · Sightline` : "Sightline";
  $("summary").removeAttribute("aria-busy");
  const nothing = results.error || !results.total.value;
  $("summary").textContent = nothing ? "" : total(results.total, "picture");
  $("took").textContent = nothing ? "" : milliseconds(results.tookMs);
  $("with-all").hidden = !results.total.value;
  drawHidden();
  $("degraded").textContent = results.degraded.map(({ detail }) => detail).join(" ");
  $("degraded").hidden = !results.degraded.length;
}

function drawHidden() {
  const { all } = state.get();
  const place = $("hidden");
  const { value, relation } = results.hidden;
  place.hidden = Boolean(results.error) || !(value || all) || !ranks(state.get().q) || !results.total.value;
  if (place.hidden) return;
  const many = `${relation === "gte" ? "at least " : ""}${number(value)} more`;
  place.replaceChildren(
    h("span", {}, all ? "Also showing what does not stand out." : `${many} ${value === 1 ? "is" : "are"} hidden because ${value === 1 ? "it does" : "they do"} not stand out.`),
    h("button", { type: "button", className: "link", onclick: () => state.set({ all: !all }) }, all ? "Hide it" : "Show them"));
}
