// The tags of a picture: who says each and how surely, where it was seen, and one's own word on it.

import { $, h } from "../page/dom.js";
import { editTags } from "../page/edits.js";
import { percent } from "../page/format.js";
import { icon } from "../page/icons.js";
import * as state from "../page/state.js";
import { namesIn, tagField } from "../page/tag_names.js";
import { add, quoted, stated } from "../query/edit.js";
import { gauge, says, sure, who } from "./says.js";
import { hideHeat, showHeat } from "./stage.js";

// The rows of the picture that is open, in the order they were first drawn in.
let rows = { id: null, names: [] };
// What is typed as a further tag of it: a word on another tag leaves it there.
let typed = { id: null, text: "" };

export function tagList(image, hit, changed) {
  const matched = new Set((hit?.why?.tags ?? []).map((tag) => tag.name));
  const byName = new Map();
  for (const tag of image.tags) byName.set(tag.name, [...(byName.get(tag.name) ?? []), tag]);
  const names = inPlace(image.id, [...byName.keys()].sort((one, other) => matched.has(other) - matched.has(one)));
  // Most tags come from one model: it is named once, in the heading, and others where they speak.
  const usual = image.tags.find((tag) => tag.source.kind === "model")?.source;
  const items = names.map((name) => statement({ image, name, tags: byName.get(name), usual, matched: matched.has(name), changed }));
  return h("section", { className: "tags-said" }, h("h3", {}, "Tags ", usual ? says(usual) : null),
    items.length ? h("ul", { className: "statements" }, ...items) : h("p", { className: "none" }, "No tag was sure enough."),
    adder(image, changed));
}

/** While a picture is open no word on it moves a row: the next click would land on another tag. */
function inPlace(id, names) {
  const before = rows.id === id ? rows.names : [];
  const order = [...before, ...names.filter((name) => !before.includes(name))];
  rows = { id, names: order };
  return order.filter((name) => names.includes(name));
}

function adder(image, changed) {
  const [field, names] = tagField({ placeholder: "Add a tag", "aria-label": "Add a tag", "data-focus": "add-tag" });
  if (typed.id === image.id) field.value = typed.text;
  field.addEventListener("input", () => { typed = { id: image.id, text: field.value }; });
  // The first Escape leaves the field, so that the next key is the picture's.
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    event.preventDefault();
    $("detail").querySelector(".close").focus({ preventScroll: true });
  });
  return h("form", { className: "add-tag", onsubmit: (event) => { event.preventDefault(); addTyped(image.id, field, changed); } }, icon("plus"), field, names);
}

/** The field is empty for the next tag; a name that was refused is in it again. */
async function addTyped(id, field, changed) {
  const text = field.value;
  const wanted = await namesIn(field);
  if (!wanted.length) return;
  typed = { id, text: "" };
  field.value = "";
  if (await editTags([id], "add", wanted, changed) || field.value) return;
  typed = { id, text };
  field.value = text;
}

function statement({ image, name, tags, usual, matched, changed }) {
  const rejected = tags.some((tag) => tag.rejected);
  const mine = tags.find((tag) => tag.source.kind === "human");
  const visible = tags.some((tag) => tag.source.kind === "model");
  const say = (how) => () => editTags([image.id], mine && mine.rejected === (how === "remove") ? "clear" : how, [name], changed);
  const tool = (drawn, label, pressed, run) => h("button", { type: "button", className: `quiet small ${pressed ? "on" : ""}`, "aria-label": `${label}: ${name}`, "aria-pressed": String(pressed), title: label, "data-focus": `${drawn}-${name}`, onclick: run }, icon(drawn));
  return h("li", { className: [rejected ? "rejected" : "", matched ? "matched" : ""].join(" "), ...(visible ? watching(image.id, name) : {}) },
    h("button", { type: "button", className: "tag", title: "Search for this tag", "data-focus": `tag-${name}`, onclick: () => searchFor(name) }, name),
    h("span", { className: "who" }, ...said(tags, usual)),
    h("span", { className: "tools" },
      visible ? tool("where", "Where it was seen", false, () => showHeat(image.id, name)) : null,
      tool("check", mine && !mine.rejected ? "Take back your yes" : "Yes, it shows this", Boolean(mine && !mine.rejected), say("add")),
      tool("close", rejected ? "Take back your no" : "No, it does not", rejected, say("remove"))));
}

/** The pointer or the focus resting on a tag shows where it was seen. */
const watching = (id, name) => ({
  onpointerenter: (event) => { if (event.pointerType === "mouse") showHeat(id, name); },
  onpointerleave: (event) => { if (event.pointerType === "mouse") hideHeat(); },
  onfocusin: () => showHeat(id, name),
  onfocusout: hideHeat,
});

/** A line for each model and one for all others; a person who agrees with a single model is named on its line. */
function said(tags, usual) {
  const models = tags.filter((tag) => tag.source.kind === "model" && !tag.rejected);
  const others = tags.filter((tag) => !models.includes(tag));
  const [model] = models;
  if (models.length === 1 && others.length === 1 && !others[0].rejected && isUsual(model, usual)) return [seen(model, says(others[0].source))];
  return [...others.map(verdict), ...models.map((tag) => seen(tag, isUsual(tag, usual) ? null : says(tag.source)))];
}

const isUsual = (tag, usual) => Boolean(usual) && who(tag.source) === who(usual);
const verdict = (tag) => h("span", { className: "line" }, h("span", { className: "verdict" }, tag.rejected ? "not here, says" : "shows it, says"), says(tag.source));
const seen = (tag, speaker) => h("span", { className: "line", title: sure(tag) }, gauge(tag.confidence, tag.threshold), h("span", { className: "value" }, percent(tag.confidence)), speaker);

function searchFor(name) {
  const { q } = state.get();
  state.ask(stated(q, "tag", name) ? q : add(q, `tag:${quoted(name)}`));
}
