// What was said of tags lately, newest first, each to be taken back.

import * as api from "../page/api.js";
import { $, h } from "../page/dom.js";
import { takeBack } from "../page/edits.js";
import { count, moment } from "../page/format.js";
import { icon } from "../page/icons.js";
import { menu } from "../page/menu.js";

const SHOWN = 30;

export const initPast = () => menu($("past"), $("past-menu"), fill);

async function fill(panel) {
  panel.replaceChildren(h("p", { className: "waiting" }, "Looking…"));
  try {
    const made = await api.edits(SHOWN);
    panel.replaceChildren(made.length ? h("ul", {}, ...made.map((edit) => past(edit, panel))) : h("p", { className: "hint" }, "What people say of tags is listed here, to be taken back."));
    (panel.querySelector("button") ?? panel).focus();
  } catch (error) {
    panel.replaceChildren(h("p", { className: "hint" }, error.message));
  }
}

function past({ id, tags, images, created_at: made, undone_at: undone }, panel) {
  const names = tags.join(", ") || "of pictures deleted since";
  const button = h("button", { type: "button", className: "quiet small", "aria-label": `Take back ${names}`, title: "Take back", onclick: () => takeBack(id, () => after(panel)) }, icon("undo"));
  return h("li", { className: undone ? "past undone" : "past" },
    h("span", { className: "entry" }, h("span", { className: "name", title: names }, names), h("span", { className: "count" }, `${count(images, "picture")} · ${moment(made)}`)),
    undone ? h("span", { className: "count" }, "taken back") : button);
}

async function after(panel) {
  dispatchEvent(new CustomEvent("tags-changed"));
  dispatchEvent(new CustomEvent("library-changed"));
  await fill(panel);
}
