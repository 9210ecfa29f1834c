// One picture: large, with everything that is known of it, who says so, and why it was found.

import * as api from "../page/api.js";
import { $, h, prose, writing } from "../page/dom.js";
import { icon } from "../page/icons.js";
import * as state from "../page/state.js";
import { toast } from "../page/toast.js";
import { moreLike } from "../query/examples.js";
import { goToPicture } from "../results/grid.js";
import { drop, hitOf, indexOf, more, on, refresh, results } from "../results/results.js";
import { captions } from "./captions.js";
import { facts } from "./facts.js";
import { forgetHeat, isShown, stage } from "./stage.js";
import { tagList } from "./tags.js";
import { why } from "./why.js";

let running = new AbortController();
let openedFrom = null;

export function initDetail() {
  const dialog = $("detail");
  dialog.addEventListener("cancel", (event) => { event.preventDefault(); shut(); });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) shut(); });
  dialog.addEventListener("keydown", onKey);
  state.subscribe(follow);
  on("answered", drawSteps);
  on("grown", drawSteps);
  follow(state.get(), { image: null });
}

function follow(now, before) {
  if (now.image === before.image) return;
  if (now.image) load(now.image);
  else close();
}

const shut = () => state.set({ image: null });

function close() {
  running.abort();
  forgetHeat();
  const dialog = $("detail");
  if (!dialog.open) return;
  const last = indexOf(Number(dialog.dataset.id));
  dialog.close();
  if (last >= 0) goToPicture(last);
  else openedFrom?.focus();
}

async function load(id) {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  open(id);
  try {
    const [image, hit] = await Promise.all([api.image(id, signal), hitOf(id, signal).catch(() => null)]);
    if (!signal.aborted) draw(image, hit);
  } catch (error) {
    if (error.name !== "AbortError") fail(error);
  }
}

function open(id) {
  const dialog = $("detail");
  dialog.dataset.id = id;
  if (dialog.open) return;
  openedFrom = document.activeElement;
  $("view").replaceChildren(h("div", { className: "stage" }), h("div", { className: "side" }, h("header", {}, h("h2", {}, "Picture"), closer())));
  dialog.showModal();
}

function fail(error) {
  $("view").replaceChildren(h("div", { className: "stage" }), h("div", { className: "side" }, h("header", {}, h("h2", {}, "Picture"), closer()),
    h("section", { className: "state error" }, h("h2", {}, error.title ?? "This picture cannot be shown"), h("p", {}, ...prose(error.message)))));
  $("detail").querySelector(".close").focus();
}

const closer = () => h("button", { type: "button", className: "quiet close", "data-focus": "close", "aria-label": "Close", title: "Close (Esc)", onclick: shut }, icon("close"));

/** Ask for the picture again after a change, here and in the grid. */
async function again(id) {
  dispatchEvent(new CustomEvent("tags-changed"));
  const image = await api.image(id);
  refresh(image);
  if (state.get().image === id) draw(image, await hitOf(id).catch(() => null));
}

function draw(image, hit) {
  const dialog = $("detail");
  const focused = dialog.querySelector(":focus")?.dataset.focus;
  const name = image.title ?? image.sources[0]?.name ?? `Image ${image.id}`;
  const same = dialog.dataset.shown === String(image.id);
  const scrolled = same ? dialog.querySelector(".scroll")?.scrollTop ?? 0 : 0;
  const changed = () => again(image.id);
  dialog.setAttribute("aria-label", image.captions[0]?.text ?? name);
  $("view").replaceChildren(
    h("div", { className: "stage" }, stage(image), step("previous", -1), step("next", 1)),
    h("div", { className: "side" },
      h("header", {}, h("h2", { title: name }, name), closer()),
      h("div", { className: "scroll" },
        image.error ? h("p", { className: "refusal" }, ...prose(image.error.message)) : null,
        captions(image, hit, changed), actions(image), why(hit), tagList(image, hit, changed), facts(image))));
  dialog.querySelector(".scroll").scrollTop = scrolled;
  dialog.dataset.shown = image.id;
  drawSteps();
  (dialog.querySelector(`[data-focus="${CSS.escape(focused ?? "close")}"]`) ?? dialog.querySelector(".close")).focus({ preventScroll: true });
}

const step = (name, direction) => h("button", { type: "button", className: `step ${name}`, hidden: true, "data-focus": name, "aria-label": `${name === "next" ? "Next" : "Previous"} picture`, onclick: () => go(direction) }, icon(name));

function neighbour(direction) {
  const at = indexOf(state.get().image);
  return at < 0 ? undefined : results.hits[at + direction];
}

async function go(direction) {
  const at = indexOf(state.get().image);
  if (at >= 0 && direction > 0 && at >= results.hits.length - 3) await more();
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
  const like = (drawn, label, less) => h("button", { type: "button", className: "button plain", "data-focus": drawn, disabled: image.state !== "indexed", onclick: () => moreLike(image.id, less) }, icon(drawn), label);
  return h("div", { className: "actions" },
    like("similar", "More like this", false), like("unlike", "Less", true),
    h("a", { className: "button plain", href: `${image.original_url}?v=${image.content_hash.slice(0, 12)}`, target: "_blank", rel: "noopener" }, icon("open"), isShown(image) ? "Open" : "Download"),
    h("button", { type: "button", className: "quiet", "aria-label": "Remove from the library", title: "Remove from the library", onclick: (event) => confirmRemoval(event.currentTarget, image) }, icon("bin")));
}

/** Asks once more in the same place; a file indexed from a folder stays in its folder. */
function confirmRemoval(button, image) {
  const keeps = image.sources.some((source) => source.kind === "path");
  const sure = h("button", { type: "button", className: "button danger", onclick: () => removeImage(image.id, keeps) }, keeps ? "Remove; the file stays" : "Remove for good");
  button.replaceWith(sure);
  sure.focus();
}

async function removeImage(id, keeps) {
  try {
    await api.removeImage(id);
    state.set({ image: null });
    drop(id);
    dispatchEvent(new CustomEvent("library-changed"));
    toast(keeps ? "Removed from the library. The file stays; indexing its folder again brings it back." : "Removed from the library.");
  } catch (error) {
    toast(error.message);
  }
}

function onKey(event) {
  if (writing(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
  const id = state.get().image;
  const run = { ArrowLeft: () => go(-1), ArrowRight: () => go(1), m: () => moreLike(id, false), n: () => moreLike(id, true), t: () => $("detail").querySelector('[data-focus="add-tag"]')?.focus() }[event.key];
  if (!run) return;
  event.preventDefault();
  run();
}
