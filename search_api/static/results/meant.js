// Words that are a SKU, or stand in titles: said, as they are ranked by like any words when they are typed into the box.

import * as api from "../page/api.js";
import { $, h } from "../page/dom.js";
import { count } from "../page/format.js";
import * as state from "../page/state.js";
import { quoted } from "../query/edit.js";
import { segments } from "../query/segments.js";
import { on, results } from "./results.js";

const LONGEST = 200;

export function initMeant() {
  on("asked", ({ detail }) => { if (!detail.quiet) $("meant").hidden = true; });
  on("answered", () => look(state.get()));
}

async function look(now) {
  const pieces = segments(now.q);
  const words = pieces.length === 1 && pieces[0].kind === "words" ? pieces[0].text : "";
  if (!words || words.length > LONGEST) return;
  const nothing = results.nearest || !results.hits.length;
  const found = await aSku(words) ?? (nothing ? await inTitles(words) : null);
  if (found && state.get() === now) tell(found);
}

async function aSku(words) {
  const [found] = await api.values("sku", words, 1).catch(() => []);
  if (found?.value.toLowerCase() !== words.toLowerCase()) return null;
  return { says: `${found.value} is a SKU.`, query: `sku:${quoted(found.value)}`, images: found.images };
}

/** Where nothing stands out: titles that have all of the words, in whatever order. */
async function inTitles(words) {
  const each = words.replace(/["“”„«»\\*]/g, " ").split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word));
  if (!each.length) return null;
  const query = each.map((word) => `title:${quoted(word)}`).join(" ");
  const images = await api.search({ q: query, limit: 1 }).then((found) => found.total.value, () => 0);
  if (!images) return null;
  return { says: `${count(images, "title has", "titles have")} ${each.length > 1 ? "these words" : "this word"}.`, query, images };
}

function tell({ says, query, images }) {
  $("meant").replaceChildren(
    h("span", {}, says),
    h("button", { type: "button", className: "link", onclick: () => state.ask(query) }, images === 1 ? "Show its picture" : `Show the ${images} pictures`));
  $("meant").hidden = false;
}
