// Words that are a SKU: said, as a number pasted into the box is ranked by like any words.

import * as api from "../page/api.js";
import { $, h } from "../page/dom.js";
import * as state from "../page/state.js";
import { quoted } from "../query/edit.js";
import { segments } from "../query/segments.js";
import { on } from "./results.js";

const LONGEST = 200;

export function initMeant() {
  on("asked", ({ detail }) => { if (!detail.quiet) $("meant").hidden = true; });
  on("answered", () => look(state.get()));
}

async function look(now) {
  const pieces = segments(now.q);
  const words = pieces.length === 1 && pieces[0].kind === "words" ? pieces[0].text : "";
  if (!words || words.length > LONGEST) return;
  const found = await api.values("sku", words, 1).catch(() => []);
  if (state.get() === now && found[0]?.value.toLowerCase() === words.toLowerCase()) tell(found[0]);
}

function tell({ value, images }) {
  $("meant").replaceChildren(
    h("span", {}, `${value} is a SKU.`),
    h("button", { type: "button", className: "link", onclick: () => state.ask(`sku:${quoted(value)}`) }, images === 1 ? "Show its picture" : `Show its ${images} pictures`));
  $("meant").hidden = false;
}
