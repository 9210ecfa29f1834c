// Searches kept by name, each with how many pictures it finds now.

import * as api from "../page/api.js";
import { $, h } from "../page/dom.js";
import { number } from "../page/format.js";
import { icon } from "../page/icons.js";
import { line, menu } from "../page/menu.js";
import * as state from "../page/state.js";
import { toast } from "../page/toast.js";
import { ranks } from "../query/edit.js";

export const initSaved = () => menu($("saved"), $("saved-menu"), fillSaved);

async function fillSaved(panel, shut) {
  const { q, all } = state.get();
  const field = h("input", { type: "text", maxLength: 200, placeholder: q ? "Name this search" : "Search for something first", "aria-label": "Name of this search", disabled: !q });
  const form = h("form", { className: "menu-form", onsubmit: (event) => { event.preventDefault(); keep(field.value.trim(), q, shut); } },
    field, h("button", { type: "submit", className: "button small", disabled: !q }, "Save"));
  const above = [form];
  if (all && ranks(q)) above.push(h("p", { className: "hint" }, "A saved search finds what stands out, without the rest that is shown now."));
  panel.replaceChildren(...above, h("p", { className: "waiting" }, "Counting…"));
  try {
    const found = await api.savedSearches();
    panel.replaceChildren(...above, found.length ? h("ul", {}, ...found.map((one) => saved(one, panel, shut))) : h("p", { className: "hint" }, "Searches you save stand here, with how many pictures each finds."));
    if (q) field.focus();
  } catch (error) {
    panel.replaceChildren(...above, h("p", { className: "hint" }, error.message));
  }
}

/** Asked again it shows what is counted here: without what does not stand out, wherever one comes from. */
const saved = (one, panel, shut) => h("li", {},
  h("button", { type: "button", title: one.query, onclick: () => { shut(); state.set({ q: one.query, all: false, image: null }); } }, icon("bookmark"), ...line(one.name, one.count === null ? "–" : number(one.count))),
  h("button", { type: "button", className: "quiet small", "aria-label": `Forget ${one.name}`, title: "Forget", onclick: () => forget(one, panel, shut) }, icon("bin")));

async function keep(name, q, shut) {
  if (!name) return;
  try {
    await api.saveSearch(name, q);
    shut();
    toast(`Saved as “${name}”.`);
  } catch (error) {
    toast(error.message);
  }
}

async function forget(one, panel, shut) {
  try {
    await api.forgetSearch(one.id);
    toast(`“${one.name}” is forgotten.`, { label: "Undo", run: () => api.saveSearch(one.name, one.query).catch((error) => toast(error.message)) });
  } catch (error) {
    toast(error.message);
  }
  fillSaved(panel, shut);
}
