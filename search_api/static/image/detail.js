// One picture: large, with everything that is known of it, who says so, and why it was found.

import * as api from "../page/api.js";
import { $, h, prose, writing } from "../page/dom.js";
import { icon } from "../page/icons.js";
import * as state from "../page/state.js";
import { toast } from "../page/toast.js";
import { moreLike } from "../query/examples.js";
import { goToPicture } from "../results/grid.js";
import { catchUp, drop, hitOf, indexOf, more, on, refresh, results } from "../results/results.js";
import { arrive, captions } from "./captions.js";
import { draftOf, forgetDraft } from "./drafts.js";
import { facts } from "./facts.js";
import { forgetHeat, isShown, stage } from "./stage.js";
import { tagList } from "./tags.js";
import { why } from "./why.js";

let running = new AbortController();
let openedFrom = null;
// Whether something was said here that the results behind do not know of.
let edited = false;

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
  if (before.image && draftOf(before.image) !== null) remind(before.image);
}

/** What is begun and not saved is not lost by leaving it, and not left in silence. */
function remind(id) {
  toast("Your caption is not saved yet. It is kept with its picture.", { label: "Go on writing", run: () => state.set({ image: id }) });
}

const shut = () => state.set({ image: null });

function close() {
  running.abort();
  forgetHeat();
  const dialog = $("detail");
  if (!dialog.open) return;
  const id = Number(dialog.dataset.id);
  const last = indexOf(id);
  dialog.close();
  if (last >= 0) goToPicture(last);
  else openedFrom?.focus();
  if (edited) tellResults(id, last);
}

/** What was edited may be found no more, or by other reasons. The focus stays on it, or where it was. */
async function tellResults(id = null, last = -1) {
  edited = false;
  if (results.question !== state.question(state.get())) return; // another is asked already
  await catchUp();
  if (results.busy || !lostFocus()) return;
  const now = indexOf(id) < 0 ? Math.min(last, results.hits.length - 1) : indexOf(id);
  if (now >= 0) goToPicture(now);
}

/** What is done only after the picture is left. */
const ifShut = () => { if (edited && !$("detail").open) tellResults(); };
const lostFocus = () => document.activeElement === document.body && !document.querySelector("dialog[open]");

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
  arrive(id);
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
  edited = true;
  const image = await api.image(id);
  refresh(image);
  ifShut();
  if (state.get().image === id) draw(image, await hitOf(id).catch(() => null));
}

function draw(image, hit) {
  const dialog = $("detail");
  const focused = dialog.querySelector(":focus");
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
  refocus(focused);
}

/** Back to the control one was at; in a text, back to the place in it. */
function refocus(before) {
  const dialog = $("detail");
  const now = dialog.querySelector(`[data-focus="${CSS.escape(before?.dataset.focus ?? "close")}"]`) ?? dialog.querySelector(".close");
  now.focus({ preventScroll: true });
  if (writing(now) && now.value === before.value) now.setSelectionRange(before.selectionStart, before.selectionEnd);
}

const step = (name, direction) => h("button", { type: "button", className: `step ${name}`, hidden: true, "data-focus": name, "aria-label": `${name === "next" ? "Next" : "Previous"} picture`, onclick: () => go(direction) }, icon(name));

function neighbour(direction) {
  const at = indexOf(state.get().image);
  return at < 0 ? undefined : results.hits[at + direction];
}

/** The neighbour, fetched if it must be. */
async function reach(direction) {
  const at = indexOf(state.get().image);
  if (at >= 0 && direction > 0 && at >= results.hits.length - 3) await more();
  return neighbour(direction);
}

async function go(direction) {
  const hit = await reach(direction);
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
  const sure = h("button", { type: "button", className: "button danger", onclick: () => { sure.disabled = true; removeImage(image.id, keeps, () => { sure.disabled = false; }); } }, keeps ? "Remove; the file stays" : "Remove for good");
  button.replaceWith(sure);
  sure.focus();
}

async function removeImage(id, keeps, failed) {
  try {
    await api.removeImage(id);
    forgetDraft(id);
    edited = true;
    await pass(id);
    drop(id);
    ifShut();
    toast(keeps ? "Removed from the library. The file stays; indexing its folder again brings it back." : "Removed from the library.");
  } catch (error) {
    failed();
    toast(error.message);
  }
}

/** From a picture that is gone on to the next, or back from the last; there is no step back to it. */
async function pass(id) {
  if (state.get().image !== id) return;
  const hit = (await reach(1)) ?? neighbour(-1);
  if (state.get().image === id) state.set({ image: hit?.id ?? null }, { push: false });
}

function onKey(event) {
  if (writing(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
  const id = state.get().image;
  const run = { ArrowLeft: () => go(-1), ArrowRight: () => go(1), m: () => moreLike(id, false), n: () => moreLike(id, true), t: () => $("detail").querySelector('[data-focus="add-tag"]')?.focus() }[event.key];
  if (!run) return;
  event.preventDefault();
  run();
}
