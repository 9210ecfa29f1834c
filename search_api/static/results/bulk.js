// What can be done with the selected pictures.

import * as api from "../page/api.js";
import { $, h } from "../page/dom.js";
import { editTags } from "../page/edits.js";
import { count, number, some } from "../page/format.js";
import { icon } from "../page/icons.js";
import { line, menu } from "../page/menu.js";
import * as state from "../page/state.js";
import { namesIn, tagField } from "../page/tag_names.js";
import { toast } from "../page/toast.js";
import { add, unbound } from "../query/edit.js";
import { on, PAGE, results } from "./results.js";
import * as selection from "./selection.js";

const MOST_EXAMPLES = 8;
// As many as the server changes in one request.
const MOST_SELECTED = 10_000;
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
  const shown = results.hits.length;
  const most = reachable() ? results.total.value : shown;
  // Of how many is of interest to who takes all there is to see.
  const whole = chosen - outside >= Math.min(shown, PAGE) && chosen - outside < results.total.value;
  $("bulk-count").textContent = `${number(chosen)}${whole ? ` of ${some(results.total)}` : ""} selected${outside ? `, ${number(outside)} not shown` : ""}`;
  $("select-all").hidden = chosen - outside >= most;
  $("select-all").textContent = reachable() ? `Select all ${number(most)}` : `Select all ${number(most)} shown`;
  $("bulk-bound").hidden = !whole || reachable();
  $("bulk-bound").textContent = `At most ${number(MOST_SELECTED)} at once: narrow the search`;
  $("like-these").disabled = chosen > MOST_EXAMPLES;
  $("like-these").title = chosen > MOST_EXAMPLES ? `At most ${MOST_EXAMPLES} pictures can be examples` : "";
}

/** Whether all that is found can be selected, not only what has been scrolled to. */
const reachable = () => !results.nearest && results.total.relation === "eq" && results.total.value <= MOST_SELECTED;

async function selectAll() {
  if (!reachable()) return selection.all();
  $("select-all").disabled = true;
  await selection.everything().catch((error) => toast(error.message));
  $("select-all").disabled = false;
  return undefined;
}

async function tag(field, how) {
  const names = await namesIn(field);
  if (!names.length) return field.focus();
  if (await editTags(selection.ids(), how, names, changed)) field.value = "";
  return undefined;
}

function likeThese() {
  const ids = selection.ids();
  state.ask(add(unbound(state.get().q), ids.map((id) => `like:${id}`).join(" ")));
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
