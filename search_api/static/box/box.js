// The box: the whole question as text. It searches while one types and says where a slip is.

import { $ } from "../page/dom.js";
import * as state from "../page/state.js";
import { brief, whole } from "../query/tokens.js";
import { on, results } from "../results/results.js";
import * as slip from "./slip.js";
import * as suggest from "./suggest.js";

const WAIT_MS = 350;
const NARROW = matchMedia("(max-width: 720px)");
// A condition being written: nothing to ask yet.
const UNFINISHED = /(^|\s)-?(\w+:|-|"[^"]*|\([^)]*|or|\|)$/i;
let typing;
let session = false;

export function initBox() {
  const box = $("text");
  box.value = brief(state.get().q);
  box.addEventListener("input", onInput);
  box.addEventListener("keydown", onKey);
  box.addEventListener("blur", left);
  $("search").addEventListener("submit", (event) => { event.preventDefault(); commit(); });
  $("clear").addEventListener("click", () => { state.ask(""); write(""); box.focus(); });
  state.subscribe(follow);
  on("answered", () => slip.clear());
  on("refused", refused);
  suggest.initSuggest({ write: (text, caret) => { write(text, caret); commit({ live: true }); } });
  NARROW.addEventListener("change", greet);
  // A touch screen would cover half the pictures with its keyboard.
  if (matchMedia("(hover: hover)").matches && !state.get().image) box.focus();
  greet();
}

/** What was left half written is told a moment later: the click that left must find things where they were. */
function left() {
  session = false;
  setTimeout(() => { if (results.error && !results.busy && $("slip").hidden) refused(); }, WAIT_MS);
}

/** A name half written, with names to choose from below it, is no slip yet. */
function refused() {
  if (session && suggest.offering()) slip.clear();
  else slip.show(results.error);
}

function follow(now) {
  // What is being typed stays as it is written, spaces at its end included.
  if (whole($("text").value).trim() !== now.q.trim()) write(brief(now.q));
  greet();
}

function greet() {
  $("clear").hidden = !$("text").value;
  $("text").placeholder = NARROW.matches ? "Describe a picture" : "Describe a picture, name a tag, or drop a picture here";
}

function write(text, caret = text.length) {
  const box = $("text");
  box.value = text;
  if (document.activeElement === box) box.setSelectionRange(caret, caret);
  slip.redraw();
  greet();
}

function onInput() {
  clearTimeout(typing);
  slip.redraw();
  greet();
  if (!UNFINISHED.test($("text").value)) typing = setTimeout(() => commit({ live: true }), WAIT_MS);
  suggest.offer();
}

/** Ask what the box says. While one types only the first letter makes a step in the history. */
function commit({ live = false } = {}) {
  clearTimeout(typing);
  if (!live) suggest.close();
  const q = whole($("text").value).trim();
  if (q !== state.get().q.trim()) state.ask(q, { push: !session });
  else if (!live && results.error) slip.show(results.error, { focus: true });
  else if (results.error && !results.busy) refused();
  session = live;
}

function onKey(event) {
  if (suggest.onKey(event)) return;
  if (event.key === "Escape") $("text").blur();
  else if (event.key === "ArrowDown" && results.hits.length) {
    event.preventDefault();
    dispatchEvent(new CustomEvent("enter-grid"));
  }
}
