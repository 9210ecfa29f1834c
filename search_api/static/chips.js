// Tags as chips: those asked for, then the most frequent ones to begin with.

import * as api from "./api.js";
import { $, h, icon, number, percent } from "./dom.js";
import * as state from "./state.js";

const POPULAR = 18;
const NEXT = { all: "none", any: "none", none: null };
const SAYS = {
  all: "required. Activate to exclude it",
  any: "one of several required. Activate to exclude it",
  none: "excluded. Activate to remove it",
};
let popular = [];

export function initChips() {
  state.subscribe(draw);
  const slider = $("min");
  slider.addEventListener("input", () => { $("min-shown").textContent = sureness(Number(slider.value)); });
  slider.addEventListener("change", () => state.set({ min: Number(slider.value) }));
  addEventListener("library-changed", refresh);
  draw(state.get());
  refresh();
}

const sureness = (min) => (min > 0 ? `at least ${percent(min)} sure` : "however unsure");

async function refresh() {
  try {
    popular = await api.tags("", POPULAR);
  } catch {
    popular = []; // the grid reports what is wrong
  }
  draw(state.get());
}

function draw(now) {
  const focused = document.activeElement?.dataset?.tag;
  const asked = ["all", "any", "none"].flatMap((where) => now[where].map((tag) => chip(tag, where)));
  const others = popular.filter((tag) => !state.place(tag.name)).map((tag) =>
    h("button", { type: "button", className: "chip", "data-tag": tag.name, "aria-label": `Require tag ${tag.name}, ${number(tag.images)} pictures`, onclick: () => state.putTag(tag.name, "all") },
      tag.name, h("span", { className: "count" }, number(tag.images))));
  $("chips").replaceChildren(...asked, ...others);
  if (focused) [...$("chips").children].find((item) => item.dataset.tag === focused)?.focus();
  $("slider").hidden = !(now.all.length || now.any.length);
  $("min").value = now.min;
  $("min-shown").textContent = sureness(now.min);
}

function chip(tag, where) {
  return h("button", { type: "button", className: `chip ${where}`, "data-tag": tag, "aria-label": `Tag ${tag}, ${SAYS[where]}`, title: where === "none" ? "Excluded: click to remove" : "Required: click to exclude", onclick: () => state.putTag(tag, NEXT[where]) },
    icon(where === "none" ? "close" : "check"), tag);
}
