// The box: searches while one types, and offers tags whose names begin with the last words.

import * as api from "./api.js";
import { $, count, h, icon } from "./dom.js";
import * as examples from "./examples.js";
import * as state from "./state.js";

const WAIT_MS = 300;
const SUGGESTIONS = 7;
const NARROW = matchMedia("(max-width: 720px)");
let options = [];
let active = -1;
let fragment = "";
let asking;
let typing;

export function initSearchBox() {
  const box = $("text");
  box.value = state.get().text;
  box.addEventListener("input", onInput);
  box.addEventListener("keydown", onKey);
  box.addEventListener("blur", () => setTimeout(close, 150));
  $("search").addEventListener("submit", (event) => { event.preventDefault(); commit(true); });
  $("clear").addEventListener("click", () => { state.set({ text: "", like: [], drop: [] }); box.focus(); });
  state.subscribe(onState);
  onState(state.get(), {});
}

function onState(now, before) {
  if (now.text !== $("text").value.trim() && now.text !== before.text) $("text").value = now.text;
  $("clear").hidden = !state.ranked(now);
  $("text").placeholder = now.drop.length || now.like.length ? "Add words" : NARROW.matches ? "Describe a picture" : "Describe a picture, or drop one here";
  if (String(now.like) !== String(before.like) || String(now.drop) !== String(before.drop)) drawExamples(now);
}

function onInput() {
  clearTimeout(typing);
  typing = setTimeout(() => commit(false), WAIT_MS);
  suggest();
}

function commit(push) {
  clearTimeout(typing);
  if (push) close();
  // A half-typed exclusion is for the suggestions, not for the search.
  const text = $("text").value.replace(/(^|\s)-\S*$/, "").trim();
  state.set({ text }, { push });
}

async function suggest() {
  asking?.abort();
  asking = new AbortController();
  const words = $("text").value.split(/\s+/).filter(Boolean);
  const tails = [3, 2, 1].filter((n) => n <= words.length).map((n) => words.slice(-n).join(" "));
  if (!tails.length || tails.at(-1).replace(/^-/, "").length < 2 || /\s$/.test($("text").value)) return close();
  try {
    const found = await Promise.all(tails.map((tail) => api.tags(tail.replace(/^-/, ""), SUGGESTIONS, asking.signal)));
    const best = found.findIndex((tags) => tags.length);
    if (best < 0) return close();
    fragment = tails[best];
    open(found[best].filter((tag) => !state.place(tag.name)));
  } catch {
    close(); // suggestions are a courtesy: the search itself reports what is wrong
  }
  return undefined;
}

function open(tags) {
  options = tags;
  active = -1;
  const exclude = fragment.startsWith("-");
  $("suggestions").replaceChildren(
    ...tags.map((tag, index) =>
      h("li", { id: `option-${index}`, role: "option", "aria-selected": "false", onmousedown: (event) => event.preventDefault(), onclick: () => choose(index) },
        icon(exclude ? "close" : "check"),
        h("span", { className: "name" }, exclude ? `without ${tag.name}` : tag.name),
        h("span", { className: "count" }, count(tag.images, "picture")))));
  $("suggestions").hidden = !tags.length;
  $("text").setAttribute("aria-expanded", String(tags.length > 0));
}

function close() {
  options = [];
  active = -1;
  $("suggestions").hidden = true;
  $("text").setAttribute("aria-expanded", "false");
  $("text").removeAttribute("aria-activedescendant");
}

function move(step) {
  if (!options.length) return;
  active = (active + step + options.length + 1) % (options.length + 1);
  if (active === options.length) active = -1;
  for (const [index, item] of [...$("suggestions").children].entries()) item.setAttribute("aria-selected", String(index === active));
  if (active >= 0) $("text").setAttribute("aria-activedescendant", `option-${active}`);
  else $("text").removeAttribute("aria-activedescendant");
}

function choose(index) {
  clearTimeout(typing);
  const tag = options[index].name;
  const where = fragment.startsWith("-") ? "none" : "all";
  const text = $("text").value.trim().slice(0, -fragment.length).trim();
  $("text").value = text;
  close();
  state.set({ text }, { push: false });
  state.putTag(tag, where);
}

function onKey(event) {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    if (!options.length) return;
    event.preventDefault();
    move(event.key === "ArrowDown" ? 1 : -1);
  } else if (event.key === "Enter" && active >= 0) {
    event.preventDefault();
    choose(active);
  } else if (event.key === "Escape" && options.length) {
    event.preventDefault();
    event.stopPropagation();
    close();
  } else if (event.key === "Backspace" && !$("text").value) {
    dropLast();
  }
}

/** Backspace in an empty box takes away the last condition, as in other tag boxes. */
function dropLast() {
  const now = state.get();
  if (now.drop.length) state.set({ drop: now.drop.slice(0, -1) });
  else if (now.like.length) state.set({ like: now.like.slice(0, -1) });
  else {
    const last = [...now.all, ...now.any, ...now.none].at(-1);
    if (last) state.putTag(last, null);
  }
}

async function drawExamples(now) {
  const shown = [
    ...now.like.map((id) => example(`/v1/images/${id}/thumbnail`, `image ${id}`, () => without("like", id))),
    ...(await Promise.all(now.drop.map(async (key) =>
      example(await examples.url(key).catch(() => null), "your picture", () => without("drop", key))))),
  ];
  if (state.get() === now) $("examples").replaceChildren(...shown);
}

function example(url, name, remove) {
  return h("button", { type: "button", className: "example", "aria-label": `Like ${name}. Activate to remove`, title: "Remove", onclick: () => { remove(); $("text").focus(); } },
    url ? h("img", { src: url, alt: "" }) : icon("picture"), icon("close"));
}

function without(name, value) {
  state.set({ [name]: state.get()[name].filter((other) => other !== value) });
}
