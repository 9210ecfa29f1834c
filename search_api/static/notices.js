// What is said when there are no pictures to show, and what to do about it.

import * as api from "./api.js";
import { $, count, h, icon, prose } from "./dom.js";
import * as state from "./state.js";

export const clear = () => $("notice").replaceChildren();
const say = (name, ...content) => $("notice").replaceChildren(h("section", { className: `state ${name}` }, ...content));
const button = (label, run, plain = false) => h("button", { type: "button", className: plain ? "button plain" : "button", onclick: run }, label);

/** A search that failed. */
export function failure(error, again) {
  const suggestions = error.problem?.suggestions ?? [];
  const wrong = error.problem?.tag;
  say("error",
    h("h2", {}, error.title ?? "Something went wrong on this page"),
    h("p", {}, ...prose(error.message)),
    h("div", { className: "actions" },
      ...suggestions.map((name) => button(`Use ${name}`, () => replaceTag(wrong, name))),
      wrong ? button(`Remove ${wrong}`, () => state.putTag(wrong, null), suggestions.length > 0) : null,
      error.name === "example_gone" ? button("Search without it", () => state.set({ drop: [] })) : null,
      button("Try again", again, Boolean(wrong))));
}

function replaceTag(wrong, right) {
  const where = state.place(wrong) ?? "all";
  state.putTag(wrong, null);
  state.putTag(right, where);
}

/** A search that found nothing: an empty library, pictures still on their way, or a filter too narrow. */
export async function nothing(now) {
  const stats = await api.stats().catch(() => null);
  if (state.get() !== now) return;
  const waiting = stats ? stats.images.pending + stats.images.annotated : 0;
  if (stats && !stats.images.indexed && waiting) return onTheirWay(waiting);
  if (stats && !stats.images.indexed) return emptyLibrary(stats.images.failed);
  return tooNarrow(now);
}

function emptyLibrary(failed) {
  say("empty",
    h("div", { className: "art", "aria-hidden": "true" }, h("i"), h("i"), h("i"), h("i"), h("i")),
    h("h2", {}, "No pictures yet"),
    h("p", {}, "Drop pictures or a folder anywhere on this page. Each is tagged, described and made searchable on this machine."),
    h("div", { className: "actions" }, button("Add pictures", () => $("pick-uploads").click())),
    h("p", { className: "hint" }, "Or index a folder where it is: ", h("code", {}, "sightline index ~/Pictures")),
    failed ? h("p", { className: "hint" }, `${count(failed, "file")} could not be used; `, h("code", {}, "sightline index --retry"), " tries again.") : null);
}

function onTheirWay(waiting) {
  say("empty",
    h("div", { className: "art moving", "aria-hidden": "true" }, h("i"), h("i"), h("i"), h("i"), h("i")),
    h("h2", {}, "Looking at your pictures"),
    h("p", {}, `${count(waiting, "picture is", "pictures are")} being tagged and described. They appear here by themselves.`));
}

/** Name each condition with what would be found without it. */
async function tooNarrow(now) {
  const loosened = [
    ...now.all.map((tag) => [`Without requiring ${tag}`, { all: now.all.filter((other) => other !== tag) }]),
    ...now.none.map((tag) => [`Without excluding ${tag}`, { none: now.none.filter((other) => other !== tag) }]),
    ...(now.any.length ? [["Without the alternatives", { any: [] }]] : []),
    ...(now.min > 0 ? [["However unsure", { min: 0 }]] : []),
  ];
  const place = h("div", { className: "actions" });
  say("none", icon("search"), h("h2", {}, "No picture passes this filter"),
    h("p", {}, loosened.length > 1 ? "Loosen one condition:" : "Loosen it:"), place);
  const counted = await Promise.all(loosened.map(async ([label, change]) => {
    const asked = { ...now, ...change, text: "", like: [], drop: [] };
    const found = await api.search(asked, { limit: 1 }).catch(() => null);
    return [label, change, found?.total.value ?? 0];
  }));
  const useful = counted.filter(([, , total]) => total).sort((a, b) => b[2] - a[2]);
  place.replaceChildren(
    ...useful.map(([label, change, total]) => button(`${label}: ${count(total, "picture")}`, () => state.set(change))),
    button("Remove the whole filter", () => state.set({ all: [], any: [], none: [], min: 0 }), useful.length > 0));
}
