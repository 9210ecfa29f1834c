// One hit in the grid: the picture, and on hovering or focusing it why it is there and what to do with it.

import { h, marked } from "../page/dom.js";
import { percent, score } from "../page/format.js";
import { icon } from "../page/icons.js";
import { may } from "../page/session.js";
import * as state from "../page/state.js";
import { results } from "./results.js";
import * as selection from "./selection.js";

const TAGS = 4;

export function card(hit) {
  const { image } = hit;
  const link = h("a", { href: state.address({ ...state.get(), image: hit.id }), tabIndex: -1, "aria-label": spoken(hit), "data-open": hit.id },
    picture(image),
    h("span", { className: "over", "aria-hidden": "true" },
      h("span", { className: "caption" }, ...words(hit)),
      h("span", { className: "tags" }, ...tags(hit)),
    ));
  // Shown by the switch, though it does not stand out.
  const faint = !results.nearest && hit.score !== null && results.cutoff !== null && hit.score < results.cutoff;
  return h("div", { className: faint ? "card faint" : "card", role: "listitem", "data-id": hit.id }, link,
    hit.score === null ? null : h("span", { className: "score", "aria-hidden": "true" }, score(hit.score)),
    h("div", { className: "tools" },
      tool("similar", "More like this", "more"), tool("unlike", "Less like this", "less")),
    h("button", { type: "button", className: "pick", tabIndex: -1, "aria-pressed": "false", "aria-label": `Select ${name(image)}`, title: "Select (x)", "data-do": "pick" }, icon("check")));
}

const name = (image) => image.caption ?? image.title ?? `picture ${image.id}`;
const tool = (drawn, label, does) => h("button", { type: "button", tabIndex: -1, "aria-label": label, title: label, "data-do": does }, icon(drawn));

function spoken(hit) {
  const matched = hit.why?.tags?.map((tag) => `${tag.name} ${percent(tag.confidence)}`) ?? [];
  return [name(hit.image), matched.join(", "), hit.score === null ? "" : `score ${score(hit.score)}`].filter(Boolean).join(". ");
}

function picture(image) {
  if (!image.thumbnail_url) return h("span", { className: "gone" }, "no thumbnail");
  const without = async () => drawn.replaceWith(h("span", { className: "gone" }, await may("images.read") ? "thumbnail missing" : "not for this key to see"));
  const drawn = h("img", { src: image.thumbnail_url, alt: "", decoding: "async", onload: () => drawn.classList.add("here"), onerror: without });
  return drawn;
}

/** The caption that matched, its matching words marked; else the one shown first. */
function words(hit) {
  const why = hit.why?.caption;
  return why ? marked(why.text, why.spans) : [hit.image.caption ?? ""];
}

/** The asked tags first, then the surest; one entry a name. */
function tags(hit) {
  const matched = new Map((hit.why?.tags ?? []).map((tag) => [tag.name, tag]));
  const others = hit.image.tags.filter((tag) => !tag.rejected && !matched.has(tag.name));
  const unique = new Map(others.map((tag) => [tag.name, tag]).reverse());
  return [...matched.values(), ...[...unique.values()].reverse()].slice(0, TAGS).map((tag) =>
    h("span", { className: matched.has(tag.name) ? "matched" : "" }, `${tag.name} ${percent(tag.confidence)}`));
}

/** What depends on where the card stands and on what is selected. */
export function dress(element, { index, size, tabbable }) {
  element.dataset.index = index;
  element.setAttribute("aria-posinset", index + 1);
  element.setAttribute("aria-setsize", size);
  element.querySelector("a").tabIndex = tabbable ? 0 : -1;
  showPicked(element);
}

export function showPicked(element) {
  const picked = selection.has(Number(element.dataset.id));
  element.classList.toggle("picked", picked);
  element.querySelector(".pick").setAttribute("aria-pressed", String(picked));
}
