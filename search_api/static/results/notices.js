// What is said when there are no pictures to show, and what to do about it.

import * as api from "../page/api.js";
import { $, h, prose } from "../page/dom.js";
import { count, number } from "../page/format.js";
import { icon } from "../page/icons.js";
import * as state from "../page/state.js";
import { remove } from "../query/edit.js";
import { segments } from "../query/segments.js";
import { ask, on, points, results } from "./results.js";

export function initNotices() {
  on("asked", ({ detail }) => { if (!detail.quiet) clear(); });
  on("answered", () => {
    if (results.nearest) nothingStandsOut(results.hidden.value);
    else if (results.hits.length) clear();
    else nothing(state.get());
  });
  on("refused", () => { if (!results.hits.length) failure(results.error); });
  on("stuck", ({ detail }) => stuck(detail.error));
}

const clear = () => $("notice").replaceChildren();
const say = (name, ...content) => $("notice").replaceChildren(h("section", { className: `state ${name}` }, ...content));
const button = (label, run, plain = false) => h("button", { type: "button", className: plain ? "button plain" : "button", onclick: run }, label);

/** A search that failed. Where the slip is, the box shows. */
function failure(error) {
  const again = points(error)
    ? button("Show all pictures", () => state.ask(""), true)
    : button("Try again", () => ask({}));
  say("error", icon("help"), h("h2", {}, error.title ?? "Something went wrong on this page"), h("p", {}, ...prose(error.message)), h("div", { className: "actions" }, again));
}

/** The next page did not come: what is there stays. */
function stuck(error) {
  say("error more", h("p", {}, ...prose(error.message)), h("div", { className: "actions" }, button("Try again", () => { clear(); dispatchEvent(new Event("scroll")); })));
}

/** A search that found nothing: an empty library, pictures still on their way, or a filter too narrow. */
async function nothing(now) {
  const stats = await api.stats().catch(() => null);
  if (state.get() !== now) return undefined;
  const waiting = stats ? stats.images.pending + stats.images.annotated : 0;
  if (stats && !stats.images.indexed && waiting) return onTheirWay(waiting);
  if (stats && !stats.images.indexed) return emptyLibrary(stats.images.failed);
  return tooNarrow(now.q);
}

/** Said above the few that come nearest. */
function nothingStandsOut(hidden) {
  say("none near", icon("search"), h("h2", {}, "Nothing stands out"),
    h("p", {}, `No picture fits this clearly better than the library does on average. These ${number(results.hits.length)} come nearest, of ${count(hidden, "picture", "pictures")} that may be shown.`),
    h("div", { className: "actions" }, button("Show them all, nearest first", () => state.set({ all: true }), true)));
}

const art = (moving) => h("div", { className: moving ? "art moving" : "art", "aria-hidden": "true" }, h("i"), h("i"), h("i"), h("i"), h("i"));

function emptyLibrary(failed) {
  say("empty", art(false),
    h("h2", {}, "No pictures yet"),
    h("p", { "data-needs": "images.write" }, "Drop pictures or a folder anywhere on this page. Each is tagged, described and made searchable on this machine."),
    h("div", { className: "actions", "data-needs": "images.write" }, button("Add pictures", () => $("pick-uploads").click())),
    h("p", { className: "hint" }, "Or index a folder where it is: ", h("code", {}, "sightline index ~/Pictures")),
    failed ? h("p", { className: "hint" }, `${count(failed, "file")} could not be used; `, h("code", {}, "sightline index --retry"), " tries again.") : null);
}

function onTheirWay(waiting) {
  say("empty", art(true),
    h("h2", {}, "Looking at your pictures"),
    h("p", {}, `${count(waiting, "picture is", "pictures are")} being tagged and described. They appear here by themselves.`));
}

/** Name each condition with what would be found without it. */
async function tooNarrow(query) {
  const pieces = segments(query).filter((piece) => piece.kind === "condition");
  const place = h("div", { className: "actions" });
  const advice = h("p", {}, "Looking for what to loosen…");
  say("none", icon("search"), h("h2", {}, "No picture passes this"), advice, place);
  const counted = await Promise.all(pieces.map(async (piece) => {
    const loosened = remove(query, piece);
    const found = await api.search({ q: loosened, limit: 1 }).catch(() => null);
    return { piece, loosened, found: found?.total.value ?? 0, near: found?.hidden_below_cutoff.value ?? 0 };
  }));
  const useful = counted.filter(({ found, near }) => found || near).sort((a, b) => b.found - a.found);
  advice.textContent = useful.length ? "Loosen one condition:" : pieces.length > 1 ? "Leaving out any one condition does not help." : "";
  const [label, rest] = bare(query, pieces);
  const offered = useful.some(({ loosened }) => loosened === rest);
  place.replaceChildren(
    ...useful.map(({ piece, loosened, found }) => button(found ? `Without ${piece.text}: ${number(found)}` : `Without ${piece.text}`, () => state.ask(loosened))),
    ...(offered && rest ? [] : [button(label, () => state.ask(rest), useful.length > 0)]));
}

/** What is left without any condition, and what to call it. */
function bare(query, conditions) {
  const kept = segments(query).filter((piece) => piece.kind !== "condition");
  const ranked = kept.filter((piece) => piece.kind !== "order");
  if (!ranked.length || !conditions.length) return ["Show all pictures", ""];
  const pictures = ranked.filter((piece) => piece.key === "like").length;
  const label = pictures < ranked.length ? `Keep only the words${pictures ? " and pictures" : ""}` : conditions.length > 1 ? "Without the conditions" : `Without ${conditions[0].text}`;
  return [label, kept.map((piece) => piece.text).join(" ")];
}
