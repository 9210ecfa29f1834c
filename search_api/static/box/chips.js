// The question's pieces as chips below the box: each can be turned round, weighed and taken out.

import { $, h } from "../page/dom.js";
import { icon } from "../page/icons.js";
import * as state from "../page/state.js";
import { flip, remove, weigh } from "../query/edit.js";
import { pictureOf } from "../query/examples.js";
import { segments } from "../query/segments.js";

export function initChips() {
  state.subscribe((now, before) => { if (now.q !== before.q) draw(now.q); });
  draw(state.get().q);
}

function draw(query) {
  const pieces = segments(query).filter((piece) => piece.kind !== "order");
  const terms = pieces.filter((piece) => piece.kind !== "condition");
  const focused = document.activeElement?.closest?.("#chips") && document.activeElement.dataset.focus;
  // A question of words alone is its own mirror.
  const plain = pieces.length === 1 && pieces[0].kind === "words";
  $("chips").replaceChildren(...(plain ? [] : pieces.map((piece, index) => chip(query, piece, index, terms.length > 1))));
  $("chips").hidden = plain || !pieces.length;
  if (focused) ($("chips").querySelector(`[data-focus="${CSS.escape(focused)}"]`) ?? $("chips").querySelector("button") ?? $("text")).focus();
}

function chip(query, piece, index, weighed) {
  const name = nameOf(piece);
  const act = (change) => state.ask(change(query, piece));
  const term = piece.kind !== "condition";
  return h("li", { className: `chip ${term ? "term" : "condition"} ${piece.negative ? "excluded" : ""}` },
    h("button", { type: "button", className: "face", "data-focus": `face-${index}`, title: turn(piece, term), "aria-label": `${says(piece, term)} ${name}. ${turn(piece, term)}`, onclick: () => act(flip) },
      face(piece), h("span", { className: "name" }, name)),
    term && weighed ? scales(query, piece, index, name) : null,
    h("button", { type: "button", className: "out", "data-focus": `out-${index}`, title: "Remove", "aria-label": `Remove ${name}`, onclick: () => act(remove) }, icon("close")));
}

const says = (piece, term) => (term ? (piece.negative ? "Less like" : "Like") : piece.negative ? "Without" : "With");

function turn(piece, term) {
  if (term) return piece.negative ? "Turn to more of it" : "Turn to less of it";
  return piece.negative ? "Include it instead" : "Exclude it instead";
}

function nameOf(piece) {
  if (piece.key === "like") return /^\d+$/.test(piece.value) ? `picture ${piece.value}` : "your picture";
  if (piece.kind !== "condition") return piece.value;
  if (piece.key === "tag" || !piece.key) return piece.several ? piece.text.replace(/^-/, "") : piece.value.replaceAll("_", " ");
  return `${piece.key}: ${piece.value.replaceAll("_", " ")}`;
}

function face(piece) {
  if (piece.key === "like") return thumbnail(piece.value);
  if (piece.negative) return icon("minus");
  return icon(piece.kind === "condition" ? "check" : "search");
}

function thumbnail(value) {
  const place = h("span", { className: "thumbnail" }, icon("picture"));
  const drawn = h("img", { alt: "", onload: () => place.replaceChildren(drawn) });
  pictureOf(value).then((url) => { if (url) drawn.src = url; });
  return place;
}

/** How much a term counts, beside others. */
function scales(query, piece, index, name) {
  const step = (drawn, direction, label) => h("button", { type: "button", className: "step", "data-focus": `${drawn}-${index}`, title: label, "aria-label": `${label}: ${name}`, onclick: () => state.ask(weigh(query, piece, direction), { push: false }) }, icon(drawn));
  return h("span", { className: "scales", role: "group", "aria-label": `Weight of ${name}` },
    step("minus", -1, "Count it less"), h("output", { title: "weight" }, `×${Math.abs(piece.weight)}`), step("plus", 1, "Count it more"));
}
