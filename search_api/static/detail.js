// One picture: large, with everything that is known of it, who says so, and why it was found.

import * as api from "./api.js";
import { $, h, icon, prose, toast } from "./dom.js";
import { captions, facts, tagList, why } from "./facts.js";
import { results } from "./grid.js";
import * as state from "./state.js";

const SHOWN = new Set(["jpeg", "png", "webp", "gif", "bmp", "avif"]);
let running;
let openedFrom = null;

export function initDetail() {
  const dialog = $("detail");
  dialog.addEventListener("cancel", (event) => { event.preventDefault(); shut(); });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) shut(); });
  dialog.addEventListener("keydown", onKey);
  state.subscribe(follow);
  addEventListener("results-shown", () => { if (dialog.open) drawSteps(); });
  follow(state.get(), { image: null });
}

function follow(now, before) {
  if (now.image === before.image) return;
  if (now.image) load(now.image);
  else close();
}

/** Closing is going back to where the picture was opened from, when that is the last step. */
function shut() {
  state.set({ image: null });
}

function close() {
  running?.abort();
  const dialog = $("detail");
  if (!dialog.open) return;
  const last = dialog.dataset.id;
  dialog.close();
  const target = document.querySelector(`.card[data-id="${last}"]`) ?? openedFrom;
  target?.focus();
}

async function load(id) {
  running?.abort();
  running = new AbortController();
  const dialog = $("detail");
  if (!dialog.open) {
    openedFrom = document.activeElement;
    dialog.replaceChildren(h("div", { className: "stage" }), h("div", { className: "side" }, closer()));
    dialog.showModal();
  }
  dialog.dataset.id = id;
  try {
    draw(await api.image(id, running.signal));
  } catch (error) {
    if (error.name === "AbortError") return;
    dialog.replaceChildren(h("div", { className: "stage" }), h("div", { className: "side" }, closer(),
      h("section", { className: "state error" }, h("h2", {}, error.title ?? "This picture cannot be shown"), h("p", {}, ...prose(error.message)))));
  }
}

const closer = () => h("button", { type: "button", className: "quiet close", "aria-label": "Close", onclick: shut }, icon("close"));

function draw(image) {
  const dialog = $("detail");
  const hit = results.hits.find((other) => other.id === image.id);
  const again = (changed) => { draw(changed); dispatchEvent(new CustomEvent("library-changed")); };
  const focused = dialog.querySelector(":focus")?.dataset.focus;
  const name = image.sources[0]?.name ?? `Image ${image.id}`;
  dialog.setAttribute("aria-label", image.captions[0]?.text ?? name);
  const scrolled = dialog.querySelector(".scroll")?.scrollTop ?? 0;
  dialog.replaceChildren(
    h("div", { className: "stage" }, picture(image), step("previous", -1), step("next", 1)),
    h("div", { className: "side" },
      h("header", {}, h("h2", { title: name }, name), closer()),
      h("div", { className: "scroll" },
        image.error ? h("p", { className: "refusal" }, ...prose(image.error.message)) : null,
        captions(image, again), why(hit, results.weights), actions(image),
        tagList(image, again, hit?.matched_tags ?? []), facts(image))));
  dialog.querySelector(".scroll").scrollTop = dialog.dataset.shown === String(image.id) ? scrolled : 0;
  dialog.dataset.shown = image.id;
  drawSteps();
  (dialog.querySelector(`[data-focus="${focused}"]`) ?? dialog.querySelector(".close")).focus({ preventScroll: true });
}

/** The original where a browser can show it, over the thumbnail while it loads. */
function picture(image) {
  const thumbnail = image.thumbnail_url;
  if (!thumbnail) return h("span", { className: "gone" }, "no picture");
  const version = new URL(thumbnail, location).searchParams.get("v");
  const alt = image.captions[0]?.text ?? "";
  const shape = { "--w": image.width, "--h": image.height };
  const small = h("img", { src: thumbnail, alt, className: "small", style: shape });
  if (!SHOWN.has(image.format)) return small;
  const large = h("img", { alt: "", className: "large", style: shape, onload: () => large.classList.add("here"), onerror: () => large.remove() });
  large.src = `${image.original_url}?v=${version}`;
  return h("span", { className: "frame", style: shape }, small, large);
}

const step = (name, direction) => h("button", { type: "button", className: `step ${name}`, "data-focus": name, "aria-label": `${name === "next" ? "Next" : "Previous"} picture`, onclick: () => go(direction) }, icon(name));

function neighbour(direction) {
  const at = results.hits.findIndex((hit) => hit.id === state.get().image);
  return at < 0 ? undefined : results.hits[at + direction];
}

function go(direction) {
  const hit = neighbour(direction);
  if (hit) state.set({ image: hit.id }, { push: false });
}

function drawSteps() {
  for (const [name, direction] of [["previous", -1], ["next", 1]]) {
    const button = $("detail").querySelector(`.step.${name}`);
    if (button) button.hidden = !neighbour(direction);
  }
}

function actions(image) {
  return h("div", { className: "actions" },
    h("button", { type: "button", className: "button plain", "data-focus": "similar", disabled: image.state !== "indexed", onclick: () => similar(image.id) }, icon("similar"), "More like this"),
    h("a", { className: "button plain", href: `${image.original_url}?v=${image.content_hash.slice(0, 12)}`, target: "_blank", rel: "noopener" }, icon("open"), SHOWN.has(image.format) ? "Open the file" : "Download"),
    h("button", { type: "button", className: "quiet", "aria-label": "Remove from the library", title: "Remove from the library", onclick: (event) => confirmRemoval(event.currentTarget, image) }, icon("bin")));
}

function similar(id) {
  state.set({ like: [id], drop: [], text: "", image: null });
}

/** Asks once more in the same place; a file indexed from a folder stays in its folder. */
function confirmRemoval(button, image) {
  const keeps = image.sources.some((source) => source.kind === "path");
  const sure = h("button", { type: "button", className: "button danger", onclick: () => remove(image.id) }, keeps ? "Remove; the file stays" : "Remove for good");
  button.replaceWith(sure);
  sure.focus();
}

async function remove(id) {
  try {
    await api.removeImage(id);
    state.set({ image: null });
    document.querySelector(`.card[data-id="${id}"]`)?.remove();
    toast("Removed from the library");
  } catch (error) {
    toast(error.message);
  }
}

function onKey(event) {
  if (event.target.closest("input, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
  const run = { ArrowLeft: () => go(-1), ArrowRight: () => go(1), m: () => similar(state.get().image) }[event.key];
  if (!run) return;
  event.preventDefault();
  run();
}
