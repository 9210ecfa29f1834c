// After a slip the answer to the question before stays in sight, faint and out of reach, and is said to be that.

import { $, h } from "../page/dom.js";
import * as state from "../page/state.js";
import { brief } from "../query/tokens.js";
import { on, results, stale } from "./results.js";

export function initStale() {
  on("answered", draw);
  on("refused", draw);
}

function draw() {
  const before = stale();
  document.body.classList.toggle("stale", before);
  // What one did there would be done to the question with the slip.
  for (const id of ["results", "facets"]) $(id).inert = before;
  $("filters").disabled = before;
  $("still").hidden = !before;
  if (before) say(results.asked);
}

function say({ q, all }) {
  const back = () => { state.set({ q, all, image: null }); $("text").focus(); };
  $("still").replaceChildren(
    h("span", { className: "name" }, `Still showing ${q.trim() ? `“${brief(q.trim())}”` : "all pictures"}`),
    h("button", { type: "button", className: "link", onclick: back }, "Back to it"));
}
