// The rail of facets: what the result is made of, each value to be included or excluded by a click.

import { $, h } from "../page/dom.js";
import { number } from "../page/format.js";
import { icon } from "../page/icons.js";
import * as state from "../page/state.js";
import { segments } from "../query/segments.js";
import { choose, toggle } from "../query/edit.js";
import { FACET_LIMIT, FACETS, on, results } from "./results.js";

const SAYS = { tag: "Tags", year: "Year taken", format: "Format", source: "Described by", collection: "Collection" };
const KEY = { tag: "tag", year: "taken", format: "format", source: "source", collection: "collection" };
const VALUES = { source: { human: "people", model: "a model", file: "the file" } };
const SHOWN = 12;
const NARROW = matchMedia("(max-width: 1000px)");
const whole = new Set();

export function initRail() {
  on("answered", draw);
  state.subscribe((now, before) => { if (now.folded !== before.folded) draw(); });
  $("filters").addEventListener("click", openRail);
  $("fold-rail").addEventListener("click", () => { state.fold("rail", true); $("filters").focus(); });
  $("drawer").addEventListener("close", putBack);
  $("drawer").addEventListener("click", (event) => { if (event.target === $("drawer")) $("drawer").close(); });
  $("close-drawer").addEventListener("click", () => $("drawer").close());
  NARROW.addEventListener("change", () => { $("drawer").close(); draw(); });
  draw();
}

/** Beside the pictures where there is room, else in a drawer over them. */
function openRail() {
  if (!NARROW.matches) {
    state.fold("rail", false);
    $("fold-rail").focus();
    return;
  }
  $("drawer").append($("facets"));
  $("drawer").showModal();
}

function putBack() {
  $("rail").append($("facets"));
  $("filters").focus();
}

function draw() {
  const folded = state.isFolded("rail");
  $("rail").hidden = folded || NARROW.matches;
  $("filters").hidden = !folded && !NARROW.matches;
  const conditions = segments(state.get().q).filter((piece) => piece.kind === "condition").length;
  $("filters").querySelector(".number").textContent = conditions ? String(conditions) : "";
  $("filters").setAttribute("aria-label", conditions ? `Narrow, ${conditions} now` : "Narrow");
  const focused = document.activeElement?.closest?.("#facets") && document.activeElement.dataset.focus;
  $("facets").replaceChildren(...FACETS.map(group).filter(Boolean));
  if (focused) ($("facets").querySelector(`[data-focus="${CSS.escape(focused)}"]`) ?? $("facets").querySelector("button"))?.focus();
}

function group(field) {
  const values = results.facets[field] ?? [];
  // One value that all have is no choice.
  if (!values.length || (values.length === 1 && !values[0].selected && values[0].count >= results.total.value && field !== "tag")) return null;
  const shut = state.isFolded(field);
  const list = whole.has(field) ? values : values.slice(0, SHOWN);
  const most = Math.max(...values.map((value) => value.count));
  return h("section", { className: "facet" },
    h("h3", {}, h("button", { type: "button", "aria-expanded": String(!shut), "aria-controls": `facet-${field}`, "data-focus": field, onclick: () => state.fold(field, !shut) }, SAYS[field], icon("down"))),
    h("ul", { id: `facet-${field}`, hidden: shut }, ...list.map((value) => row(field, value, most)), rest(field, values, list)));
}

/** The way to the values not shown; those beyond the commonest are only to be had by name. */
function rest(field, values, list) {
  if (values.length > list.length) return h("li", {}, moreButton(field, values.length, values.length - list.length));
  return values.length >= FACET_LIMIT ? h("li", { className: "hint" }, `The ${values.length} commonest. Type the name of any other.`) : null;
}

const moreButton = (field, all, left) => h("button", { type: "button", className: "rest", "data-focus": `${field}-rest`, onclick: () => { whole.add(field); draw(); } }, all >= FACET_LIMIT ? `The ${all} commonest` : `${left} more`);

/** A value to include or exclude; nothing is offered that would leave no picture. */
function row(field, { value, count, without: left, selected }, most) {
  const name = VALUES[field]?.[value] ?? value;
  const change = field === "tag" ? toggle : choose;
  const excludes = left > 0 || selected === "exclude";
  // What nothing has is only to be taken back.
  const only = selected === "exclude" && !count;
  const pick = (exclude) => { if (excludes || !exclude) state.ask(change(state.get().q, KEY[field], value, exclude || only)); };
  const include = h("button", { type: "button", className: "value", "data-focus": `${field}-${value}`, "aria-pressed": String(selected === "include"), "aria-label": `${name}, ${number(count)} pictures`, title: excludes ? "Click: only these. Alt-click: without these" : "Click: only these", onclick: (event) => pick(event.altKey) },
    icon(selected === "exclude" ? "minus" : selected === "include" ? "check" : "plus"), h("span", { className: "name" }, name), h("span", { className: "count" }, number(count)));
  const exclude = excludes && h("button", { type: "button", className: "without", "data-focus": `${field}-${value}-not`, "aria-pressed": String(selected === "exclude"), "aria-label": `Without ${name}`, title: `Without ${name}`, onclick: () => pick(true) }, icon("minus"));
  return h("li", { className: selected ?? "", style: { "--share": most ? count / most : 0 }, oncontextmenu: (event) => { event.preventDefault(); pick(true); } }, include, exclude);
}
