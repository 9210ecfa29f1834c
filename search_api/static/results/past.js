// What was said of tags lately, newest first, each to be taken back.

import * as api from "../page/api.js";
import { $, h } from "../page/dom.js";
import { takeBack } from "../page/edits.js";
import { count, moment } from "../page/format.js";
import { icon } from "../page/icons.js";
import { menu } from "../page/menu.js";
import { toast } from "../page/toast.js";

const SHOWN = 30;
const DID = { added: "added", rejected: "rejected", cleared: "your word taken back on" };

export const initPast = () => menu($("past"), $("past-menu"), fill);

async function fill(panel) {
  panel.replaceChildren(h("p", { className: "waiting" }, "Looking…"));
  try {
    const made = await api.edits(SHOWN);
    const list = h("ul", {}, ...entries(made, panel));
    panel.replaceChildren(made.length ? list : h("p", { className: "hint" }, "What people say of tags is listed here, to be taken back."));
    (panel.querySelector("button") ?? panel).focus();
  } catch (error) {
    panel.replaceChildren(h("p", { className: "hint" }, error.message));
  }
}

/** A line for each edit, and below them the way to older ones. */
function entries(made, panel) {
  const lines = made.map((edit) => past(edit, panel));
  return made.length < SHOWN ? lines : [...lines, h("li", {}, h("button", { type: "button", className: "quiet small", onclick: ({ currentTarget }) => older(currentTarget.parentElement, made.at(-1).id, panel) }, "Older edits"))];
}

async function older(place, before, panel) {
  try {
    const lines = entries(await api.edits(SHOWN, before), panel);
    const list = place.parentElement;
    place.replaceWith(...lines);
    (lines[0]?.querySelector("button") ?? list.closest(".menu")).focus();
  } catch (error) {
    toast(error.message);
  }
}

/** What was done of which tags; of edits of before that was kept, only the tags are known. */
function told(edit) {
  const parts = Object.entries(DID).filter(([did]) => edit[did].length).map(([did, verb]) => `${verb} ${edit[did].join(", ")}`);
  return parts.join("; ") || edit.tags.join(", ") || "of pictures deleted since";
}

function past(edit, panel) {
  const { id, images, created_at: made, undone_at: undone } = edit;
  const names = told(edit);
  const button = h("button", { type: "button", className: "quiet small", "aria-label": `Take back: ${names}`, title: "Take back", onclick: () => takeBack(id, () => after(panel)) }, icon("undo"));
  return h("li", { className: undone ? "past undone" : "past" },
    h("span", { className: "entry" }, h("span", { className: "name", title: names }, names), h("span", { className: "count" }, `${count(images, "picture")} · ${moment(made)}`)),
    undone ? h("span", { className: "count" }, "taken back") : button);
}

async function after(panel) {
  dispatchEvent(new CustomEvent("tags-changed"));
  dispatchEvent(new CustomEvent("library-changed"));
  await fill(panel);
}
