// What can be done with the selected pictures.

import * as api from "../page/api.js";
import { $, h } from "../page/dom.js";
import { editTag } from "../page/edits.js";
import { count, number } from "../page/format.js";
import { icon } from "../page/icons.js";
import { line, menu } from "../page/menu.js";
import * as state from "../page/state.js";
import { tagField } from "../page/tag_names.js";
import { toast } from "../page/toast.js";
import { add } from "../query/edit.js";
import { on, results } from "./results.js";
import * as selection from "./selection.js";

const MOST_EXAMPLES = 8;
// More than these would take minutes to fetch and to draw.
const MOST_SELECTED = 2000;
const changed = () => dispatchEvent(new CustomEvent("library-changed"));

export function initBulk() {
  const [field, names] = tagField({ placeholder: "Tag", "aria-label": "Tag to add or remove", id: "bulk-tag" });
  $("bulk-form").prepend(field, names);
  $("bulk-form").addEventListener("submit", (event) => {
    event.preventDefault();
    tag(field, event.submitter?.value ?? "add");
  });
  menu($("collect"), $("collect-menu"), fillCollections);
  $("like-these").addEventListener("click", likeThese);
  $("select-all").addEventListener("click", selectAll);
  $("let-go").addEventListener("click", selection.clear);
  selection.subscribe(draw);
  on("answered", draw);
  on("grown", draw);
}

function draw() {
  const chosen = selection.size();
  $("bulk").hidden = !chosen;
  const outside = selection.outside();
  $("bulk-count").textContent = `${number(chosen)} selected${outside ? `, ${number(outside)} not shown` : ""}`;
  const shown = results.hits.length;
  $("select-all").hidden = chosen - outside >= (reachable() ? results.total.value : shown);
  $("select-all").textContent = reachable() ? `Select all ${number(results.total.value)}` : `Select all ${number(shown)} shown`;
  $("like-these").disabled = chosen > MOST_EXAMPLES;
  $("like-these").title = chosen > MOST_EXAMPLES ? `At most ${MOST_EXAMPLES} pictures can be examples` : "";
}

/** Whether all that is found can be selected, not only what has been scrolled to. */
const reachable = () => !results.nearest && results.total.relation === "eq" && results.total.value <= MOST_SELECTED;

async function selectAll() {
  if (!reachable()) return selection.all();
  $("select-all").disabled = true;
  await selection.everything();
  $("select-all").disabled = false;
  return undefined;
}

async function tag(field, how) {
  const name = field.value.trim();
  if (!name) return field.focus();
  if (await editTag(selection.ids(), how, name, changed)) field.value = "";
  return undefined;
}

function likeThese() {
  const ids = selection.ids();
  state.ask(add(state.get().q, ids.map((id) => `like:${id}`).join(" ")));
  scrollTo({ top: 0 });
}

async function fillCollections(panel, shut) {
  const field = h("input", { type: "text", placeholder: "New collection", "aria-label": "Name of a new collection", maxLength: 200 });
  const form = h("form", { className: "menu-form", onsubmit: async (event) => {
    event.preventDefault();
    if (!field.value.trim()) return;
    await collectInto(() => api.createCollection(field.value.trim()), shut);
  } }, field, h("button", { type: "submit", className: "button small" }, "Create"));
  panel.replaceChildren(form);
  const found = await api.collections().catch(() => []);
  panel.append(h("ul", {}, ...found.map((one) => h("li", {},
    h("button", { type: "button", onclick: () => collectInto(() => one, shut) }, icon("folder"), ...line(one.name, number(one.images)))))));
  field.focus();
}

async function collectInto(find, shut) {
  try {
    const collection = await find();
    const ids = selection.ids();
    await api.collect(collection.id, ids);
    shut();
    toast(`${count(ids.length, "picture")} in “${collection.name}”.`);
    changed();
  } catch (error) {
    toast(error.message);
  }
}
