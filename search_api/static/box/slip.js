// A slip in the question: underlined at the character, told in words, with what was probably meant.

import { $, h, prose } from "../page/dom.js";
import { icon } from "../page/icons.js";
import * as state from "../page/state.js";
import { points } from "../results/results.js";
import { quoted } from "../query/edit.js";
import { brief, placeInBox, whole } from "../query/tokens.js";

let problem = null;

export function initSlip() {
  $("text").addEventListener("scroll", align);
}

export function show(error, { focus = false } = {}) {
  if (!points(error)) return clear();
  problem = error.problem;
  $("slip").hidden = false;
  $("slip").replaceChildren(icon("help"), h("p", {}, ...prose(error.message)), ...(problem.suggestions ?? []).map(offer));
  $("text").setAttribute("aria-invalid", "true");
  redraw();
  if (focus) select();
  return undefined;
}

export function clear() {
  problem = null;
  $("slip").hidden = true;
  $("slip").replaceChildren();
  $("text").removeAttribute("aria-invalid");
  redraw();
}

const offer = (suggestion) => h("button", { type: "button", className: "button small", onclick: () => use(suggestion) }, "Use ", h("b", {}, suggestion));

/** Put the suggestion where the slip is. */
function use(suggestion) {
  const letters = [...problem.text ?? state.get().q];
  letters.splice(problem.position, problem.length ?? 0, problem.tag ? quoted(suggestion) : suggestion);
  state.ask(letters.join(""));
  $("text").focus();
}

function select() {
  const [start, end] = span();
  $("text").setSelectionRange(start, Math.max(end, start + 1));
}

function span() {
  const text = problem.text ?? whole($("text").value);
  const start = placeInBox(text, problem.position);
  return [start, Math.max(start + 1, placeInBox(text, problem.position + (problem.length ?? 1)))];
}

/** The mirror lies behind the box with the same letters, unseen but for the line under the slip. */
export function redraw() {
  const mirror = $("mirror");
  const shown = $("text").value;
  const isAsked = problem && brief(problem.text ?? state.get().q).trim() === shown.trim();
  if (!isAsked) mirror.replaceChildren();
  else {
    const [start, end] = span();
    const padded = shown.padEnd(end, "\u00a0");
    mirror.replaceChildren(padded.slice(0, start), h("u", {}, padded.slice(start, end)), padded.slice(end));
  }
  align();
}

function align() {
  $("mirror").scrollLeft = $("text").scrollLeft;
}
