// The tags of a picture: who says each and how surely, where it was seen, and one's own word on it.

import { h } from "../page/dom.js";
import { editTag } from "../page/edits.js";
import { percent } from "../page/format.js";
import { icon } from "../page/icons.js";
import * as state from "../page/state.js";
import { tagField } from "../page/tag_names.js";
import { add, quoted, stated } from "../query/edit.js";
import { gauge, says, sure, who } from "./says.js";
import { hideHeat, showHeat } from "./stage.js";

export function tagList(image, hit, changed) {
  const matched = new Set((hit?.why?.tags ?? []).map((tag) => tag.name));
  const byName = new Map();
  for (const tag of image.tags) byName.set(tag.name, [...(byName.get(tag.name) ?? []), tag]);
  const names = [...byName.keys()].sort((one, other) => matched.has(other) - matched.has(one));
  // Most tags come from one model: it is named once, in the heading, and others where they speak.
  const usual = image.tags.find((tag) => tag.source.kind === "model")?.source;
  const rows = names.map((name) => statement({ image, name, tags: byName.get(name), usual, matched: matched.has(name), changed }));
  return h("section", { className: "tags-said" }, h("h3", {}, "Tags ", usual ? says(usual) : null),
    rows.length ? h("ul", { className: "statements" }, ...rows) : h("p", { className: "none" }, "No tag was sure enough."),
    adder(image, changed));
}

function adder(image, changed) {
  const [field, names] = tagField({ placeholder: "Add a tag", "aria-label": "Add a tag", "data-focus": "add-tag" });
  return h("form", { className: "add-tag", onsubmit: (event) => {
    event.preventDefault();
    const name = field.value.trim();
    if (name) editTag([image.id], "add", name, changed);
  } }, icon("plus"), field, names);
}

function statement({ image, name, tags, usual, matched, changed }) {
  const rejected = tags.some((tag) => tag.rejected);
  const mine = tags.find((tag) => tag.source.kind === "human");
  const seen = tags.some((tag) => tag.source.kind === "model");
  const say = (how) => () => editTag([image.id], mine && mine.rejected === (how === "remove") ? "clear" : how, name, changed);
  const tool = (drawn, label, pressed, run) => h("button", { type: "button", className: `quiet small ${pressed ? "on" : ""}`, "aria-label": `${label}: ${name}`, "aria-pressed": String(pressed), title: label, "data-focus": `${drawn}-${name}`, onclick: run }, icon(drawn));
  return h("li", { className: [rejected ? "rejected" : "", matched ? "matched" : ""].join(" "), ...(seen ? watching(image.id, name) : {}) },
    h("button", { type: "button", className: "tag", title: "Search for this tag", "data-focus": `tag-${name}`, onclick: () => searchFor(name) }, name),
    h("span", { className: "who" }, ...tags.map((tag) => said(tag, usual))),
    h("span", { className: "tools" },
      seen ? tool("where", "Where it was seen", false, () => showHeat(image.id, name)) : null,
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

function said(tag, usual) {
  if (tag.rejected) return h("span", { className: "line" }, h("span", { className: "verdict" }, "not here, says"), says(tag.source));
  const speaker = usual && who(tag.source) === who(usual) ? null : says(tag.source);
  if (tag.source.kind !== "model") return h("span", { className: "line" }, h("span", { className: "verdict" }, "shows it, says"), speaker);
  return h("span", { className: "line", title: sure(tag) }, gauge(tag.confidence, tag.threshold), h("span", { className: "value" }, percent(tag.confidence)), speaker);
}

function searchFor(name) {
  const { q } = state.get();
  state.ask(stated(q, "tag", name) ? q : add(q, `tag:${quoted(name)}`));
}
